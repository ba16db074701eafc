"""Which resource class a pair is computed in: what its plugins ask for, what was measured of it before, or the default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from brainscore_ops.errors import Fault, RefusedError
from brainscore_ops.settings.deployment import read_bytes, read_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from brainscore_ops.settings import ResourceClass, ScoringSettings

METADATA_FILE = "metadata.yml"
RESOURCES = "resources"
_MOST_METADATA_BYTES = 256 * 1024
_MOST = 2**50


class NoClassError(RefusedError):
    """A pair needs more than any of the deployment's classes offers."""

    code = "no-resource-class"
    fault = Fault.OPERATOR


class BadResourcesError(RefusedError):
    """A plugin's ``metadata.yml`` asks for resources in a way that is not understood."""

    code = "bad-resources"


@dataclass(frozen=True)
class Need:
    """What a pair needs at least; zero where nothing is known."""

    memory: int = 0
    """In bytes."""
    walltime: float = 0.0
    """In seconds."""
    cores: int = 0
    gpus: int = 0
    because: str = ""
    """Where this is known from, in words."""

    def __or__(self, other: Need) -> Need:
        """What is enough for both."""
        return Need(
            max(self.memory, other.memory),
            max(self.walltime, other.walltime),
            max(self.cores, other.cores),
            max(self.gpus, other.gpus),
            "; ".join(filter(None, (self.because, other.because))),
        )

    def __bool__(self) -> bool:
        return bool(self.memory or self.walltime or self.cores or self.gpus)

    def fits(self, offered: ResourceClass) -> bool:
        """Whether a class is enough."""
        return (
            self.memory <= offered.memory
            and self.walltime <= offered.walltime
            and self.cores <= offered.cores
            and self.gpus <= offered.gpus
        )

    def __str__(self) -> str:
        parts = (
            f"{self.memory / 2**30:.3g} GiB of memory" if self.memory else "",
            f"{self.walltime:.0f} s" if self.walltime else "",
            f"{self.cores} cores" if self.cores else "",
            f"{self.gpus} GPUs" if self.gpus else "",
        )
        return ", ".join(filter(None, parts)) or "nothing in particular"


@dataclass(frozen=True)
class Measurement:
    """What earlier attempts of a pair, or of its model or benchmark with others, used."""

    memory: int
    """Peak, in bytes."""
    walltime: float
    """In seconds."""
    of: str
    """``pair``, ``model`` or ``benchmark``."""


def choose_class(
    asked: Need, measured: Measurement | None, classes: Sequence[ResourceClass], settings: ScoringSettings
) -> tuple[ResourceClass, str]:
    """The smallest class that is enough, and why it is this one.

    What the plugins ask for is a floor. What was measured, with a margin, comes on top, but cannot ask for more than there
    is: the largest class has to do then. Where nothing is known it is the default.

    :param classes: from the smallest to the largest
    :raises NoClassError: where the plugins ask for more than any class has
    """
    fitting = [each for each in classes if asked.fits(each)]
    if not fitting:
        raise NoClassError(
            f"expected to need no more than a resource class offers, found {asked} ({asked.because})",
            remedy="Add a class that is large enough to the deployment's settings, or ask for less in metadata.yml.",
        )
    if measured is not None:
        margin = settings.margin
        needed = asked | Need(
            int(measured.memory * margin), measured.walltime * margin, because=f"measured of the {measured.of} before"
        )
        return next((each for each in fitting if needed.fits(each)), fitting[-1]), needed.because
    if asked:
        return fitting[0], asked.because
    default = next((each for each in classes if each.name == settings.default_class), classes[0])
    return default, "the default"


def larger_class(current: ResourceClass, classes: Sequence[ResourceClass]) -> ResourceClass | None:
    """The next class with more memory and no fewer GPUs; None where there is none."""
    later = classes[_index(current, classes) + 1 :]
    return next((each for each in later if each.memory > current.memory and each.gpus >= current.gpus), None)


def longer_class(current: ResourceClass, classes: Sequence[ResourceClass]) -> ResourceClass | None:
    """The next class with more walltime, and no less of anything else; None where there is none."""
    later = classes[_index(current, classes) + 1 :]
    return next(
        (
            each
            for each in later
            if each.walltime > current.walltime and each.memory >= current.memory and each.gpus >= current.gpus
        ),
        None,
    )


def asked_by_plugins(checkout: Path, library: str, plugins: Mapping[tuple[str, str], str]) -> Need:
    """What the plugins of a pair ask for in their ``metadata.yml``.

    Under ``resources`` a plugin may name ``memory`` (``16 GiB``), ``walltime`` (``02:00:00``, or seconds), ``cores`` and
    ``gpus``: at the top of the file for all that it registers, or below an identifier for that one alone::

        resources: {memory: 8 GiB}
        models:
          resnet-152:
            resources: {memory: 16 GiB, gpus: 1}

    :param plugins: (plugin type, folder) → the identifier that is scored
    :raises BadResourcesError: with what is wrong in which file
    """
    need = Need()
    for (kind, folder), identifier in plugins.items():
        place = f"{kind}/{folder}/{METADATA_FILE}"
        document = _read(checkout / library / kind / folder / METADATA_FILE, place)
        own = _at(document, kind, identifier, RESOURCES)
        everyone = _at(document, RESOURCES)
        need |= _need({**_mapping(everyone, place), **_mapping(own, place)}, place)
    return need


def _index(current: ResourceClass, classes: Sequence[ResourceClass]) -> int:
    return [each.name for each in classes].index(current.name)


def _read(path: Path, place: str) -> Any:
    if not path.is_file() or path.is_symlink():
        return {}
    if path.stat().st_size > _MOST_METADATA_BYTES:
        raise BadResourcesError(f"{place}: expected at most {_MOST_METADATA_BYTES} bytes")
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise BadResourcesError(f"{place}: expected YAML, found something else: {str(error)[:200]}") from None


def _at(document: Any, *keys: str) -> Any:
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _mapping(document: Any, place: str) -> dict[str, Any]:
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise BadResourcesError(f"{place}: expected {RESOURCES} to be a mapping, found {type(document).__name__}")
    return {str(key): value for key, value in document.items()}


def _need(resources: Mapping[str, Any], place: str) -> Need:
    if not resources:
        return Need()
    problems, values = [], {}
    for name, value in resources.items():
        try:
            values[name] = _READERS[name](value)
            if isinstance(values[name], bool) or not 0 <= values[name] < _MOST:
                raise ValueError("expected a number that is not negative")
        except KeyError:
            problems.append(f"{name!r} is none of {', '.join(_READERS)}")
        except (ValueError, TypeError) as error:
            problems.append(f"{name}: {error}, found {str(value)[:50]!r}")
    if problems:
        raise BadResourcesError(
            f"{place}: {'; '.join(problems)}",
            remedy="Write it as in `resources: {memory: 16 GiB, walltime: 02:00:00, cores: 4, gpus: 1}`.",
        )
    return Need(**values, because=f"asked for in {place}")


def _whole(value: Any) -> int:
    if not isinstance(value, int):
        raise ValueError("expected a whole number")  # noqa: TRY004 - told as any other bad value
    return value


_READERS: dict[str, Any] = {
    "memory": lambda value: _whole(read_bytes(value)),
    "walltime": lambda value: float(read_seconds(value)),  # type: ignore[arg-type]
    "cores": _whole,
    "gpus": _whole,
}
