"""The settings of a deployment, typed, read from ``params/<name>.yaml``."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from brainscore_ops.errors import Problem, UsageError
from brainscore_ops.settings.tiers import RULES, EmbeddedService, SecretSource, Tier, TierRules, tier_of_name
from brainscore_ops.settings.workspace import Workspace, find_workspace

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MiB = 1024 * 1024
GiB = 1024 * MiB

PositiveSeconds = Annotated[float, Field(gt=0)]
PositiveBytes = Annotated[int, Field(gt=0)]
Size = Annotated[int, BeforeValidator(lambda value: read_bytes(value)), Field(gt=0)]
"""Bytes, or a text such as ``16 GiB``."""
Duration = Annotated[float, BeforeValidator(lambda value: read_seconds(value)), Field(gt=0)]
"""Seconds, or a text as SLURM writes them: ``30:00`` (minutes), ``12:00:00``, ``2-00:00:00``."""


_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, **{
    unit: 1024**power for power, units in enumerate((("kib", "k"), ("mib", "m"), ("gib", "g"), ("tib", "t")), start=1)
    for unit in units
}}  # fmt: skip


def read_bytes(value: object) -> object:
    """A size in bytes, from a number or a text with a unit; K, M, G and T alone are SLURM's, powers of 1024.

    :raises ValueError: for another text
    """
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", value)
    if found is None or found[2].lower() not in _UNITS:
        raise ValueError("expected a size such as '16 GiB'")
    return int(float(found[1]) * _UNITS[found[2].lower()])


def read_seconds(value: object) -> object:
    """A duration in seconds, from a number of seconds or a text as SLURM writes it.

    :raises ValueError: for another text, also for one that SLURM would take for minutes and others for seconds
    """
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"(?:(\d+)-(\d+)(?::(\d\d))?(?::(\d\d))?|(?:(\d+):)?(\d+):(\d\d))", value.strip())
    if found is None:
        raise ValueError("expected a duration such as '30:00' (minutes), '12:00:00' or '2-00:00:00'")
    days, *of_days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    if found[1] is not None:
        hours, minutes, seconds = of_days
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


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
    private_repository: Annotated[str | None, Field(pattern=r"^[\w.-]+/[\w.-]+$")] = None
    """``owner/name`` on the same forge of what is for its owners and the staff alone: only private plugins, laid over the library
    to be tested and scored. Without one, private submissions are refused."""

    @field_validator("private_repository")
    @classmethod
    def _is_another(cls, private: str | None, info: ValidationInfo) -> str | None:
        if private is not None and private.casefold() == str(info.data.get("repository")).casefold():
            raise ValueError("expected another repository than the library's own: everybody sees that one")
        return private


class AwsSettings(_Settings):
    """AWS Secrets Manager; what is not said here is told by the usual environment of AWS."""

    region: str | None = None
    endpoint: str | None = None
    """Where it is, if not at AWS."""
    names: tuple[tuple[str, str], ...] = ()
    """For secrets that AWS has under another name (``prod/database: brainscore-prod-ohio-cred``): the name here, the name there.

    This opens no way around tiers: the name there has an owner too (:func:`~brainscore_ops.settings.tiers.tier_of_name`), told by
    its first part or by a list in the code, and by default it is production; only the owner's deployments may name it. A test
    deployment can therefore not give production's secret a name of its own.
    """

    @field_validator("names", mode="before")
    @classmethod
    def _as_pairs(cls, given: object) -> object:
        return tuple(given.items()) if isinstance(given, dict) else given

    def name_of(self, name: str) -> str:
        """What AWS calls a secret."""
        return dict(self.names).get(name, name)


class SecretsSettings(_Settings):
    """Where the documents behind the names of secrets are."""

    sources: Annotated[tuple[SecretSource, ...], Field(min_length=1)] = ("environment", "file")
    """Asked in this order; the first that has a secret gives it."""
    file: Path = Path("secrets.json")
    """A JSON file of secrets by name, which only its owner may read; relative to the deployment's state folder."""
    aws: AwsSettings = AwsSettings()


class SecretSettings(_Settings):
    """A service that is chosen by the name of its secret and by nothing else."""

    secret: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)+$")]
    """Its first part is the deployment's tier: ``prod/database``."""


class DatabaseSettings(SecretSettings):
    """The PostgreSQL database."""

    connect_seconds: Annotated[int, Field(ge=2)] = 10
    """How long to wait for the server to answer. libpq takes no less than two."""


