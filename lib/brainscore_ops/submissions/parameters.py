"""The parameters of the runbooks that carry a submission, one model per runbook."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from brainscore_ops.notify.errors import BadRecipientError
from brainscore_ops.notify.messages import mail_address
from brainscore_ops.parameters import RunbookParameters


class IntakeParameters(RunbookParameters):
    """What ``intake`` is told."""

    archive: str = Field(description="the path of the zip file that was sent in")
    email: str = Field(description="the submitter's e-mail address")
    submitter: str = Field(
        "", description="the submitter's name, as the commit will be authored; by default from the address"
    )
    name: str = Field("", description="what the submission is called; by default the archive's file name")
    public: bool = Field(True, description="whether the scores are for everybody to see")

    @field_validator("archive")
    @classmethod
    def _is_a_file(cls, path: str) -> str:
        if not Path(path).expanduser().is_file():
            raise ValueError("expected the path of a file")
        return path

    @field_validator("email")
    @classmethod
    def _is_an_address(cls, email: str) -> str:
        try:
            return mail_address(email.strip())
        except BadRecipientError as error:
            raise ValueError(error.message) from None


class CreatePrParameters(RunbookParameters):
    """What ``create_pr`` is told."""

    submission: int = Field(description="the number of the accepted submission", gt=0)


class TestPluginsParameters(RunbookParameters):
    """What ``test_plugins`` is told."""

    __test__ = False  # pytest: not a test

    pull_request: int = Field(description="the number of the pull request whose plugins are tested", gt=0)


class MergeParameters(RunbookParameters):
    """What ``merge`` is told."""

    pull_request: int = Field(description="the number of the pull request to merge, if the gate lets it through", gt=0)


class ScorePluginsParameters(RunbookParameters):
    """What ``score_plugins`` is told."""

    pull_request: int | None = Field(
        None, description="the merged pull request whose plugins are scored; none for the whole library"
    )
    commit: str = Field(
        "",
        description="without a pull request: the library's commit to score; by default the newest",
        pattern=r"^([0-9a-f]{40})?$",
    )


class PublishParameters(RunbookParameters):
    """What ``publish`` is told."""

    folder: str = Field("", description="where the site is written; by default in the deployment's outputs")
