"""What can go wrong on the way to a database, told apart: a wrong password is not an absent server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from brainscore_ops.errors import Fault, OpsError, UnavailableError

if TYPE_CHECKING:
    from sqlalchemy.exc import DBAPIError


class DatabaseUnavailableError(UnavailableError):
    """The database does not answer; it may later."""

    code = "database-unavailable"


class DatabaseAccessError(OpsError):
    """The server answers, and does not let us in: a wrong password, role, or rule of its own."""

    code = "database-access"
    fault = Fault.OPERATOR
    exit_code = 2


class DatabaseMissingError(OpsError):
    """The server answers, and has no database of that name."""

    code = "database-missing"
    fault = Fault.OPERATOR
    exit_code = 2


class WrongDatabaseError(OpsError):
    """The database belongs to another tier, or to nobody yet."""

    code = "wrong-database"
    fault = Fault.OPERATOR
    exit_code = 2


# libpq gives no error code for a connection that was refused; these are the words of PostgreSQL and of pgbouncer.
_NO_ACCESS = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|pg_hba\.conf rejects|no such user"
    r"|role \"[^\"]*\" (does not exist|is not permitted)|permission denied for database"
)
_NO_DATABASE = re.compile(r"database \"[^\"]*\" does not exist|no such database")


def connection_error(error: DBAPIError, where: str, secret: str) -> OpsError:
    """What a failed connection means.

    :param where: the database in words: ``brainscore on db.example.org``
    :param secret: the name of the secret that led there; may be empty
    """
    lines = str(error.orig if error.orig is not None else error).strip().splitlines()
    named = f"the secret {secret}" if secret else "the database's secret"
    if said := next((line for line in lines if _NO_DATABASE.search(line)), ""):
        return DatabaseMissingError(
            f"the server has no database for {where}: {_short(said)}",
            remedy=f"Create it, or correct its name in {named}.",
        )
    if said := next((line for line in lines if _NO_ACCESS.search(line)), ""):
        return DatabaseAccessError(
            f"the database {where} does not let us in: {_short(said)}",
            remedy=f"Correct user name and password in {named}.",
        )
    return DatabaseUnavailableError(
        f"the database {where} does not answer: {lines[0] if lines else 'it said nothing'}",
        remedy="Look whether it runs (`brainscore-ops up` starts an embedded one), then run this again.",
    )


def _short(said: str) -> str:
    """The server's own words, without the address that libpq puts before them."""
    return said.partition("FATAL:")[2].strip() or said.strip()
