"""The JSON documents of GitHub's REST API, built from the embedded forge's records."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from brainscore_ops.forge.embedded.access import given_role, unmet_protection

if TYPE_CHECKING:
    from datetime import datetime

    from brainscore_ops.forge.embedded.git import Commit, FileChange, Signature, TreeEntry
    from brainscore_ops.forge.embedded.records import (
        Account,
        Comment,
        CommitStatus,
        Label,
        Pull,
        RepositoryRecord,
        Review,
    )
    from brainscore_ops.forge.embedded.store import Store
    from brainscore_ops.forge.embedded.webhooks import Delivery, Hook

Document = dict[str, Any]

API_PREFIX = "/api/v3"
"""Where the API begins, as on a GitHub Enterprise Server."""


@dataclass(frozen=True)
class Documents:
    """The documents as one server shows them: they are full of its own addresses."""

    store: Store
    root_url: str

    # People

    def account(self, account: Account) -> Document:
        """``simple-user``."""
        login = quote(account.login)
        url = f"{self.api}/users/{login}"
        return {
            "login": account.login,
            "id": account.id,
            "node_id": _node_id("User", account.id),
            "avatar_url": f"{self.root_url}/avatars/{login}.svg",
            "gravatar_id": "",
            "url": url,
            "html_url": f"{self.root_url}/{login}",
            "followers_url": f"{url}/followers",
            "following_url": f"{url}/following{{/other_user}}",
            "gists_url": f"{url}/gists{{/gist_id}}",
            "starred_url": f"{url}/starred{{/owner}}{{/repo}}",
            "subscriptions_url": f"{url}/subscriptions",
            "organizations_url": f"{url}/orgs",
            "repos_url": f"{url}/repos",
            "events_url": f"{url}/events{{/privacy}}",
            "received_events_url": f"{url}/received_events",
            "type": account.kind,
            "site_admin": False,
        }

    def private_account(self, account: Account) -> Document:
        """``private-user``: an account as it sees itself."""
        return self.account(account) | {
            "name": account.name,
            "email": account.email,
            "company": None,
            "blog": "",
            "location": None,
            "hireable": None,
            "bio": None,
            "public_repos": 0,
            "public_gists": 0,
            "followers": 0,
            "following": 0,
            "created_at": account.created_at,
            "updated_at": account.created_at,
            "private_gists": 0,
            "total_private_repos": 0,
            "owned_private_repos": 0,
            "disk_usage": 0,
            "collaborators": 0,
            "two_factor_authentication": False,
        }

    # Repositories

    def repository(self, record: RepositoryRecord) -> Document:
        """``full-repository``, which has all that the shorter forms have."""
        url, html = self._repository_url(record), f"{self.root_url}/{record.full_name}"
        return {
            "id": record.id,
            "node_id": _node_id("Repository", record.id),
            "name": record.name,
            "full_name": record.full_name,
            "private": record.private,
            "owner": self.account(record.owner),
            "html_url": html,
            "description": None,
            "fork": False,
            "url": url,
            **{f"{name}_url": url + path for name, path in _REPOSITORY_URLS.items()},
            "clone_url": f"{html}.git",
            "git_url": f"git://{self.root_url.split('//')[1]}/{record.full_name}.git",
            "ssh_url": f"git@{self.root_url.split('//')[1]}:{record.full_name}.git",
            "svn_url": html,
            "mirror_url": None,
            "homepage": None,
            "language": "Python",
            "license": None,
            "default_branch": record.default_branch,
            "created_at": record.created_at,
            "updated_at": record.pushed_at,
            "pushed_at": record.pushed_at,
            "visibility": "private" if record.private else "public",
            "permissions": {"admin": False, "maintain": False, "push": True, "triage": True, "pull": True},
            **dict.fromkeys(_REPOSITORY_COUNTS, 0),
            **dict.fromkeys(_REPOSITORY_FLAGS, False),
            "has_issues": True,
            "topics": [],
            "web_commit_signoff_required": False,
            "allow_squash_merge": True,
            "allow_merge_commit": True,
            "allow_rebase_merge": False,
        }

    def label(self, record: RepositoryRecord, label: Label) -> Document:
        """``label``."""
        return {
            "id": label.id,
            "node_id": _node_id("Label", label.id),
            "url": f"{self._repository_url(record)}/labels/{quote(label.name)}",
            "name": label.name,
            "description": label.description or "",
            "color": label.color,
            "default": False,
        }

    # Git

    def reference(self, record: RepositoryRecord, name: str, sha: str, kind: str) -> Document:
        """``git-ref``."""
        url = self._repository_url(record)
        return {
            "ref": name,
            "node_id": _node_id("Ref", f"{record.id}:{name}"),
            "url": f"{url}/git/{quote(name)}",
            "object": {"type": kind, "sha": sha, "url": f"{url}/git/{kind}s/{sha}"},
        }

    def short_blob(self, record: RepositoryRecord, sha: str) -> Document:
        """``short-blob``."""
        return {"sha": sha, "url": f"{self._repository_url(record)}/git/blobs/{sha}"}

    def blob(self, record: RepositoryRecord, sha: str, content: bytes) -> Document:
        """``blob``."""
        return self.short_blob(record, sha) | {
            "node_id": _node_id("Blob", f"{record.id}:{sha}"),
            "size": len(content),
            "content": base64.encodebytes(content).decode(),
            "encoding": "base64",
        }

    def tree(self, record: RepositoryRecord, sha: str, entries: list[TreeEntry], *, truncated: bool) -> Document:
        """``git-tree``."""
        url = self._repository_url(record)
        documents = []
        for entry in entries:
            document: Document = {"path": entry.path, "mode": entry.mode, "type": entry.kind, "sha": entry.sha}
            if entry.size is not None:
                document["size"] = entry.size
            if entry.kind != "commit":
                document["url"] = f"{url}/git/{entry.kind}s/{entry.sha}"
            documents.append(document)
        return {"sha": sha, "url": f"{url}/git/trees/{sha}", "tree": documents, "truncated": truncated}

    def git_commit(self, record: RepositoryRecord, commit: Commit) -> Document:
        """``git-commit``."""
        url, html = self._repository_url(record), f"{self.root_url}/{record.full_name}"
        return {
            "sha": commit.sha,
            "node_id": _node_id("Commit", f"{record.id}:{commit.sha}"),
            "url": f"{url}/git/commits/{commit.sha}",
            "html_url": f"{html}/commit/{commit.sha}",
            "author": _signature(commit.author),
            "committer": _signature(commit.committer),
            "tree": {"sha": commit.tree, "url": f"{url}/git/trees/{commit.tree}"},
            "message": commit.message,
            "parents": [
                {"sha": parent, "url": f"{url}/git/commits/{parent}", "html_url": f"{html}/commit/{parent}"}
                for parent in commit.parents
            ],
            "verification": _UNSIGNED,
        }

    def commit(self, record: RepositoryRecord, commit: Commit) -> Document:
        """``commit``, without its files."""
        url, html = self._repository_url(record), f"{self.root_url}/{record.full_name}"
        author, committer = (self.store.account_by_email(person.email) for person in (commit.author, commit.committer))
        return {
            "url": f"{url}/commits/{commit.sha}",
            "sha": commit.sha,
            "node_id": _node_id("Commit", f"{record.id}:{commit.sha}"),
            "html_url": f"{html}/commit/{commit.sha}",
            "comments_url": f"{url}/commits/{commit.sha}/comments",
            "commit": {
                "url": f"{url}/git/commits/{commit.sha}",
                "author": _signature(commit.author),
                "committer": _signature(commit.committer),
                "message": commit.message,
                "comment_count": 0,
                "tree": {"sha": commit.tree, "url": f"{url}/git/trees/{commit.tree}"},
                "verification": _UNSIGNED,
            },
            "author": self.account(author) if author else None,
            "committer": self.account(committer) if committer else None,
            "parents": [
                {"sha": parent, "url": f"{url}/commits/{parent}", "html_url": f"{html}/commit/{parent}"}
                for parent in commit.parents
            ],
        }

    def change(self, record: RepositoryRecord, head: str, change: FileChange) -> Document:
        """``diff-entry``."""
        html, place = f"{self.root_url}/{record.full_name}", f"{head}/{change.path}"
        document: Document = {
            "sha": change.sha,
            "filename": change.path,
            "status": change.status,
            "additions": change.additions,
            "deletions": change.deletions,
            "changes": change.additions + change.deletions,
            "blob_url": _quoted(f"{html}/blob/{place}"),
            "raw_url": _quoted(f"{html}/raw/{place}"),
            "contents_url": _quoted(f"{self._repository_url(record)}/contents/{change.path}") + f"?ref={head}",
        }
        if change.patch is not None:
            document["patch"] = change.patch
        if change.previous_path is not None:
            document["previous_filename"] = change.previous_path
        return document

    # Webhooks

    def hook(self, record: RepositoryRecord, hook: Hook) -> Document:
        """``hook``; its secret is not shown."""
        url = f"{self._repository_url(record)}/hooks/{hook.id}"
        config = {"url": hook.url, "content_type": "json", "insecure_ssl": "0"}
        return {
            "type": "Repository",
            "id": hook.id,
            "name": "web",
            "active": hook.active,
            "events": list(hook.events),
            "config": config | ({"secret": "********"} if hook.secret else {}),
            "updated_at": hook.updated_at,
            "created_at": hook.created_at,
            "url": url,
            "test_url": f"{url}/test",
            "ping_url": f"{url}/pings",
            "deliveries_url": f"{url}/deliveries",
            "last_response": {"code": None, "status": "unused", "message": None},
        }

    def short_delivery(self, record: RepositoryRecord, delivery: Delivery) -> Document:
        """``hook-delivery-item``."""
        return {
            "id": delivery.id,
            "guid": delivery.guid,
            "delivered_at": delivery.delivered_at,
            "redelivery": delivery.redelivery,
            "duration": round(delivery.duration, 3),
            "status": delivery.status,
            "status_code": delivery.status_code,
            "event": delivery.event,
            "action": delivery.action,
            "installation_id": None,
            "repository_id": record.id,
            "throttled_at": None,
        }

    def delivery(self, record: RepositoryRecord, hook: Hook, delivery: Delivery) -> Document:
        """``hook-delivery``."""
        return self.short_delivery(record, delivery) | {
            "url": hook.url,
            "request": {
                "headers": {"X-GitHub-Event": delivery.event, "X-GitHub-Delivery": delivery.guid},
                "payload": json.loads(delivery.payload),
            },
            "response": {"headers": {}, "payload": delivery.answer},
        }

    # Statuses

    def status(self, record: RepositoryRecord, status: CommitStatus) -> Document:
        """``status``."""
        return self.simple_status(record, status) | {"creator": self.account(status.creator)}

    def simple_status(self, record: RepositoryRecord, status: CommitStatus) -> Document:
        """``simple-commit-status``."""
        return {
            "url": f"{self._repository_url(record)}/statuses/{status.sha}",
            "avatar_url": f"{self.root_url}/avatars/{quote(status.creator.login)}.svg",
            "id": status.id,
            "node_id": _node_id("StatusContext", status.id),
            "state": status.state,
            "description": status.description,
            "target_url": status.target_url,
            "context": status.context,
            "created_at": status.created_at,
            "updated_at": status.created_at,
        }

    # Pull requests

    def pull(self, record: RepositoryRecord, pull: Pull) -> Document:
        """``pull-request-simple``: as it stands in a listing."""
        url, html = f"{self._repository_url(record)}/pulls/{pull.number}", self.pull_page(record, pull)
        issue, statuses = (
            self._issue_url(record, pull.number),
            f"{self._repository_url(record)}/statuses/{pull.head_sha}",
        )
        links = {
            "self": url,
            "html": html,
            "issue": issue,
            "comments": f"{issue}/comments",
            "review_comments": f"{url}/comments",
            "review_comment": f"{self._repository_url(record)}/pulls/comments{{/number}}",
            "commits": f"{url}/commits",
            "statuses": statuses,
        }
        return {
            "url": url,
            "id": pull.id,
            "node_id": _node_id("PullRequest", pull.id),
            "html_url": html,
            "diff_url": f"{html}.diff",
            "patch_url": f"{html}.patch",
            "issue_url": issue,
            "number": pull.number,
            "state": pull.state,
            "locked": False,
            "title": pull.title,
            "user": self.account(pull.author),
            "body": pull.body or None,
            "created_at": pull.created_at,
            "updated_at": pull.updated_at,
            "closed_at": pull.closed_at,
            "merged_at": pull.merged_at,
            "merge_commit_sha": pull.merge_sha,
            "assignee": None,
            "assignees": [],
            "requested_reviewers": [],
            "requested_teams": [],
            "labels": [self.label(record, label) for label in pull.labels],
            "milestone": None,
            "draft": pull.draft,
            "commits_url": links["commits"],
            "review_comments_url": links["review_comments"],
            "review_comment_url": links["review_comment"],
            "comments_url": links["comments"],
            "statuses_url": statuses,
            "head": self._side(record, pull.head_ref, pull.head_sha),
            "base": self._side(record, pull.base_ref, pull.base_sha),
            "_links": {name: {"href": href} for name, href in links.items()},
            "author_association": "CONTRIBUTOR",
            "auto_merge": None,
            "active_lock_reason": None,
        }

    def full_pull(
        self, record: RepositoryRecord, pull: Pull, *, mergeable: bool | None, commits: int, changes: list[FileChange]
    ) -> Document:
        """``pull-request``: one that was asked for by its number."""
        return self.pull(record, pull) | {
            "merged": pull.merged,
            "mergeable": mergeable,
            "mergeable_state": _mergeable_state(
                pull,
                mergeable=mergeable,
                blocked=bool(unmet_protection(self.store, record, self.store.git(record), pull)),
            ),
            "rebaseable": False,
            "merged_by": self.account(pull.merger) if pull.merged and pull.merger else None,
            "comments": len(self.store.comments(pull)),
            "review_comments": 0,
            "maintainer_can_modify": False,
            "commits": commits,
            "additions": sum(change.additions for change in changes),
            "deletions": sum(change.deletions for change in changes),
            "changed_files": len(changes),
        }

    def issue(self, record: RepositoryRecord, pull: Pull) -> Document:
        """``issue``: a pull request as the issue that it is, too."""
        url, html = self._issue_url(record, pull.number), self.pull_page(record, pull)
        return {
            "id": pull.id,
            "node_id": _node_id("PullRequest", pull.id),
            "url": url,
            "repository_url": self._repository_url(record),
            "labels_url": f"{url}/labels{{/name}}",
            "comments_url": f"{url}/comments",
            "events_url": f"{url}/events",
            "html_url": html,
            "number": pull.number,
            "state": pull.state,
            "locked": False,
            "title": pull.title,
            "body": pull.body or None,
            "user": self.account(pull.author),
            "labels": [self.label(record, label) for label in pull.labels],
            "assignee": None,
            "assignees": [],
            "milestone": None,
            "comments": len(self.store.comments(pull)),
            "created_at": pull.created_at,
            "updated_at": pull.updated_at,
            "closed_at": pull.closed_at,
            "author_association": "CONTRIBUTOR",
            "pull_request": {
                "url": f"{self._repository_url(record)}/pulls/{pull.number}",
                "html_url": html,
                "diff_url": f"{html}.diff",
                "patch_url": f"{html}.patch",
                "merged_at": pull.merged_at,
            },
        }

    def comment(self, record: RepositoryRecord, comment: Comment) -> Document:
        """``issue-comment``."""
        return {
            "id": comment.id,
            "node_id": _node_id("IssueComment", comment.id),
            "url": f"{self._repository_url(record)}/issues/comments/{comment.id}",
            "html_url": f"{self.root_url}/{record.full_name}/pull/{comment.number}#issuecomment-{comment.id}",
            "issue_url": self._issue_url(record, comment.number),
            "body": comment.body,
            "user": self.account(comment.author),
            "created_at": comment.created_at,
            "updated_at": comment.updated_at,
            "author_association": "CONTRIBUTOR",
        }

    def review(self, record: RepositoryRecord, review: Review) -> Document:
        """``pull-request-review``."""
        url = f"{self._repository_url(record)}/pulls/{review.number}"
        html = f"{self.root_url}/{record.full_name}/pull/{review.number}#pullrequestreview-{review.id}"
        return {
            "id": review.id,
            "node_id": _node_id("PullRequestReview", review.id),
            "user": self.account(review.author),
            "body": review.body,
            "state": review.state,
            "html_url": html,
            "pull_request_url": url,
            "author_association": _association(self.store, record, review.author),
            "_links": {"html": {"href": html}, "pull_request": {"href": url}},
            "submitted_at": review.submitted_at,
            "commit_id": review.sha,
        }

    def pull_page(self, record: RepositoryRecord, pull: Pull) -> str:
        """The address of a pull request's page."""
        return f"{self.root_url}/{record.full_name}/pull/{pull.number}"

    @property
    def api(self) -> str:
        """Where the API begins."""
        return self.root_url + API_PREFIX

    def _repository_url(self, record: RepositoryRecord) -> str:
        return f"{self.api}/repos/{record.full_name}"

    def _issue_url(self, record: RepositoryRecord, number: int) -> str:
        return f"{self._repository_url(record)}/issues/{number}"

    def _side(self, record: RepositoryRecord, ref: str, sha: str) -> Document:
        owner = record.owner
        return {
            "label": f"{owner.login}:{ref}",
            "ref": ref,
            "sha": sha,
            "user": self.account(owner),
            "repo": self.repository(record),
        }


