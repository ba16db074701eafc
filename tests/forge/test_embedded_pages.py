"""The forge's pages: what people see of a repository and a pull request."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from brainscore_ops.forge.client import Person
from brainscore_ops.forge.embedded.access import protect, set_role
from brainscore_ops.forge.embedded.pages import Line, diff_lines
from brainscore_ops.forge.embedded.records import Protection

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
EVIL = "<script>alert(1)</script>"


@pytest.fixture
def page(forge: Any) -> Any:
    def page(path: str, status: int = 200) -> str:
        response = requests.get(f"{forge.server.url}/{forge.repository}{path}", timeout=30)
        assert response.status_code == status
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        return response.text

    return page


@pytest.fixture
def pull(forge: Any) -> Any:
    client = forge.client()
    files = {"library/new.py": f"x = '{EVIL}'\n".encode(), "library/data.bin": bytes(range(256))}
    author = Person(f"Ada {EVIL}", "ada@example.org")
    head = client.propose(
        branch="feature", base_sha=forge.base, files=files, message=f"Add {EVIL}", author=author, when=WHEN
    )
    pull = client.open_pull_request(
        branch="feature", title=f"Title {EVIL}", body=f"**Bold** {EVIL} <!-- hidden -->\n\n[x](javascript:alert(1))"
    )
    client.set_status(
        head, context="tests", state="failure", description=f"Bad {EVIL}", target_url="https://example.org/"
    )
    client.comment(pull.number, key="tests", body="A *comment*.")
    return client.pull_request(pull.number)


def test_a_pull_requests_page_shows_everything_and_runs_nothing(forge: Any, page: Any, pull: Any) -> None:
    assert pull.url == f"{forge.server.url}/{forge.repository}/pull/{pull.number}"
    text = page(f"/pull/{pull.number}")
    for shown in (
        "Title &lt;script&gt;",
        "<strong>Bold</strong>",
        "<em>comment</em>",
        "library/new.py",
        "library/data.bin",
        "x = &#x27;&lt;script&gt;",
        "Bad &lt;script&gt;",
        "https://example.org/",
        "Merges without conflicts",
        ">open<",
    ):
        assert shown in text
    assert "<script" not in text
    assert "javascript:" not in text
    assert "hidden" not in text
    assert "brainscore-ops: tests" not in text


def test_the_page_tells_what_became_of_a_pull_request(forge: Any, page: Any, pull: Any) -> None:
    merge_sha = forge.client().squash_merge(pull.number, head_sha=pull.head_sha, title="T", message="")
    text = page(f"/pull/{pull.number}")
    assert ">merged<" in text
    assert merge_sha[:7] in text
    assert "library/new.py" in text


def test_the_other_pages(forge: Any, page: Any, pull: Any) -> None:
    front = page("")
    assert "Title &lt;script&gt;" in front
    assert "README.md" in front
    assert "<script" not in front
    assert "A library." in page("/blob/main/README.md")
    assert "README.md" in page("/tree/main")
    assert "random" in page("/tree/main/library/models")
    assert "Add &lt;script&gt;" in page(f"/commit/{pull.head_sha}")
    assert page(f"/raw/{pull.head_sha}/library/new.py") == f"x = '{EVIL}'\n"
    assert forge.repository in requests.get(forge.server.url, timeout=30).text


def test_there_are_no_pages_of_what_is_not_there_or_private(forge: Any, page: Any) -> None:
    for path in ("/pull/99", "/blob/main/none", "/blob/main/../../forge.sqlite", "/commit/" + "1" * 40, "-none"):
        assert "404" in page(path, 404)
    forge.store.create_repository(forge.repository + "-private", private=True)
    page("-private", 404)


def test_lines_of_a_difference_are_numbered_on_both_sides() -> None:
    patch = "@@ -3,2 +3,3 @@ def f():\n same\n-old\n+new\n+--- more\n\\ No newline at end of file"
    assert diff_lines(patch) == [
        Line("hunk", None, None, "@@ -3,2 +3,3 @@ def f():"),
        Line("same", 3, 3, "same"),
        Line("removed", 4, None, "old"),
        Line("added", None, 4, "new"),
        Line("added", None, 5, "--- more"),
        Line("hunk", None, None, "No newline at end of file"),
    ]


def test_reviews_and_what_the_branch_asks_for_are_shown(forge: Any, page: Any, pull: Any) -> None:
    record, store = forge.store.repository(forge.repository), forge.store
    store.create_user("keeper", "Keeper", "keeper@example.org")
    set_role(store, record, "keeper", "maintain")
    protect(store, record, "main", Protection(contexts=("tests",), strict=False, approvals=1))
    theirs = forge.client(token=store.create_token("keeper"))._repository.get_pull(pull.number)
    theirs.create_review(body=f"Please **explain** {EVIL}", event="REQUEST_CHANGES")
    text = page(f"/pull/{pull.number}")
    assert "asked for changes to" in text
    assert "<strong>explain</strong>" in text
    assert EVIL not in text
    assert "Held by the branch's protection: Required status check &quot;tests&quot; is failing." in text
    theirs.create_review(event="APPROVE")
    assert f"approved <code>{pull.head_sha[:7]}</code>" in page(f"/pull/{pull.number}")
