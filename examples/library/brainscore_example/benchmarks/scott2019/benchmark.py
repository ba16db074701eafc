"""Can the concreteness that people ascribe to words be read out of a model's representation of them?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainscore_core.benchmarks import BenchmarkBase
from brainscore_core.metrics import Score

from brainscore_example import load_dataset, load_metric, load_stimulus_set
from brainscore_example.scores import normalize

if TYPE_CHECKING:
    from brainscore_example.model_interface import BrainModel

BIBTEX = """@article{scott2019glasgow,
  title = {The Glasgow Norms: Ratings of 5,500 words on nine scales},
  author = {Scott, Graham G. and Keitel, Anne and Becirspahic, Marc and Yao, Bo and Sereno, Sara C.},
  journal = {Behavior Research Methods},
  volume = {51},
  pages = {1258--1270},
  year = {2019},
  doi = {10.3758/s13428-018-1099-3},
  url = {https://doi.org/10.3758/s13428-018-1099-3}
}"""


class Concreteness(BenchmarkBase):
    """Concreteness of 1500 words, predicted from the model's features by cross-validated ridge regression.

    Ceiling: how well the ratings agree with those of an independent study (Brysbaert et al. 2014) on the same words;
    no model should predict one group of people better than another group of people does.
    """

    def __init__(self) -> None:
        self._stimuli = load_stimulus_set("Scott2019.words")
        self._concreteness = load_dataset("Scott2019.concreteness")
        self._metric = load_metric("ridge")
        agreement = self._concreteness.attrs["agreement"]
        ceiling = Score(agreement["pearsonr"])
        ceiling.attrs["error"] = agreement["error"]
        super().__init__(
            identifier="Scott2019.concreteness-ridge", version=1, parent="behavioral", ceiling=ceiling, bibtex=BIBTEX
        )

    def __call__(self, candidate: BrainModel) -> Score:
        features = candidate.represent(self._stimuli)
        return normalize(self._metric(features, self._concreteness), self.ceiling)