_REPOSITORY_URLS = {
    "archive": "/{archive_format}{/ref}",
    "assignees": "/assignees{/user}",
    "blobs": "/git/blobs{/sha}",
    "branches": "/branches{/branch}",
    "collaborators": "/collaborators{/collaborator}",
    "comments": "/comments{/number}",
    "commits": "/commits{/sha}",
    "compare": "/compare/{base}...{head}",
    "contents": "/contents/{+path}",
    "contributors": "/contributors",
    "deployments": "/deployments",
    "downloads": "/downloads",
    "events": "/events",
    "forks": "/forks",
    "git_commits": "/git/commits{/sha}",
    "git_refs": "/git/refs{/sha}",
    "git_tags": "/git/tags{/sha}",
    "hooks": "/hooks",
    "issue_comment": "/issues/comments{/number}",
    "issue_events": "/issues/events{/number}",
    "issues": "/issues{/number}",
    "keys": "/keys{/key_id}",
    "labels": "/labels{/name}",
    "languages": "/languages",
    "merges": "/merges",
    "milestones": "/milestones{/number}",
    "notifications": "/notifications{?since,all,participating}",
    "pulls": "/pulls{/number}",
    "releases": "/releases{/id}",
    "stargazers": "/stargazers",
    "statuses": "/statuses/{sha}",
    "subscribers": "/subscribers",
    "subscription": "/subscription",
    "tags": "/tags",
    "teams": "/teams",
    "trees": "/git/trees{/sha}",
}

