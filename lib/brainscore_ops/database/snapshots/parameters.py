"""What the runbooks ``snapshot`` and ``restore`` are told."""

from __future__ import annotations

from pydantic import Field

from brainscore_ops.parameters import RunbookParameters


class SnapshotParameters(RunbookParameters):
    """What ``snapshot`` is told."""

    reason: str = Field("scheduled", description="why it is taken; it stands in the manifest", max_length=200)
    if_older_than_days: int = Field(
        0,
        description="only if the newest good one is that old, in days; 0 takes one in any case",
        ge=0,
    )


class RestoreParameters(RunbookParameters):
    """What ``restore`` is told."""

    snapshot: str = Field(
        "", description="the id of the snapshot, or the start of it; by default the newest proven one"
    )
    into: str = Field(
        "",
        description="the name of the new database; by default named after the live one and the moment",
        pattern=r"^([a-z_][a-z0-9_]{0,62})?$",
    )
    overwrite: bool = Field(
        False, description="whether a database of that name that an earlier restore made is replaced"
    )
    swap: bool = Field(
        False, description="whether it takes the place of the live database, which is kept under a dated name"
    )
    confirm: str = Field(
        "",
        description="to swap or overwrite: the name of the deployment, where that is asked for (always on production)",
    )
