"""Intake: an archive is checked, and recorded as a submission."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import and_, func, or_, select

from brainscore_ops.database.brainscore_tables import BenchmarkType, Model, Submission
from brainscore_ops.database.ops_tables import PRIVATE, SubmissionLife, now
from brainscore_ops.display import Badge, Shown, Table
from brainscore_ops.errors import Fault, Problem, StepFailedError, UsageError
from brainscore_ops.notify.contexts import Received as ReceivedMail
from brainscore_ops.notify.contexts import Refused
from brainscore_ops.planning import is_planning, planned
from brainscore_ops.plugins.archive import Archive, ArchiveLimits, ArchiveRefusedError, inspect_archive
from brainscore_ops.plugins.catalogue import read_catalogue
from brainscore_ops.plugins.layout import PluginKey
from brainscore_ops.plugins.tree import GitTree
from brainscore_ops.submissions import mail
from brainscore_ops.submissions.accounts import find_or_create_user
from brainscore_ops.submissions.life import DEADLINE_PASSED, IN_PRIVATE, State, find_life, move
from brainscore_ops.submissions.overlays import library_head

if TYPE_CHECKING:
    from sqlalchemy import Select
    from sqlalchemy.orm import Session

    from brainscore_ops.submissions.context import Context

# A submission that got further than this has passed intake.
_BEFORE_ACCEPTANCE = {State.RECEIVED, State.REFUSED}
UNDER_WAY = (State.ACCEPTED, State.PROPOSED, State.TESTED, State.HELD)
"""The states of a submission that has its identifiers, and that the library does not hold yet."""


class NoArchiveError(UsageError):
    """There is no file where the archive was said to be."""

    code = "no-archive"


class ArchiveChangedError(StepFailedError):
    """The file changed between two looks at it."""

    code = "archive-changed"
    fault = Fault.OPERATOR


class VisibilityError(UsageError):
    """A submission was sent again, and said to be private where it is public, or the other way round."""

    code = "visibility"


@dataclass(frozen=True)
class Received(Shown):
    """A submission that was recorded, and where it stands."""

    submission: int
    name: str
    state: State
    archive: Path
    digest: str
    """SHA-256 of the archive's file."""

    @property
    def accepted(self) -> bool:
        """Whether the archive passed before, so that there is nothing left to do."""
        return self.state not in _BEFORE_ACCEPTANCE

    def table(self) -> Table:
        return Table(
            f"Submission {self.submission}",
            [("name", self.name), ("state", Badge(self.state)), ("archive", self.archive.name)],
        )


@dataclass(frozen=True)
class Known:
    """A submission as it is found by its archive."""

    submission: int
    state: State
    reason: str


@dataclass(frozen=True)
class Accepted(Shown):
    """What an accepted archive holds."""

    submission: int
    plugins: tuple[str, ...]
    identifiers: tuple[str, ...]
    notes: tuple[str, ...]

    def table(self) -> Table:
        return Table(
            f"Submission {self.submission} is accepted",
            [
                ("plugins", "\n".join(self.plugins)),
                ("registers", "\n".join(self.identifiers)),
                ("left out", "\n".join(self.notes)),
            ],
        )


def receive(context: Context, archive: Path, *, email: str, submitter: str, name: str, public: bool) -> Received:
    """Record that an archive arrived.

    The same archive from the same person is the same submission, however often it is sent.

    :raises NoArchiveError: where there is no such file
    :raises BadRecipientError: where ``email`` is not an address
    :raises VisibilityError: where it was accepted with the other visibility
    :raises NoPrivateRepositoryError, PrivateElsewhereError: where it is private, and this is no place for that
    """
    home = (context.public_side if public else context.private_side).home
    archive = archive.expanduser().resolve()
    if not archive.is_file():
        raise NoArchiveError(f"expected a zip file, found none at {archive}", remedy="Give the path of the archive.")
    digest = _file_digest(archive)
    key = _key(context.library, email, digest)
    with context.database.session() as session:
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))
        life = session.scalar(select(SubmissionLife).where(SubmissionLife.key == key).with_for_update())
        if life is not None and life.state in _BEFORE_ACCEPTANCE:
            life.name, life.submitter = _name(name, archive), _author(submitter, email)
            life.public, life.library = public, home
        elif life is not None and life.library != home:
            raise VisibilityError(
                f"expected submission {life.submission_id} to be sent as {_visibility(not life.private)} as before, "
                f"found {_visibility(public)}",
                remedy="Send it as before. What is private is published when its owner asks for it (`brainscore-ops "
                "publish-submission`), and not by a second sending.",
            )
        if life is None:
            moment = now()
            row = Submission(
                jenkins_id=0,
                submitter_id=find_or_create_user(session, email).id,
                timestamp=moment.replace(tzinfo=None),
                model_type="Brain-Score submission",
                status="running",
            )
            session.add(row)
            session.flush()
            life = SubmissionLife(
                submission_id=row.id,
                submission=row,
                key=key,
                name=_name(name, archive),
                submitter=_author(submitter, email),
                library=home,
                public=public,
                archive_name=archive.name[-255:],
                archive_digest=digest,
                state=State.RECEIVED,
                created_at=moment,
                updated_at=moment,
            )
            session.add(life)
            session.flush()
            move(session, life, State.RECEIVED, key=digest, run_id=context.run_id)
        elif life.state == State.CLOSED and life.reason_code == DEADLINE_PASSED:
            # It ended by our fault: it begins anew, and its pull request is opened again.
            again = f"again:{now().isoformat(timespec='seconds')}"
            move(session, life, State.RECEIVED, key=again, run_id=context.run_id)
        return Received(life.submission_id, life.name, State(life.state), archive, digest)


