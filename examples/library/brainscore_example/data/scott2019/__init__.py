from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from brainscore_core.supported_data_standards.brainio.assemblies import BehavioralAssembly
from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet

from brainscore_example import data_registry, stimulus_set_registry

HERE = Path(__file__).parent


def load_words() -> StimulusSet:
    """1500 English words."""
    words = _table()["word"]
    stimuli = StimulusSet({"stimulus_id": words, "text": words})
    stimuli.identifier = "Scott2019.words"
    return stimuli


def load_concreteness() -> BehavioralAssembly:
    """Mean concreteness of each word, from 1 (abstract) to 7 (concrete), as rated by about 35 people.

    `attrs["agreement"]`: Pearson's r with the ratings that other people gave to the same words in another study, and
    its error (bootstrap over words).
    """
    table = _table()
    words = table["word"].to_numpy(dtype=object)
    concreteness = BehavioralAssembly(
        table["concreteness"].to_numpy(),
        coords={"stimulus_id": ("presentation", words), "text": ("presentation", words)},
        dims=["presentation"],
    )
    concreteness.attrs["agreement"] = json.loads((HERE / "agreement.json").read_text())
    return concreteness


def _table() -> pd.DataFrame:
    return pd.read_csv(HERE / "words.csv", keep_default_na=False)  # "null" and "nan" are words


stimulus_set_registry["Scott2019.words"] = load_words
data_registry["Scott2019.concreteness"] = load_concreteness
