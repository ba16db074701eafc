"""Publication: a private submission's plugins move to the public library, by a pull request like any other.

A second submission carries them there: it is accepted with what the private repository holds, proposed, tested, merged and
scored as every public one. The pairs are the same, so that nothing is computed again. With the merge the scores are public; after
that the private copy is removed. The private submission itself, with its timeline and its records, stays its owner's.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from brainscore_ops.database.brainscore_tables import BenchmarkType, Model, Submission
from brainscore_ops.database.ops_tables import ScoreProvenance, SubmissionLife, now
from brainscore_ops.display import Shown, Table
from brainscore_ops.errors import Fault, RefusedError, StepFailedError
from brainscore_ops.forge.client import Person
from brainscore_ops.notify.contexts import Received as ReceivedMail
from brainscore_ops.planning import TO_BE_MADE, is_planning, named, planned
from brainscore_ops.plugins.archive import inspect_archive
from brainscore_ops.plugins.catalogue import read_catalogue
from brainscore_ops.plugins.layout import PluginKey
from brainscore_ops.plugins.overlay import colliding
from brainscore_ops.plugins.tree import GitTree
from brainscore_ops.scoring.recording import show_parents
from brainscore_ops.submissions import mail
from brainscore_ops.submissions.intake import archive_limits, identifiers_by_kind, plugins_by_type
from brainscore_ops.submissions.life import SCORING_DONE, State, find_life, move
from brainscore_ops.submissions.overlays import library_head

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

    from brainscore_ops.plugins.archive import Archive
    from brainscore_ops.submissions.context import Context

_ENDED = (State.CLOSED, State.REFUSED)


class NotPublishableError(RefusedError):
    """A submission is not one that can be published, or not yet."""

    code = "not-publishable"
    fault = Fault.OPERATOR


class NotPublicYetError(StepFailedError):
    """The public library does not hold what would be removed from the private repository."""

    code = "not-public-yet"


@dataclass(frozen=True)
class Publication(Shown):
    """A private submission on its way to the public."""

    submission: int
    public_submission: int
    """The one that carries its plugins into the public library."""
    state: State
    """Of the private one."""
    public_state: State
    removal_sha: str | None
    """The commit that removed the private copy."""

    def table(self) -> Table:
        return Table(
            f"Submission {self.submission} is {self.state}",
            [
                ("carried into the public library by", f"submission {self.public_submission}, {self.public_state}"),
                ("private copy", f"removed by {self.removal_sha}" if self.removal_sha else "still there"),
            ],
        )


def begin(context: Context, submission: int) -> Publication:
    """Have a public submission that carries the plugins of a private one, as the private repository has them now.

    :raises UnknownSubmissionError: there is none of that number
    :raises NotPublishableError: it is not private, or was not merged and scored
    :raises ArchiveRefusedError: the public library would not take it, with every problem
    """
    with context.database.session() as session:
        life = find_life(session, submission, lock=True)
        _require_publishable(life)
        if (known := _carrier(life)) is not None:
            _set_out(context, session, life, known)
            return _publication(life, known)
    context = context.public_side
    archive = _pack(context.private_side, submission)
    with context.database.session() as session:
        life = find_life(session, submission, lock=True)  # whoever else begins waits here, and finds ours
        if (carrier := _carrier(life)) is None:
            carrier = _enter(context, session, life, archive)
            if is_planning():
                _write_down_what_follows(context, session, life, archive)
        _set_out(context, session, life, carrier)
        found = _publication(life, carrier)
    mail.deliver(context)
    return found


def finish(context: Context, publication: Publication) -> Publication:
    """Remove the private copy of what is public, by one commit.

    :returns: unchanged where it is not public yet
    :raises NotPublicYetError: it was merged, and the public library's default branch does not hold it
    """
    if publication.state is not State.PUBLISHED or publication.removal_sha is not None:
        return publication
    private = context.private_side
    with context.database.session() as session:
        life = find_life(session, publication.submission)
        plugins = _plugins(life)
        author = Person(life.submitter, life.submission.submitter.email or "")
        name = life.name
    head = library_head(context)
    private.mirror.fetch()
    if missing := set(plugins) - set(colliding(private.mirror.path, head, plugins, context.library)):
        raise NotPublicYetError(
            f"expected the public library to hold {', '.join(map(str, sorted(missing)))} at {head[:10]}, found it does not",
            remedy="Somebody took the merge back: publish it again, or remove it from the private repository by hand.",
        )
    removed = private.forge.remove(
        [plugin.path(context.library) for plugin in plugins],
        message=f"{name} is public\n\nSubmission: {publication.submission}",
        author=author,
        when=now(),
    )
    with context.database.session() as session:
        life = find_life(session, publication.submission, lock=True)
        carrier = find_life(session, publication.public_submission)
        life.removal_sha = removed
        move(
            session,
            life,
            State.PUBLISHED,
            key=f"removed:{carrier.submission_id}",
            message="Its private copy is removed.",
            run_id=context.run_id,
        )
        return _publication(life, carrier)


def make_public(context: Context, session: Session, carrier: SubmissionLife) -> None:
    """What follows from the merge of a submission that publishes another: its scores are public. In the merge's transaction."""
    life = carrier.publishes
    if life is None or life.state == State.PUBLISHED:
        return
    domain, owner = context.deployment.library.domain, life.submission.submitter_id
    names = {kind: list(life.identifiers.get(kind, ())) for kind in ("models", "benchmarks")}
    session.execute(
        update(Model)
        .where(Model.domain == domain, Model.owner_id == owner, Model.name.in_(names["models"]))
        .values(public=True, submission_id=carrier.submission_id)
    )
    benchmarks = (
        BenchmarkType.domain == domain,
        BenchmarkType.owner_id == owner,
        BenchmarkType.identifier.in_(names["benchmarks"]),
    )
    session.execute(update(BenchmarkType).where(*benchmarks).values(visible=True))
    show_parents(
        session, [parent for parent in session.scalars(select(BenchmarkType.parent_id).where(*benchmarks)) if parent]
    )
    pairs = _pairs_to_be_public(session, life)
    session.execute(update(ScoreProvenance).where(*pairs).values(submission_id=carrier.submission_id))
    move(session, life, State.PUBLISHED, key=str(carrier.submission_id), run_id=context.run_id)


