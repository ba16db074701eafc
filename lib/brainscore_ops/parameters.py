"""What a runbook's parameters are made of: one model per runbook, from which its notebook, its help and its checks come."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class RunbookParameters(BaseModel):
    """The base of every runbook's parameters.

    A runbook's notebook names its model in its metadata (``brainscore_ops.parameters: "module:Class"``). Every field has a
    description, which is the comment beside it in the notebook and its line in ``brainscore-ops run RUNBOOK --help``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    deployment: str = Field("local", description="the deployment to work on: a file params/<name>.yaml")
