"""The parameters of the runbooks that carry a submission, one model per runbook."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field, field_validator

from brainscore_ops.notify.errors import BadRecipientError
from brainscore_ops.notify.messages import mail_address
from brainscore_ops.parameters import RunbookParameters

COMMIT_PATTERN = r"^([0-9a-f]{40})?$"
OF_ONE_SUBMISSION = "only pairs with plugins of this submission, private ones too: its submitter sees the run"
IN_PRIVATE_REPOSITORY = "whether that is a pull request of the private repository"


class IntakeParameters(RunbookParameters):
    """What ``intake`` is told."""

    archive: str = Field(description="the path of the zip file that was sent in")
    email: str = Field(description="the submitter's e-mail address")
    submitter: str = Field(
        "", description="the submitter's name, as the commit will be authored; by default from the address"
    )
    name: str = Field("", description="what the submission is called; by default the archive's file name")
    public: bool = Field(
        True, description="whether everybody may see it; otherwise code and scores are the submitter's and the staff's"
    )

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
    private: bool = Field(False, description=IN_PRIVATE_REPOSITORY)


class MergeParameters(RunbookParameters):
    """What ``merge`` is told."""

    pull_request: int = Field(description="the number of the pull request to merge, if the gate lets it through", gt=0)
    private: bool = Field(False, description=IN_PRIVATE_REPOSITORY)


class ScorePluginsParameters(RunbookParameters):
    """What ``score_plugins`` is told."""

    pull_request: int | None = Field(
        None, description="the merged pull request whose plugins are scored; none for the whole library"
    )
    private: bool = Field(False, description=IN_PRIVATE_REPOSITORY)
    commit: str = Field(
        "",
        description="without a pull request: the library's commit to score; by default the newest",
        pattern=COMMIT_PATTERN,
    )


class PublishSubmissionParameters(RunbookParameters):
    """What ``publish_submission`` is told."""

    submission: int = Field(description="the number of the private submission that everybody may see from now on", gt=0)


class RescoreParameters(RunbookParameters):
    """What ``rescore`` is told. Conditions that are given have to hold at once."""

    submission: int | None = Field(None, description=OF_ONE_SUBMISSION, gt=0)
    models: list[str] = Field([], description="models, by identifier; private ones only where they are named here")
    benchmarks: list[str] = Field([], description="benchmarks, by identifier; with models, the pairs of both")
    pairs: list[tuple[str, str]] = Field([], description="exact pairs besides: [[model, benchmark], …]")
    failed: str = Field("", description="only what failed for this reason: its code, or words of its message")
    stale: bool = Field(False, description="only what was computed with older shared code or in an older environment")
    before: datetime | None = Field(
        None, description="only what was recorded before this moment; by default, what was computed at another commit"
    )
    commit: str = Field(
        "", description="the library's commit to score at; by default the newest", pattern=COMMIT_PATTERN
    )

    @field_validator("before")
    @classmethod
    def _has_a_zone(cls, before: datetime | None) -> datetime | None:
        return before.replace(tzinfo=UTC) if before is not None and before.tzinfo is None else before


class BenchmarkVersionParameters(RunbookParameters):
    """What ``benchmark_version`` is told."""

    benchmark: str = Field(description="the benchmark's identifier")
    submission: int | None = Field(None, description=OF_ONE_SUBMISSION, gt=0)
    raw_unchanged: bool = Field(
        False, description="your word that the new version measures what the old one did: only its ceiling changed"
    )
    checks: int = Field(
        3, description="how many models the new version is run on, to see whether that is so", ge=1, le=100
    )
    tolerance: float = Field(
        1e-6, description="the greatest relative difference from what their stored scores foretell", gt=0, le=0.01
    )
    commit: str = Field("", description="the library's commit; by default the newest", pattern=COMMIT_PATTERN)


class CanariesParameters(RunbookParameters):
    """What ``canaries`` is told."""

    commit: str = Field("", description="the library's commit; by default the newest", pattern=COMMIT_PATTERN)


class PublishParameters(RunbookParameters):
    """What ``publish`` is told."""

    folder: str = Field("", description="where the site is written; by default in the deployment's outputs")
