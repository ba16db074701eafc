"""Planning: a run in which every outside effect is replaced by its description.

A kernel is told by an environment variable that its run is only planned, and where to write what would be done. The doors to the
outside (the forge's client, the database, the outbox, the dispatch of pairs, what is written to files) ask :func:`is_planning`.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainscore_ops.display import Shown, Table
from brainscore_ops.errors import StepFailedError

if TYPE_CHECKING:
    from collections.abc import Sequence

PLAN_VARIABLE = "BRAINSCORE_OPS_PLAN"
"""Set in the kernel of a planning run: the file that effects are written to, a JSON document a line."""
TO_BE_MADE = "(to be made)"
"""What stands for something that only the outside can say: a commit's SHA, a number."""
OF_THE_MOMENT = "(as of then)"
"""What stands for how long something has been so, or until when it is: see :func:`of_the_moment`."""
MOST_NAMED = 20
"""So many of a kind are named in a plan; all are counted."""
END_OF_PLAN = "end-of-plan"


class EndOfPlanError(StepFailedError):
    """What follows depends on what only doing it can tell. No failure: the plan is made as far as it can be."""

    code = END_OF_PLAN


@dataclass(frozen=True)
class Effect:
    """Something that would be done outside."""

    kind: str
    """``branch``, ``pull request``, ``merge``, ``comment``, ``status``, ``row``, ``mail``, ``pair``, ``file``, ``run`` …"""
    what: str
    """In one line."""
    details: dict[str, Any] = field(default_factory=dict)
    """JSON values that are the same whenever the same is planned."""
    note: str = ""
    """What else there is to say of it: a size, a number that grows by itself, a verdict. No part of the digest."""


@dataclass(frozen=True)
class Effects(Shown):
    """What a run would do, in order."""

    effects: tuple[Effect, ...]
    ends_at: str = ""
    """Why the plan goes no further; empty where it goes to the end."""

    @property
    def digest(self) -> str:
        """SHA-256 of what would be done: the same plan has the same, whenever it is made."""
        said = [{"kind": effect.kind, "what": effect.what, "details": effect.details} for effect in self.effects]
        lines = sorted(json.dumps(effect, sort_keys=True, ensure_ascii=False) for effect in said)
        return hashlib.sha256("\n".join([*lines, self.ends_at]).encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """The plan as a JSON document."""
        return {"digest": self.digest, "effects": [vars(effect) for effect in self.effects], "ends_at": self.ends_at}

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Effects:
        """What :meth:`as_dict` gave."""
        return cls(tuple(Effect(**effect) for effect in document["effects"]), document["ends_at"])

    def table(self) -> Table:
        if not self.effects:
            return Table("Nothing would be done", [])
        count = "1 effect" if len(self.effects) == 1 else f"{len(self.effects)} effects"
        title = f"{count}, plan {self.digest[:16]}"
        if not any(effect.note for effect in self.effects):
            return Table(title, [(effect.kind, effect.what) for effect in self.effects], ("kind", "what would be done"))
        rows = [(effect.kind, effect.what, effect.note) for effect in self.effects]
        return Table(title, rows, ("kind", "what would be done", "beside it"))


def is_planning() -> bool:
    """Whether this process only plans."""
    return bool(os.environ.get(PLAN_VARIABLE))


def planned(kind: str, what: str, *, note: str = "", **details: Any) -> None:
    """Write down what would be done; see :class:`Effect`."""
    line = json.dumps(
        {"kind": kind, "what": " ".join(what.split()), "details": details, "note": " ".join(note.split())},
        ensure_ascii=False,
        default=str,
    )
    with Path(os.environ[PLAN_VARIABLE]).open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def of_the_moment(words: str) -> str:
    """Words that would be others an hour later, for a text that becomes a part of a plan: they are no part of that."""
    return OF_THE_MOMENT if is_planning() else words


def named(names: Sequence[str]) -> str:
    """The first of many names, and how many there are more."""
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def end_of_plan(why: str) -> EndOfPlanError:
    """What to raise where a plan cannot go on: what it depends on, and what would follow."""
    return EndOfPlanError(why)


def read_effects(path: Path, ends_at: str = "") -> Effects:
    """What a planning kernel wrote down."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return Effects(tuple(Effect(**json.loads(line)) for line in lines), ends_at)
