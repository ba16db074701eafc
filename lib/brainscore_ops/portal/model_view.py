"""What the page of a model shows."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import select

from brainscore_ops.database.brainscore_tables import Model, ModelMeta, Reference
from brainscore_ops.database.ops_tables import SubmissionLife
from brainscore_ops.portal.charts import Spread
from brainscore_ops.portal.errors import PageNotFoundError
from brainscore_ops.scores.columns import FAILED, SCORED
from brainscore_ops.scores.leaderboard import STATES
from brainscore_ops.scores.score_table import counting_outcomes

if TYPE_CHECKING:
    from markupsafe import Markup
    from sqlalchemy.orm import Session

    from brainscore_ops.database.viewer import Viewer
    from brainscore_ops.portal.boards import Board
    from brainscore_ops.scores.leaderboard import Branch, Leaderboard
    from brainscore_ops.settings.deployment import LibrarySettings

_FACTS = {
    "model_family": "Family",
    "architecture": "Architecture",
    "total_parameter_count": "Parameters",
    "trainable_parameter_count": "Trainable parameters",
    "total_layers": "Layers",
    "trainable_layers": "Trainable layers",
    "model_size_mb": "Size (MB)",
    "training_dataset": "Training data",
    "task_specialization": "Task",
    "extra_notes": "Notes",
}


@dataclass(frozen=True)
class Standing:
    """How the model does on a benchmark, or in a group of them."""

    node: Branch
    depth: int
    state: str
    value: float | None
    raw: float | None
    error: float | None
    reason: str
    rank: int | None
    """Among the models that have a score on it."""
    of: int
    """How many those are."""
    spread: Markup
    computed_at: str | None = None
    library_commit: str | None = None
    identity: str | None = None


@dataclass(frozen=True)
class ModelView:
    """A model."""

    name: str
    public: bool
    rank: int | None
    average: float | None
    of: int
    """How many models have an average."""
    spread: Markup
    facts: tuple[tuple[str, Any], ...]
    """What its ``metadata.yml`` says: heading, content."""
    links: tuple[tuple[str, str], ...]
    """Text, address."""
    reference: Reference | None
    submission: int | None
    """The submission that it came with, where the viewer may know of it."""
    standings: tuple[Standing, ...]
    """In the order of the tree; groups before what is in them."""
    commits: tuple[str, ...]
    """Of the library, that its scores were computed at; the newest first."""
    commands: str
    """How anybody computes one of the scores again; empty where none says what it was computed from."""

    @property
    def failures(self) -> int:
        """On how many benchmarks it failed."""
        return sum(each.state == FAILED for each in self.standings)

    @property
    def scored(self) -> int:
        """On how many benchmarks it has a score."""
        return sum(each.state == SCORED and each.node.benchmark is not None for each in self.standings)


def model_view(session: Session, board: Board, name: str, viewer: Viewer, library: LibrarySettings) -> ModelView:
    """The page of a model.

    :raises PageNotFoundError: there is none of that name, or none that the viewer may see
    """
    found = session.execute(
        select(Model, ModelMeta, Reference)
        .outerjoin(ModelMeta, ModelMeta.model_id == Model.id)
        .outerjoin(Reference, Reference.id == Model.reference_id)
        .where(Model.domain == library.domain, Model.name == name, viewer.sees_model())
    ).first()
    if found is None:
        raise PageNotFoundError("There is no such model.", remedy="Look for it on the leaderboard.")
    model, meta, reference = found
    sources = _sources(session, model.id, library.domain, viewer)
    scores = board.scores
    place = board.model_places.get(name)
    standings = () if place is None else tuple(_standings(board, place, sources))
    commits = sorted(
        {each.library_commit: each.computed_at or "" for each in standings if each.library_commit}.items(),
        key=lambda pair: pair[1],
        reverse=True,
    )
    average = None if place is None or np.isnan(scores.averages[place]) else float(scores.averages[place])
    return ModelView(
        name=name,
        public=model.public,
        rank=None if place is None else scores.ranks[place],
        average=average,
        of=int((~np.isnan(scores.averages)).sum()),
        spread=Spread(scores.averages).picture(
            f"The averages of all models; {name} is marked", this=average, large=True
        ),
        facts=tuple(_facts(model, meta)),
        links=tuple(_links(meta)),
        reference=reference,
        submission=_submission(session, model.submission_id, viewer),
        standings=standings,
        commits=tuple(commit for commit, _ in commits),
        commands=_commands(name, standings, library),
    )


def _sources(session: Session, model: int, domain: str, viewer: Viewer) -> dict[int, Any]:
    """The row of a benchmark's version → what the outcome on it was computed from."""
    columns = ("benchmark_id", "identity", "library_commit")
    statement = counting_outcomes(*columns, domain=domain, viewer=viewer, models=[model])
    return {row.benchmark_id: row for row in session.execute(statement)}


def _standings(board: Board, place: int, sources: dict[int, Any]) -> Any:
    scores = board.scores
    for column, node in enumerate(scores.nodes):
        state = STATES[scores.states[place, column]]
        if state not in {SCORED, FAILED} and not _has_anything(scores, place, column):
            continue
        cell = scores.cell(place, column)
        spread, rank = board.spread(column), board.ranks(column)[place]
        source = sources.get(node.instance_id or 0)
        said = f"Rank {rank} of {spread.count} models" if rank else f"The scores of {spread.count} models"
        yield Standing(
            node=node,
            depth=len(node.path),
            state=state,
            value=cell.value,
            raw=cell.raw,
            error=cell.error,
            reason=cell.reason,
            rank=rank,
            of=spread.count,
            spread=spread.picture(f"{said}, on the way from 0 to 1", this=cell.value),
            computed_at=cell.computed_at,
            library_commit=source.library_commit if source else None,
            identity=source.identity if source else None,
        )


def _has_anything(scores: Leaderboard, model: int, node: int) -> bool:
    """Whether anything was tried below a parent."""
    below = scores.nodes[node].children
    return any(scores.states[model, child] or _has_anything(scores, model, child) for child in below)


def _facts(model: Model, meta: ModelMeta | None) -> Any:
    for column, heading in _FACTS.items():
        value = getattr(meta, column, None)
        if value not in (None, ""):
            yield heading, f"{value:,}" if isinstance(value, (int, float)) else value
    if model.visual_degrees:
        yield "Field of view", f"{model.visual_degrees}°"
    if model.competition:
        yield "Competition", model.competition


def _links(meta: ModelMeta | None) -> Any:
    for column, text in (("hugging_face_link", "Hugging Face"), ("brainscore_link", "Code")):
        address = getattr(meta, column, None) or ""
        if address.startswith(("https://", "http://")):
            yield text, address


def _submission(session: Session, number: int, viewer: Viewer) -> int | None:
    condition = (SubmissionLife.submission_id == number, viewer.sees_submission_row())
    return session.scalar(select(SubmissionLife.submission_id).where(*condition))


def _commands(model: str, standings: tuple[Standing, ...], library: LibrarySettings) -> str:
    known = [each for each in standings if each.state == SCORED and each.library_commit]
    if not known:
        return ""
    best = max(known, key=lambda each: each.computed_at or "")
    # In double quotes, which stand in the shell's single ones as they are.
    names = f"model_identifier={json.dumps(model)}, benchmark_identifier={json.dumps(best.node.identifier)}"
    call = f"print(score({names}))"
    return (
        f"git checkout {best.library_commit}  # of {library.repository}\n"
        "pip install .\n"
        f"python -c {shlex.quote(f'from {library.package} import score; {call}')}"
    )
