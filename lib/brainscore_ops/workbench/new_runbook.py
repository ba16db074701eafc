"""``new runbook``: a notebook, the module of its steps with the model of its parameters, and its test, all of which run as they
come out.
"""

from __future__ import annotations

import json
import keyword
import re
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from brainscore_ops.errors import Problem, UsageError
from brainscore_ops.runbooks.catalogue import list_runbooks

if TYPE_CHECKING:
    from brainscore_ops.settings import Workspace

PACKAGE = "procedures"
"""Where the steps of such runbooks are kept in the library."""
_TEMPLATES = Path(__file__).parent / "templates"
_KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_PARAMETERS = (
    'deployment: str = "local"  # the deployment to work on: a file params/<name>.yaml\n'
    'note: str = ""  # what the record is to say of this run'
)


class NewRunbookRefusedError(UsageError):
    """There cannot be a new runbook of that name."""

    code = "new-runbook"


def new_runbook(workspace: Workspace, name: str, purpose: str) -> list[Path]:
    """Write a new runbook.

    :param name: in snake case
    :param purpose: one sentence
    :returns: the files, the notebook first
    :raises NewRunbookRefusedError: everything that is wrong with name and purpose; nothing is written then
    """
    purpose = f"{purpose[:1].upper()}{purpose[1:].rstrip('. ')}."
    title = "".join(part.capitalize() for part in name.split("_"))
    values = {"name": name, "title": title, "sentence": purpose}
    library, tests = workspace.root / "lib" / "brainscore_ops" / PACKAGE, workspace.root / "tests" / PACKAGE
    notebook = {
        "cells": _cells(values),
        "metadata": {
            "brainscore_ops": {"purpose": purpose, "parameters": f"brainscore_ops.{PACKAGE}.{name}:{title}Parameters"},
            **_KERNEL,
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    files = {
        workspace.notebooks / "runbooks" / f"{name}.ipynb": json.dumps(notebook, indent=1, ensure_ascii=False) + "\n",
        library / f"{name}.py": _filled("procedure.py.txt", values),
        tests / f"test_{name}.py": _filled("test.py.txt", values),
    }
    _refuse(workspace, name, purpose, list(files))
    package = library / "__init__.py"
    if not package.exists():
        files[package] = '"""What the steps of runbooks call that have no room of their own: a module a runbook."""\n'
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return list(files)


def _refuse(workspace: Workspace, name: str, purpose: str, files: list[Path]) -> None:
    problems = []
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        problems.append(Problem("runbook-name", f"expected a name in snake case, found {name!r}.", where="name"))
    if name in {runbook.name for runbook in list_runbooks(workspace)}:
        problems.append(Problem("runbook-name", f"expected a new name, there is a runbook {name}.", where="name"))
    problems += [
        Problem("file-exists", "expected a file that is not there yet.", where=str(path.relative_to(workspace.root)))
        for path in files
        if path.exists()
    ]
    if len(purpose) < 22 or "\n" in purpose:
        problems.append(
            Problem(
                "runbook-purpose", f"expected a sentence of 20 characters or more, found {purpose!r}.", where="purpose"
            )
        )
    if problems:
        raise NewRunbookRefusedError(f"no runbook {name!r} was made", problems=problems)


def _cells(values: dict[str, str]) -> list[dict[str, object]]:
    cells: list[dict[str, object]] = []
    for index, (kind, content) in enumerate(json.loads((_TEMPLATES / "notebook.json").read_text(encoding="utf-8"))):
        source = _PARAMETERS if kind == "parameters" else Template(content).substitute(values)
        cell: dict[str, object] = {"cell_type": "markdown", "id": str(index), "metadata": {}}
        if kind != "markdown":
            cell.update(cell_type="code", execution_count=None, metadata={"tags": [kind]}, outputs=[])
        cells.append({**cell, "source": source.splitlines(keepends=True)})
    return cells


def _filled(template: str, values: dict[str, str]) -> str:
    return Template((_TEMPLATES / template).read_text(encoding="utf-8")).substitute(values)
