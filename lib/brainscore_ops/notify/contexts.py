"""What each mail has to be told: one frozen dataclass a mail. Its templates are ``templates/<template>.txt`` and ``.html``.

Names, reasons and logs come from strangers; they may hold anything, and are made harmless where a mail is rendered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from brainscore_ops.errors import Problem


@dataclass(frozen=True, kw_only=True)
class Mail:
    """What every mail is told."""

    template: ClassVar[str]
    is_result: ClassVar[bool] = True
    """Whether it says what became of a submission, or asks for something: it is sent also to who wants no others."""

    submission_name: str
    submission_id: int | None = None
    """None for what was refused before it became a submission."""
    submitter: str = ""
    """How the mail addresses its reader; empty for a mail without a name."""
    pull_request_url: str = ""


@dataclass(frozen=True, kw_only=True)
class Received(Mail):
    """The archive was accepted, or the pull request seen, and what happens next."""

    template = "received"
    is_result = False

    plugins: tuple[str, ...] = ()
    """The plugins that were found, as ``models/my-model``."""
    public: bool = True
    by_hand: bool = False
    """Whether the pull request is there already, because its author opened it."""


@dataclass(frozen=True, kw_only=True)
class Refused(Mail):
    """The archive was refused: everything that is wrong with it."""

    template = "refused"

    archive_name: str
    problems: tuple[Problem, ...]
    remedy: str = ""


@dataclass(frozen=True)
class PluginFailure:
    """One plugin whose tests failed."""

    plugin: str
    """As ``models/my-model``."""
    tests: tuple[str, ...] = ()
    """The tests that failed; empty where none could run."""
    log: str = ""
    """The end of what the tests printed."""


@dataclass(frozen=True, kw_only=True)
class TestsFailed(Mail):
    """The plugins' own tests failed."""

    template = "tests-failed"

    failures: tuple[PluginFailure, ...]
    reason: str = ""
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class InstallFailed(Mail):
    """What a plugin requires could not be installed."""

    template = "install-failed"

    plugin: str
    reason: str
    remedy: str = ""
    log: str = ""


@dataclass(frozen=True, kw_only=True)
class Held(Mail):
    """The gate did not let the pull request through: the rules that hold it."""

    template = "held"

    rules: tuple[Problem, ...]
    remedy: str = ""


@dataclass(frozen=True)
class PairOutcome:
    """What came out of one model on one benchmark."""

    model: str
    benchmark: str
    value: float | None = None
    """Ceiled where there is a ceiling; None where scoring failed."""
    error: float | None = None
    ceiling: float | None = None
    reason: str = ""
    """Why there is no score."""
    run_id: str = ""
    """The run that is its record."""
    record_url: str = ""
    """Where the record can be read; empty where records are not served."""


@dataclass(frozen=True, kw_only=True)
class Scored(Mail):
    """The scores, and the pairs that could not be scored."""

    template = "scored"

    scores: tuple[PairOutcome, ...]


@dataclass(frozen=True, kw_only=True)
class Delayed(Mail):
    """Something of ours is broken; the submission is not at fault and goes on by itself."""

    template = "delayed"
    is_result = False

    step: str
    """What was being done, as ``running its tests``."""
    reason: str


@dataclass(frozen=True, kw_only=True)
class AccountMail(Mail):
    """Something about somebody's account on the website, mostly a link that opens a door once."""

    template = "account"

    submission_name: str = "your account"
    kind: Literal[
        "sign-up",
        "known",
        "reset",
        "unknown",
        "changed",
        "address",
        "address-taken",
        "address-asked",
        "address-changed",
    ]
    """A link to finish signing up with; there is an account already; a link to choose a new password with; there is no account;
    the password was changed. A link to confirm an account's new address with; that address is another account's already; an
    account is to have a new address; it has one."""
    link_url: str
    hours: int = 0
    """For how long the link is good."""
    address: str = ""
    """The account's new one, in a mail to the one before."""


@dataclass(frozen=True, kw_only=True)
class Ended(Mail):
    """It was not done in time, by our fault, and ends."""

    template = "ended"

    reason: str
    merged: bool = False
    """Whether the plugins are part of the library, and only scores are missing."""
    told: bool = False
    """Whether the maintainers have a mail, too."""
    by_hand: bool = False
    """Whether its author opened the pull request."""


@dataclass(frozen=True, kw_only=True)
class Stale(Mail):
    """It waits for a change of its author's, or for a maintainer, and will be closed."""

    template = "stale"
    is_result = False

    waits_for: str
    """As ``a change of yours: its tests did not pass``."""
    since: str
    """The day, in words."""
    closed_on: str
    """The day on which it is closed."""
    by_hand: bool = False
    """Whether its author opened the pull request."""


@dataclass(frozen=True, kw_only=True)
class Closed(Mail):
    """It was closed without being merged: nobody went on with it, or a maintainer closed its pull request."""

    template = "closed"

    reason: str
    """In one sentence."""
    by_hand: bool = False
    """Whether its author opened the pull request."""


@dataclass(frozen=True, kw_only=True)
class NeedsMaintainer(Mail):
    """For maintainers: something stands still that needs a person."""

    template = "needs-maintainer"

    what: str
    """What happened, in one sentence."""
    state: str
    run_id: str = ""
    """The last run about it."""
    log: str = ""
    """What that run said."""