class MailSettings(SecretSettings):
    """How submitters are written to."""

    sender: str
    """The From address of every mail."""
    website: str = ""
    """The start of the links in mails; without one, mails link to the pull request alone."""
    maintainers: tuple[str, ...] = ()
    """The addresses of those who are told when something needs a person."""
    records: str = ""
    """Where the outputs folder is served, for links to records in mails; without one, mails name the run."""


class GateSettings(_Settings):
    """What a pull request needs before it is merged without a person."""

    required_statuses: tuple[str, ...] = ("brainscore-ops/plugin-tests",)
    status_authors: tuple[str, ...] = ()
    """Whose statuses count beside our own account's: logins, such as ``some-ci[bot]``."""
    blocking_label: str = "do-not-merge"
    maintainers: tuple[str, ...] = ()
    """Who may approve a change to somebody else's plugin, beside those with one of the roles below: logins."""
    approving_roles: tuple[str, ...] = ("admin", "maintain")
    """Roles in the repository that let somebody approve a change to somebody else's plugin."""


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
    """With it, plugin code reaches whatever this machine does, the services that listen on it included."""
    wall_seconds: PositiveSeconds = 1800
    memory_bytes: PositiveBytes = 4 * GiB
    processes: Annotated[int, Field(gt=0)] = 256
    output_bytes: PositiveBytes = MiB
    file_bytes: PositiveBytes = GiB


class EnvironmentSettings(_Settings):
    """Which environments of plugins are kept: the others are removed, and made again when they are needed."""

    most_bytes: PositiveBytes = 200 * GiB
    """Of all together; those that were used longest ago go first."""
    most_days: Annotated[float, Field(gt=0)] = 60
    """Since the last use."""
    python: str | None = None
    """The Python that plugins get unless they ask for another, as uv names it (``3.11``, a path); by default our own."""
    channels: tuple[str, ...] = ("conda-forge",)
    """The conda channels that a plugin's environment.yml may name."""


class ResourceClass(_Settings):
    """What one pair may use, and where a job that offers it is submitted."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
    memory: Size
    """What the pair's processes may use together. The job asks for ``worker_memory_bytes`` more."""
    walltime: Duration
    """Of a job; a pair gets what is left of it."""
    cores: Annotated[int, Field(gt=0)] = 1
    gpus: Annotated[int, Field(ge=0)] = 0
    partition: Annotated[str, Field(pattern=r"^[\w.,-]*$")] = ""
    """Without one, SLURM's default."""
    jobs: Annotated[int, Field(gt=0)] = 50
    """How many jobs of this class there may be at once."""
    sbatch: tuple[Annotated[str, Field(pattern=r"^--?[^\n]+$")], ...] = ()
    """More options of sbatch, a line each: ``--constraint=a100``."""


