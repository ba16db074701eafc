"""The library as a submission sees it: the public one, and over it the private plugins of its owner, and of nobody else.

What somebody's plugin is tested and scored with must not hold what is private to others: its code can read and print all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from brainscore_ops.database.brainscore_tables import Submission
from brainscore_ops.database.ops_tables import SubmissionLife
from brainscore_ops.plugins.layout import PluginKey
from brainscore_ops.plugins.overlay import newest_change, overlay
from brainscore_ops.submissions.life import IN_PRIVATE, State, life_of_pull_request

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.orm import Session

    from brainscore_ops.submissions.context import Context


def library_head(context: Context) -> str:
    """The head of the public library's default branch, and the mirror has it."""
    _, commit = context.public_side.forge.default_branch()
    context.public_side.mirror.fetch()  # after that was read: what it names is there
    return commit


def whole_library(
    context: Context, commit: str, pull_request: int | None, *, base: str, plugins: Iterable[PluginKey] = ()
) -> str:
    """The commit that holds all that a pull request's plugins can meet.

    In the public repository that is the commit itself; one of the private repository is laid over the public library.

    :param commit: of the context's repository
    :param base: of the public library
    :param plugins: the pull request's own; others of its submitter that were merged are laid over as well
    """
    if not context.private:
        return commit
    with context.database.session() as session:
        own = private_plugins(context, session, _owner(context, session, pull_request))
    return overlay(context.mirror.path, base, commit, {*own, *plugins}, context.library)


def library_of(context: Context, owner: int, *, base: str) -> str:
    """The public library with all private plugins of somebody laid over it.

    It is the same commit until one of these changes: what others bring into the private repository makes no other of it.

    :param base: of the public library
    """
    _, head = context.forge.default_branch()
    context.mirror.fetch()
    with context.database.session() as session:
        own = private_plugins(context, session, owner)
    folders = [f"{context.library}/{plugin.type}/{plugin.name}" for plugin in sorted(own)]
    return overlay(context.mirror.path, base, newest_change(context.mirror.path, head, folders), own, context.library)


def private_plugins(
    context: Context, session: Session, owner: int | None, *, states: Iterable[State] = IN_PRIVATE
) -> set[PluginKey]:
    """The plugins of somebody that were merged into the private repository, and are not public by now.

    :param states: of the submissions that brought them
    """
    if owner is None:
        return set()
    lives = session.scalars(
        select(SubmissionLife)
        .join(SubmissionLife.submission)
        .where(
            SubmissionLife.library == context.homes[1],
            SubmissionLife.state.in_(states),
            Submission.submitter_id == owner,
        )
    )
    return {PluginKey(kind, name) for life in lives for kind, names in life.plugins.items() for name in names}


def _owner(context: Context, session: Session, pull_request: int | None) -> int | None:
    life = None if pull_request is None else life_of_pull_request(session, context.home, pull_request)
    return life.submission.submitter_id if life else None
