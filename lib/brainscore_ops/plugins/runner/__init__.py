"""The scripts that run inside the sandbox, by the plugins' own Python: they import nothing of ours."""

from __future__ import annotations

from pathlib import Path

SCRIPTS = Path(__file__).parent
