"""How the system proves to a forge who it is: by a token, or as an app, whose tokens are good for an hour and renewed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from brainscore_ops.errors import UsageError

if TYPE_CHECKING:
    from github.Auth import AppAuth, AppInstallationAuth


@dataclass(frozen=True)
class AppCredentials:
    """An app, as GitHub registers it."""

    app_id: int
    private_key: str = field(repr=False)
    """PEM."""
    installation_id: int | None = None
    """Where it is installed; by default it is asked for."""


class AppAccess:
    """An app's access to one repository.

    :param options: of PyGithub's requests: base_url, time-outs, paces
    """

    def __init__(self, credentials: AppCredentials, repository: str, **options: Any) -> None:
        self._credentials = credentials
        self._repository = repository
        self._options = options

    def authentication(self) -> AppInstallationAuth:
        """An authentication that asks for a new token shortly before the last one ends.

        :raises GithubException: the app is not known, or not installed there
        """
        from github import Auth, GithubIntegration

        installation = self._credentials.installation_id
        if installation is None:
            with GithubIntegration(auth=self._proof(), **self._options) as integration:
                installation = integration.get_repo_installation(*self._repository.split("/")).id
        return Auth.AppInstallationAuth(self._proof(), installation)

    def login(self) -> str:
        """The account that the app acts as."""
        from github import GithubIntegration

        with GithubIntegration(auth=self._proof(), **self._options) as integration:
            return f"{integration.get_app().slug}[bot]"

    def _proof(self) -> AppAuth:
        from github import Auth

        try:
            proof = Auth.AppAuth(self._credentials.app_id, self._credentials.private_key)
            _ = proof.token  # a key that cannot sign is found here
        except Exception as error:  # whatever the cryptography says, with the key in its arguments at worst
            raise UsageError(
                f"Expected the app's private key in PEM, found something that cannot sign ({type(error).__name__}).",
                remedy="Put the whole file that GitHub gave into the forge's secret, with its line ends.",
            ) from None
        return proof
