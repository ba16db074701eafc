"""How a deployment's database is: what ``brainscore-ops db status`` shows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from brainscore_ops.database.schema import newest_revision
from brainscore_ops.database.snapshots.contents import count_rows
from brainscore_ops.database.snapshots.steps import open_vault
from brainscore_ops.database.snapshots.store import Snapshot, bytes_text, list_snapshots
from brainscore_ops.display import Shown, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

_FACTS = """
SELECT current_database()::text AS database, current_setting('server_version') AS server,
       pg_database_size(current_database()) AS bytes, current_setting('max_connections')::int AS connections_allowed,
       (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()) AS connections
"""


@dataclass(frozen=True)
class Status(Shown):
    """A database as it is found."""

    deployment: str
    host: str
    database: str
    server: str
    """The server's version."""
    revision: str | None
    newest_revision: str
    """The schema's revision that this code works with."""
    bytes: int
    tables: Mapping[str, int]
    """Table → rows."""
    connections: int
    """Beside the one that asks."""
    connections_allowed: int
    snapshot: Snapshot | None
    """The newest good one."""
    damaged: tuple[Snapshot, ...]
    every_days: int
    """How often one is to be taken."""

    @property
    def snapshot_age_days(self) -> float | None:
        """None where there is no good snapshot."""
        return None if self.snapshot is None else (datetime.now(UTC) - self.snapshot.taken_at).total_seconds() / 86400

    @property
    def snapshot_is_due(self) -> bool:
        """Whether the newest good one is too old, or there is none."""
        return self.snapshot_age_days is None or self.snapshot_age_days > self.every_days + 1

    def as_dict(self) -> dict[str, Any]:
        """The status as a JSON document."""
        values = {**vars(self), "tables": dict(self.tables)}
        values["snapshot"] = self.snapshot and {
            "id": self.snapshot.id,
            "taken_at": self.snapshot.taken_at.isoformat(),
            "revision": self.snapshot.revision,
            "age_days": self.snapshot_age_days,
            "proof": self.snapshot.proof and asdict(self.snapshot.proof),
        }
        values["snapshot_is_due"] = self.snapshot_is_due
        values["damaged"] = [{"id": snapshot.id, "problem": snapshot.problem} for snapshot in self.damaged]
        return values

    def table(self) -> Table:
        schema = self.revision or "none"
        if self.revision != self.newest_revision:
            schema += f": the newest is {self.newest_revision}; `brainscore-ops run migrate` brings it there"
        return Table(
            f"The database of {self.deployment}",
            [
                ("server", f"PostgreSQL {self.server} on {self.host}"),
                ("database", f"{self.database}, {bytes_text(self.bytes)}"),
                ("schema", schema),
                ("connections", f"{self.connections} of {self.connections_allowed}"),
                ("snapshot", self._snapshot_text()),
                *(("DAMAGED", f"{snapshot.id}: {snapshot.problem}") for snapshot in self.damaged),
                *((name.removeprefix("public."), f"{rows:>12,}") for name, rows in self.tables.items()),
            ],
        )

    def _snapshot_text(self) -> str:
        if self.snapshot is None:
            return "NONE: `brainscore-ops run snapshot` takes one"
        proof = self.snapshot.proof
        proven = f"proven {proof.at:%Y-%m-%d %H:%M} UTC" if proof else "not proven"
        due = f"; DUE: one is to be taken every {self.every_days} days" if self.snapshot_is_due else ""
        return f"{self.snapshot.id}, {self.snapshot_age_days:.1f} days old, {proven}{due}"


def read_status(name: str) -> Status:
    """Look at a deployment's database, whatever its schema's revision.

    :raises UnknownDeploymentError, BadSettingsError, SecretError: where the deployment is not described as it has to be
    :raises DatabaseUnavailableError: where the database does not answer
    """
    vault = open_vault(name)
    found = list_snapshots(vault.store)
    with vault.database.connection() as connection:
        facts = connection.execute(text(_FACTS)).mappings().one()
        tables = count_rows(connection)
    vault.database.close()
    return Status(
        deployment=name,
        host=vault.database.secret.host,
        revision=vault.revision,
        newest_revision=newest_revision(),
        tables=tables,
        snapshot=next((snapshot for snapshot in found if snapshot.is_good), None),
        damaged=tuple(snapshot for snapshot in found if not snapshot.is_good),
        every_days=vault.deployment.snapshots.every_days,
        **facts,
    )
