"""The errors that this system raises on purpose: each says what was expected, what was found and what to do next."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Fault(StrEnum):
    """Whose fault a failure is: it decides who is told, and whether the try counts against a quota."""

    SUBMISSION = "submission"
    INFRASTRUCTURE = "infrastructure"
    OPERATOR = "operator"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with an input, in words that the person who sent it understands."""

    code: str
    """A stable reason code, in kebab case: ``path-outside-plugins``."""
    message: str
    """What was expected and what was found."""
    where: str = ""
    """The file, member or parameter that is meant; empty where it is the whole."""
    remedy: str = ""
    """What to do about it."""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f" {self.remedy}" if self.remedy else ""
        return f"{place}{self.message}{remedy} [{self.code}]"


class OpsError(Exception):
    """A failure that was foreseen.

    :param message: what happened, with what was expected and what was found
    :param remedy: what to do next
    :param code: the reason code, where it is narrower than the class's
    :param fault: whose fault it is, where it differs from the class's
    :param problems: everything that is wrong, where there can be several things
    :param log: the end of the log that tells more (already free of secrets)
    """

    code: str = "failed"
    fault: Fault = Fault.INFRASTRUCTURE
    exit_code: int = 1

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        code: str | None = None,
        fault: Fault | None = None,
        problems: Iterable[Problem] = (),
        log: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.code = code or type(self).code
        self.fault = fault or type(self).fault
        self.problems = tuple(problems)
        self.log = log

    def __str__(self) -> str:
        parts = [self.message, *(f"  - {problem}" for problem in self.problems)]
        if self.remedy:
            parts.append(self.remedy)
        return "\n".join(parts)

    def __reduce__(self) -> tuple[Callable[..., OpsError], tuple[Any, ...]]:
        # Exceptions with keyword arguments do not pickle by themselves, and ours travel between processes.
        return _rebuild, (type(self), self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """The error as a JSON document: what records, the ``run`` table and ``--json`` hold."""
        return {
            "type": type(self).__name__,
            "code": self.code,
            "fault": str(self.fault),
            "exit_code": self.exit_code,
            "message": self.message,
            "remedy": self.remedy,
            "problems": [asdict(problem) for problem in self.problems],
            "log": self.log,
        }


def _rebuild(kind: type[OpsError], document: dict[str, Any]) -> OpsError:
    return kind(
        document["message"],
        remedy=document["remedy"],
        code=document["code"],
        fault=Fault(document["fault"]),
        problems=[Problem(**problem) for problem in document["problems"]],
        log=document["log"],
    )


class StepFailedError(OpsError):
    """A step could not be done: the run's record says which."""


class UsageError(OpsError):
    """What was asked for makes no sense: a wrong parameter, name or option."""

    code = "usage"
    fault = Fault.OPERATOR
    exit_code = 2


class RefusedError(OpsError):
    """A rule says no: validation, the gate, a guard. Trying again without a change gives the same answer."""

    code = "refused"
    fault = Fault.SUBMISSION
    exit_code = 3


class UnavailableError(OpsError):
    """An outside service did not answer; a later run goes on from here."""

    code = "unavailable"
    exit_code = 4
