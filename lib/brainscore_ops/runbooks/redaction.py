"""Keeping a deployment's secrets out of everything that a run leaves."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from brainscore_ops.settings import DatabaseSecret, Deployment, ForgeSecret, MailSecret, resolve_secret
from brainscore_ops.settings.errors import AwsUnavailableError, SecretError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import SecretStr

MASK = "***"
SHORTEST = 4
"""Characters. A shorter secret protects nothing, and hiding it would tear up every word that has it."""


class Redactor:
    """Replaces secrets in texts and documents by ``***``.

    :param secrets: the values to hide; each is hidden in its quoted and encoded forms too
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
        self._forms = sorted(forms, key=len, reverse=True)

    @classmethod
    def of(cls, deployment: Deployment, *, needs_all: bool = True) -> Redactor:
        """For everything that a deployment's named secrets hold.

        :param needs_all: whether who is hidden from may get at the secrets later, and so none that exists may stay unknown
        :raises AwsUnavailableError: with ``needs_all``, where it could not be told whether there are some
        """
        return cls(_known_secrets(deployment, needs_all=needs_all))

    def text(self, text: str) -> str:
        """The text without secrets."""
        for form in self._forms:
            text = text.replace(form, MASK)
        return text

    def clean(self, value: Any) -> Any:
        """A JSON value without secrets: lists and dicts are cleaned in place, so that who holds one sees no more of them."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            for key in list(value):
                value[self.text(key)] = self.clean(value.pop(key))
        elif isinstance(value, list):
            value[:] = [self.clean(item) for item in value]
        return value

    def finds(self, value: Any) -> bool:
        """Whether there is a secret in a JSON value."""
        text = json.dumps(value, ensure_ascii=False, default=str)
        return any(form in text for form in self._forms)


def _known_secrets(deployment: Deployment, *, needs_all: bool) -> set[str]:
    found: list[SecretStr] = []
    for read in (_database, _forge, _forge_key, _mail):
        try:
            found.append(read(deployment))
        except SecretError:
            continue  # the run needs it or not; what cannot be read cannot be shown either
        except AwsUnavailableError:
            if needs_all:
                raise
    return {secret.get_secret_value() for secret in found}


def _database(deployment: Deployment) -> SecretStr:
    return resolve_secret(deployment, deployment.database.secret, DatabaseSecret).password


def _forge(deployment: Deployment) -> SecretStr:
    return resolve_secret(deployment, deployment.forge.secret, ForgeSecret).token


def _forge_key(deployment: Deployment) -> SecretStr:
    return resolve_secret(deployment, deployment.forge.secret, ForgeSecret).private_key


def _mail(deployment: Deployment) -> SecretStr:
    return resolve_secret(deployment, deployment.mail.secret, MailSecret).password


def _forms(secret: str) -> set[str]:
    return {
        secret,
        quote(secret, safe=""),  # in an address: postgresql://user:password@host
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        base64.b64encode(secret.encode()).decode(),
        base64.b64encode(f"x-access-token:{secret}".encode()).decode(),  # in git's and GitHub's Basic authorization
    }
