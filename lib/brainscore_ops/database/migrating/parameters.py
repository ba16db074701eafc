"""What the runbook ``migrate`` is told."""

from __future__ import annotations

from pydantic import Field

from brainscore_ops.parameters import RunbookParameters


class MigrateParameters(RunbookParameters):
    """What ``migrate`` is told."""

    target: str = Field("head", description="the revision to bring the schema to; head is the newest")
    dry_run: bool = Field(False, description="stop after the rehearsal: the deployment's database is only read")
    repair: bool = Field(
        False, description="mend rows that a new rule does not allow: the newest is kept, the rest archived"
    )
    downgrade: bool = Field(False, description="allow an earlier target, which gives up what later revisions added")
    wait_seconds: float = Field(600, description="how long to wait for runs that are going on, in seconds")
