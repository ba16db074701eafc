"""Named secrets: the name stands in the settings, the credentials in the environment or in a file that only its owner reads."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from brainscore_ops.errors import Fault, OpsError, Problem

if TYPE_CHECKING:
    from pathlib import Path

    from brainscore_ops.settings.deployment import Deployment

S = TypeVar("S", bound="_Secret")


class SecretError(OpsError):
    """A named secret is missing, unreadable, open to others, or lacks a field."""

    code = "secret"
    fault = Fault.OPERATOR
    exit_code = 2


class _Secret(BaseModel):
    # Secrets of the existing system carry more fields than we need (engine, port as text …): they are ignored.
    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)


class DatabaseSecret(_Secret):
    """Where a PostgreSQL is; the field names of AWS's database secrets, which Brain-Score uses, are understood too."""

    host: str
    """A host name, or the folder of a unix socket."""
    port: int = 5432
    database: Annotated[str, Field(validation_alias=AliasChoices("database", "dbname", "dbInstanceIdentifier"))]
    username: str
    password: SecretStr


class ForgeSecret(_Secret):
    """A GitHub-compatible API and a token for it."""

    api_url: str = "https://api.github.com"
    token: SecretStr


class MailSecret(_Secret):
    """An SMTP server."""

    host: str
    port: int
    username: str = ""
    password: SecretStr = SecretStr("")
    tls: bool = True


def resolve_secret(deployment: Deployment, name: str, kind: type[S]) -> S:
    """The credentials behind a secret's name.

    Looked up in the environment (``BRAINSCORE_OPS_SECRET_<NAME>``, a JSON document, the name in capitals with ``_`` for
    everything else), then in the deployment's secrets file.

    :raises SecretError: with what is missing and where it was looked for; never with a value
    """
    variable = "BRAINSCORE_OPS_SECRET_" + "".join(c if c.isalnum() else "_" for c in name).upper()
    if variable in os.environ:
        document, source = _parse(os.environ[variable], f"the variable {variable}"), variable
    else:
        secrets = _read_file(deployment.secrets_file)
        if name not in secrets:
            raise SecretError(
                f"expected a secret named {name!r}, found none in the environment ({variable}) "
                f"and none in {deployment.secrets_file}",
                remedy=f"Set one of the two, or run `brainscore-ops up --deployment {deployment.name}` "
                "if its services are embedded.",
            )
        document, source = secrets[name], str(deployment.secrets_file)
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        problems = [
            # The input is never shown: it may be the secret itself.
            Problem("bad-secret", issue["msg"], where=".".join(map(str, issue["loc"])))
            for issue in error.errors(include_url=False, include_input=False)
        ]
        raise SecretError(f"the secret {name!r} in {source} lacks what is needed", problems=problems) from None


def write_secret(path: Path, name: str, document: dict[str, Any]) -> None:
    """Put a secret into a secrets file (made readable for its owner alone); other names in it are kept."""
    secrets = _read_file(path)
    if secrets.get(name) == document:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({**secrets, name: document}, file, indent=2)
    partial.replace(path)


def _read_file(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    status = path.stat()
    if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.getuid():
        raise SecretError(
            f"expected {path} to be yours and closed to others (mode 600), found mode "
            f"{stat.S_IMODE(status.st_mode):o} and owner {status.st_uid}",
            remedy=f"chmod 600 {path}, and change the passwords in it if others could read them.",
        )
    return _parse(path.read_text(encoding="utf-8"), str(path))


def _parse(text: str, source: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError:
        document = None  # the decoder's own message quotes the text
    if not isinstance(document, dict):
        raise SecretError(f"expected a JSON object in {source}, found something else")
    return document