def validate(context: Context, received: Received) -> Archive | None:
    """Check the archive against every rule.

    A refusal is recorded, and mailed with all the problems, before it is raised; nothing of the archive is kept.

    :returns: what the archive holds; None where it passed before
    :raises ArchiveRefusedError: with every problem
    """
    if received.accepted:
        return None
    commit = library_head(context)
    library = read_catalogue(GitTree(context.public_side.mirror.path, commit), context.library)
    try:
        return inspect_archive(
            received.archive,
            library=context.library,
            existing=library,
            taken=_identifiers_in_database(context, received.submission),
            limits=archive_limits(context),
        )
    except ArchiveRefusedError as refusal:
        _refuse(context, received, refusal)
        raise


def accept(context: Context, received: Received, archive: Archive | None) -> Accepted:
    """Keep the archive, and record that it was accepted; the submitter gets a receipt.

    :raises ArchiveRefusedError: where another submission took its identifiers or folders since it was checked
    """
    kept = Path("archives") / f"{received.digest}.zip"
    _keep(received, context.deployment.state / kept)
    if archive is not None:
        try:
            _accept(context, received, archive, kept)
        except ArchiveRefusedError as refusal:
            _let_go(context, kept)
            _refuse(context, received, refusal)
            raise
    with context.database.session() as session:
        life = find_life(session, received.submission)
        return Accepted(
            submission=life.submission_id,
            plugins=tuple(f"{kind}/{name}" for kind, names in life.plugins.items() for name in names),
            identifiers=tuple(f"{kind}: {', '.join(names)}" for kind, names in life.identifiers.items()),
            notes=archive.notes if archive else (),
        )


def _accept(context: Context, received: Received, archive: Archive, kept: Path) -> None:
    with context.database.session() as session:
        # Two archives that register the same must not be accepted at once: the first that gets here has it.
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"identifiers:{context.library}", 0))))
        life = find_life(session, received.submission, lock=True)
        if life.state in _BEFORE_ACCEPTANCE:
            _require_free(context, received, archive)
            life.archive_path = str(kept)
            life.plugins = plugins_by_type(archive)
            life.identifiers = identifiers_by_kind(archive)
            move(session, life, State.ACCEPTED, key=life.archive_digest or "", run_id=context.run_id)
            plugins = tuple(f"{plugin.type}/{plugin.name}" for plugin in sorted(archive.plugins))
            receipt = ReceivedMail(**mail.about(life), plugins=plugins, public=life.public)
            mail.queue(session, context.deployment, life, receipt, event="accepted")


def _require_free(context: Context, received: Received, archive: Archive) -> None:
    taken = _identifiers_in_database(context, received.submission) & archive.identifiers.pairs()
    folders = _folders_under_way(context, received.submission) & set(archive.plugins)
    problems = [
        Problem(
            "identifier-taken",
            f"The identifier {identifier!r} of {kind} is taken by another submission.",
            remedy="Choose another.",
        )
        for kind, identifier in sorted(taken)
    ]
    problems += [
        Problem(
            "folder-taken",
            "Another submission has a plugin in a folder of this name.",
            str(plugin),
            "Choose another name.",
        )
        for plugin in sorted(folders)
    ]
    if problems:
        raise ArchiveRefusedError.from_problems(problems, len(problems))


def _refuse(context: Context, received: Received, refusal: ArchiveRefusedError) -> None:
    with context.database.session() as session:
        life = find_life(session, received.submission, lock=True)
        if life.state in _BEFORE_ACCEPTANCE:  # another process may have taken it on meanwhile
            # The library may have changed between two tries: the mail is about this list of problems.
            problems = hashlib.sha256(str(refusal).encode()).hexdigest()[:16]
            move(session, life, State.REFUSED, key=problems, failure=refusal, run_id=context.run_id)
            refused = Refused(
                **mail.about(life),
                archive_name=received.archive.name,
                problems=refusal.problems,
                remedy=refusal.remedy,
            )
            mail.queue(session, context.deployment, life, refused, event=f"refused-{problems}")
    mail.deliver(context)


def find_submission(context: Context, archive: Path, email: str) -> Known | None:
    """The submission of an archive from a person; None where it was never sent in."""
    key = _key(context.library, email, _file_digest(archive))
    with context.database.session() as session:
        life = session.scalar(select(SubmissionLife).where(SubmissionLife.key == key))
        return Known(life.submission_id, State(life.state), life.reason or "") if life else None


