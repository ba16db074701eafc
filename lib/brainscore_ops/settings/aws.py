"""Secrets that AWS Secrets Manager keeps."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from brainscore_ops.settings.errors import (
    AwsAccessDeniedError,
    AwsCredentialsError,
    AwsUnavailableError,
    Boto3MissingError,
    SecretError,
)

if TYPE_CHECKING:
    from brainscore_ops.settings.deployment import AwsSettings

CONNECT_SECONDS = 5
READ_SECONDS = 10
ATTEMPTS = 2

_ABSENT = {"ResourceNotFoundException"}
# A key that is unknown, expired or not allowed to: AWS tells these apart, the remedy is nearly the same.
_DENIED = {
    "AccessDeniedException",
    "AccessDenied",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "ExpiredTokenException",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "OptInRequired",
    "DecryptionFailure",
}


_fetched: dict[tuple[str, AwsSettings], str] = {}
_lock = threading.Lock()


def fetch_secret(name: str, settings: AwsSettings) -> str | None:
    """The text of a secret; None where AWS has none of that name. Asked once: a process keeps what it was told.

    Credentials come from where boto3 finds them: ``AWS_…`` variables, a profile, the machine's role.

    :param name: as AWS knows it
    :raises Boto3MissingError, AwsCredentialsError, AwsAccessDeniedError, SecretError: at once, each saying what to do
    :raises AwsUnavailableError: after half a minute at the most
    """
    with _lock:
        if (name, settings) not in _fetched:
            text = _fetch(name, settings)
            if text is None:
                return None
            _fetched[name, settings] = text
        return _fetched[name, settings]


def forget_fetched() -> None:
    """Ask anew from now on, as after a password was changed."""
    with _lock:
        _fetched.clear()


def _fetch(name: str, settings: AwsSettings) -> str | None:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            CredentialRetrievalError,
            HTTPClientError,
            NoCredentialsError,
            NoRegionError,
            PartialCredentialsError,
            ProfileNotFound,
        )
        from botocore.exceptions import ConnectionError as NoConnectionError
    except ImportError:
        raise Boto3MissingError(
            f"the secret {name!r} is in AWS Secrets Manager, and the package boto3 is not installed",
            remedy="pip install 'brainscore_ops[aws]'",
        ) from None
    where = f"AWS Secrets Manager ({settings.endpoint or settings.region or 'in the region of the environment'})"
    try:
        client = boto3.session.Session().client(
            "secretsmanager",
            region_name=settings.region,
            endpoint_url=settings.endpoint,
            config=Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
            ),
        )
        answer: dict[str, Any] = client.get_secret_value(SecretId=name)
    except (
        NoCredentialsError,
        PartialCredentialsError,
        CredentialRetrievalError,
        ProfileNotFound,
        NoRegionError,
    ) as error:
        raise AwsCredentialsError(
            f"expected credentials for {where}: {error}",
            remedy="Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where a role is attached; "
            "the region is secrets.aws.region of the deployment or AWS_DEFAULT_REGION.",
        ) from None
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _ABSENT:
            return None
        if code in _DENIED or status in (401, 403):
            raise AwsAccessDeniedError(
                f"{where} does not give the secret {name!r} to these credentials ({code or status})",
                remedy="Use credentials whose policy allows secretsmanager:GetSecretValue on it.",
            ) from None
        if status >= 500 or "Throttl" in code:
            raise _unavailable(where, code) from None
        raise SecretError(f"{where} did not give the secret {name!r} ({code or status})") from None
    except (HTTPClientError, NoConnectionError) as error:  # nothing was answered: no route, no name, no TLS, too late
        raise _unavailable(where, type(error).__name__) from None
    except (BotoCoreError, ValueError) as error:
        raise SecretError(f"{where} could not be asked for the secret {name!r}: {error}") from None
    if answer.get("Name") != name:
        raise SecretError(f"expected {where} to answer with the secret {name!r}, found another one's")
    if "SecretString" not in answer:
        raise SecretError(
            f"expected the secret {name!r} in {where} to be a text, found binary data", remedy="Store it as JSON."
        )
    return str(answer["SecretString"])


def _unavailable(where: str, why: str) -> AwsUnavailableError:
    return AwsUnavailableError(f"{where} does not answer: {why}", remedy="Look at the network, then run this again.")
