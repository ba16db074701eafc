"""A deployment with its services at hand: what the steps of a runbook work with."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from brainscore_ops.database.connection import Database
from brainscore_ops.database.marker import require_marked
from brainscore_ops.database.schema import MIGRATION_LOCK, require_newest
from brainscore_ops.display import Shown, Table
from brainscore_ops.settings import Deployment, ForgeSecret, find_workspace, load_deployment, resolve_secret
from brainscore_ops.settings.workspace import RUN_VARIABLE

if TYPE_CHECKING:
    from pathlib import Path

    from brainscore_ops.forge.client import ForgeClient
    from brainscore_ops.forge.mirror import Mirror

MIGRATION_SECONDS = 600
"""How long a run waits for a migration that is going on."""


@dataclass(frozen=True)
class Context(Shown):
    """A deployment, its database, its forge and its folders."""

    deployment: Deployment
    database: Database
    run_id: str | None
    """The run that this is a step of; None where somebody steps through by hand."""

    @cached_property
    def forge(self) -> ForgeClient:
        """The library's repository on GitHub, or on the embedded forge."""
        from brainscore_ops.forge.client import ForgeClient
        from brainscore_ops.forge.credentials import AppCredentials

        secret = resolve_secret(self.deployment, self.deployment.forge.secret, ForgeSecret)
        return ForgeClient(
            api_url=secret.api_url,
            repository=self.deployment.library.repository,
            token=secret.token.get_secret_value(),
            app=AppCredentials(secret.app_id, secret.private_key.get_secret_value(), secret.installation_id)
            if secret.app_id is not None
            else None,
        )

    @cached_property
    def mirror(self) -> Mirror:
        """The local copy of the library's repository."""
        from brainscore_ops.forge.mirror import Mirror

        return Mirror(
            self.deployment.state / "library.git",
            clone_url=self.forge.clone_url,
            token=self.forge.token,
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
                ("library", f"{deployment.library.package} ({deployment.library.repository})"),
                ("database", f"the secret {deployment.database.secret}"),
                (
                    "sandbox",
                    deployment.sandbox.kind
                    if deployment.sandbox.kind != "none"
                    else "NONE: plugin code is not locked in",
                ),
                ("run", self.run_id or "by hand"),
            ],
        )


def open_deployment(name: str) -> Context:
    """Load a deployment's settings and reach its database.

    The run then shares the lock that a migration wants for itself: no migration starts under it, and it waits for one that is
    going on.

    :raises UnknownDeploymentError, BadSettingsError, SecretError: where the deployment is not described as it has to be
    :raises DatabaseUnavailableError: where the database does not answer
    :raises DatabaseAccessError, DatabaseMissingError: where it does not let us in, or is not there
    :raises LockHeldError: where a migration goes on for longer than is waited
    :raises SchemaOutdatedError: where it has not been migrated
    :raises WrongDatabaseError: where it is another tier's, or says of no tier that it is its
    """
    deployment = load_deployment(name, find_workspace())
    database = Database.of(deployment)
    with ExitStack() as opening:
        opening.callback(database.close)
        database.hold(MIGRATION_LOCK, seconds=MIGRATION_SECONDS)
        require_newest(database)
        require_marked(database, deployment)
        opening.pop_all()  # it is open: whoever asked for it closes it
    return Context(deployment=deployment, database=database, run_id=os.environ.get(RUN_VARIABLE))
