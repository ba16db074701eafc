from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly
from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet

from brainscore_example import data_registry, stimulus_set_registry

HERE = Path(__file__).parent


def load_regions() -> StimulusSet:
    """The 94 regions of the cerebrum in the AAL2 atlas, with their names in words."""
    table = _regions()
    stimuli = StimulusSet({"stimulus_id": table["region"], "text": table["text"]})
    stimuli.identifier = "VanEssen2013.regions"
    return stimuli


def load_connectivity(kind: str) -> NeuroidAssembly:
    """Connectivity of 7 people (subject, region, region), symmetric.

    kind: "structural", fibre counts of probabilistic tractography, 0 on the diagonal; or "functional", Pearson
    correlations of the regions' activity at rest (fMRI, 1200 time points), 1 on the diagonal.
    """
    with np.load(HERE / "connectomes.npz") as arrays:
        triangles = arrays[kind].astype(np.float64)
    regions, names = (_regions()[column].to_numpy(dtype=object) for column in ("region", "text"))
    matrices = np.zeros((len(triangles), len(regions), len(regions)))
    rows, columns = np.triu_indices(len(regions), k=1)
    matrices[:, rows, columns] = matrices[:, columns, rows] = triangles
    if kind == "functional":
        matrices[:, range(len(regions)), range(len(regions))] = 1
    return NeuroidAssembly(
        matrices,
        coords={
            "subject": np.arange(1, len(matrices) + 1),
            "stimulus_id": ("presentation", regions),
            "text": ("presentation", names),
            "neuroid_id": ("neuroid", regions),
            "region": ("neuroid", names),
        },
        dims=["subject", "presentation", "neuroid"],
    )


def _regions() -> pd.DataFrame:
    return pd.read_csv(HERE / "regions.csv")


stimulus_set_registry["VanEssen2013.regions"] = load_regions
for identifier in ["VanEssen2013.structural", "VanEssen2013.functional"]:
    data_registry[identifier] = partial(load_connectivity, identifier.rpartition(".")[2])
