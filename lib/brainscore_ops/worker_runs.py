"""Runs on the workers of a cluster. Each job there loads this module: it asks for as little as it can, and for no database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brainscore_ops.runbooks.execution import run_runbook
from brainscore_ops.runbooks.quick_imports import without_unused_options
from brainscore_ops.runbooks.warm_kernels import expect_many

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brainscore_ops.settings import RunSettings


def run_on_worker(
    runbook: str, triggered_by: str, parameters: Mapping[str, Any], bounds: RunSettings
) -> dict[str, Any] | None:
    """Run a runbook on a worker of a cluster.

    :param bounds: what its run may take there
    :returns: what went wrong (:meth:`OpsError.as_dict`, and the ``run_id``), or None
    """
    # A worker lives as long as its driver: its kernels may have the library as it has it itself.
    expect_many(
        [
            "brainscore_ops.runbooks.error_cards",
            "brainscore_ops.runbooks.scraps",
            "brainscore_ops.scoring.pair",
            "brainscore_ops.scoring.pair_record",
        ],
        database=False,
    )
    with without_unused_options(alone=True):
        import papermill  # noqa: F401
    result = run_runbook(runbook, parameters, triggered_by=triggered_by, bounds=bounds)
    return None if result.error is None else {**result.error, "run_id": result.id}
