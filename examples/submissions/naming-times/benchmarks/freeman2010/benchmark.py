"""Does a model's representation of a letter string tell how long people take to read it aloud?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from brainscore_core.benchmarks import BenchmarkBase
from brainscore_core.metrics import Score
from brainscore_core.supported_data_standards.brainio.assemblies import BehavioralAssembly
from brainscore_example import load_dataset, load_metric, load_stimulus_set
from brainscore_example.scores import normalize, pearsonr

if TYPE_CHECKING:
    from brainscore_example.model_interface import BrainModel

IDENTIFIER = "Freeman2010.naming-ridge"
SPLITS = 100
SEED = 2010
BIBTEX = """@article{freeman2010item,
  title = {Item effects in recognition memory for words},
  author = {Freeman, Emily and Heathcote, Andrew and Chalmers, Kerry and Hockley, William},
  journal = {Journal of Memory and Language},
  volume = {62},
  number = {1},
  pages = {1--18},
  year = {2010},
  doi = {10.1016/j.jml.2009.09.004},
  url = {https://doi.org/10.1016/j.jml.2009.09.004}
}"""


class NamingTimes(BenchmarkBase):
    """Naming times of 300 words and 300 nonwords, predicted by cross-validated ridge regression.

    An item's time is the mean over subjects of its log reaction time, standardized within each subject. Most of what
    there is to predict is whether the item is a word.

    Ceiling: agreement between random halves of the 20 subjects, corrected to the full number by the Spearman-Brown
    formula; mean of 100 splits, its error their standard deviation.
    """

    def __init__(self) -> None:
        naming = load_dataset("Freeman2010.naming")
        log_times = np.log(naming.transpose("presentation", "subject").to_numpy())
        times = (log_times - np.nanmean(log_times, axis=0)) / np.nanstd(log_times, axis=0)
        self._items = load_stimulus_set("Freeman2010.items")
        items = naming["stimulus_id"].to_numpy()
        self._times = BehavioralAssembly(
            np.nanmean(times, axis=1),
            coords={"stimulus_id": ("presentation", items), "text": ("presentation", items)},
            dims=["presentation"],
        )
        self._metric = load_metric("ridge")
        super().__init__(
            identifier=IDENTIFIER, version=1, parent="behavioral", ceiling=_split_half(times), bibtex=BIBTEX
        )

    def __call__(self, candidate: BrainModel) -> Score:
        features = candidate.represent(self._items)
        return normalize(self._metric(features, self._times), self.ceiling)


def _split_half(times: np.ndarray) -> Score:
    rng = np.random.default_rng(SEED)
    seen = ~np.isnan(times)
    reliabilities = []
    for _ in range(SPLITS):
        subjects = rng.permutation(times.shape[1])
        halves = np.array_split(subjects, 2)
        in_both = np.all([seen[:, half].any(axis=1) for half in halves], axis=0)
        r = pearsonr(*(np.nanmean(times[in_both][:, half], axis=1) for half in halves))
        reliabilities.append(2 * r / (1 + r))
    ceiling = Score(np.mean(reliabilities))
    ceiling.attrs["error"] = float(np.std(reliabilities, ddof=1))
    ceiling.attrs[Score.RAW_VALUES_KEY] = Score(reliabilities, coords={"split": np.arange(SPLITS)}, dims=["split"])
    return ceiling
