"""A deployment with its services at hand: what the steps of a runbook work with."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from brainscore_ops.database.marker import require_marked
from brainscore_ops.database.ops_tables import PRIVATE
from brainscore_ops.database.planning import database_of
from brainscore_ops.database.schema import MIGRATION_LOCK, require_newest
from brainscore_ops.display import Shown, Table
from brainscore_ops.errors import Fault, RefusedError, UsageError
from brainscore_ops.forge.client import PATIENCE, REQUEST_TIMEOUT, ForgeClient
from brainscore_ops.planning import is_planning
from brainscore_ops.settings import Deployment, ForgeSecret, find_workspace, load_deployment, resolve_secret
from brainscore_ops.settings.workspace import RUN_VARIABLE

if TYPE_CHECKING:
    from pathlib import Path

    from brainscore_ops.database.connection import Database
    from brainscore_ops.forge.mirror import Mirror

MIGRATION_SECONDS = 600
"""How long a run waits for a migration that is going on."""


class NoPrivateRepositoryError(UsageError):
    """The deployment has no private repository: it takes no private submissions."""

    code = "no-private-repository"


class PrivateElsewhereError(RefusedError):
    """A private submission is no matter for GitHub Actions, whose logs and artifacts others see."""

    code = "private-elsewhere"
    fault = Fault.OPERATOR


@dataclass(frozen=True)
class Context(Shown):
    """A deployment, its database, its forge and its folders.

    There is one for each of the library's two repositories: the public one, and the private one, which holds nothing but plugins
    that are laid over it (:mod:`brainscore_ops.submissions.overlays`).
    """

    deployment: Deployment
    database: Database
    run_id: str | None
    """The run that this is a step of; None where somebody steps through by hand."""
    private: bool = False
    """Whether its forge and mirror are those of the private repository, and its submissions the private ones."""

    @property
    def home(self) -> str:
        """What ``submission_life.library`` says of submissions to this repository."""
        return self.homes[self.private]

    @property
    def homes(self) -> tuple[str, str]:
        """What it says of submissions to either of the library's repositories."""
        return self.library, self.library + PRIVATE

    @property
    def repository(self) -> str:
        """``owner/name`` of the repository.

        :raises NoPrivateRepositoryError: there is no private one
        """
        library = self.deployment.library
        if not self.private:
            return library.repository
        if library.private_repository is None:
            raise NoPrivateRepositoryError(
                f"the deployment {self.deployment.name} takes no private submissions: it has no repository for them",
                remedy="Submit it publicly; or name a repository that only its maintainers read as library.private_repository "
                f"in params/{self.deployment.name}.yaml.",
            )
        return library.private_repository

    @cached_property
    def public_side(self) -> Context:
        """The same deployment with the public repository at hand."""
        return replace(self, private=False) if self.private else self

    @cached_property
    def private_side(self) -> Context:
        """The same deployment with the private repository at hand.

        :raises NoPrivateRepositoryError: there is none
        :raises PrivateElsewhereError: within GitHub Actions
        """
        if self.private:
            return self
        private = replace(self, private=True)
        _ = private.repository
        self.refuse_onlookers()
        return private

    def refuse_onlookers(self) -> None:
        """Let nothing private be worked on where others see what is printed and kept.

        :raises PrivateElsewhereError: within GitHub Actions
        """
        if os.environ.get("GITHUB_ACTIONS") == "true":
            raise PrivateElsewhereError(
                "expected private submissions to be worked on by the deployment's own worker, found GitHub Actions",
                remedy="Leave it to `brainscore-ops worker` and to reconciliations outside of CI: what a workflow prints and "
                "keeps is seen by others.",
            )

    @property
    def sides(self) -> tuple[Context, ...]:
        """Both, or the public one alone: where there is no private one, and where others look on."""
        try:
            return self.public_side, self.private_side
        except (NoPrivateRepositoryError, PrivateElsewhereError):
            return (self.public_side,)

    def side_of(self, home: str) -> Context:
        """The one of both that a submission's ``library`` names."""
        return self.private_side if home.endswith(PRIVATE) else self.public_side

    @cached_property
    def forge(self) -> ForgeClient:
        """The repository on GitHub, or on the embedded forge."""
        return self.forge_client()

    def forge_client(self, *, patience: float = PATIENCE, timeout: int = REQUEST_TIMEOUT) -> ForgeClient:
        """A client of its own for the repository, for who cannot wait for the forge as long as a runbook.

        :param patience: seconds that one call may wait for a forge that fails or limits its rate
        :param timeout: seconds that the forge has for one answer
        """
        from brainscore_ops.forge.credentials import AppCredentials
        from brainscore_ops.forge.planning import PlanningForgeClient

        client = PlanningForgeClient if is_planning() else ForgeClient
        secret = resolve_secret(self.deployment, self.deployment.forge.secret, ForgeSecret)
        return client(
            api_url=secret.api_url,
            repository=self.repository,
            token=secret.token.get_secret_value(),
            app=AppCredentials(secret.app_id, secret.private_key.get_secret_value(), secret.installation_id)
            if secret.app_id is not None
            else None,
            patience=patience,
            timeout=timeout,
        )

    @cached_property
    def mirror(self) -> Mirror:
        """The local copy of the repository; that of the private one has the public library's commits, too."""
        from brainscore_ops.forge.mirror import Mirror

        return Mirror(
            self.deployment.state / ("private-library.git" if self.private else "library.git"),
            clone_url=self.forge.clone_url,
            token=self.forge.token,
            over=self.public_side.mirror if self.private else None,
        )

    @property
    def library(self) -> str:
        """The domain library's package."""
        return self.deployment.library.package

    def checkout(self, commit: str) -> Path:
        """The library's files at a commit, in a folder of their own."""
        return self.mirror.checkout(commit, self.deployment.shared / "checkouts" / commit)

    def table(self) -> Table:
        deployment = self.deployment
        return Table(
            f"Deployment {deployment.name}",
            [
                ("library", f"{deployment.library.package} ({self.repository}{', private' if self.private else ''})"),
                ("database", f"the secret {deployment.database.secret}"),
                (
                    "sandbox",
                    deployment.sandbox.kind
                    if deployment.sandbox.kind != "none"
                    else "NONE: plugin code is not locked in",
                ),
                ("run", self.run_id or "by hand"),
                ("effects", "only planned" if is_planning() else ""),
            ],
        )


