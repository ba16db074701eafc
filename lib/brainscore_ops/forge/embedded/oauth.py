"""Signing in to other sites by an account on the embedded forge, as GitHub's OAuth apps have it.

Whoever reaches the forge is on its machine, and says there who they are: there are no passwords to ask for.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from tornado.web import HTTPError, RequestHandler

from brainscore_ops.forge.embedded.pages import TEMPLATES
from brainscore_ops.forge.embedded.store import accounts

if TYPE_CHECKING:
    from pathlib import Path

    from brainscore_ops.forge.embedded.records import Account
    from brainscore_ops.forge.embedded.store import Store

CODE_SECONDS = 600
_FILE = "oauth_apps.json"


def create_oauth_app(store: Store, name: str) -> tuple[str, str]:
    """Have an app of that name, under a new secret.

    :returns: its client id and secret; the store keeps a digest of the secret
    """
    path, secret = store.root / _FILE, secrets.token_hex(20)
    client_id = "Ov" + hashlib.sha256(name.encode()).hexdigest()[:18]
    known = _apps(store.root) | {client_id: {"name": name, "digest": hashlib.sha256(secret.encode()).hexdigest()}}
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(known))
    partial.replace(path)
    return client_id, secret


@dataclass(frozen=True)
class _Code:
    client_id: str
    login: str
    challenge: str
    expires: float


class AuthorizeHandler(RequestHandler):
    """Where a site sends people to say who they are."""

    def initialize(self, store: Store, codes: dict[str, _Code]) -> None:
        """Take what both halves share."""
        self.store, self.codes = store, codes

    def set_default_headers(self) -> None:
        """As on the other pages."""
        self.set_header("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'")

    def get(self) -> None:
        """Ask."""
        app = self._app()
        self.render("authorize.html", title=f"Sign in to {app['name']}", app=app, people=people(self.store))

    def get_template_path(self) -> str:
        """Where the templates are."""
        return str(TEMPLATES)

    def post(self) -> None:
        """Send them back, with a code for the site."""
        self._app()
        account = self.store.account(self.get_body_argument("login"))
        if account is None:
            raise HTTPError(404)
        code = secrets.token_urlsafe(20)
        self.codes[code] = _Code(
            self.get_query_argument("client_id"),
            account.login,
            self.get_query_argument("code_challenge", ""),
            time.time() + CODE_SECONDS,
        )
        answer = {"code": code, "state": self.get_query_argument("state", "")}
        self.redirect(f"{self.get_query_argument('redirect_uri')}?{urlencode(answer)}")

    def check_xsrf_cookie(self) -> None:
        """There is nobody to impersonate: see above."""

    def _app(self) -> dict[str, str]:
        app = _apps(self.store.root).get(self.get_query_argument("client_id", ""))
        if app is None or urlsplit(self.get_query_argument("redirect_uri", "")).scheme not in {"http", "https"}:
            raise HTTPError(404)
        return app


class TokenHandler(RequestHandler):
    """Where the site turns the code into a token."""

    def initialize(self, store: Store, codes: dict[str, _Code]) -> None:
        """Take what both halves share."""
        self.store, self.codes = store, codes

    def post(self) -> None:
        """Answer as GitHub does: with status 200, also where it says no."""
        code = self.codes.pop(self.get_body_argument("code", ""), None)
        app = _apps(self.store.root).get(self.get_body_argument("client_id", ""), {})
        given = hashlib.sha256(self.get_body_argument("client_secret", "").encode()).hexdigest()
        if not hmac.compare_digest(app.get("digest", ""), given):
            self.finish({"error": "incorrect_client_credentials"})
        elif code is None or code.expires < time.time() or not self._fits(code):
            self.finish({"error": "bad_verification_code"})
        else:
            token = self.store.create_token(code.login, ("user:email",))
            self.finish({"access_token": token, "token_type": "bearer", "scope": "user:email"})

    def check_xsrf_cookie(self) -> None:
        """A program asks."""

    def _fits(self, code: _Code) -> bool:
        if code.client_id != self.get_body_argument("client_id"):
            return False
        verifier = self.get_body_argument("code_verifier", "")
        return not code.challenge or hmac.compare_digest(code.challenge, challenge_of(verifier))


def routes(store: Store) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """Both addresses, as GitHub has them."""
    shared = {"store": store, "codes": {}}
    return [
        (r"/login/oauth/authorize", AuthorizeHandler, shared),
        (r"/login/oauth/access_token", TokenHandler, shared),
    ]


def challenge_of(verifier: str) -> str:
    """What is sent ahead of a verifier (RFC 7636, S256)."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def people(store: Store) -> list[Account]:
    """Everybody who is no app."""
    return [account for account in accounts(store) if account.kind == "User"]


def _apps(root: Path) -> dict[str, dict[str, str]]:
    try:
        known: dict[str, dict[str, str]] = json.loads((root / _FILE).read_text())
    except FileNotFoundError:
        return {}
    return known