def _pairs_to_be_public(session: Session, life: SubmissionLife) -> tuple[ColumnElement[bool], ...]:
    """Which scores go over: what it met that is still private stays the private submission's."""
    others = _still_private(session, life)
    return (
        ScoreProvenance.submission_id == life.submission_id,
        ScoreProvenance.model.not_in(others["models"]),
        ScoreProvenance.benchmark.not_in(others["benchmarks"]),
    )


def _still_private(session: Session, life: SubmissionLife) -> dict[str, list[str]]:
    """The models and benchmarks of the same owner's other submissions that are private."""
    others = session.scalars(
        select(SubmissionLife)
        .join(SubmissionLife.submission)
        .where(
            SubmissionLife.library == life.library,
            SubmissionLife.state != State.PUBLISHED,
            SubmissionLife.submission_id != life.submission_id,
            Submission.submitter_id == life.submission.submitter_id,
        )
    ).all()
    return {
        kind: [name for other in others for name in other.identifiers.get(kind, ())]
        for kind in ("models", "benchmarks")
    }


def give_up(context: Context, session: Session, carrier: SubmissionLife, key: str) -> None:
    """What follows where a submission that publishes another ends without a merge: that one stays private."""
    life = carrier.publishes
    if life is None or life.state != State.PUBLISHING:
        return
    before = next(event.state for event in reversed(life.events) if event.state in SCORING_DONE)
    said = "It was not taken into the public library, and stays private."
    move(session, life, State(before), key=f"stays-private:{key}", message=said, run_id=context.run_id)


def _require_publishable(life: SubmissionLife) -> None:
    if not life.private:
        raise NotPublishableError(
            f"expected submission {life.submission_id} to be private, found its code in the public library's repository",
            remedy="There is nothing to publish.",
        )
    if life.state not in {*SCORING_DONE, State.PUBLISHING, State.PUBLISHED}:
        raise NotPublishableError(
            f"expected submission {life.submission_id} to be merged and scored in private, found it {life.state}",
            remedy="Take it there first (`brainscore-ops status` says what is next), or submit it publicly.",
        )


def _carrier(life: SubmissionLife) -> SubmissionLife | None:
    """The public submission that carries a private one, unless it ended without a merge."""
    newest = life.carriers[-1] if life.carriers else None
    return None if newest is None or newest.state in _ENDED else newest


def _set_out(context: Context, session: Session, life: SubmissionLife, carrier: SubmissionLife) -> None:
    if life.state in SCORING_DONE:
        number = TO_BE_MADE if is_planning() else str(carrier.submission_id)
        said = f"Submission {number} brings it into the public library."
        move(session, life, State.PUBLISHING, key=number, message=said, run_id=context.run_id)


