"""Events: what a workflow was started by, checked before anything runs, and the runbook that it asks for.

A payload comes from a repository that strangers write to. It may say which pull request or submission is meant and nothing
else: not the deployment, no runbook, no path and no text. Every one of its fields is a number, a commit or the name of our own
repository.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from brainscore_ops.errors import Fault, Problem, RefusedError, UsageError
from brainscore_ops.submissions.context import open_deployment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from brainscore_ops.settings import Deployment

MOST_BYTES = 10 * 1024**2
"""Of an event's file; what GitHub writes there is far below."""

Number = Annotated[int, Field(gt=0, lt=2**31, strict=True)]
Repository = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]{0,99}/[\w.-]{1,100}$", strict=True)]
Flag = Annotated[bool, Field(strict=True)]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$", strict=True)]


class BadEventError(UsageError):
    """An event that is not what its workflow is started by; nothing was run."""

    code = "bad-event"


class ForeignEventError(RefusedError):
    """An event of a repository that is not this deployment's library."""

    code = "foreign-event"
    fault = Fault.OPERATOR


class Payload(BaseModel):
    """What an event says: the base of all payloads."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    runbook: ClassVar[str]
    """What it asks for."""

    repository: Repository | None = None
    """The library that it comes from; dispatched events name it, a person who starts a workflow need not."""

    def parameters(self) -> dict[str, Any]:
        """The runbook's parameters."""
        return self.model_dump(exclude={"repository"}, exclude_none=True)


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Branch(_Document):
    ref: Annotated[str, Field(max_length=1000)]


class _Pull(_Document):
    number: Number
    draft: Flag = False
    merged: Flag | None = None
    base: _Branch


class _Repository(_Document):
    full_name: Repository
    default_branch: Annotated[str, Field(max_length=1000)]


class _Told(_Document):
    """What is read of GitHub's own documents."""

    action: Annotated[str, Field(max_length=100)] = ""
    repository: _Repository
    pull_request: _Pull | None = None
    sha: Commit | None = None
    state: Annotated[str, Field(max_length=100)] = ""


class CreatePullRequest(Payload):
    """A submission was accepted."""

    runbook = "create_pr"
    submission: Number


class TestPlugins(Payload):
    """A pull request was opened, or its head moved."""

    __test__: ClassVar[bool] = False  # pytest: not a test
    runbook = "test_plugins"
    pull_request: Number


class Merge(Payload):
    """Something changed that the gate looks at: by its pull request, or by the head commit that got a status."""

    runbook = "merge"
    pull_request: Number | None = None
    sha: Commit | None = None

    @model_validator(mode="after")
    def _names_one(self) -> Merge:
        if (self.pull_request is None) == (self.sha is None):
            raise ValueError("expected either pull_request or sha")
        return self


class ScorePlugins(Payload):
    """A pull request was merged."""

    runbook = "score_plugins"
    pull_request: Number


class Migrate(Payload):
    """Somebody wants the database migrated; a rehearsal, unless it is said otherwise."""

    runbook = "migrate"
    dry_run: Flag = True
    repair: Flag = False


class Snapshot(Payload):
    """It is time for a snapshot."""

    runbook = "snapshot"


class Publish(Payload):
    """The leaderboard is to be published."""

    runbook = "publish"


class Reconcile(Payload):
    """It is time to look for what stands still."""

    runbook = "reconcile"


WORKFLOWS: Mapping[str, type[Payload]] = {
    "create_github_pr": CreatePullRequest,
    "test_plugins": TestPlugins,
    "automerge_plugin-only_prs": Merge,
    "score_new_plugins": ScorePlugins,
    "migrate": Migrate,
    "snapshot": Snapshot,
    "publish": Publish,
    "reconcile": Reconcile,
}
"""Workflow → what it is started by. A workflow's file, its name and the type of its dispatch are the same word."""


WEBHOOKS = frozenset({"pull_request", "pull_request_review", "status", "repository_dispatch"})
"""The events of a repository that a webhook has to ask for; others say nothing to us."""

BY_WEBHOOK = frozenset({"create_pr", "test_plugins", "merge", "score_plugins", "publish", "reconcile", "snapshot"})
"""What an event may have run without a person: a migration is none of it."""

TESTED_AFTER = frozenset({"opened", "reopened", "synchronize", "ready_for_review"})
"""What happens to a pull request that makes its tests run …"""
ASKED_AFTER = frozenset({"labeled", "unlabeled", "edited"})
"""… and what the gate's rules look at."""


@dataclass(frozen=True)
class Task:
    """A runbook to be run."""

    runbook: str
    parameters: Mapping[str, Any]


