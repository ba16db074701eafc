"""Uploads: checked while their sender waits; large, slow, cut and simultaneous ones; and what counts against a quota."""

from __future__ import annotations

import io
import re
import socket
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select, update
from tests.portal.visitors import Portal, Visitor, eventually

from brainscore_ops.database.account_tables import Account
from brainscore_ops.database.ops_tables import SubmissionLife
from brainscore_ops.queue.jobs import jobs

NUMBERS = count(1)


def archive(name: str = "", **files: str) -> bytes:
    """A zip with a model that is in order, and more files."""
    name = name or f"uploaded{next(NUMBERS)}"
    contents = {
        f"models/{name}/__init__.py": "from brainscore_example import model_registry\n"
        f"model_registry['{name}'] = lambda: None\n",
        f"models/{name}/test.py": "def test_nothing():\n    pass\n",
        **files,
    }
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as file:
        for path, text in contents.items():
            file.writestr(path, text)
    return output.getvalue()


def send(visitor: Visitor, content: bytes, filename: str = "model.zip", **fields: str):
    return visitor.post(
        "/submit",
        data={"_xsrf": visitor.token("/account"), "name": "", "public": "yes", **fields},
        files={"archive": (filename, content, "application/zip")},
    )


def number(answer) -> int:
    assert answer.status_code == 303, answer.text
    return int(re.search(r"/submissions/(\d+)", answer.headers["Location"]).group(1))


def left_behind(portal: Portal) -> list[str]:
    folder = portal.deployment.state / "uploads"
    return [str(path) for path in folder.iterdir()] if folder.exists() else []


def nothing_is_left(portal: Portal) -> bool:
    return eventually(lambda: not left_behind(portal))  # it is removed when the answer is out


def test_a_good_archive_is_accepted_at_once_with_a_receipt_on_the_page_and_by_mail(portal):
    member = portal.member()
    answer = send(member, archive("my_model"), "my model.zip", name="My model")
    page = member.get(answer.headers["Location"]).text
    assert "Your submission is accepted" in page
    assert "models/my_model" in page
    assert portal.mail(member.address, "Received: My model")
    waiting = jobs(portal.deployment, subject=f"submission {number(answer)}")
    assert [job.runbook for job in waiting] == ["create_pr"]
    assert nothing_is_left(portal)


def test_everything_that_is_wrong_is_said_at_once_and_nothing_is_kept(portal):
    member = portal.member()
    bad = archive(
        **{"models/__init__.py/x": "", "evil.sh": "rm", "models/broken/__init__.py": "def (", "models/../up": ""}
    )
    answer = send(member, bad)
    assert answer.status_code == 422
    assert len(re.findall(r'class="code"', answer.text)) >= 3
    assert "evil.sh" in answer.text
    assert nothing_is_left(portal)


def test_the_same_archive_sent_again_is_the_same_submission(portal):
    member, content = portal.member(), archive()
    first, second = send(member, content), send(member, content)
    assert number(first) == number(second)
    assert "You sent this archive before" in member.get(second.headers["Location"]).text


def test_a_refused_archive_does_not_count_and_the_mended_one_is_accepted(portal):
    member = portal.member()
    assert send(member, archive(**{"evil.sh": "rm"})).status_code == 422
    assert "0 of 3" in member.get("/account").text
    number(send(member, archive()))
    assert "1 of 3" in member.get("/account").text


def test_the_quota_counts_what_was_accepted_and_gives_back_what_failed_by_our_fault(portal):
    member = portal.member()
    numbers = [number(send(member, archive())) for _ in range(3)]
    answer = send(member, archive())
    assert answer.status_code == 422
    assert "3 of 3 submissions" in answer.text
    with portal.database.session() as session:
        session.execute(
            update(SubmissionLife)
            .where(SubmissionLife.submission_id == numbers[0])
            .values(state="tests-failed", fault="infrastructure")
        )
    number(send(member, archive()))
    assert send(member, archive()).status_code == 422
    with portal.database.session() as session:  # by a person of the team, for this one
        session.execute(update(Account).where(Account.user_id == portal.user(member.address).id).values(quota=5))
    number(send(member, archive()))


def test_what_failed_by_our_fault_can_be_tried_again_by_its_owner(portal):
    member, stranger = portal.member(), portal.member()
    found = number(send(member, archive()))
    page = f"/submissions/{found}"
    assert "Try again" not in member.get(page).text
    with portal.database.session() as session:
        session.execute(
            update(SubmissionLife)
            .where(SubmissionLife.submission_id == found)
            .values(state="tests-failed", fault="infrastructure", pull_request=900 + found)
        )
    assert stranger.submit(f"{page}/again", page="/account").status_code == 403
    assert member.submit(f"{page}/again", page=page).status_code == 303
    assert "test_plugins" in [job.runbook for job in jobs(portal.deployment, subject=f"submission {found}")]


