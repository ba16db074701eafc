"""Whose database it is. It says so itself, in the table ``deployment_marker``.

Names keep a test from asking for production's secret; this keeps a test's own secret from leading to production's database after
all, say because somebody copied a document. Every connection of a deployment looks before it does anything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect

from brainscore_ops.database.errors import WrongDatabaseError
from brainscore_ops.database.ops_tables import DeploymentMarker, now

if TYPE_CHECKING:
    from brainscore_ops.database.connection import Database
    from brainscore_ops.settings import Deployment


@dataclass(frozen=True)
class Marker:
    """What a database says of itself."""

    tier: str
    deployment: str


def mark(database: Database, deployment: Deployment, *, replace: bool = False) -> None:
    """Write into a database whose it is.

    :param replace: whether it may be another's, as after another deployment's snapshot was restored into it; ``database`` is then
        made from its secret rather than by :meth:`Database.of`, which does not connect to another tier's
    :raises WrongDatabaseError: it is another tier's, and is not to be replaced
    """
    with database.session() as session:
        row = session.get(DeploymentMarker, 1, with_for_update=True)
        if row is None:
            session.add(DeploymentMarker(id=1, tier=deployment.tier, deployment=deployment.name, marked_at=now()))
        elif replace:
            row.tier, row.deployment, row.marked_at = deployment.tier, deployment.name, now()
        elif row.tier != deployment.tier:
            raise foreign(deployment.tier, row.tier)


def read_marker(database: Database) -> Marker | None:
    """What a database says; None where it says nothing."""
    with database.session() as session:
        if not inspect(session.connection()).has_table(DeploymentMarker.__tablename__):
            return None
        row = session.get(DeploymentMarker, 1)
        return None if row is None else Marker(tier=row.tier, deployment=row.deployment)


def require_marked(database: Database, deployment: Deployment) -> None:
    """:raises WrongDatabaseError: unless the database says that it is of the deployment's tier"""
    marker = read_marker(database)
    if marker is None:
        raise WrongDatabaseError(
            f"expected a database that says it is of the tier {deployment.tier}, found one that does not say whose it is",
            remedy=f"If it is meant: brainscore-ops deployments {deployment.name} --mark",
        )
    if marker.tier != deployment.tier:
        raise foreign(deployment.tier, marker.tier)


def refuse_foreign(connection: Any, tier: str) -> None:
    """Look at a new DBAPI connection's database, and hang up where it is another tier's.

    :raises WrongDatabaseError: it is; nothing was read but the marker
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('deployment_marker')")
        (table,) = cursor.fetchone()
        if table is not None:
            cursor.execute("SELECT tier FROM deployment_marker")
        found = None if table is None else cursor.fetchone()
    connection.rollback()
    if found is not None and found[0] != tier:
        connection.close()
        raise foreign(tier, found[0])


def foreign(expected: str, found: str) -> WrongDatabaseError:
    """What to raise for a database of another tier."""
    return WrongDatabaseError(
        f"expected a database of the tier {expected}, found one that says it is of {found}",
        remedy="The secret leads to the wrong database: correct its document.",
    )
