"""Conda packages of plugins (environment.yml): solved, fetched and linked by py-rattler, with nothing of them run.

conda, mamba and micromamba would do too, but they run the link scripts of packages as whoever calls them; py-rattler
leaves them alone, is one wheel without dependencies, and says the digest of each file. It is an optional extra.
"""

from __future__ import annotations

import asyncio
import importlib.util
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from brainscore_ops.plugins.lock import CondaPackage, LockUnreadableError
from brainscore_ops.plugins.output import end_of, plain
from brainscore_ops.plugins.registry import EnvironmentUnavailableError
from brainscore_ops.plugins.requirements import EnvironmentBuildError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from pathlib import Path


Result = TypeVar("Result")


class CondaUnavailableError(EnvironmentBuildError):
    """A plugin has an environment.yml, and this installation lacks what reads it."""

    code = "conda-unavailable"


def require_conda() -> None:
    """Find out whether conda packages can be installed here.

    :raises CondaUnavailableError: they cannot
    """
    if importlib.util.find_spec("rattler") is None:
        raise CondaUnavailableError(
            "The conda packages of an environment.yml cannot be installed here: py-rattler is missing.",
            remedy="List the packages in requirements.txt, by their names on PyPI, or ask the operators for "
            "'pip install brainscore_ops[conda]'.",
        )


def solve(channels: Sequence[str], specs: Sequence[str], cache: Path) -> list[CondaPackage]:
    """Find exact packages for some specifications.

    :param channels: names or addresses, the first one's packages first
    :param specs: as environment.yml has them: ``numpy=1.26``, ``python >=3.10``
    :param cache: a folder of ours, for what the channels say that they have
    :raises EnvironmentBuildError: there is no solution
    :raises EnvironmentUnavailableError: a channel could not be reached
    """
    import rattler

    async def found() -> list[Any]:
        return await rattler.solve(
            sources=list(channels),
            specs=[spec if spec[-1:] not in "=<>" else spec + "*" for spec in specs],
            gateway=rattler.Gateway(cache_dir=cache / "repodata"),
            platforms=_platforms(),
            virtual_packages=rattler.VirtualPackage.detect(),
        )

    records = _run(found)
    for record in records:
        if record.sha256 is None:
            raise EnvironmentBuildError(
                f"The channel says no SHA-256 of {record.file_name}, so that it cannot be locked."
            )
    packages = [CondaPackage(str(record.url), record.sha256.hex()) for record in records]
    return sorted(packages, key=lambda one: one.url)


def install(packages: Sequence[CondaPackage], prefix: Path, cache: Path) -> None:
    """Install exactly some packages; each file's digest is checked, and no script of theirs is run.

    :param prefix: the folder that takes them
    :raises EnvironmentUnavailableError: a channel could not be reached, or has other files than it had
    """
    import rattler

    async def installed() -> None:
        gateway = rattler.Gateway(cache_dir=cache / "repodata")
        records = [await _record(gateway, one) for one in packages]
        await rattler.install(
            records, target_prefix=prefix, cache_dir=cache / "packages", execute_link_scripts=False, show_progress=False
        )

    _run(installed)


def versions_of(packages: Sequence[CondaPackage]) -> dict[str, str]:
    """The version of each package, by its conda name."""
    return {name: version for name, version, _ in map(_parts, packages)}


async def _record(gateway: Any, package: CondaPackage) -> Any:
    """What a channel says of a package that was locked."""
    import rattler

    channel, subdir, _ = package.url.rsplit("/", 2)
    name, version, build = _parts(package)
    answers = await gateway.query(
        [rattler.Channel(channel)], [subdir], [rattler.MatchSpec(f"{name} =={version} {build}")], recursive=False
    )
    for record in (record for records in answers for record in records):
        if record.url == package.url and record.sha256 is not None and record.sha256.hex() == package.sha256:
            return record
    raise EnvironmentUnavailableError(
        f"The channel no longer has {package.url} as the lock names it.", code="release-gone"
    )


def _parts(package: CondaPackage) -> tuple[str, str, str]:
    file = package.url.rpartition("/")[2]
    for suffix in (".conda", ".tar.bz2"):
        if file.endswith(suffix) and file.count("-") >= 2:
            name, version, build = file.removesuffix(suffix).rsplit("-", 2)
            return name, version, build
    raise LockUnreadableError(
        f"A conda package is expected to be called name-version-build.conda; found {file[:100]!r}."
    )


def _platforms() -> list[Any]:
    import rattler

    return [rattler.Subdir.current(), rattler.Subdir("noarch")]


def _run(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    from rattler import exceptions

    # In a thread of its own: a notebook's kernel has a loop that is running already.
    with ThreadPoolExecutor(1, "conda") as thread:
        try:
            return thread.submit(lambda: asyncio.run(work())).result()
        except (exceptions.SolverError, exceptions.InvalidMatchSpecError) as error:
            message = plain(str(error)).strip()
            raise EnvironmentBuildError(
                f"The conda packages cannot be installed together: {end_of(message, 1000)}",
                remedy="Change the versions in environment.yml.",
                log=end_of(message),
            ) from error
        except (
            exceptions.GatewayError,
            exceptions.FetchRepoDataError,
            exceptions.InstallerError,
            exceptions.IoError,
        ) as error:
            raise EnvironmentUnavailableError(
                f"The conda channel could not be used: {end_of(plain(str(error)).strip(), 500)}",
                remedy="Run this again later.",
            ) from error
