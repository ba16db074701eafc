"""Are regions of the brain that a model represents alike active together?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from brainscore_core.benchmarks import BenchmarkBase

from brainscore_example import load_dataset, load_metric, load_stimulus_set
from brainscore_example.scores import normalize, pearsonr, summarize

if TYPE_CHECKING:
    from brainscore_core.metrics import Score

    from brainscore_example.model_interface import BrainModel

BIBTEX = """@article{vanessen2013wuminn,
  title = {The WU-Minn Human Connectome Project: An overview},
  author = {Van Essen, David C. and Smith, Stephen M. and Barch, Deanna M. and Behrens, Timothy E. J. and
            Yacoub, Essa and Ugurbil, Kamil},
  journal = {NeuroImage},
  volume = {80},
  pages = {62--79},
  year = {2013},
  doi = {10.1016/j.neuroimage.2013.05.041},
  url = {https://doi.org/10.1016/j.neuroimage.2013.05.041}
}"""


class FunctionalConnectivity(BenchmarkBase):
    """Functional connectivity of 7 people, each predicted from what is known of the others.

    For each subject the model represents the 94 regions by their names and by their structural connectivity averaged
    over the other six. The similarities of the representations are compared with the subject's functional connectivity
    over all 4371 pairs of regions. The score is the mean over subjects, its error the standard error of that mean.

    Ceiling: the same comparison with the functional connectivity of the other six, averaged, in the model's place. It
    too knows the subject only through others, so that a perfect model of the average brain reaches it.
    """

    def __init__(self) -> None:
        self._regions = load_stimulus_set("VanEssen2013.regions")
        self._structural = load_dataset("VanEssen2013.structural").to_numpy()
        self._functional = load_dataset("VanEssen2013.functional")
        self._metric = load_metric("similarity")
        super().__init__(
            identifier="VanEssen2013.functional-similarity",
            version=1,
            parent="neural",
            ceiling=_agreement_between_people(self._functional.to_numpy()),
            bibtex=BIBTEX,
        )

    def __call__(self, candidate: BrainModel) -> Score:
        correlations = []
        for subject in range(len(self._structural)):
            of_the_others = np.delete(self._structural, subject, axis=0).mean(axis=0)
            features = candidate.represent(self._regions.assign(connectivity=list(of_the_others)))
            correlations.append(self._metric(features, self._functional[subject]).item())
        return normalize(summarize(correlations, dim="subject"), self.ceiling)


def _agreement_between_people(functional: np.ndarray) -> Score:
    rows, columns = np.triu_indices(functional.shape[1], k=1)
    pairs = functional[:, rows, columns]
    others = [np.delete(pairs, subject, axis=0).mean(axis=0) for subject in range(len(pairs))]
    return summarize(pearsonr(pairs, np.array(others)), dim="subject")