_REPOSITORY_COUNTS = (
    *("forks", "forks_count", "network_count", "open_issues", "open_issues_count", "size", "stargazers_count"),
    *("subscribers_count", "watchers", "watchers_count"),
)

_REPOSITORY_FLAGS = (
    *("archived", "disabled", "has_discussions", "has_downloads", "has_pages", "has_projects", "has_wiki"),
    *("is_template", "allow_forking", "delete_branch_on_merge"),
)

_UNSIGNED: Document = {
    "verified": False,
    "reason": "unsigned",
    "signature": None,
    "payload": None,
    "verified_at": None,
}


def _association(store: Store, record: RepositoryRecord, account: Account) -> str:
    if account.id == record.owner.id:
        return "OWNER"
    return "NONE" if given_role(store, record, account) in (None, "none") else "COLLABORATOR"


def _mergeable_state(pull: Pull, *, mergeable: bool | None, blocked: bool) -> str:
    if pull.draft:
        return "draft"
    if blocked and mergeable:
        return "blocked"
    return {None: "unknown", True: "clean", False: "dirty"}[mergeable]


def _node_id(kind: str, identity: object) -> str:
    """An opaque name, unique in the forge; a long identity is digested."""
    digest = hashlib.sha256(str(identity).encode()).hexdigest()[:20] if isinstance(identity, str) else identity
    return base64.b64encode(f"{kind}:{digest}".encode()).decode()


def _signature(signature: Signature) -> Document:
    return {"name": signature.name, "email": signature.email, "date": api_time(signature.when)}


def api_time(moment: datetime) -> str:
    """A time as the API writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _quoted(url: str) -> str:
    return quote(url, safe="/:")
