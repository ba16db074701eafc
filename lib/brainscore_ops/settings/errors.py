"""What can go wrong with named secrets."""

from __future__ import annotations

from brainscore_ops.errors import Fault, OpsError, UnavailableError


class SecretError(OpsError):
    """A named secret is missing, unreadable, open to others, or lacks a field."""

    code = "secret"
    fault = Fault.OPERATOR
    exit_code = 2


class SecretWithheldError(SecretError):
    """A secret is not for this deployment, or not for this process."""

    code = "secret-withheld"


class Boto3MissingError(SecretError):
    """The package that talks to AWS is not installed."""

    code = "boto3-missing"


class AwsCredentialsError(SecretError):
    """Nothing on this machine says who asks AWS, or in which region."""

    code = "aws-no-credentials"


class AwsAccessDeniedError(SecretError):
    """AWS says no to these credentials."""

    code = "aws-access-denied"


class AwsUnavailableError(UnavailableError):
    """AWS does not answer, and whether it has a secret is not known."""

    code = "aws-unavailable"
