"""A library's code in the sandbox: what a run of it may see is said here, once, for its tests and for its scoring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainscore_ops.plugins.runner import SCRIPTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from brainscore_ops.plugins.environment import Environment
    from brainscore_ops.plugins.sandbox import Limits, Outcome, Sandbox

HASH_SEED = 0
"""The seed of Python's hashes: the order of sets of strings is chosen by chance otherwise, and scores with it."""

RESULT = "/result"
"""The folder inside the sandbox that a script may write to."""

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def run_script(
    script: str,
    arguments: list[str | Path],
    *,
    environment: Environment,
    checkout: Path,
    library: str,
    result: Path,
    sandbox: Sandbox,
    limits: Limits,
    threads: int = 1,
    on_line: Callable[[str], None] | None,
) -> Outcome:
    """Run one of our scripts with a library's code.

    :param script: the name of the script in ``runner``
    :param arguments: its arguments; :data:`RESULT` is added
    :param checkout: the absolute path of the repository with the library
    :param result: the folder that takes what it writes
    :param threads: how many threads numerical libraries are told to use
    :raises SandboxBrokenError: nothing was run
    """
    return sandbox.run(
        [environment.python, SCRIPTS / script, *arguments, RESULT],
        # The library alone: beside it may lie .git, with a token in its settings.
        readonly=[*environment.visible, checkout / library, SCRIPTS],
        writable={result: RESULT},
        cwd=RESULT,
        environment={
            "PYTHONPATH": str(checkout),
            "BS_INSTALL_DEPENDENCIES": "no",
            # The order of sets of strings is chosen by chance otherwise, and scores with it.
            "PYTHONHASHSEED": str(HASH_SEED),
            **dict.fromkeys(THREAD_VARIABLES, str(threads)),
        },
        limits=limits,
        on_line=on_line,
    )
