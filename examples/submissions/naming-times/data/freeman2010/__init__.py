from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from brainscore_core.supported_data_standards.brainio.assemblies import BehavioralAssembly
from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet
from brainscore_example import data_registry, stimulus_set_registry

HERE = Path(__file__).parent


def load_items() -> StimulusSet:
    """300 English words and 300 nonwords of 4 to 6 letters (`lexicality`)."""
    table = _table()
    stimuli = StimulusSet({"stimulus_id": table["item"], "text": table["item"], "lexicality": table["stimulus"]})
    stimuli.identifier = "Freeman2010.items"
    return stimuli


def load_naming() -> BehavioralAssembly:
    """Seconds until an item was named (presentation, subject); NaN where a subject did not see it (51 %)."""
    table = _table()
    items = table["item"].to_numpy(dtype=object)
    times = table.drop(columns=["item", "stimulus"])
    return BehavioralAssembly(
        times.to_numpy(dtype=np.float64),
        coords={
            "stimulus_id": ("presentation", items),
            "text": ("presentation", items),
            "subject": times.columns.to_numpy(dtype=object),
        },
        dims=["presentation", "subject"],
    )


def _table() -> pd.DataFrame:
    return pd.read_csv(HERE / "naming_times.csv", keep_default_na=False, na_values=[""])


stimulus_set_registry["Freeman2010.items"] = load_items
data_registry["Freeman2010.naming"] = load_naming