class ScoringSettings(_Settings):
    """Where pairs are computed, and with what."""

    cluster: Literal["local", "slurm"] = "local"
    workers: Annotated[int, Field(gt=0)] = 2
    """How many pairs are computed at once on a local cluster; on SLURM each class has its ``jobs``."""
    approval_over_hours: Annotated[float, Field(ge=0)] = 24.0
    """A plan that is estimated to take more hours of computing waits for a maintainer's approval."""
    classes: tuple[ResourceClass, ...] = ()
    """From the smallest to the largest. Without any there is one, with what the sandbox allows."""
    default_class: str = ""
    """The class of pairs of which nothing is known; without a name the first."""
    attempts: Annotated[int, Field(gt=0)] = 3
    """How often a pair is tried in one run when the machines are at fault."""
    margin: Annotated[float, Field(ge=1)] = 1.5
    """What was measured of a pair is multiplied by this before a class is chosen for it."""
    interface: str | None = None
    """The network interface that schedulers and workers talk over (``ib0``, ``lo``); needed where a host has several."""
    shared_folder: Path | None = None
    """What driver and workers share: results, checkouts, environments. Without one, the state folder."""
    account: str | None = None
    """The SLURM account that jobs are charged to."""
    job_script_prologue: tuple[str, ...] = ()
    """Lines of shell before a worker starts: ``module load …``."""
    worker_memory_bytes: Size = 768 * MiB
    """What a job asks for beside its class's memory: for the worker and the notebook, which are not in the sandbox."""
    death_timeout_seconds: Annotated[float, Field(gt=0, le=90)] = 60
    """After this long without its driver a worker ends."""
    pending_seconds: Duration = 7 * 24 * 3600
    """After this long in SLURM's queue a pair is given up."""
    driver_partition: str = ""
    """Where ``run --driver slurm`` runs; without one, SLURM's default."""
    driver_walltime: Duration = 2 * 24 * 3600
    idle_seconds: Annotated[float, Field(ge=0)] = 20
    """After this long without work a job is given back."""

    @model_validator(mode="wrap")
    @classmethod
    def _names_classes_that_there_are(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        # What is wrong with the classes together is told beside all that is wrong with each.
        found = _problems_of_classes(values)
        try:
            checked = handler(values)
        except ValidationError as error:
            found = [
                *(
                    InitErrorDetails(type=_quoted(issue["msg"]), loc=issue["loc"], input=issue["input"])
                    for issue in error.errors(include_url=False)
                ),
                *found,
            ]
        if found:
            raise ValidationError.from_exception_data(cls.__name__, found)
        return checked


def _problems_of_classes(values: Any) -> list[InitErrorDetails]:
    if not isinstance(values, dict) or not isinstance(values.get("classes", ()), (list, tuple)):
        return []
    classes = values.get("classes", ())
    names = [each.get("name") if isinstance(each, dict) else getattr(each, "name", None) for each in classes]
    found = []
    if doubles := sorted({str(name) for name in names if names.count(name) > 1}):
        found.append(
            ("classes", f"expected every class to have a name of its own, {', '.join(doubles)} is there twice")
        )
    default = values.get("default_class")
    if default and default not in names:
        found.append(
            ("default_class", f"expected the name of a class ({', '.join(map(str, names)) or 'there are none'})")
        )
    if values.get("cluster") == "slurm" and not classes:
        found.append(("classes", "expected at least one resource class for a SLURM cluster"))
    return [
        InitErrorDetails(type=_quoted(message), loc=(where,), input=values.get(where) if where != "classes" else names)
        for where, message in found
    ]


def _quoted(message: str) -> PydanticCustomError:
    return PydanticCustomError("bad_setting", "{message}", {"message": message})


class CanarySettings(_Settings):
    """A pair whose score is known: it is scored again whenever what it depends on changes."""

    model: str
    benchmark: str
    expected: Annotated[float, Field(allow_inf_nan=False)]
    """The score, as the leaderboard has it."""
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """The greatest difference that is no drift."""


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
    restore_asks_name: bool = False
    """Whether restoring over the database needs the deployment's name typed as a parameter, also where its tier does not ask."""


class GitHubLoginSettings(SecretSettings):
    """Signing in by an account on GitHub, through an OAuth app there; its callback is ``<website>/sign-in/github/back``."""


class DeadlineSettings(_Settings):
    """How long a submission may stand where it stands. What is not final ends by itself, and its submitter is told."""

    received: Duration = 6 * 3600
    """Until its archive has been checked."""
    accepted: Duration = 24 * 3600
    """Until its pull request is open."""
    proposed: Duration = 3 * 24 * 3600
    """Until its tests have ended."""
    tested: Duration = 24 * 3600
    """Until the gate has been asked."""
    merged: Duration = 14 * 24 * 3600
    """Until its scores are in."""
    held: Duration = 3 * 24 * 3600
    """Until a maintainer is reminded of a pull request that waits for one."""
    stale: Duration = 60 * 24 * 3600
    """Until somebody is warned whose submission waits for a change of his, or for a maintainer …"""
    warned: Duration = 14 * 24 * 3600
    """… and from the warning until it is closed."""


class QueueSettings(_Settings):
    """How workers of the queue work."""

    parallel: Annotated[int, Field(gt=0)] = 2
    """How many runs one worker has going at once."""
    grace_seconds: PositiveSeconds = 60
    """How long a worker that is told to end waits for its runs before it stops them and hands their jobs back."""
    attempts: Annotated[int, Field(gt=0)] = 8
    """How often a job is tried when services are away or workers die."""
    first_pause_seconds: PositiveSeconds = 30
    """Before the second attempt; each pause after it is twice as long …"""
    longest_pause_seconds: PositiveSeconds = 3600
    """… up to this."""
    heartbeat_seconds: PositiveSeconds = 10
    """How often a worker says that it is alive."""
    silent_seconds: PositiveSeconds = 60
    """After this long without a word from its worker another takes over what it had."""
    keep_days: Annotated[int, Field(gt=0)] = 30
    """How long jobs that have ended are listed. The records of their runs stay."""


class PortalSettings(_Settings):
    """The website."""

    github: GitHubLoginSettings | None = None
    """Without it people sign in with passwords alone."""

    session_days: Annotated[float, Field(gt=0)] = 14
    """After which a browser that was signed in is so no longer."""
    quota: Annotated[int, Field(ge=0)] = 10
    """How many submissions somebody may make in ``quota_days``: those that were accepted, without those that failed by our fault.
    The column ``account.quota`` says otherwise for one person."""
    quota_days: Annotated[float, Field(gt=0)] = 30
    upload_seconds: PositiveSeconds = 1800
    """How long an upload may take."""
    trusted_proxies: tuple[Annotated[str, AfterValidator(lambda text: str(ip_network(text)))], ...] = ()
    """Whose ``X-Forwarded-For`` is believed: addresses or networks (``127.0.0.1``, ``10.0.0.0/8``)."""
    webhook_bytes: Annotated[Size, Field(le=25 * MiB)] = 5 * MiB
    """Of an event that the forge tells us; GitHub sends no more than 25 MB."""
    webhook_days: Annotated[int, Field(gt=0)] = 30
    """For how long an event is known again that comes a second time. GitHub sends one again for three days at the most."""


class Deployment(_Settings):
    """Everything that differs between two installations of this system."""

    name: str
    tier: Tier
    """What it is for, and so what it may do: :data:`~brainscore_ops.settings.tiers.RULES`."""
    library: LibrarySettings
    database: DatabaseSettings
    forge: SecretSettings
    mail: MailSettings
    secrets: SecretsSettings = SecretsSettings()
    embedded: tuple[EmbeddedService, ...] = ()
    """The services that ``brainscore-ops up`` starts on this machine."""
    gate: GateSettings = GateSettings()
    archives: ArchiveSettings = ArchiveSettings()
    sandbox: SandboxSettings = SandboxSettings()
    environments: EnvironmentSettings = EnvironmentSettings()
    scoring: ScoringSettings = ScoringSettings()
    canaries: tuple[CanarySettings, ...] = ()
    """While one of them drifts, nothing is published."""
    runs: RunSettings = RunSettings()
    snapshots: SnapshotSettings = SnapshotSettings()
    queue: QueueSettings = QueueSettings()
    deadlines: DeadlineSettings = DeadlineSettings()
    portal: PortalSettings = PortalSettings()
    workspace: Workspace

    @property
    def rules(self) -> TierRules:
        """What its tier lets it do."""
        return RULES[self.tier]

    @property
    def secrets_file(self) -> Path:
        """The file of :attr:`SecretsSettings.file`; a relative path is meant from the state folder, wherever a command starts."""
        return self.state / self.secrets.file

    @property
    def secret_names(self) -> dict[str, str]:
        """Service → the name of its secret."""
        return {"database": self.database.secret, "forge": self.forge.secret, "mail": self.mail.secret}

    @property
    def state(self) -> Path:
        """What must survive between runs: mirrors, environments, embedded services."""
        return self.workspace.state(self.name)

    @property
    def shared(self) -> Path:
        """What driver and workers share: results, checkouts, environments. Its file system has to keep locks (flock) for all."""
        return self.scoring.shared_folder or self.state

    @property
    def outputs(self) -> Path:
        """The records."""
        return self.workspace.outputs(self.name)

    @property
    def resource_classes(self) -> tuple[ResourceClass, ...]:
        """What pairs may use, from the smallest to the largest class."""
        sandbox = self.sandbox
        standard = ResourceClass(name="standard", memory=sandbox.memory_bytes, walltime=sandbox.wall_seconds)
        return self.scoring.classes or (standard,)

    @property
    def default_class(self) -> ResourceClass:
        """The class of pairs of which nothing is known."""
        return self.resource_class(self.scoring.default_class)

    def resource_class(self, name: str) -> ResourceClass:
        """The class of that name; the first where the name is empty.

        :raises BadSettingsError: where there is none
        """
        classes = self.resource_classes
        found = next((each for each in classes if each.name == name), None if name else classes[0])
        if found is None:
            known = ", ".join(each.name for each in classes)
            raise BadSettingsError(f"expected the name of a resource class ({known}), found {name!r}")
        return found

    # What a tier forbids is found with everything else that is wrong with the settings. The tier itself stands first among the
    # fields: where it is missing, these checks have nothing to say.

    @field_validator("tier")
    @classmethod
    def _tier_is_as_named(cls, tier: Tier, info: ValidationInfo) -> Tier:
        name = info.data.get("name")
        if name in list(Tier) and name != tier:
            raise ValueError(f"a deployment named {name} is of that tier")
        return tier

    @field_validator("database", "forge", "mail")
    @classmethod
    def _secret_is_of_tier(cls, service: SecretSettings, info: ValidationInfo) -> SecretSettings:
        tier = info.data.get("tier")
        if tier is not None and tier_of_name(service.secret) is not tier:
            raise ValueError(f"expected the name of a secret that begins with {tier}/, found {service.secret!r}")
        return service

    @field_validator("portal")
    @classmethod
    def _login_is_of_tier(cls, portal: PortalSettings, info: ValidationInfo) -> PortalSettings:
        if portal.github is not None:
            cls._secret_is_of_tier(portal.github, info)
        return portal

    @field_validator("secrets")
    @classmethod
    def _sources_are_of_tier(cls, secrets: SecretsSettings, info: ValidationInfo) -> SecretsSettings:
        tier = info.data.get("tier")
        if tier is None:
            return secrets
        if barred := set(secrets.sources) - RULES[tier].sources:
            raise ValueError(f"a deployment of the tier {tier} takes no secrets from {', '.join(sorted(barred))}")
        for pair in secrets.aws.names:
            for name in pair:
                if (owner := tier_of_name(name)) is not tier:
                    raise ValueError(f"the secret {name!r} is of the tier {owner}, and this deployment of {tier}")
        return secrets

    @field_validator("embedded")
    @classmethod
    def _may_be_embedded(
        cls, embedded: tuple[EmbeddedService, ...], info: ValidationInfo
    ) -> tuple[EmbeddedService, ...]:
        tier = info.data.get("tier")
        if tier is not None and (barred := set(embedded) - RULES[tier].embedded):
            raise ValueError(f"a deployment of the tier {tier} does not embed {', '.join(sorted(barred))}")
        return embedded

    @field_validator("sandbox")
    @classmethod
    def _may_be_open(cls, sandbox: SandboxSettings, info: ValidationInfo) -> SandboxSettings:
        tier = info.data.get("tier")
        if tier is not None and sandbox.kind == "none" and not RULES[tier].sandbox_may_be_off:
            raise ValueError(f"a deployment of the tier {tier} locks plugin code in")
        return sandbox


def load_deployment(name: str, workspace: Workspace | None = None) -> Deployment:
    """Read ``params/<name>.yaml``.

    :raises UnknownDeploymentError: no such file
    :raises BadSettingsError: every setting that is missing, unknown or mistyped, all at once
    """
    workspace = workspace or find_workspace()
    names = deployment_names(workspace)
    could_be = re.fullmatch(r"[a-z][a-z0-9_-]*", name)
    if not could_be or name not in names:
        raise UnknownDeploymentError(
            f"expected the name of a deployment ({', '.join(names) or 'there are none'}), found {name!r}",
            remedy=f"Choose one of those, or write params/{name}.yaml." if could_be else "Choose one of those.",
        )
    path = workspace.params / f"{name}.yaml"
    try:
        # libyaml where it is built in: a pair reads the settings five times.
        document = yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except yaml.YAMLError as error:
        raise BadSettingsError(f"params/{name}.yaml is not YAML: {error}", remedy="Mend the file.") from None
    if not isinstance(document, dict):
        raise BadSettingsError(f"params/{name}.yaml: expected a mapping of settings, found {type(document).__name__}")
    try:
        return Deployment(**{**document, "name": name, "workspace": workspace})
    except ValidationError as error:
        problems = [
            Problem("bad-setting", _say(issue), where=".".join(map(str, issue["loc"])))
            for issue in error.errors(include_url=False)
        ]
        raise BadSettingsError(
            f"params/{name}.yaml does not say what it has to", problems=problems, remedy="Mend the file."
        ) from None


def deployment_names(workspace: Workspace) -> list[str]:
    """The deployments that have a settings file."""
    return sorted(path.stem for path in workspace.params.glob("*.yaml"))


def _say(issue: ErrorDetails) -> str:
    if issue["type"] == "value_error":
        return str(issue["ctx"]["error"])
    if issue["type"] == "missing":
        return "expected a value, found none"
    return f"{issue['msg']}, found {issue['input']!r}"
