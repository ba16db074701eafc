"""Taking over an existing Brain-Score database in place: recognised, compared, and only then recorded as ours to migrate.

Two programs make such databases: brainscore_core (peewee), whose tables are the first revision to the letter, and Brain-Score's
website (Django), whose tables hold the same with other widths, names and defaults, and more beside them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from brainscore_ops.database.drift import Difference, compare, structure_at
from brainscore_ops.database.schema import BRAINSCORE_REVISION, MIGRATION_LOCK, read_revision, stamp
from brainscore_ops.database.structure import Structure, read_structure
from brainscore_ops.display import Shown, Table
from brainscore_ops.errors import Fault, Problem, RefusedError

if TYPE_CHECKING:
    from brainscore_ops.database.connection import Database


class NotAdoptableError(RefusedError):
    """A database is not Brain-Score's, or differs from it in a way that this system could not work with."""

    code = "not-adoptable"
    fault = Fault.OPERATOR


@dataclass(frozen=True)
class Adoption(Shown):
    """A database that is Brain-Score's, as it was found."""

    rows: dict[str, int]
    """Table → rows."""
    differences: tuple[Difference, ...]
    """All harmless."""
    others: tuple[str, ...]
    """Tables that this system knows nothing of, and leaves alone."""
    revision: str
    stamped: bool
    """Whether it was recorded now; otherwise it has been before, or nothing was to be recorded."""

    def as_dict(self) -> dict[str, Any]:
        """The adoption as a JSON document."""
        return asdict(self)

    def table(self) -> Table:
        rows: list[list[object]] = [[name, f"{count:,} rows", ""] for name, count in self.rows.items()]
        rows += [[d.where, f"{d.found} (expected {d.expected})", d.harmless] for d in self.differences]
        if self.others:
            rows.append([f"{len(self.others)} other tables", ", ".join(self.others), "left alone"])
        title = f"A Brain-Score database; {'recorded now as' if self.stamped else 'as of'} revision {self.revision}"
        return Table(title, rows, ["", "found", "why it does not matter"])


def adopt(database: Database, *, dry_run: bool = False) -> Adoption:
    """Record an existing Brain-Score database as being at the first revision, where it is like that.

    Nothing but that record is written: no table of Brain-Score's is touched. A second time it finds the record.

    :param dry_run: only compare
    :raises NotAdoptableError: an empty database, one of something else, or one that differs, with every difference
    """
    with database.lock(MIGRATION_LOCK), database.engine.connect() as connection, connection.begin() as transaction:
        expected = structure_at(connection, BRAINSCORE_REVISION)
        found = read_structure(connection)
        _insist_on_brainscore(expected, found)
        revision = read_revision(connection)
        # What later revisions changed is theirs to check: `migrate` looks for drift.
        differences = () if revision else tuple(compare(expected, found, revision=BRAINSCORE_REVISION))
        if problems := [difference for difference in differences if not difference.harmless]:
            raise NotAdoptableError(
                f"the tables are not as Brain-Score's are: {len(problems)} differences that matter",
                problems=[
                    Problem("schema-differs", f"expected {item.expected}, found {item.found}", where=item.where)
                    for item in problems
                ],
                remedy="Nothing was changed. Mend these, or say in database/drift.py why they do not matter.",
            )
        if revision is None and not dry_run:
            stamp(connection, BRAINSCORE_REVISION)
        rows = {name: connection.scalar(text(f'SELECT count(*) FROM "{name}"')) or 0 for name in sorted(expected)}
        if dry_run:
            transaction.rollback()
        return Adoption(
            rows=rows,
            differences=differences,
            others=tuple(sorted(set(found) - set(expected))) if revision is None else (),
            revision=revision or BRAINSCORE_REVISION,
            stamped=revision is None and not dry_run,
        )


def _insist_on_brainscore(expected: Structure, found: Structure) -> None:
    if not found:
        raise NotAdoptableError(
            "expected a Brain-Score database, found one without any table",
            remedy="`brainscore-ops up` makes the tables in an empty database.",
        )
    if not set(expected) & set(found):
        raise NotAdoptableError(
            f"expected Brain-Score's tables ({', '.join(sorted(expected)[:3])} …), found {', '.join(sorted(found)[:5])} …",
            remedy="Look whether the secret names the database that you mean.",
        )