def open_deployment(name: str, *, private: bool = False) -> Context:
    """Load a deployment's settings and reach its database.

    :param private: with the private repository at hand, and not the public one

    The run then shares the lock that a migration wants for itself: no migration starts under it, and it waits for one that is
    going on.

    :raises UnknownDeploymentError, BadSettingsError, SecretError: where the deployment is not described as it has to be
    :raises DatabaseUnavailableError: where the database does not answer
    :raises DatabaseAccessError, DatabaseMissingError: where it does not let us in, or is not there
    :raises LockHeldError: where a migration goes on for longer than is waited
    :raises SchemaOutdatedError: where it has not been migrated
    :raises WrongDatabaseError: where it is another tier's, or says of no tier that it is its
    :raises NoPrivateRepositoryError, PrivateElsewhereError: where private submissions are no matter for it
    """
    deployment = load_deployment(name, find_workspace())
    database = database_of(deployment)
    with ExitStack() as opening:
        opening.callback(database.close)
        database.hold(MIGRATION_LOCK, seconds=MIGRATION_SECONDS)
        require_newest(database)
        require_marked(database, deployment)
        context = Context(deployment=deployment, database=database, run_id=os.environ.get(RUN_VARIABLE))
        if private:
            context = context.private_side
        opening.pop_all()  # it is open: whoever asked for it closes it
    return context