def _write_down_what_follows(context: Context, session: Session, life: SubmissionLife, archive: Archive) -> None:
    """What the runbooks do that come next, which a plan of this one alone would not tell."""
    branch, plugins = f"submission/{TO_BE_MADE}", ", ".join(map(str, sorted(archive.plugins)))
    planned(
        "branch",
        f"by create_pr, next: {branch} of {context.repository}: a commit of {len(archive.files)} files by {life.submitter}",
        note=f"{plugins}: {named(sorted(archive.files))}",
        files={path: hashlib.sha256(content).hexdigest() for path, content in sorted(archive.files.items())},
    )
    planned("pull request", f"by create_pr, next: {life.name} ({branch}), in {context.repository}")
    pairs = session.scalar(select(func.count()).select_from(ScoreProvenance).where(*_pairs_to_be_public(session, life)))
    identifiers = {kind: sorted(life.identifiers.get(kind, ())) for kind in ("models", "benchmarks")}
    said = [f"{kind} {named(names)}" for kind, names in identifiers.items() if names]
    planned(
        "public",
        f"by its merge: everybody sees {' and '.join(said) or plugins}, and what became of {pairs} pairs that were computed",
        pairs=pairs,
        identifiers=identifiers,
    )


def _pack(private: Context, submission: int) -> Archive:
    """The plugins as the private repository has them, in a kept zip, checked as every archive is."""
    with private.database.session() as session:
        plugins = _plugins(find_life(session, submission))
    _, head = private.forge.default_branch()
    library_sha = library_head(private)
    private.mirror.fetch()
    tree, library = GitTree(private.mirror.path, head), private.library
    folders = tuple(f"{plugin.path(library)}/" for plugin in plugins)
    paths = sorted(entry.path for entry in tree.entries(library) if entry.path.startswith(folders))
    if missing := set(plugins) - {PluginKey(*path.split("/")[1:3]) for path in paths}:
        raise NotPublishableError(
            f"expected the private repository to hold {', '.join(map(str, sorted(missing)))}, found it does not",
            remedy="Somebody removed it: submit it again.",
        )
    folder = None if is_planning() else private.deployment.state / "archives"
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".partial") as partial:
        with zipfile.ZipFile(partial, "w") as file:
            for path, content in sorted(tree.read_many(paths).items()):
                # Without a time of its own: the same files make the same zip.
                file.writestr(zipfile.ZipInfo(path.removeprefix(f"{library}/")), content, zipfile.ZIP_DEFLATED)
        partial.flush()
        archive = inspect_archive(
            Path(partial.name),
            library=library,
            existing=read_catalogue(GitTree(private.mirror.path, library_sha), library),
            limits=archive_limits(private),
        )
        if folder is None:
            planned("file", f"keep the archive {archive.digest}.zip", digest=archive.digest)
        else:
            shutil.copyfile(partial.name, f"{partial.name}.kept")
            Path(f"{partial.name}.kept").replace(folder / f"{archive.digest}.zip")
    return archive


def _enter(context: Context, session: Session, life: SubmissionLife, archive: Archive) -> SubmissionLife:
    moment = now()
    row = Submission(
        jenkins_id=0,
        submitter_id=life.submission.submitter_id,
        timestamp=moment.replace(tzinfo=None),
        model_type="Brain-Score submission",
        status="running",
    )
    session.add(row)
    session.flush()
    key = f"{context.library}\npublication {len(life.carriers)} of {life.submission_id}"
    carrier = SubmissionLife(
        submission_id=row.id,
        submission=row,
        key=hashlib.sha256(key.encode()).hexdigest(),
        name=life.name,
        submitter=life.submitter,
        library=context.library,
        public=True,
        publishes=life,
        archive_name=life.archive_name,
        archive_digest=archive.digest,
        archive_path=f"archives/{archive.digest}.zip",
        plugins=plugins_by_type(archive),
        identifiers=identifiers_by_kind(archive),
        state=State.ACCEPTED,
        created_at=moment,
        updated_at=moment,
    )
    session.add(carrier)
    session.flush()
    move(session, carrier, State.ACCEPTED, key=archive.digest, run_id=context.run_id)
    receipt = ReceivedMail(**mail.about(carrier), plugins=tuple(map(str, archive.plugins)), public=True)
    mail.queue(session, context.deployment, carrier, receipt, event="accepted")
    return carrier


def _plugins(life: SubmissionLife) -> tuple[PluginKey, ...]:
    return tuple(PluginKey(kind, name) for kind, names in life.plugins.items() for name in names)


def _publication(life: SubmissionLife, carrier: SubmissionLife) -> Publication:
    return Publication(
        life.submission_id, carrier.submission_id, State(life.state), State(carrier.state), life.removal_sha
    )
