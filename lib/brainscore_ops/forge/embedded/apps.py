"""Apps on the embedded forge: accounts without a password, which prove themselves by a key and get tokens for an hour."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from brainscore_ops.errors import RefusedError
from brainscore_ops.forge.embedded.records import Account, App
from brainscore_ops.forge.embedded.store import account_of, digest, insert, now, require

if TYPE_CHECKING:
    from brainscore_ops.forge.embedded.store import Store

TOKEN_SECONDS = 3600
"""How long an installation's token is good (GitHub's hour)."""

LONGEST_PROOF_SECONDS = 600
"""How far in the future a proof may end."""

CLOCK_SECONDS = 60
"""How far clocks may differ."""


class AppRefusedError(RefusedError):
    """A proof that does not come from the key of the app that it names."""

    code = "app-refused"


@dataclass(frozen=True)
class AppKey:
    """What an app proves itself with."""

    app_id: int
    private_key: str
    """PEM; kept nowhere else."""
    login: str
    """The account that acts: ``<slug>[bot]``."""


def create_app(store: Store, slug: str) -> AppKey:
    """A new app with a new key, installed on every repository; its installation has the app's number."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    bot = store.create_user(f"{slug}[bot]", slug, f"{slug}[bot]@users.noreply.localhost", kind="Bot")
    values = {"slug": slug, "bot": bot.id, "public_key": public.decode(), "created_at": now()}
    with store.transaction() as connection:
        app_id = insert(connection, "app", values)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return AppKey(app_id, private.decode(), bot.login)


def prove_app(store: Store, proof: str) -> App:
    """The app that signed a JSON web token.

    :raises AppRefusedError: it is not signed by the app that it names, too old, or good for too long
    """
    try:
        named = jwt.decode(proof, options={"verify_signature": False}).get("iss")
        app = _find_app(store, int(str(named)))
        if app is None:
            raise AppRefusedError("Integration not found")
        claims = jwt.decode(
            proof, app.public_key, ["RS256"], options={"require": ["iat", "exp", "iss"]}, leeway=CLOCK_SECONDS
        )
    except (jwt.PyJWTError, ValueError):
        raise AppRefusedError("A JSON web token could not be decoded") from None
    if claims["exp"] > time.time() + LONGEST_PROOF_SECONDS + CLOCK_SECONDS:
        raise AppRefusedError("'Expiration time' claim ('exp') is too far in the future")
    return app


def create_installation_token(store: Store, app: App, *, seconds: int = TOKEN_SECONDS) -> tuple[str, str]:
    """A token of an app, and when it ends."""
    token = "bsi_" + secrets.token_urlsafe(30)
    ends = (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    with store.transaction() as connection:
        connection.execute("DELETE FROM installation_token WHERE expires_at < ?", (now(),))
        insert(connection, "installation_token", {"digest": digest(token), "app": app.id, "expires_at": ends})
    return token, ends


def _find_app(store: Store, identity: int) -> App | None:
    with store.reading() as connection:
        row = connection.execute("SELECT * FROM app WHERE id = ?", (identity,)).fetchone()
        if row is None:
            return None
        bot: Account = require(account_of(connection, "id = ?", row["bot"]))
        return App(row["id"], row["slug"], bot, row["public_key"], row["created_at"])
