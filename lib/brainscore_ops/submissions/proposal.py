"""Proposal: an accepted archive becomes a branch, a commit authored as the submitter, and a pull request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from brainscore_ops.display import Code, Link, Shown, Table
from brainscore_ops.errors import Fault, RefusedError, StepFailedError
from brainscore_ops.forge.client import Person, PullRequest
from brainscore_ops.plugins.archive import Archive, inspect_archive
from brainscore_ops.submissions import mail
from brainscore_ops.submissions.intake import archive_limits
from brainscore_ops.submissions.life import State, find_life, move

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from brainscore_ops.submissions.context import Context


class NotAcceptedError(RefusedError):
    """A submission that was not accepted has nothing that could be proposed."""

    code = "not-accepted"
    fault = Fault.OPERATOR


class ArchiveLostError(StepFailedError):
    """The kept archive of a submission is gone, or is not what was accepted."""

    code = "archive-lost"


@dataclass(frozen=True)
class Proposal(Shown):
    """What is to be proposed: everything that the pull request is derived from."""

    submission: int
    home: str
    """In which of the library's repositories: :attr:`Context.home`."""
    name: str
    branch: str
    base_sha: str
    author: Person
    when: datetime
    files: Mapping[str, bytes]
    plugins: tuple[str, ...]
    pull_request: int | None
    """The pull request, where it was opened before: its branch may have been deleted since, and is not made again."""

    def table(self) -> Table:
        return Table(
            f"Proposal of submission {self.submission}",
            [
                ("branch", Code(self.branch)),
                ("on", Code(self.base_sha)),
                ("plugins", "\n".join(self.plugins)),
                ("files", "\n".join(sorted(self.files))),
            ],
        )


@dataclass(frozen=True)
class Proposed(Shown):
    """The pull request that proposes a submission."""

    submission: int
    pull_request: PullRequest

    def table(self) -> Table:
        pull = self.pull_request
        return Table(
            f"Pull request {pull.number}",
            [
                ("title", pull.title),
                ("head", Code(f"{pull.head_ref} at {pull.head_sha}")),
                ("base", pull.base_ref),
                ("page", Link(pull.url)),
            ],
        )


@dataclass(frozen=True)
class Committed(Shown):
    """The commit that a proposal is, on its branch."""

    branch: str
    base_sha: str
    head_sha: str

    def table(self) -> Table:
        return Table(f"Branch {self.branch}", [("commit", Code(self.head_sha)), ("on", Code(self.base_sha))])


def prepare(context: Context, submission: int) -> Proposal:
    """Read the accepted archive, and fix the commit that the proposal is based on.

    The base is chosen once and recorded, so that a second run makes the same commit.

    :raises UnknownSubmissionError: where there is no such submission
    :raises NotAcceptedError: where it was not accepted
    :raises ArchiveLostError: where its archive is no longer there
    """
    with context.database.session() as session:
        home = find_life(session, submission).library
    _, head_of_default = context.side_of(home).forge.default_branch()
    with context.database.session() as session:
        life = find_life(session, submission, lock=True)
        if life.state in {State.RECEIVED, State.REFUSED} or life.archive_path is None:
            raise NotAcceptedError(
                f"expected submission {submission} to be accepted, found it {life.state}",
                remedy="Run the intake of its archive first.",
            )
        if life.base_sha is None:
            life.base_sha = head_of_default
        archive = _kept_archive(context, life.archive_path, life.archive_digest)
        return Proposal(
            submission=submission,
            home=life.library,
            name=life.name,
            branch=f"submission/{submission}",
            base_sha=life.base_sha,
            author=Person(life.submitter, life.submission.submitter.email or ""),
            when=life.created_at,
            files=archive.files,
            plugins=tuple(f"{plugin.type}/{plugin.name}" for plugin in sorted(archive.plugins)),
            pull_request=life.pull_request,
        )


def propose(context: Context, proposal: Proposal) -> Committed:
    """Make the commit and the branch, unless they are there."""
    forge = context.side_of(proposal.home).forge
    if proposal.pull_request is not None:
        head_sha = forge.pull_request(proposal.pull_request).head_sha
        return Committed(proposal.branch, proposal.base_sha, head_sha)
    head_sha = forge.propose(
        branch=proposal.branch,
        base_sha=proposal.base_sha,
        files=proposal.files,
        message=f"{proposal.name}\n\nAdds {', '.join(proposal.plugins)}.\n\nSubmission: {proposal.submission}",
        author=proposal.author,
        when=proposal.when,
    )
    return Committed(proposal.branch, proposal.base_sha, head_sha)


def open_pull_request(context: Context, proposal: Proposal) -> Proposed:
    """Open the pull request, unless it is open, and record it."""
    plugins = "\n".join(f"- `{plugin}`" for plugin in proposal.plugins)
    forge = context.side_of(proposal.home).forge
    if proposal.pull_request is not None:
        return _open_again(context, proposal, proposal.pull_request)
    pull = forge.open_pull_request(
        branch=proposal.branch,
        title=proposal.name,
        body=f"Proposed by the submission system for submission {proposal.submission}.\n\n{plugins}\n\n"
        "The plugins' tests run next. When they pass and nothing but plugins is changed, it is merged, "
        "and the scores are computed.",
    )
    with context.database.session() as session:
        life = find_life(session, proposal.submission, lock=True)
        life.branch, life.pull_request, life.pull_request_url = proposal.branch, pull.number, pull.url
        if life.state == State.ACCEPTED:
            life.head_sha = pull.head_sha
            move(session, life, State.PROPOSED, key=str(pull.number), run_id=context.run_id)
    mail.deliver(context)
    return Proposed(proposal.submission, pull)


def _open_again(context: Context, proposal: Proposal, number: int) -> Proposed:
    """The pull request of a submission that has one; it is opened again where the submission ended and was sent again."""
    with context.database.session() as session:
        begins_anew = find_life(session, proposal.submission).state == State.ACCEPTED
    forge = context.side_of(proposal.home).forge
    if begins_anew:
        forge.reopen(number)
    pull = forge.pull_request(number)
    if begins_anew:
        with context.database.session() as session:
            life = find_life(session, proposal.submission, lock=True)
            life.head_sha = pull.head_sha
            key = f"{number}:{pull.updated_at.isoformat(timespec='seconds')}"
            move(
                session,
                life,
                State.PROPOSED,
                key=key,
                message="Its pull request was opened again.",
                run_id=context.run_id,
            )
    return Proposed(proposal.submission, pull)


def _kept_archive(context: Context, path: str, digest: str | None) -> Archive:
    kept = context.deployment.state / path
    if not kept.is_file():
        raise ArchiveLostError(
            f"expected the accepted archive at {kept}, found nothing",
            remedy="Restore the deployment's state folder, or ask the submitter to send the archive again.",
        )
    archive = inspect_archive(kept, library=context.library, limits=archive_limits(context))
    if archive.digest != digest:
        raise ArchiveLostError(
            f"expected the archive {digest} at {kept}, found {archive.digest}",
            remedy="Restore the deployment's state folder, or ask the submitter to send the archive again.",
        )
    return archive
