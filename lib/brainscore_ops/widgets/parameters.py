"""The parameters of the console's notebook."""

from __future__ import annotations

from pydantic import Field

from brainscore_ops.parameters import RunbookParameters


class ConsoleParameters(RunbookParameters):
    """What ``console`` is told."""

    every: float = Field(2.0, gt=0, description="seconds between two looks at the database")
    runbook: str = Field("merge", description="the runbook that the form is for")
