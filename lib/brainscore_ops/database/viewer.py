"""Who is looking, and what of the database they may see. Every page, export and API asks here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import and_, or_, select, true

from brainscore_ops.database.brainscore_tables import BenchmarkType, Model, Submission
from brainscore_ops.database.ops_tables import SubmissionLife

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

__all__ = ["PUBLIC", "STAFF", "Viewer"]


@dataclass(frozen=True)
class Viewer:
    """Somebody who looks at scores and submissions: by default a stranger."""

    user_id: int | None = None
    """The row in ``brainscore_user``; None for a stranger."""
    is_staff: bool = False
    """Sees everything."""
    is_superuser: bool = False
    """Sees everything, and may change other people's accounts."""
    scopes: frozenset[str] = field(default_factory=frozenset)
    """What an API token allows; a signed-in person has no need of any."""

    @property
    def sees_everything(self) -> bool:
        """Whether nothing is hidden from them."""
        return self.is_staff or self.is_superuser

    def sees_model(self) -> ColumnElement[bool]:
        """The condition on ``brainscore_model``: it is public, or theirs."""
        if self.sees_everything:
            return true()
        if self.user_id is None:
            return Model.public.is_(True)
        return or_(Model.public, Model.owner_id == self.user_id)

    def sees_benchmark(self) -> ColumnElement[bool]:
        """The condition on ``brainscore_benchmarktype``: it is visible, or theirs."""
        if self.sees_everything:
            return true()
        if self.user_id is None:
            return BenchmarkType.visible.is_(True)
        return or_(BenchmarkType.visible, BenchmarkType.owner_id == self.user_id)

    def sees_score(self) -> ColumnElement[bool]:
        """The condition on a score joined with its model and its benchmark's type: they see both."""
        return and_(self.sees_model(), self.sees_benchmark())

    def sees_submission(self, life: SubmissionLife) -> bool:
        """Whether they may see that there is a submission: it is public, or theirs."""
        return self.sees_everything or life.public or self.owns(life)

    def sees_submission_row(self) -> ColumnElement[bool]:
        """:meth:`sees_submission` as a condition on ``submission_life``."""
        if self.sees_everything:
            return true()
        if self.user_id is None:
            return SubmissionLife.public.is_(True)
        theirs = select(Submission.id).where(Submission.submitter_id == self.user_id)
        return or_(SubmissionLife.public, SubmissionLife.submission_id.in_(theirs))

    def sees_inside(self, life: SubmissionLife) -> bool:
        """Whether they may see all that belongs to a submission (code, pull request, logs, records), and act on it."""
        return self.sees_everything or self.owns(life)

    def owns(self, life: SubmissionLife) -> bool:
        """Whether they sent it in."""
        return self.user_id is not None and life.submission.submitter_id == self.user_id


PUBLIC = Viewer()
"""A stranger."""
STAFF = Viewer(is_staff=True)
"""A maintainer at the shell or in a notebook, who sees everything."""
