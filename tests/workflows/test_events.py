"""Events: what may start a runbook, and that nothing else does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainscore_ops.events import (
    WORKFLOWS,
    BadEventError,
    ForeignEventError,
    Merge,
    Payload,
    Publish,
    Task,
    TestPlugins,
    parse_event,
    read_event,
    tasks_of,
)
from brainscore_ops.settings import Workspace, load_deployment

ROOT = Path(__file__).parents[2]
SHA = "0123456789abcdef0123456789abcdef01234567"


def dispatched(workflow: str, **payload: Any) -> Payload:
    return parse_event(workflow, "repository_dispatch", {"action": workflow, "client_payload": payload})


def test_a_dispatch_names_what_is_meant() -> None:
    payload = dispatched("test_plugins", repository="brain-score/vision", pull_request=12)
    assert (payload.runbook, payload.parameters(), payload.repository) == (
        "test_plugins",
        {"pull_request": 12},
        "brain-score/vision",
    )
    assert dispatched("create_github_pr", submission=7).parameters() == {"submission": 7}
    assert dispatched("automerge_plugin-only_prs", sha=SHA).runbook == "merge"


def test_a_persons_inputs_are_texts() -> None:
    payload = parse_event("test_plugins", "workflow_dispatch", {"inputs": {"pull_request": "12", "repository": ""}})
    assert payload.parameters() == {"pull_request": 12}


def test_a_migration_is_a_rehearsal_unless_a_person_says_otherwise() -> None:
    assert parse_event("migrate", "workflow_dispatch", {"inputs": None}).parameters()["dry_run"] is True
    inputs = {"dry_run": "false", "repair": "true"}
    assert parse_event("migrate", "workflow_dispatch", {"inputs": inputs}).parameters() == {
        "dry_run": False,
        "repair": True,
    }
    with pytest.raises(BadEventError):
        parse_event("migrate", "workflow_dispatch", {"inputs": {"dry_run": "perhaps"}})


def test_a_schedule_says_nothing() -> None:
    assert parse_event("reconcile", "schedule", {"schedule": "*/20 * * * *"}).parameters() == {}
    with pytest.raises(BadEventError):
        parse_event("test_plugins", "schedule", {})


HOSTILE: list[Any] = [
    {},
    {"pull_request": 0},
    {"pull_request": -1},
    {"pull_request": 2**31},
    {"pull_request": 1.0},
    {"pull_request": True},
    {"pull_request": "1"},
    {"pull_request": "1; rm -rf /"},
    {"pull_request": "$(id)"},
    {"pull_request": "${{ secrets.TOKEN }}"},
    {"pull_request": [1]},
    {"pull_request": {"number": 1}},
    {"pull_request": None},
    {"pull_request": 1, "deployment": "prod"},
    {"pull_request": 1, "runbook": "migrate"},
    {"pull_request": 1, "__class__": "x"},
    {"pull_request": 1, "repository": "../../etc"},
    {"pull_request": 1, "repository": "a/b/c"},
    {"pull_request": 1, "repository": "a/b\n"},
    {"pull_request": 1, "repository": "a b/c"},
    {"pull_request": 1, "sha": SHA},
    [],
    "1",
    None,
]


@pytest.mark.parametrize("payload", HOSTILE, ids=lambda payload: json.dumps(payload)[:50])
def test_a_hostile_payload_runs_nothing(payload: Any) -> None:
    with pytest.raises(BadEventError) as caught:
        parse_event("test_plugins", "repository_dispatch", {"action": "test_plugins", "client_payload": payload})
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("sha", [SHA[:-1], SHA.upper(), SHA + "\n", "HEAD", "main", "--upload-pack=x", 12])
def test_a_commit_is_forty_digits(sha: Any) -> None:
    with pytest.raises(BadEventError):
        dispatched("automerge_plugin-only_prs", sha=sha)


def test_a_merge_is_asked_for_by_one_name() -> None:
    for payload in ({}, {"sha": SHA, "pull_request": 1}):
        with pytest.raises(BadEventError, match="either"):
            dispatched("automerge_plugin-only_prs", **payload)


def test_a_dispatch_of_another_type_is_not_ours() -> None:
    document = {"action": "score_new_plugins", "client_payload": {"pull_request": 1}}
    with pytest.raises(BadEventError, match="type"):
        parse_event("test_plugins", "repository_dispatch", document)


@pytest.mark.parametrize("trigger", ["pull_request_target", "push", "issue_comment", "", "workflow_call"])
def test_nothing_else_starts_a_workflow(trigger: str) -> None:
    with pytest.raises(BadEventError, match="expected repository_dispatch"):
        parse_event("reconcile", trigger, {})


def test_what_a_stranger_sent_is_not_repeated() -> None:
    with pytest.raises(BadEventError) as caught:
        dispatched("test_plugins", pull_request="::add-mask::\x1b[31m@everyone")
    assert "everyone" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(["pull_request", "submission", "sha", "repository", "deployment"])


@given(
    workflow=st.sampled_from(sorted(WORKFLOWS)),
    trigger=st.sampled_from(["repository_dispatch", "workflow_dispatch", "schedule"]),
    payload=JSON | st.dictionaries(NAMES, JSON, max_size=3),
)
def test_whatever_comes_is_a_number_of_ours_or_refused(workflow: str, trigger: str, payload: Any) -> None:
    document = {"action": workflow, "client_payload": payload, "inputs": payload}
    try:
        found = parse_event(workflow, trigger, document)
    except BadEventError:
        return
    assert found.runbook == WORKFLOWS[workflow].runbook
    assert found.parameters().keys() <= {"pull_request", "submission", "sha", "dry_run", "repair"}
    assert all(isinstance(value, int) for name, value in found.parameters().items() if name != "sha")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"x" * (10 * 1024**2 + 1)])
def test_a_file_that_is_no_event(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "event.json"
    path.write_bytes(content)
    with pytest.raises(BadEventError):
        read_event(path)
    with pytest.raises(BadEventError):
        read_event(tmp_path / "missing")


def test_an_event_of_the_private_repository_is_about_its_own_pull_requests() -> None:
    deployment = load_deployment("local", Workspace(ROOT, ROOT / "state", ROOT / "outputs"))
    private = deployment.library.private_repository
    asked: list[tuple[str, bool]] = []

    def heads(sha: str, private: bool) -> list[int]:
        asked.append((sha, private))
        return [4]

    about = {"pull_request": 3, "private": True}
    assert tasks_of(deployment, TestPlugins(repository=private, pull_request=3), heads) == [Task("test_plugins", about)]
    [merge] = tasks_of(deployment, Merge(repository=private, sha="a" * 40), heads)
    assert (merge.parameters, asked) == ({"pull_request": 4, "private": True}, [("a" * 40, True)])
    assert tasks_of(deployment, Publish(repository=private), heads) == []
    with pytest.raises(ForeignEventError):
        tasks_of(deployment, TestPlugins(repository="somebody/else", pull_request=3), heads)
