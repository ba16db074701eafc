"""The researchers' notebooks, parameterized by papermill, on published scores: no database, a picture of each figure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.dom.minidom import parseString

import nbformat
import papermill
import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from tests.bench.synthetic_scores import write
from tests.shown import check_notebook

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
MOST_BYTES = 700_000


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("published"), models=12, benchmarks=14)


@pytest.fixture(scope="module")
def kernel() -> Iterator[KernelManager]:
    """One kernel for all of them: what takes time in a small notebook is to import what it needs."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel()
    yield manager
    manager.shutdown_kernel(now=True)


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_program_picture_and_words(name: str, published: Path, kernel: KernelManager) -> None:
    notebook = load_notebook_node(str(NOTEBOOKS / f"{name}.ipynb"))
    parameters = {"source": str(published), "under": "V4" if name == "model_card" else ""}
    notebook = parameterize_notebook(notebook, parameters)
    NotebookClient(notebook, km=kernel).execute(cleanup_kc=False)
    assert check_notebook(notebook, name) >= FIGURES[name] + 2
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    figures = [output.data for output in outputs if PLOTLY_MIME in output.get("data", {})]
    assert len(figures) == FIGURES[name]
    for data in figures:
        assert parseString(data["image/svg+xml"]).documentElement.tagName == "svg"  # noqa: S318 - drawn by ourselves
        layout = data[PLOTLY_MIME]["layout"]
        assert all("text" in layout[axis]["title"] for axis in ("xaxis", "yaxis"))
        assert data["text/plain"].splitlines()[0] == layout["title"]["text"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert len(nbformat.writes(notebook)) < MOST_BYTES


def test_plain_papermill_runs_them_too(published: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.ipynb"
    papermill.execute_notebook(
        NOTEBOOKS / "leaderboard.ipynb", out, {"source": str(published)}, progress_bar=False, kernel_name="python3"
    )
    assert "12 models on 14 benchmarks" in out.read_text()


def test_a_model_that_is_not_there_is_answered_with_those_that_come_close(published: Path, tmp_path: Path) -> None:
    parameters = {"source": str(published), "model": "resnet_02"}
    with pytest.raises(papermill.PapermillExecutionError, match="Did you mean resnet_002"):
        papermill.execute_notebook(
            NOTEBOOKS / "model_card.ipynb",
            tmp_path / "out.ipynb",
            parameters,
            progress_bar=False,
            kernel_name="python3",
        )
