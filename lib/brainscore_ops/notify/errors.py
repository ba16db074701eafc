"""What can go wrong with mails."""

from __future__ import annotations

from brainscore_ops.errors import RefusedError, UnavailableError


class BadRecipientError(RefusedError):
    """What should be a mail address is none."""

    code = "bad-recipient"


class MailUnavailableError(UnavailableError):
    """The mail server does not answer, does not let us in, or does not encrypt though it has to."""

    code = "mail-unavailable"


class MailRejectedError(RefusedError):
    """The mail server answered and will not take this mail, however often it is sent."""

    code = "mail-rejected"
