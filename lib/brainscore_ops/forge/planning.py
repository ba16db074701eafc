"""A forge that is only planned on: it is read, and what would be written to it is written down."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from brainscore_ops.forge.client import ForgeClient, Person, PullRequest, Status
from brainscore_ops.planning import TO_BE_MADE, end_of_plan, planned

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

NO_NUMBER = 0
"""Of a pull request that is not there yet."""


class PlanningForgeClient(ForgeClient):
    """See :class:`ForgeClient`; every method that writes is replaced here."""

    def propose(
        self, *, branch: str, base_sha: str, files: Mapping[str, bytes], message: str, author: Person, when: datetime
    ) -> str:
        """See :meth:`ForgeClient.propose`."""
        head = self._call(f"read the branch {branch}", lambda: self._branch_head(branch))
        if head is not None:
            return head
        planned(
            "branch",
            f"{branch} on {base_sha[:10]}: a commit of {len(files)} files by {author.name}",
            branch=branch,
            base=base_sha,
            author=author.name,
            message=message,
            files={path: hashlib.sha256(content).hexdigest() for path, content in sorted(files.items())},
            when=when.astimezone(UTC).isoformat() if when else "",
        )
        return TO_BE_MADE

    def open_pull_request(self, *, branch: str, title: str, body: str, labels: Sequence[str] = ()) -> PullRequest:
        """See :meth:`ForgeClient.open_pull_request`."""
        known = self._call(f"read the pull request of {branch}", lambda: self._pull_of(branch))
        if known is not None:
            return self.pull_request(known.number)
        planned("pull request", f"{title} ({branch})", branch=branch, title=title, body=body, labels=list(labels))
        base_ref, base_sha = self.default_branch()
        moment = datetime.now(UTC)
        return PullRequest(
            number=NO_NUMBER,
            title=title,
            body=body,
            state="open",
            merged=False,
            draft=False,
            base_ref=base_ref,
            base_sha=base_sha,
            head_ref=branch,
            head_repository=self.repository,
            head_sha=TO_BE_MADE,
            author=self.login,
            labels=tuple(labels),
            merge_sha=None,
            url=TO_BE_MADE,
            created_at=moment,
            updated_at=moment,
        )

    def update_branch(self, number: int, *, head_sha: str) -> str:
        """See :meth:`ForgeClient.update_branch`."""
        planned("branch", f"bring pull request {number} up to date", pull_request=number, head=head_sha)
        raise end_of_plan("The updated head's commit is the forge's to make; what follows is about that.")

    def dispatch(self, event_type: str, payload: Mapping[str, Any]) -> None:
        """See :meth:`ForgeClient.dispatch`."""
        planned("dispatch", event_type, payload=dict(payload))

    def set_status(self, sha: str, *, context: str, state: str, description: str, target_url: str = "") -> Status:
        """See :meth:`ForgeClient.set_status`."""
        known = self.statuses(sha).get(context)
        if known is not None and (known.state, known.description) == (state, description):
            return known
        planned("status", f"{context} {state} on {sha[:10]}: {description}", sha=sha, context=context, state=state)
        return Status(context, state, description, target_url, self.login, datetime.now(UTC))

    def squash_merge(self, number: int, *, head_sha: str, title: str, message: str) -> str:
        """See :meth:`ForgeClient.squash_merge`."""
        pull = self.pull_request(number)
        if pull.merged and pull.merge_sha is not None:
            return pull.merge_sha
        planned(
            "merge",
            f"pull request {number} at {head_sha[:10]}: {title}",
            pull_request=number,
            head=head_sha,
            title=title,
            message=message,
        )
        raise end_of_plan(
            "The merge commit is the forge's to make. Then base, head and merge commit are recorded, the submission is merged, "
            "and score_plugins is next."
        )

    def comment(self, number: int, *, key: str, body: str) -> None:
        """See :meth:`ForgeClient.comment`."""
        planned(
            "comment", f"on pull request {number}: {body.splitlines()[0] if body else ''}", pull_request=number, key=key
        )

    def remove(self, folders: Collection[str], *, message: str, author: Person, when: datetime) -> str:  # noqa: ARG002 - as it is there
        """See :meth:`ForgeClient.remove`."""
        listed = sorted(folders)
        planned("commit", f"remove {', '.join(listed)} from the default branch", folders=listed, message=message)
        raise end_of_plan(f"The commit by {author.name} is the forge's to make; what follows is about that.")

    def reopen(self, number: int) -> None:
        """See :meth:`ForgeClient.reopen`."""
        planned("pull request", f"open {number} again", pull_request=number)

    def close(self, number: int) -> None:
        """See :meth:`ForgeClient.close`."""
        planned("pull request", f"close {number}", pull_request=number)