def read_event(path: Path) -> Any:
    """The document of an event's file.

    :raises BadEventError: it is missing, too long, or no JSON
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise BadEventError(f"expected an event of at most {MOST_BYTES:,} bytes, found more in {path}")
        return json.loads(content)
    except OSError as error:
        raise BadEventError(f"expected the event's document at {path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise BadEventError(f"expected JSON in {path}, found something else") from None


def parse_event(workflow: str, trigger: str, document: Any) -> Payload:
    """What a workflow was started by, as far as it may say something.

    :param trigger: GitHub's name of the event: ``repository_dispatch``, ``workflow_dispatch`` or ``schedule``
    :param document: GitHub's document of it
    :raises BadEventError: every problem at once
    """
    if workflow not in WORKFLOWS:
        raise BadEventError(f"expected the name of a workflow ({', '.join(WORKFLOWS)}), found {workflow[:100]!r}")
    if not isinstance(document, dict):
        raise BadEventError(f"expected a JSON object as the event, found {type(document).__name__}")
    match trigger:
        case "repository_dispatch":
            if document.get("action") != workflow:
                raise BadEventError(f"expected a dispatch of the type {workflow}, found another")
            given = document.get("client_payload")
        case "workflow_dispatch":
            given = _inputs(document.get("inputs") or {})
        case "schedule":
            given = {}
        case _:
            raise BadEventError(
                "expected repository_dispatch, workflow_dispatch or schedule as what started the workflow, "
                f"found {trigger[:50]!r}"
            )
    try:
        return WORKFLOWS[workflow].model_validate(given)
    except ValidationError as error:
        raise BadEventError(
            f"the event is none that {workflow} is started by",
            problems=[
                # What was found is a stranger's: its kind is told, and it is not repeated.
                Problem(
                    "bad-event", f"{issue['msg']}, found {type(issue['input']).__name__}", where=_place(issue["loc"])
                )
                for issue in error.errors(include_url=False)
            ],
            remedy="Correct the workflow that sent it; nothing was run.",
        ) from None


def parse_webhook(event: str, document: Any) -> Payload | None:
    """What a webhook asks for; None where it says nothing to us.

    Of GitHub's document only numbers, commits, and the names of what happened are read.

    :param event: ``X-GitHub-Event``
    :raises BadEventError: it is not made as GitHub makes it
    """
    if event not in WEBHOOKS:
        return None
    if event == "repository_dispatch" and isinstance(document, dict):
        if document.get("action") not in WORKFLOWS:
            return None  # whatever else listens to this repository
        asked = parse_event(str(document["action"]), event, document)
        return asked if asked.runbook in BY_WEBHOOK else None
    try:
        told = _Told.model_validate(document)
    except ValidationError as error:
        raise BadEventError(
            f"expected an event {event} as GitHub makes it",
            problems=[Problem("bad-event", issue["msg"], where=_place(issue["loc"])) for issue in error.errors()],
        ) from None
    repository = told.repository.full_name
    pull = told.pull_request
    if event == "status":
        merges = told.state == "success" and told.sha is not None
        return Merge(repository=repository, sha=told.sha) if merges else None
    if pull is None:
        raise BadEventError(f"expected an event {event} to name a pull request, found none")
    if event == "pull_request_review":
        return Merge(repository=repository, pull_request=pull.number)
    if told.action == "closed":
        # That one was closed is recorded where its tests would have run.
        return (ScorePlugins if pull.merged else TestPlugins)(repository=repository, pull_request=pull.number)
    if pull.draft or pull.base.ref != told.repository.default_branch:
        return None
    if told.action in TESTED_AFTER:
        return TestPlugins(repository=repository, pull_request=pull.number)
    return Merge(repository=repository, pull_request=pull.number) if told.action in ASKED_AFTER else None


def tasks_of(deployment: Deployment, payload: Payload, find_heads: Callable[[str], Sequence[int]]) -> list[Task]:
    """What is to be run; nothing where the event concerns no pull request.

    :param find_heads: gives the numbers of the open pull requests whose head is a commit; asked only where the event names one
    :raises ForeignEventError: it comes from another repository than the deployment's library
    """
    library, private = deployment.library.repository, deployment.library.private_repository
    given = (payload.repository or library).casefold()
    if private is not None and given == private.casefold():
        if isinstance(payload, TestPlugins | Merge | ScorePlugins) and payload.pull_request is not None:
            return [Task(payload.runbook, payload.parameters() | {"private": True})]
        return []
    if given != library.casefold():
        raise ForeignEventError(
            f"expected an event of {library}, found one of {payload.repository}",
            remedy="Send it to the deployment of that library.",
        )
    if isinstance(payload, Merge) and payload.sha is not None:
        return [Task("merge", {"pull_request": number}) for number in find_heads(payload.sha)]
    return [Task(payload.runbook, payload.parameters())]


def open_heads(deployment: str, sha: str) -> list[int]:
    """The numbers of the open pull requests of a deployment's library whose head is a commit."""
    context = open_deployment(deployment)
    try:
        return [pull.number for pull in context.forge.pull_requests("open") if pull.head_sha == sha]
    finally:
        context.database.close()


def _inputs(given: Any) -> Any:
    """A person's inputs: all are texts there, and an empty one was not given."""
    if not isinstance(given, dict):
        return given
    return {name: _input(value) for name, value in given.items() if value not in ("", None)}


def _input(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,10}", value):
        return int(value)
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _place(parts: Sequence[int | str]) -> str:
    """Where in the event; a name that is none of ours is not repeated at length."""
    return ".".join(str(part)[:40] for part in parts)
