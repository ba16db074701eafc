"""Where pairs are computed: a dask cluster, opened for as long as there is something to compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from brainscore_ops.settings import Deployment

Execute = Callable[[Mapping[str, Any]], str]
"""What a worker does with a job. It returns what went wrong, or nothing: results are files."""


@contextmanager
def open_cluster(deployment: Deployment, most_workers: int) -> Iterator[Any]:
    """A dask client on the deployment's cluster; the cluster is closed with the block.

    :param most_workers: how many could be busy at once: no more are started
    """
    from distributed import Client, LocalCluster

    workers = max(1, min(most_workers, deployment.scoring.workers))
    scratch = deployment.state / "dask"
    scratch.mkdir(parents=True, exist_ok=True)
    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            # Threads are enough for workers that start a process for each pair and wait for it.
            processes=False,
            dashboard_address=None,
            # Memory is limited where plugin code runs, in its sandbox.
            memory_limit=0,
            local_directory=str(scratch),
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def run_jobs(
    client: Any,
    execute: Execute,
    jobs: Mapping[str, Mapping[str, Any]],
    on_done: Callable[[str, str], None],
) -> None:
    """Run every job on the cluster, and tell of each as it ends.

    :param jobs: name → what the worker is told
    :param on_done: called with a job's name, and with what went wrong, or nothing
    """
    from distributed import as_completed

    names: Sequence[str] = list(jobs)
    futures = [client.submit(execute, jobs[name], key=f"pair-{name}", pure=False, retries=0) for name in names]
    name_of = dict(zip((future.key for future in futures), names, strict=True))
    for future in as_completed(futures):
        error = future.exception()
        on_done(name_of[future.key], str(error) or type(error).__name__ if error else future.result())
