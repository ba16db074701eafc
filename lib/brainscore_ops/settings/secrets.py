"""Named secrets: the name stands in the settings, the credentials in the environment, in a file of one's own, or at AWS.

A secret belongs to a tier, which its name says (``prod/database``), and a deployment resolves those of its own tier alone. What a
test or demo can never do is thereby decided before anything is looked up, whatever the environment, files and AWS hold:

- a name of another tier is refused, in the settings and again here;
- the variable, the entry of a file and AWS's own name are made from that name, so that none can stand for one of another tier;
- a secret that AWS has under an older name (``secrets.aws.names``) is had by the tier that owns that name, and by no other:
  whose the known ones are is written in :mod:`~brainscore_ops.settings.tiers`, all others count as production's;
- a document that carries ``tier`` is refused where it says another;
- a process that is a test, a demo or CI on a stranger's code is given no secret of ``dev`` or ``prod`` at all;
- and where a document of the right name opens the wrong door, the database says whose it is when it is connected to
  (:mod:`brainscore_ops.database.marker`).
"""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from brainscore_ops.errors import Problem
from brainscore_ops.settings.aws import fetch_secret
from brainscore_ops.settings.errors import SecretError, SecretWithheldError
from brainscore_ops.settings.tiers import confinement, tier_of_name

if TYPE_CHECKING:
    from pathlib import Path

    from brainscore_ops.settings.deployment import Deployment

S = TypeVar("S", bound="_Secret")

ENVIRONMENT_PREFIX = "BRAINSCORE_OPS_SECRET_"


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
    """A GitHub-compatible API, and a token for it or an app's key."""

    api_url: str = "https://api.github.com"
    token: SecretStr = SecretStr("")
    app_id: int | None = None
    """The number of a GitHub App; with its key it is used instead of a token."""
    private_key: SecretStr = SecretStr("")
    """The app's private key, in PEM."""
    installation_id: int | None = None
    """Where the app is installed; by default the forge is asked."""
    webhook_secret: SecretStr = SecretStr("")
    """What the repository's webhook signs with; without one, no webhook is listened to."""

    @model_validator(mode="after")
    def _proves_somebody(self) -> ForgeSecret:
        token, key = self.token.get_secret_value(), self.private_key.get_secret_value()
        if bool(token) == (self.app_id is not None and bool(key)) or (self.app_id is None) != (not key):
            raise ValueError("expected either token, or app_id with private_key")
        return self


class GitHubLoginSecret(_Secret):
    """An OAuth app of GitHub's, or of a forge that is like it."""

    client_id: str
    client_secret: SecretStr
    authorize_url: str = "https://github.com/login/oauth/authorize"
    """Where people are sent to."""
    token_url: str = "https://github.com/login/oauth/access_token"  # noqa: S105 - an address
    api_url: str = "https://api.github.com"


class MailSecret(_Secret):
    """An SMTP server."""

    host: str
    port: int
    username: str = ""
    password: SecretStr = SecretStr("")
    tls: bool = True


def resolve_secret(deployment: Deployment, name: str, kind: type[S]) -> S:
    """The credentials behind a secret's name, from the first of the deployment's sources that has it.

    In the environment it is the JSON document in :func:`variable_of`, in the secrets file the entry of that name.

    :raises SecretWithheldError: it belongs to another tier, or is not for this process
    :raises SecretError: with what is missing and where it was looked for; never with a value
    :raises AwsUnavailableError: AWS is among the sources, and does not answer
    """
    document, source = find_secret(deployment, name)
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        problems = [
            # The input is never shown: it may be the secret itself.
            Problem("bad-secret", issue["msg"], where=".".join(map(str, issue["loc"])))
            for issue in error.errors(include_url=False, include_input=False)
        ]
        raise SecretError(f"the secret {name!r} in {source} lacks what is needed", problems=problems) from None


def find_secret(deployment: Deployment, name: str) -> tuple[dict[str, Any], str]:
    """The document behind a secret's name, and where it was found. Raises what :func:`resolve_secret` does."""
    _withhold(deployment, name)
    for source, place in zip(deployment.secrets.sources, places_of(deployment, name), strict=True):
        document = _look_up(deployment, name, source, place)
        if document is None:
            continue
        said = document.get("tier", deployment.tier)
        if said != deployment.tier:
            raise SecretWithheldError(
                f"the secret {name!r} in {place} says that it is of another tier than {deployment.tier}",
                remedy="Give this deployment credentials of its own.",
            )
        return document, place
    raise SecretError(
        f"expected a secret named {name!r}, found none in {' and none in '.join(places_of(deployment, name))}",
        remedy=f"Put it there, or run `brainscore-ops up --deployment {deployment.name}` if its services are embedded.",
    )


def places_of(deployment: Deployment, name: str) -> tuple[str, ...]:
    """Where a secret is looked for, in words, in the order of the deployment's sources."""
    places = {
        "environment": f"the environment ({variable_of(name)})",
        "file": str(deployment.secrets_file),
        "aws": f"AWS Secrets Manager ({deployment.secrets.aws.name_of(name)})",
    }
    return tuple(places[source] for source in deployment.secrets.sources)


def variable_of(name: str) -> str:
    """The environment variable of a secret: the name in capitals, with ``_`` for everything else.

    It begins with the tier like the name, so that variables of two tiers are never the same.
    """
    return ENVIRONMENT_PREFIX + "".join(c if c.isascii() and c.isalnum() else "_" for c in name).upper()


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


def _withhold(deployment: Deployment, name: str) -> None:
    owner = tier_of_name(name)
    if owner is not deployment.tier:
        raise SecretWithheldError(
            f"expected a secret of the tier {deployment.tier} for the deployment {deployment.name}, "
            f"found {name!r}, which is of {owner}",
            remedy=f"Name one that begins with {deployment.tier}/.",
        )
    if not deployment.rules.in_tests and (who := confinement()):
        raise SecretWithheldError(
            f"the secret {name!r} of the tier {owner} is not for {who}",
            remedy="Use a deployment of the tier local or test here.",
        )


def _look_up(deployment: Deployment, name: str, source: str, place: str) -> dict[str, Any] | None:
    if source == "environment":
        text = os.environ.get(variable_of(name))
    elif source == "aws":
        text = fetch_secret(deployment.secrets.aws.name_of(name), deployment.secrets.aws)
    else:
        return _object(_read_file(deployment.secrets_file).get(name), f"{place}, under {name!r}")
    return None if text is None else _parse(text, place)


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
        document = ""  # the decoder's own message quotes the text
    return _object(document, source) or {}


def _object(document: object, source: str) -> dict[str, Any] | None:
    if document is not None and not isinstance(document, dict):
        raise SecretError(
            f"expected a JSON object in {source}, found something else",
            remedy='Store it as {"host": …, "password": …}; README, "A deployment of one\'s own", has the fields.',
        )
    return document
