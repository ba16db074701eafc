"""Derives naming_times.csv from the data set `fhch2010` of the R package afex, as Debian packs it.

Run it so:

    apt-get download r-cran-afex && dpkg -x r-cran-afex_*.deb afex
    pip install rdata==1.1.0 pandas && python derive.py afex
"""

from __future__ import annotations

import sys
import zlib
from pathlib import Path

import rdata

HERE = Path(__file__).parent


def main(unpacked: Path) -> None:
    data = unpacked / "usr/lib/R/site-library/afex/data"
    index = rdata.conversion.convert(rdata.parser.parse_file(data / "Rdata.rdx"))
    start, length = (int(number) for number in index["variables"]["fhch2010"])
    block = (data / "Rdata.rdb").read_bytes()[start : start + length]
    # 4 bytes of length, then zlib; a lazy-load database holds one serialized object in each block.
    trials = rdata.conversion.convert(rdata.parser.parse_data(zlib.decompress(block[4:])))
    trials = trials.astype({"id": str, "item": str, "task": str, "stimulus": str})
    naming = trials[trials["task"] == "naming"]
    table = naming.pivot_table(index=["item", "stimulus"], columns="id", values="rt", sort=False).sort_index()
    table = table[sorted(table.columns, key=lambda subject: int(subject.lstrip("N")))]
    table.to_csv(HERE / "naming_times.csv", float_format="%.3f")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
