"""Build a project's wheel through its PEP 517 backend.

Run inside the sandbox: build_wheel.py SOURCE BACKEND OUT [BACKEND_PATH …].

Leaves OUT/missing.json, a list of what the backend wants to have installed first, and, if there is none of that,
OUT/wheel/<name>.whl. Standard library only.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def main() -> None:
    source, backend_name, out = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    # Backends write beside the sources.
    work = Path(tempfile.mkdtemp()) / "source"
    shutil.copytree(source, work, ignore=shutil.ignore_patterns("__pycache__", ".git"))
    os.chdir(work)
    # As pip has it: only the legacy backend finds the project's own modules.
    if backend_name == "setuptools.build_meta:__legacy__":
        sys.path.insert(0, str(work))
    sys.path[:0] = [str(work / path) for path in sys.argv[4:]]
    module, _, inner = backend_name.partition(":")
    backend = importlib.import_module(module)
    for name in filter(None, inner.split(".")):
        backend = getattr(backend, name)

    wanted = list(getattr(backend, "get_requires_for_build_wheel", lambda _settings: [])(None))
    missing = [requirement for requirement in wanted if not is_installed(requirement)]
    (out / "missing.json").write_text(json.dumps(missing))
    if not missing:
        (out / "wheel").mkdir()
        backend.build_wheel(str(out / "wheel"), None, None)


def is_installed(requirement: str) -> bool:
    """Whether a requirement's package is here. Its version is the resolver's business."""
    try:
        version(re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0])
    except PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    main()
