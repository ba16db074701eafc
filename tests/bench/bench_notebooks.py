"""How quick scores and the researchers' notebooks are on as many scores as Brain-Score has: 683 models on 270 benchmarks.

Notebooks are measured beside a notebook whose only cell is ``pass``, run by the same papermill: what is beyond that is ours.
Frames are measured beside pandas reading the same file.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pandas as pd
import papermill
from synthetic_scores import write

from brainscore_ops import scores

if TYPE_CHECKING:
    from collections.abc import Callable

NOTEBOOKS = Path(__file__).parents[2] / "notebooks" / "scoring"
NAMES = ("leaderboard", "compare_models", "model_card", "benchmark_health", "score_history", "cost_report")
ROUNDS = 3


def seconds(work: Callable[[], object]) -> float:
    """The median of some rounds."""
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def main() -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory() as folder:
        data = write(Path(folder) / "data")
        peer = seconds(lambda: pd.read_parquet(data / "scores.parquet"))
        print(f"pandas reads scores.parquet              {peer:6.2f} s")  # noqa: T201
        for call in ("table", "matrix", "averages", "history", "runs"):
            took = seconds(lambda call=call: getattr(scores.connect(data), call)())
            print(f"scores.connect(folder).{call + '()':17} {took:6.2f} s   {took / peer:5.1f} x")  # noqa: T201
        empty = Path(folder) / "empty.ipynb"
        cells = [
            nbformat.v4.new_code_cell("source = ''", metadata={"tags": ["parameters"]}),
            nbformat.v4.new_code_cell("pass"),
        ]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), empty)
        out = Path(folder) / "out.ipynb"

        def run(path: Path) -> Callable[[], object]:
            return lambda: papermill.execute_notebook(
                path, out, {"source": str(data)}, progress_bar=False, kernel_name="python3", language="python"
            )

        peer = seconds(run(empty))
        print(f"a notebook that does nothing             {peer:6.2f} s")  # noqa: T201
        for name in NAMES:
            took = seconds(run(NOTEBOOKS / f"{name}.ipynb"))
            print(f"{name:40} {took:6.2f} s   {took / peer:5.1f} x   record {out.stat().st_size / 1024:,.0f} KiB")  # noqa: T201


if __name__ == "__main__":
    main()
