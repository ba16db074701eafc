"""Who may do what on the embedded forge: collaborators' roles, and what a protected branch asks for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from brainscore_ops.errors import UsageError
from brainscore_ops.forge.embedded.records import Protection
from brainscore_ops.forge.embedded.reviews import reviews_of, standing_reviews

if TYPE_CHECKING:
    from brainscore_ops.forge.embedded.git import GitRepository
    from brainscore_ops.forge.embedded.records import Account, Pull, RepositoryRecord, Visitor
    from brainscore_ops.forge.embedded.store import Store

ROLES = ("none", "read", "triage", "write", "maintain", "admin")
"""From little to much."""

PERMISSIONS = {"triage": "read", "maintain": "write"}
"""The older word that GitHub says for a role, where it is another one."""


def set_role(store: Store, repository: RepositoryRecord, login: str, role: str) -> None:
    """Give an account a role in a repository."""
    account = store.account(login)
    if account is None or role not in ROLES:
        raise UsageError(f"Expected the login of a user and a role among {ROLES}; found {login!r} and {role!r}.")
    with store.transaction() as connection:
        connection.execute(
            "INSERT INTO collaborator (repository, account, role) VALUES (?, ?, ?)"
            " ON CONFLICT (repository, account) DO UPDATE SET role = excluded.role",
            (repository.id, account.id, role),
        )


def given_role(store: Store, repository: RepositoryRecord, account: Account) -> str | None:
    """The role that an account was given; None for one that nobody named."""
    if account.id == repository.owner.id:
        return "admin"
    with store.reading() as connection:
        row = connection.execute(
            "SELECT role FROM collaborator WHERE repository = ? AND account = ?", (repository.id, account.id)
        ).fetchone()
        return str(row["role"]) if row else None


def role_of(store: Store, repository: RepositoryRecord, account: Account) -> str:
    """The role of an account: what everybody has, where it was given none."""
    return given_role(store, repository, account) or ("none" if repository.private else "read")


def may_read(store: Store, repository: RepositoryRecord, visitor: Visitor | None) -> bool:
    """Whether somebody may know of a repository: of a private one only who was given a role there, with a token for it."""
    if not repository.private:
        return True
    return visitor is not None and visitor.may("repo") and role_of(store, repository, visitor.account) != "none"


def may_push(store: Store, repository: RepositoryRecord, account: Account) -> bool:
    """Whether an account may write; one that nobody named may do what its token may, so that small set-ups need no roles."""
    role = given_role(store, repository, account)
    return role is None or ROLES.index(role) >= ROLES.index("write")


def protect(store: Store, repository: RepositoryRecord, branch: str, protection: Protection | None) -> None:
    """Protect a branch; None takes its protection away."""
    with store.transaction() as connection:
        connection.execute("DELETE FROM protection WHERE repository = ? AND branch = ?", (repository.id, branch))
        if protection:
            connection.execute(
                "INSERT INTO protection (repository, branch, contexts, strict, approvals) VALUES (?, ?, ?, ?, ?)",
                (repository.id, branch, json.dumps(protection.contexts), protection.strict, protection.approvals),
            )


def protections(store: Store, repository: RepositoryRecord) -> dict[str, Protection]:
    """Branch → its protection, of all that are protected."""
    with store.reading() as connection:
        rows = connection.execute("SELECT * FROM protection WHERE repository = ?", (repository.id,)).fetchall()
    return {
        row["branch"]: Protection(tuple(json.loads(row["contexts"])), bool(row["strict"]), row["approvals"])
        for row in rows
    }


def unmet_protection(store: Store, repository: RepositoryRecord, git: GitRepository, pull: Pull) -> str:
    """What the base branch's protection still asks for, in GitHub's words; empty where nothing."""
    protection = protections(store, repository).get(pull.base_ref)
    if protection is None:
        return ""
    newest: dict[str, str] = {}
    for status in store.statuses(repository, pull.head_sha):
        newest.setdefault(status.context, status.state)
    for context in protection.contexts:
        state = newest.get(context)
        if state is None or state == "pending":
            return f'Required status check "{context}" is {"expected" if state is None else "pending"}.'
        if state != "success":
            return f'Required status check "{context}" is failing.'
    base = git.reference(f"refs/heads/{pull.base_ref}")
    if protection.strict and base and not git.is_ancestor(base, pull.head_sha):
        return "Head branch is not up to date with the base branch."
    standing = standing_reviews(reviews_of(store, pull)).values()
    counted = [
        review for review in standing if ROLES.index(role_of(store, repository, review.author)) >= ROLES.index("write")
    ]
    if any(review.state == "CHANGES_REQUESTED" for review in counted):
        return "Changes have been requested by a reviewer with write access."
    if sum(review.state == "APPROVED" for review in counted) < protection.approvals:
        few = protection.approvals
        return (
            f"At least {few} approving review{'s are' if few > 1 else ' is'} required by reviewers with write access."
        )
    return ""
