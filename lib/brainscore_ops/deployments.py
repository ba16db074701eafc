"""What the deployments are, as a maintainer asks it: where each looks for its secrets, and whether the services answer.

No value of a secret is in anything that this tells.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from brainscore_ops.database.connection import Database
from brainscore_ops.database.marker import mark, read_marker
from brainscore_ops.database.schema import current_revision, newest_revision, require_newest
from brainscore_ops.errors import OpsError
from brainscore_ops.forge.client import ForgeClient
from brainscore_ops.notify.smtp import MailServer
from brainscore_ops.settings import (
    Deployment,
    ForgeSecret,
    MailSecret,
    SecretError,
    deployment_names,
    load_deployment,
    resolve_secret,
)
from brainscore_ops.settings.secrets import find_secret, places_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from brainscore_ops.settings import Workspace

PATIENCE_SECONDS = 3.0


@dataclass(frozen=True)
class ServiceOverview:
    """A service of a deployment, and its secret."""

    service: str
    secret: str
    """Its name."""
    looked_for: tuple[str, ...]
    """The places, in their order."""
    found_in: str | None
    reachable: bool | None
    """Whether it answered and let us in; None where nobody tried."""
    says: str
    """What it says of itself, or what is wrong."""


@dataclass(frozen=True)
class DeploymentOverview:
    """A deployment without its secrets."""

    name: str
    tier: str | None
    """None where its settings cannot be read."""
    library: str
    embedded: tuple[str, ...]
    services: tuple[ServiceOverview, ...]
    problem: dict[str, Any] | None
    """:meth:`~brainscore_ops.errors.OpsError.as_dict` of what is wrong with its settings."""

    def as_dict(self) -> dict[str, Any]:
        """The overview as a JSON document."""
        return asdict(self)


def list_deployments(workspace: Workspace) -> list[DeploymentOverview]:
    """Every deployment that has a settings file; its secrets are looked for, its services left alone."""
    found = []
    for name in deployment_names(workspace):
        try:
            found.append(describe_deployment(load_deployment(name, workspace), reach=False))
        except OpsError as error:
            found.append(DeploymentOverview(name, None, "", (), (), error.as_dict()))
    return found


def describe_deployment(deployment: Deployment, *, reach: bool) -> DeploymentOverview:
    """A deployment, its secrets and its services.

    :param reach: whether to knock at the services; all at once, each with bounded patience
    """
    with ThreadPoolExecutor(len(_REACH)) as pool:
        services = pool.map(lambda service: _describe(deployment, service, reach=reach), _REACH)
        return DeploymentOverview(
            name=deployment.name,
            tier=deployment.tier,
            library=f"{deployment.library.package} ({deployment.library.repository})",
            embedded=deployment.embedded,
            services=tuple(services),
            problem=None,
        )


def mark_database(deployment: Deployment) -> None:
    """Let the deployment's database say whose it is, from now on.

    :raises WrongDatabaseError: it is another tier's already
    :raises SchemaOutdatedError: it has not been migrated
    """
    database = Database.of(deployment)
    try:
        require_newest(database)
        mark(database, deployment)
    finally:
        database.close()


def _describe(deployment: Deployment, service: str, *, reach: bool) -> ServiceOverview:
    name = deployment.secret_names[service]
    place, reachable, says = None, None, ""
    try:
        _, place = find_secret(deployment, name)
        if reach:
            says = _REACH[service](deployment)
            reachable = True
    except SecretError as error:
        says = error.message
    except OpsError as error:
        reachable = False if reach else None
        says = error.message
    return ServiceOverview(service, name, places_of(deployment, name), place, reachable, says)


def _reach_database(deployment: Deployment) -> str:
    database = Database.of(deployment)
    try:
        revision, marker = current_revision(database), read_marker(database)
    finally:
        database.close()
    newest = newest_revision()
    at = f"schema {revision}" if revision else "no schema"
    return (
        at
        + ("" if revision == newest else f", not {newest}")
        + (f", marked {marker.tier}" if marker else ", not marked")
    )


def _reach_forge(deployment: Deployment) -> str:
    secret = resolve_secret(deployment, deployment.forge.secret, ForgeSecret)
    client = ForgeClient(
        api_url=secret.api_url,
        repository=deployment.library.repository,
        token=secret.token.get_secret_value(),
        patience=PATIENCE_SECONDS,
    )
    branch, commit = client.default_branch()
    return f"{branch} at {commit[:12]}"


def _reach_mail(deployment: Deployment) -> str:
    secret = resolve_secret(deployment, deployment.mail.secret, MailSecret)
    with MailServer(secret) as server:
        server.connect()
    return f"{secret.host}:{secret.port}"


_REACH: dict[str, Callable[[Deployment], str]] = {
    "database": _reach_database,
    "forge": _reach_forge,
    "mail": _reach_mail,
}
