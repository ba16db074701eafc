"""Every notebook in a kernel that knows nothing of runs, by nbval, on the deployment of the demo: what is done is found."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell
from sqlalchemy import func, select
from tests.journey.conftest import ROOT, Demo

from brainscore_ops.database.ops_tables import Run, SubmissionLife
from brainscore_ops.runbooks.parameters import check_parameters, load_parameters_model, render_injected_cell

NOTEBOOKS = {path.stem: path for path in sorted((ROOT / "notebooks").rglob("*.ipynb"))}
WAY = ("snapshot", "intake", "create_pr", "test_plugins", "merge")
"""In this order: `restore` needs a snapshot, and a submission of our own goes the way of all. All others come after them."""
ENDS_AT = {"benchmark_version": "step:inspect", "publish_submission": "step:begin"}
"""What the demo has no work for, and where it says so."""


@pytest.mark.timeout(900)  # 25 notebooks, each in a kernel of its own
def test_every_notebook_runs_in_a_plain_kernel(demo: Demo, tmp_path: Path) -> None:
    parameters = _parameters(demo, tmp_path)
    names = [*WAY, *(name for name in NOTEBOOKS if name not in WAY)]
    copies = [_copy(tmp_path, index, name, parameters.get(name, {})) for index, name in enumerate(names)]
    (tmp_path / "pytest.ini").write_text("[pytest]\n")  # not the checkout's
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--nbval-lax", "--nbval-current-env", "-p", "no:cacheprovider", *copies],
        cwd=tmp_path,
        env={**demo.installation.environment, "COLUMNS": "140"},
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stdout[-6000:]


def _parameters(demo: Demo, folder: Path) -> dict[str, dict[str, Any]]:
    """Those of each runbook's last run that succeeded, but for those that work on a submission of our own."""
    database = demo.installation.database()
    with database.session() as session:
        found = session.scalars(select(Run).where(Run.state == "succeeded", Run.kind == "run").order_by(Run.started_at))
        known = {run.runbook: dict(run.parameters) for run in found}
        # The next numbers, which are those of a submission of our own: nobody else uses this deployment.
        submission = 1 + session.scalar(select(func.max(SubmissionLife.submission_id)))
        pull_request = 1 + max(number or 0 for number in session.scalars(select(SubmissionLife.pull_request)))
    database.close()
    ours = {"pull_request": pull_request}
    return {
        **known,
        "intake": {"archive": str(_archive(folder)), "email": "nbval@example.org"},
        "create_pr": {"submission": submission},
        "test_plugins": ours,
        "merge": ours,
        "migrate": {"dry_run": True},
        "deadlines": {"dry_run": True},
        "rescore": {"failed": "nothing failed for this reason"},
        "restore": {"into": "looked_at_by_nbval"},
        "benchmark_version": {"benchmark": "Scott2019.concreteness-ridge"},
        "publish_submission": {"submission": submission},
    }


def _archive(folder: Path) -> Path:
    path = folder / "checked.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(
            "models/checked/__init__.py",
            "from brainscore_example import model_registry\nmodel_registry['checked'] = lambda: None\n",
        )
        file.writestr("models/checked/test.py", "def test_nothing():\n    pass\n")
    return path


def _copy(folder: Path, index: int, name: str, given: dict[str, Any]) -> Path:
    """A notebook with parameters, in the place that its order gives it."""
    notebook = nbformat.read(NOTEBOOKS[name], as_version=4)
    model = load_parameters_model(notebook.metadata["brainscore_ops"]["parameters"])
    place = next(i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
    notebook.cells.insert(place + 1, new_code_cell(render_injected_cell(check_parameters(model, given))))
    tags = [tag for cell in notebook.cells for tag in cell.metadata.get("tags", [])]
    if name in ENDS_AT:
        assert ENDS_AT[name] in tags
        after = False
        for cell in notebook.cells:
            after = after or ENDS_AT[name] in cell.metadata.get("tags", [])
            if after and cell.cell_type == "code":
                cell.metadata["tags"] = ["raises-exception"]
    path = folder / f"{index:02}_{name}.ipynb"
    nbformat.write(notebook, path)
    return path
