"""What a deployment is: typed settings from ``params/<name>.yaml``, and named secrets resolved to credentials."""

from brainscore_ops.settings.deployment import (
    BadSettingsError,
    Deployment,
    ResourceClass,
    RunSettings,
    ScoringSettings,
    deployment_names,
    load_deployment,
)
from brainscore_ops.settings.errors import SecretError, SecretWithheldError
from brainscore_ops.settings.secrets import DatabaseSecret, ForgeSecret, GitHubLoginSecret, MailSecret, resolve_secret
from brainscore_ops.settings.tiers import RULES, Tier, TierRules
from brainscore_ops.settings.workspace import Workspace, find_workspace

__all__ = [
    "RULES",
    "BadSettingsError",
    "DatabaseSecret",
    "Deployment",
    "ForgeSecret",
    "GitHubLoginSecret",
    "MailSecret",
    "ResourceClass",
    "RunSettings",
    "ScoringSettings",
    "SecretError",
    "SecretWithheldError",
    "Tier",
    "TierRules",
    "Workspace",
    "deployment_names",
    "find_workspace",
    "load_deployment",
    "resolve_secret",
]
