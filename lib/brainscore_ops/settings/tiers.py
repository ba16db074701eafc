"""Tiers: what kind of deployment one is, what it may do, and which processes never get at its secrets."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

SecretSource = Literal["environment", "file", "aws"]
EmbeddedService = Literal["database", "forge", "mail"]

CONFINED_VARIABLE = "BRAINSCORE_OPS_CONFINED"
"""Set by a process that must not get at the secrets of shared deployments, for itself and all that it starts: who it is."""


class Tier(StrEnum):
    """What a deployment is for. The first part of a secret's name is the tier that it belongs to: ``prod/database``."""

    LOCAL = "local"
    """One machine, one person: the demo and development."""
    TEST = "test"
    """Where changes are tried first: thrown away and made anew."""
    DEV = "dev"
    """Shared services like production's, with data that nobody would miss."""
    PROD = "prod"
    """What submitters and visitors rely on."""


@dataclass(frozen=True)
class TierRules:
    """What the deployments of a tier may do. README's table is made of these, and a test compares the two."""

    sources: frozenset[SecretSource]
    """Where their secrets may come from."""
    embedded: frozenset[EmbeddedService]
    """Which services ``brainscore-ops up`` may start for them."""
    any_ref: bool
    """Whether ``run --ref`` takes any branch, tag or commit; otherwise only the default branch as it stands."""
    migrated_after: tuple[Tier, ...]
    """The tiers on which a migration has to have run, with the same SQL, before it runs here."""
    restore_asks_name: bool
    """Whether restoring over the database needs the deployment's name typed as a parameter."""
    sandbox_may_be_off: bool
    """Whether ``sandbox: {kind: none}`` is a setting that they may have."""
    in_tests: bool
    """Whether tests, demos, and CI on a pull request's code may resolve their secrets."""


_ALL_SERVICES: frozenset[EmbeddedService] = frozenset({"database", "forge", "mail"})

RULES: dict[Tier, TierRules] = {
    Tier.LOCAL: TierRules(
        sources=frozenset({"environment", "file"}),
        embedded=_ALL_SERVICES,
        any_ref=True,
        migrated_after=(),
        restore_asks_name=False,
        sandbox_may_be_off=True,
        in_tests=True,
    ),
    Tier.TEST: TierRules(
        sources=frozenset({"environment", "file", "aws"}),
        embedded=_ALL_SERVICES,
        any_ref=True,
        migrated_after=(),
        restore_asks_name=False,
        sandbox_may_be_off=True,
        in_tests=True,
    ),
    Tier.DEV: TierRules(
        sources=frozenset({"environment", "file", "aws"}),
        embedded=_ALL_SERVICES,
        any_ref=True,
        migrated_after=(Tier.TEST,),
        restore_asks_name=False,
        sandbox_may_be_off=False,
        in_tests=False,
    ),
    Tier.PROD: TierRules(
        sources=frozenset({"environment", "file", "aws"}),
        embedded=frozenset(),
        any_ref=False,
        migrated_after=(Tier.TEST, Tier.DEV),
        restore_asks_name=True,
        sandbox_may_be_off=False,
        in_tests=False,
    ),
}

OWNERS_OF_OLDER_NAMES = {
    "brainscore-prod-ohio-cred": Tier.PROD,
    "brainscore-1-ohio-cred": Tier.DEV,
    "brainscore-1-ohio-cred-migrated": Tier.DEV,
    "brainscore-ohio-test": Tier.TEST,
}
"""The secrets that Brain-Score named before names began with a tier, as its documentation tells whose they are."""


def tier_of_name(name: str) -> Tier:
    """The tier that a secret belongs to, told by its name alone.

    A name says it with its first part; of Brain-Score's older names it is known. Every other name counts as production's:
    whoever forgot to say so has named something that only production gets.
    """
    first, _, rest = name.partition("/")
    if rest and first in list(Tier):
        return Tier(first)
    return OWNERS_OF_OLDER_NAMES.get(name, Tier.PROD)


def confinement() -> str:
    """What this process is, if secrets of shared deployments are not for it: words for a message; empty otherwise.

    pytest marks its own environment, and so that of everything that a test starts; GitHub says what started a workflow, and
    of ``pull_request`` and ``merge_group`` the code that runs is the pull request's.
    """
    if confined := os.environ.get(CONFINED_VARIABLE):
        return confined
    if "PYTEST_VERSION" in os.environ or "PYTEST_CURRENT_TEST" in os.environ or "_pytest.config" in sys.modules:
        return "a test"
    if (event := os.environ.get("GITHUB_EVENT_NAME", "")) in ("pull_request", "merge_group"):
        return f"CI on a pull request's code (GitHub's event {event})"
    return ""
