"""What can go wrong with a forge."""

from __future__ import annotations

from brainscore_ops.errors import Fault, RefusedError, StepFailedError, UnavailableError, UsageError


class ForgeUnavailableError(UnavailableError):
    """The forge did not answer, answered with a fault of its own, or asks for more patience than a call has."""

    code = "forge-unavailable"


class ForgeRefusedError(RefusedError):
    """The forge answered and said no: wrong token, missing permission, not found, or not valid."""

    code = "forge-refused"
    fault = Fault.OPERATOR


class UnknownPullRequestError(UsageError):
    """The repository has no pull request of that number, or our account may not see it."""

    code = "unknown-pull-request"


class BranchTakenError(RefusedError):
    """The branch of a proposal exists and holds something else."""

    code = "branch-taken"
    fault = Fault.OPERATOR


class HeadMovedError(RefusedError):
    """The head of the pull request is not the commit that was to be merged."""

    code = "head-moved"


class NotMergeableError(RefusedError):
    """The pull request conflicts with its base, is closed, or a rule of the forge holds it back."""

    code = "not-mergeable"


class CommitNotFoundError(StepFailedError):
    """The mirror does not hold the commit."""

    code = "commit-not-found"


class HostileTreeError(RefusedError):
    """A commit's tree cannot be written out as a folder without harm."""

    code = "hostile-tree"


class GitFailedError(StepFailedError):
    """A git command failed in a way that was not foreseen."""

    code = "git-failed"