def test_uploads_at_once_of_one_person_use_the_quota_once_each(portal):
    member = portal.member()
    token = member.token("/account")

    def post(content: bytes) -> int:
        return member.post("/submit", data={"_xsrf": token}, files={"archive": ("a.zip", content)}).status_code

    with ThreadPoolExecutor(6) as pool:
        answers = sorted(pool.map(post, [archive() for _ in range(6)]))
    assert answers == [303, 303, 303, 422, 422, 422]
    assert nothing_is_left(portal)


def test_uploads_at_once_of_several_people_are_all_accepted_while_pages_are_served(portal):
    members = [portal.member() for _ in range(5)]
    slowest = [0.0]

    def watch(stop: threading.Event) -> None:
        visitor = portal.visitor()
        while not stop.is_set():
            began = time.monotonic()
            assert visitor.get("/sign-in").status_code == 200
            slowest[0] = max(slowest[0], time.monotonic() - began)

    stop = threading.Event()
    watcher = threading.Thread(target=watch, args=[stop])
    watcher.start()
    try:
        with ThreadPoolExecutor(5) as pool:
            assert len({number(answer) for answer in pool.map(lambda member: send(member, archive()), members)}) == 5
    finally:
        stop.set()
        watcher.join()
    assert slowest[0] < 5, "the event loop did not wait for an archive"


def test_a_file_over_the_limit_is_answered_with_a_page_that_says_so(portal):
    member = portal.member()
    answer = send(member, b"x" * 2_500_000)
    assert answer.status_code == 413
    assert "at most 2 MB" in answer.text
    assert nothing_is_left(portal)


def test_a_file_far_over_the_limit_is_not_even_read(portal):
    member = portal.member()
    head = request_head(portal, member, length=5_000_000_000)
    with connect(portal) as connection:
        connection.sendall(head)
        assert b" 413 " in connection.recv(4096)


def test_a_stranger_cannot_upload(portal):
    visitor = portal.visitor()
    answer = visitor.post("/submit", data={"_xsrf": visitor.token("/sign-in")}, files={"archive": ("a.zip", archive())})
    assert answer.status_code == 401
    assert nothing_is_left(portal)


def test_an_upload_from_another_site_is_refused(portal):
    member = portal.member()
    answer = member.post("/submit", data={}, files={"archive": ("a.zip", archive())})
    assert answer.status_code == 403
    assert nothing_is_left(portal)


@pytest.mark.parametrize("how", ["cut", "slow"])
def test_an_upload_that_is_cut_off_or_takes_too_long_leaves_nothing(portal, how):
    member = portal.member()
    body = form(member, archive())
    with connect(portal) as connection:
        connection.sendall(request_head(portal, member, length=len(body)) + body[: len(body) // 2])
        assert eventually(lambda: left_behind(portal)), "half of it has arrived"
        if how == "cut":
            connection.close()
        else:
            connection.settimeout(30)
            assert connection.recv(100) == b""  # the server hangs up
    assert nothing_is_left(portal)
    with portal.database.session() as session:
        owned = select(SubmissionLife).where(SubmissionLife.submission.has(submitter_id=portal.user(member.address).id))
        assert session.scalars(owned).all() == []


@pytest.mark.parametrize(
    "body",
    [b"", b"no form at all", b"--limit\r\nContent-Disposition: form-data; name=archive\r\n\r\n", b"--limit--\r\n"],
)
def test_what_is_no_form_is_refused_in_words(portal, body):
    member = portal.member()
    answer = member.post("/submit", data=body, headers={"Content-Type": "multipart/form-data; boundary=limit"})
    assert answer.status_code in {400, 403}
    assert "<h1" in answer.text
    assert nothing_is_left(portal)


@pytest.mark.parametrize(
    "name", ["../../../etc/passwd", "C:\\evil\\a.zip", ".htaccess", "x" * 400, "näme \x00\n.zip", ""]
)
def test_a_hostile_file_name_stays_a_name(name):
    from brainscore_ops.portal.uploads import safe_name

    safe = safe_name(name)
    assert "/" not in safe
    assert not safe.startswith(".")
    assert safe.isprintable()
    assert len(safe.encode()) < 200
    assert safe.endswith(".zip")


def connect(portal: Portal) -> socket.socket:
    where = urlsplit(portal.url)
    return socket.create_connection((where.hostname, where.port), timeout=10)


def form(member: Visitor, content: bytes) -> bytes:
    token = member.token("/account").encode()
    return (
        b'--limit\r\nContent-Disposition: form-data; name="_xsrf"\r\n\r\n'
        + token
        + b'\r\n--limit\r\nContent-Disposition: form-data; name="archive"; filename="a.zip"\r\n\r\n'
        + content
        + b"\r\n--limit--\r\n"
    )


def request_head(portal: Portal, member: Visitor, *, length: int) -> bytes:
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in member.session.cookies)
    return (
        f"POST /submit HTTP/1.1\r\nHost: portal\r\nCookie: {cookies}\r\nContent-Length: {length}\r\n"
        f"Content-Type: multipart/form-data; boundary=limit\r\n\r\n"
    ).encode()
