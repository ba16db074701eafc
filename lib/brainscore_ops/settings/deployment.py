"""The settings of a deployment, typed, read from ``params/<name>.yaml``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from brainscore_ops.errors import Problem, UsageError
from brainscore_ops.settings.workspace import Workspace, find_workspace

MiB = 1024 * 1024
GiB = 1024 * MiB

PositiveSeconds = Annotated[float, Field(gt=0)]
PositiveBytes = Annotated[int, Field(gt=0)]


class UnknownDeploymentError(UsageError):
    """There is no ``params/<name>.yaml`` of that name."""

    code = "unknown-deployment"


class BadSettingsError(UsageError):
    """A deployment's settings file does not say what it has to."""

    code = "bad-settings"


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LibrarySettings(_Settings):
    """The domain library that submissions are for."""

    package: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$")]
    """The Python package in the repository's root: ``brainscore_vision``."""
    repository: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    """``owner/name`` on the forge."""
    domain: str
    """What Brain-Score's database calls the domain: ``vision``."""


class SecretSettings(_Settings):
    """A service that is chosen by the name of its secret and by nothing else."""

    secret: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9/_-]*$")]


class MailSettings(SecretSettings):
    """How submitters are written to."""

    sender: str
    """The From address of every mail."""
    website: str = ""
    """The start of the links in mails; without one, mails link to the pull request alone."""


class GateSettings(_Settings):
    """What a pull request needs before it is merged without a person."""

    required_statuses: tuple[str, ...] = ("brainscore-ops/plugin-tests",)
    blocking_label: str = "do-not-merge"


class ArchiveSettings(_Settings):
    """What an uploaded archive may be."""

    archive_bytes: PositiveBytes = 100_000_000
    unpacked_bytes: PositiveBytes = 500_000_000
    members: Annotated[int, Field(gt=0)] = 5000
    expansion_ratio: Annotated[int, Field(gt=1)] = 200


class SandboxSettings(_Settings):
    """How plugin code is locked in. ``kind: none`` switches it off, and every record then says so."""

    kind: Literal["bubblewrap", "none"] = "bubblewrap"
    network: bool = False
    wall_seconds: PositiveSeconds = 1800
    memory_bytes: PositiveBytes = 4 * GiB
    processes: Annotated[int, Field(gt=0)] = 256
    output_bytes: PositiveBytes = MiB
    file_bytes: PositiveBytes = GiB


class ScoringSettings(_Settings):
    """Where pairs are computed."""

    cluster: Literal["local"] = "local"
    workers: Annotated[int, Field(gt=0)] = 2


class RunSettings(_Settings):
    """The bounds of a runbook's run."""

    cell_seconds: PositiveSeconds = 3600
    run_seconds: PositiveSeconds = 4 * 3600
    memory_bytes: PositiveBytes = 4 * GiB


class SnapshotSettings(_Settings):
    """Where snapshots of the database are kept, how often they are taken, and for how long they stay."""

    folder: Path | None = None
    """A folder for the snapshots of all deployments; by default they are in the deployment's state."""
    every_days: Annotated[int, Field(gt=0)] = 7
    keep_weeks: Annotated[int, Field(gt=0)] = 8
    """The newest of each week is kept for so many weeks …"""
    keep_months: Annotated[int, Field(ge=0)] = 12
    """… the newest of each month for so many months …"""
    keep_days: Annotated[int, Field(ge=0)] = 7
    """… and every one of the last so many days: those that were taken before a change are wanted right after it."""
    jobs: Annotated[int, Field(gt=0)] = 2
    """How many tables are restored at the same time."""


class Deployment(_Settings):
    """Everything that differs between two installations of this system."""

    name: str
    library: LibrarySettings
    database: SecretSettings
    forge: SecretSettings
    mail: MailSettings
    secrets_file: Path
    """A JSON file of named secrets that only its owner may read; relative to the deployment's state folder."""
    embedded: tuple[Literal["database", "forge", "mail"], ...] = ()
    """The services that ``brainscore-ops up`` starts on this machine."""
    gate: GateSettings = GateSettings()
    archives: ArchiveSettings = ArchiveSettings()
    sandbox: SandboxSettings = SandboxSettings()
    scoring: ScoringSettings = ScoringSettings()
    runs: RunSettings = RunSettings()
    snapshots: SnapshotSettings = SnapshotSettings()
    workspace: Workspace

    @property
    def state(self) -> Path:
        """What must survive between runs: mirrors, environments, embedded services."""
        return self.workspace.state(self.name)

    @property
    def outputs(self) -> Path:
        """The records."""
        return self.workspace.outputs(self.name)


def load_deployment(name: str, workspace: Workspace | None = None) -> Deployment:
    """Read ``params/<name>.yaml``.

    :raises UnknownDeploymentError: no such file
    :raises BadSettingsError: every setting that is missing, unknown or mistyped, all at once
    """
    workspace = workspace or find_workspace()
    names = deployment_names(workspace)
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", name) or name not in names:
        raise UnknownDeploymentError(
            f"expected the name of a deployment ({', '.join(names) or 'there are none'}), found {name!r}",
            remedy=f"Choose one of those, or write params/{name}.yaml.",
        )
    path = workspace.params / f"{name}.yaml"
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise BadSettingsError(f"params/{name}.yaml is not YAML: {error}", remedy="Mend the file.") from None
    if not isinstance(document, dict):
        raise BadSettingsError(f"params/{name}.yaml: expected a mapping of settings, found {type(document).__name__}")
    try:
        return Deployment(name=name, workspace=workspace, **_with_state(document, workspace.state(name)))
    except ValidationError as error:
        problems = [
            Problem("bad-setting", f"{issue['msg']}, found {issue['input']!r}", where=".".join(map(str, issue["loc"])))
            for issue in error.errors(include_url=False)
        ]
        raise BadSettingsError(
            f"params/{name}.yaml does not say what it has to", problems=problems, remedy="Mend the file."
        ) from None


def deployment_names(workspace: Workspace) -> list[str]:
    """The deployments that have a settings file."""
    return sorted(path.stem for path in workspace.params.glob("*.yaml"))


def _with_state(document: dict[str, Any], state: Path) -> dict[str, Any]:
    # Relative paths in the file are meant from the deployment's state folder, wherever the command was started.
    given = document.get("secrets_file", "secrets.json")
    return {**document, "secrets_file": state / given if isinstance(given, str) else given}
