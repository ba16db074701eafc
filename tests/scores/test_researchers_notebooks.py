"""The researchers' notebooks, run by plain papermill on published scores: no database, no record, a picture of each figure."""

from __future__ import annotations

from pathlib import Path
from xml.dom.minidom import parseString

import nbformat
import papermill
import pytest
from tests.bench.synthetic_scores import write

from brainscore_ops.scores.figures.figure import PLOTLY_MIME

NOTEBOOKS = Path(__file__).parents[2] / "notebooks" / "scoring"
FIGURES = {
    "leaderboard": 3,
    "compare_models": 2,
    "model_card": 1,
    "benchmark_health": 3,
    "score_history": 3,
    "cost_report": 3,
}


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("published"), models=12, benchmarks=14)


@pytest.mark.parametrize("name", FIGURES)
def test_it_runs_without_a_database_and_every_figure_is_program_picture_and_words(
    name: str, published: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.ipynb"
    parameters = {"source": str(published), "under": "V4" if name == "model_card" else ""}
    papermill.execute_notebook(NOTEBOOKS / f"{name}.ipynb", out, parameters, progress_bar=False, kernel_name="python3")
    notebook = nbformat.read(out, as_version=4)
    nbformat.validate(notebook)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = [output for output in outputs if "data" in output and "scrapbook" not in output.metadata]
    figures = [output.data for output in shown if PLOTLY_MIME in output.data]
    assert len(figures) == FIGURES[name]
    for data in figures:
        assert parseString(data["image/svg+xml"]).documentElement.tagName == "svg"  # noqa: S318 - drawn by ourselves
        for axis in ("xaxis", "yaxis"):
            assert "text" in data[PLOTLY_MIME]["layout"][axis]["title"]
        assert data["text/plain"].splitlines()[0] == data[PLOTLY_MIME]["layout"]["title"]["text"]
    assert all("text/plain" in output.data for output in shown)
    assert not [
        output for cell in notebook.cells for output in cell.get("outputs", []) if output.get("name") == "stderr"
    ]
    assert out.stat().st_size < 700_000