def archive_limits(context: Context) -> ArchiveLimits:
    """What an archive may be in this deployment."""
    settings = context.deployment.archives
    return ArchiveLimits(
        archive_bytes=settings.archive_bytes,
        unpacked_bytes=settings.unpacked_bytes,
        members=settings.members,
        ratio=settings.expansion_ratio,
    )


def _identifiers_in_database(context: Context, submission: int) -> set[tuple[str, str]]:
    # An identifier is taken as well by a submission that is on its way: the first that was accepted has it.
    domain = context.deployment.library.domain
    with context.database.session() as session:
        taken = {("models", name) for name in session.scalars(select(Model.name).where(Model.domain == domain))}
        taken |= {
            ("benchmarks", identifier)
            for identifier in session.scalars(select(BenchmarkType.identifier).where(BenchmarkType.domain == domain))
        }
        for life in session.scalars(_under_way(context, submission)):
            taken |= {(kind, identifier) for kind, found in life.identifiers.items() for identifier in found}
    return taken


def _folders_under_way(context: Context, submission: int) -> set[PluginKey]:
    with context.database.session() as session:
        lives = session.scalars(_under_way(context, submission)).all()
    return {PluginKey(kind, name) for life in lives for kind, names in life.plugins.items() for name in names}


def _under_way(context: Context, submission: int) -> Select[SubmissionLife]:
    # Names are shared by both repositories, so that what is private can become public. Nobody is told which one has a name.
    return select(SubmissionLife).where(
        SubmissionLife.library.in_(context.homes),
        SubmissionLife.submission_id != submission,
        or_(
            SubmissionLife.state.in_([*UNDER_WAY, State.MERGED]),
            and_(SubmissionLife.library == context.homes[1], SubmissionLife.state.in_(IN_PRIVATE)),
        ),
    )


def _let_go(context: Context, kept: Path) -> None:
    """Remove a kept archive, unless somebody else sent the same and was accepted."""
    if is_planning():
        return  # nothing was kept
    with context.database.session() as session:
        if session.scalar(select(SubmissionLife).where(SubmissionLife.archive_path == str(kept)).limit(1)) is None:
            (context.deployment.state / kept).unlink(missing_ok=True)


def plugins_by_type(archive: Archive) -> dict[str, list[str]]:
    """Plugin type → names of the archive's plugins, as a submission keeps them."""
    plugins: dict[str, list[str]] = {}
    for plugin in sorted(archive.plugins):
        plugins.setdefault(plugin.type, []).append(plugin.name)
    return plugins


def identifiers_by_kind(archive: Archive) -> dict[str, list[str]]:
    """Kind → identifiers that they register."""
    identifiers: dict[str, list[str]] = {}
    for kind, identifier in sorted(archive.identifiers.pairs()):
        identifiers.setdefault(kind, []).append(identifier)
    return identifiers


def _keep(received: Received, target: Path) -> None:
    """Keep the archive under its digest; a kept one that was lost is kept again.

    :raises ArchiveChangedError: where the file is no longer the one that was received
    """
    if target.exists():
        return
    if is_planning():
        planned("file", f"keep the archive {target.name}", digest=received.digest)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        received.archive.open("rb") as source,
        tempfile.NamedTemporaryFile(dir=target.parent, suffix=".partial", delete=False) as partial,
    ):
        shutil.copyfileobj(source, partial)
    try:
        if _file_digest(Path(partial.name)) != received.digest:
            raise ArchiveChangedError(
                f"expected {received.archive} to stay as it was, found it changed while it was read",
                remedy="Send it again when nothing writes it any more.",
            )
        Path(partial.name).replace(target)
    finally:
        Path(partial.name).unlink(missing_ok=True)


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def readdress(session: Session, user_id: int, email: str) -> None:
    """Have the archives that somebody sent be known by another address of theirs: sent again from there, they are the same."""
    for life in session.scalars(
        select(SubmissionLife)
        .join(Submission, Submission.id == SubmissionLife.submission_id)
        .where(Submission.submitter_id == user_id, SubmissionLife.archive_digest.is_not(None))
        .with_for_update(of=SubmissionLife)
    ):
        life.key = _key(life.library.removesuffix(PRIVATE), email, life.archive_digest or "")


def _key(library: str, email: str, archive_digest: str) -> str:
    return hashlib.sha256(f"{library}\n{email.strip().lower()}\n{archive_digest}".encode()).hexdigest()


def _name(name: str, archive: Path) -> str:
    return _one_line(name) or _one_line(archive.stem) or "submission"


def _author(submitter: str, email: str) -> str:
    # Angle brackets end the name in a commit: what follows would be read as an address.
    return _one_line(submitter.translate({ord(c): " " for c in "<>"})) or email.split("@", 1)[0]


def _visibility(public: bool) -> str:
    return "public" if public else "private"


def _one_line(text: str, longest: int = 200) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:longest]
