"""Which code a run was done with."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import brainscore_ops

CHECKOUT = Path(__file__).resolve().parents[3]


def code_version() -> str:
    """The library's version and, where it is installed from a checkout, its commit: ``0.1.0+g1a2b3c4d5e6f.dirty``.

    ``dirty`` says that the checkout has changes, or new files, that no commit has.
    """
    if not (CHECKOUT / ".git").exists():
        return brainscore_ops.__version__
    try:
        said = subprocess.run(
            ["git", "-C", str(CHECKOUT), "status", "--porcelain=v2", "--branch", "-z"],
            capture_output=True,
            check=True,
            timeout=20,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"},
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return brainscore_ops.__version__
    entries = [entry for entry in said.split(b"\0") if entry]
    commit = next((entry.split()[-1] for entry in entries if entry.startswith(b"# branch.oid")), b"").decode()
    dirty = ".dirty" if any(not entry.startswith(b"#") for entry in entries) else ""
    # Before the first commit git says "(initial)".
    return f"{brainscore_ops.__version__}+{f'g{commit[:12]}' if commit.isalnum() else 'initial'}{dirty}"
