"""The way out: a connection to the deployment's SMTP server."""

from __future__ import annotations

import smtplib
import ssl
from typing import TYPE_CHECKING, Self

from brainscore_ops.errors import Fault
from brainscore_ops.notify.errors import MailRejectedError, MailUnavailableError

if TYPE_CHECKING:
    from email.message import EmailMessage

    from brainscore_ops.settings import MailSecret

TIMEOUT_SECONDS = 20.0
IMPLICIT_TLS_PORT = 465


class MailServer:
    """An SMTP server, connected to when the first mail is handed over and used for all that follow.

    The connection is encrypted where the secret says ``tls`` (from the start on port 465, by STARTTLS on others) and logged
    in where it names a user. Used as a context manager, which hangs up.
    """

    def __init__(self, secret: MailSecret) -> None:
        self._secret = secret
        self._smtp: smtplib.SMTP | None = None

    def connect(self) -> smtplib.SMTP:
        """The connection; made where there is none.

        :raises MailUnavailableError: where the server does not answer, does not encrypt or does not let us in
        """
        if self._smtp is None:
            where = f"the mail server {self._secret.host}:{self._secret.port}"
            try:
                self._smtp = _connection(self._secret)
            except smtplib.SMTPAuthenticationError as error:
                raise MailUnavailableError(
                    f"{where} does not let us in: {_said(error)}",
                    remedy="Mend the user name and password of the mail secret. The mails wait in the outbox.",
                    fault=Fault.OPERATOR,
                ) from error
            except (OSError, smtplib.SMTPException) as error:
                raise MailUnavailableError(
                    f"{where} does not answer as expected: {_said(error)}",
                    remedy="The mails wait in the outbox; the next run sends them.",
                ) from error
        return self._smtp

    def send(self, message: EmailMessage, *, sender: str, recipient: str) -> None:
        """Hand one mail over; ``sender`` and ``recipient`` are those of the envelope, without names.

        :raises MailRejectedError: where the server says no for good
        :raises MailUnavailableError: where it says not now, or the connection broke; the next mail makes a new one
        """
        try:
            self.connect().send_message(message, from_addr=sender, to_addrs=[recipient])
        except smtplib.SMTPRecipientsRefused as error:
            code, said = error.recipients[recipient]
            raise self._refusal(smtplib.SMTPResponseException(code, said)) from error
        except smtplib.SMTPSenderRefused as error:
            # It is us whom the server does not like, not this mail: a matter of settings, which can be mended.
            self.close()
            raise MailUnavailableError(
                f"the mail server does not take mails from {sender}: {_said(error)}",
                remedy="Mend the sender in the deployment's settings, or the server's. The mails wait in the outbox.",
                fault=Fault.OPERATOR,
            ) from error
        except smtplib.SMTPResponseException as error:
            raise self._refusal(error) from error
        except smtplib.SMTPNotSupportedError as error:
            raise MailRejectedError(f"the mail server cannot write to this address: {error}") from error
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            raise MailUnavailableError(f"the mail server broke off: {_said(error)}") from error

    def close(self) -> None:
        """Hang up."""
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            try:
                smtp.quit()
            except (OSError, smtplib.SMTPException):
                smtp.close()  # what was handed over is acknowledged already

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _refusal(self, answer: smtplib.SMTPResponseException) -> MailRejectedError | MailUnavailableError:
        # RFC 5321, 4.2.1: 5xx is for good, 4xx for now.
        said = f"the mail server said {_said(answer)}"
        if answer.smtp_code >= 500:
            return MailRejectedError(said)
        self.close()
        return MailUnavailableError(said)


def _connection(secret: MailSecret) -> smtplib.SMTP:
    implicit = secret.tls and secret.port == IMPLICIT_TLS_PORT
    smtp = (
        smtplib.SMTP_SSL(secret.host, secret.port, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context())
        if implicit
        else smtplib.SMTP(secret.host, secret.port, timeout=TIMEOUT_SECONDS)
    )
    try:
        if secret.tls and not implicit:
            smtp.starttls(context=ssl.create_default_context())
        if secret.username:
            smtp.login(secret.username, secret.password.get_secret_value())
    except BaseException:
        smtp.close()
        raise
    return smtp


def _said(error: BaseException) -> str:
    if not isinstance(error, smtplib.SMTPResponseException):
        return str(error) or type(error).__name__
    said = error.smtp_error
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return " ".join(f"{error.smtp_code} {text}".split())
