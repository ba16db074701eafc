"""What goes wrong with a visitor's request, each with the status that HTTP has for it."""

from __future__ import annotations

from brainscore_ops.errors import Fault, RefusedError, UsageError


class NotForPublicServerError(UsageError):
    """The portal was asked to be a guest in a Jupyter server that runs code."""

    code = "not-a-public-server"


class PageNotFoundError(UsageError):
    """There is nothing at this address, or nothing that this visitor may know of."""

    code = "not-found"


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
