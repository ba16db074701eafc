"""Signing in by an account on GitHub: OAuth's web flow, with a state (forged answers) and a verifier (stolen codes)."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from brainscore_ops.database.account_tables import Account
from brainscore_ops.database.ops_tables import ForgeAccount, now
from brainscore_ops.errors import UnavailableError
from brainscore_ops.forge.client import Account as GitHubAccount
from brainscore_ops.portal.accounts import LONGEST_NAME, find_user, may_sign_in, one_line
from brainscore_ops.portal.accounts_pages import AccountHandler
from brainscore_ops.portal.errors import PageNotFoundError, SignInError
from brainscore_ops.settings import GitHubLoginSecret, resolve_secret
from brainscore_ops.submissions.accounts import user_of_account

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from brainscore_ops.portal.handlers import PortalHandler

MINUTES = 10
"""For how long somebody may be away."""
SECONDS = 20
BACK = "/sign-in/github/back"


class GitHubHandler(AccountHandler):
    """What both halves share."""

    async def secret(self) -> GitHubLoginSecret:
        """The OAuth app.

        :raises PageNotFoundError: the deployment has none
        """
        settings = self.deployment.portal.github
        if settings is None:
            raise PageNotFoundError("This site knows no accounts of GitHub's.", remedy="Sign in with a password.")
        return await self.in_thread(resolve_secret, self.deployment, settings.secret, GitHubLoginSecret)

    @property
    def cookie(self) -> str:
        """Holds what the answer has to match, while somebody is away."""
        return self.address.cookie_name("github")


class GitHubSignIn(GitHubHandler):
    """Away to GitHub."""

    async def get(self) -> None:
        secret = await self.secret()
        state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        kept = urlencode({"state": state, "verifier": verifier, "next": self.next_page()})
        self.set_cookie(self.cookie, _encoded(kept), expires_days=MINUTES / 1440, **self.address.cookie_options)
        wanted = {
            "client_id": secret.client_id,
            "redirect_uri": self.address.url + BACK,
            "scope": "user:email",
            "state": state,
            "code_challenge": urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        self.redirect(f"{secret.authorize_url}?{urlencode(wanted)}", status=303)


class GitHubBack(GitHubHandler):
    """Back from GitHub."""

    async def get(self) -> None:
        secret, kept = await self.secret(), _decoded(self.get_cookie(self.cookie) or "")
        self.clear_cookie(self.cookie, **self.address.cookie_options)
        state, code = self.get_query_argument("state", ""), self.get_query_argument("code", "")
        if not code or not state or not hmac.compare_digest(state.encode(), kept.get("state", "").encode()):
            raise SignInError("GitHub did not sign you in, or took too long.", remedy="Try again.")
        account, name = await self._look_up(secret, code, kept.get("verifier", ""))

        def adopt() -> int:
            with self.database.session() as session:
                return user_of_github(session, account, name)

        await self.sign_in(await self.in_thread(adopt))
        self.redirect(self.checked_page(kept.get("next", "")), status=303)

    async def _look_up(self, secret: GitHubLoginSecret, code: str, verifier: str) -> tuple[GitHubAccount, str]:
        """Who GitHub says that it is, with an address of theirs that it has confirmed.

        :raises SignInError: it says that it is nobody
        :raises UnavailableError: it does not answer
        """
        told = {
            "client_id": secret.client_id,
            "client_secret": secret.client_secret.get_secret_value(),
            "code": code,
            "redirect_uri": self.address.url + BACK,
            "code_verifier": verifier,
        }
        answer = await _ask(secret.token_url, body=urlencode(told))
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str):
            raise SignInError("GitHub did not sign you in.", remedy="Try again.")
        user = await _ask(f"{secret.api_url}/user", token=token)
        addresses = await _ask(f"{secret.api_url}/user/emails", token=token)
        confirmed = [each for each in addresses if each.get("verified")]
        confirmed.sort(key=lambda each: not each.get("primary"))
        email = str(confirmed[0]["email"]) if confirmed else ""
        login = str(user["login"])
        return GitHubAccount(int(user["id"]), login, str(user.get("name") or login), email), str(
            user.get("name") or login
        )


def user_of_github(session: Session, account: GitHubAccount, name: str) -> int:
    """The number of the user that an account on GitHub belongs to, made where there is none.

    The first time, the address that GitHub has confirmed decides: what that address owns is theirs.

    :raises SignInError: the account was closed
    """
    known = session.get(ForgeAccount, account.id)
    user = user_of_account(session, account)
    if known is not None and not user.email and account.email and find_user(session, account.email) is None:
        user.email = account.email  # they came by a pull request, when nobody knew their address
    if not may_sign_in(user):
        raise SignInError("This account was closed by the Brain-Score team.", remedy="Write to them.")
    user.is_active = True
    if session.get(Account, user.id) is None:
        session.add(Account(user_id=user.id, name=one_line(name)[:LONGEST_NAME], verified_at=now(), created_at=now()))
    session.flush()
    return user.id


async def _ask(url: str, *, token: str = "", body: str | None = None) -> Any:
    headers = {"Accept": "application/json", "User-Agent": "brainscore-ops"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        answer = await AsyncHTTPClient().fetch(
            url,
            method="GET" if body is None else "POST",
            body=body,
            headers=headers,
            request_timeout=SECONDS,
            follow_redirects=False,
            decompress_response=True,
        )
        return json.loads(answer.body)
    except (HTTPClientError, OSError, ValueError) as error:
        raise UnavailableError(f"GitHub does not answer as it should: {type(error).__name__}") from error


def _encoded(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode()


def _decoded(text: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(urlsafe_b64decode(text).decode()))
    except ValueError:
        return {}


ROUTES: list[tuple[str, type[PortalHandler]]] = [
    (r"/sign-in/github", GitHubSignIn),
    (BACK, GitHubBack),
]
