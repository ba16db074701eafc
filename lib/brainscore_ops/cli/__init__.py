"""The shell's door: thin, every command one call."""

from brainscore_ops.cli.main import main

__all__ = ["main"]
