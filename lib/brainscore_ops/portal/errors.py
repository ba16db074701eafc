"""What goes wrong with a visitor's request, each with the status that HTTP has for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainscore_ops.errors import Fault, RefusedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from brainscore_ops.errors import Problem


class NotForPublicServerError(UsageError):
    """The portal was asked to be a guest in a Jupyter server that runs code."""

    code = "not-a-public-server"


class PageNotFoundError(UsageError):
    """There is nothing at this address, or nothing that this visitor may know of."""

    code = "not-found"


class NotSignedInError(RefusedError):
    """The page is for whoever is signed in."""

    code = "not-signed-in"


class NotAllowedError(RefusedError):
    """The visitor may see the page, and may not do this."""

    code = "not-allowed"


class TooManyRequestsError(RefusedError):
    """Somebody asks too often."""

    code = "too-many-requests"
    fault = Fault.OPERATOR

    def __init__(self, message: str, *, retry_after: int = 60) -> None:
        super().__init__(message, remedy="Wait a little, then try again.")
        self.retry_after = retry_after
        """Seconds."""


class TooLargeError(RefusedError):
    """More was sent than is taken."""

    code = "too-large"


class BadFormError(RefusedError):
    """A form was filled in wrongly: everything that is wrong, each with the field's name as its place."""

    code = "bad-form"

    def __init__(self, problems: Iterable[Problem]) -> None:
        super().__init__("The form is not filled in as it has to be.", problems=problems)

    @property
    def by_field(self) -> dict[str, str]:
        """Field → what is wrong with it."""
        return {problem.where: f"{problem.message} {problem.remedy}".strip() for problem in reversed(self.problems)}


class SignInError(RefusedError):
    """Address and password do not belong together. Which of the two is wrong is not said."""

    code = "sign-in"


class StaleLinkError(RefusedError):
    """A mailed link was used before, is too old, or is none of ours."""

    code = "stale-link"


class BadRequestError(UsageError):
    """What a browser or a program sent is not what a page of ours would have it send."""

    code = "bad-request"
