"""What the steps of a runbook would do, planned in this process."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

from brainscore_ops.database.planning import PlanningDatabase
from brainscore_ops.planning import PLAN_VARIABLE, Effects, EndOfPlanError, read_effects
from brainscore_ops.settings import Deployment
from brainscore_ops.submissions.context import Context


def effects_of(work: Callable[[], object]) -> Effects:
    """Do the work as the kernel of a planning run does it, and give what it wrote down."""
    with tempfile.TemporaryDirectory() as folder:
        file, ends_at = Path(folder) / "effects", ""
        with patch.dict(os.environ, {PLAN_VARIABLE: str(file)}):
            try:
                work()
            except EndOfPlanError as end:
                ends_at = end.message
        return read_effects(file, ends_at)


def effects_on(deployment: Deployment, work: Callable[[Context], object]) -> Effects:
    """The same, for work on an opened deployment, whose database is only planned on."""
    context = Context(deployment=deployment, database=PlanningDatabase.of(deployment), run_id=None)
    try:
        return effects_of(lambda: work(context))
    finally:
        context.database.close()
