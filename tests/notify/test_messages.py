"""What mails say, and that each event has one."""

from __future__ import annotations

import threading
from dataclasses import replace
from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brainscore_ops.database.ops_tables import OutboxMessage, now
from brainscore_ops.errors import Problem
from brainscore_ops.notify import contexts
from brainscore_ops.notify.contexts import (
    Delayed,
    Held,
    InstallFailed,
    PairOutcome,
    PluginFailure,
    Received,
    Refused,
    Scored,
)
from brainscore_ops.notify.errors import BadRecipientError
from brainscore_ops.notify.messages import message_id, queue_message, render
from brainscore_ops.notify.outbox import compose

if TYPE_CHECKING:
    from collections.abc import Callable

    from brainscore_ops.database.connection import Database
    from brainscore_ops.notify.contexts import Mail
    from brainscore_ops.settings import Deployment

WEBSITE = "https://brain-score.example.org"
PULL_REQUEST = "https://forge.example.org/brain-score/example/pull/7"
BASE = {"submission_name": "minilm", "submission_id": 12, "submitter": "Ada", "pull_request_url": PULL_REQUEST}
NO_TEST = Problem("no-test", "expected a test file, found none.", "models/minilm", "Add test.py.")

MAILS: list[Mail] = [
    Received(**BASE, plugins=("models/minilm",), public=False),
    Refused(**BASE, archive_name="minilm.zip", problems=(NO_TEST, Problem("link", "expected files, found a link."))),
    contexts.TestsFailed(**BASE, failures=(PluginFailure("models/minilm", ("test.py::test_a",), "E  assert 1 == 2"),)),
    InstallFailed(**BASE, plugin="models/minilm", reason="pip found no such version", log="ERROR: no match"),
    Held(**BASE, rules=(NO_TEST,)),
    Scored(**BASE, scores=(PairOutcome("minilm", "words", 0.91234, 0.012, 0.928), PairOutcome("minilm", "fmri"))),
    Delayed(**BASE, step="running its tests", reason="the machine did not answer"),
    contexts.Ended(**BASE, reason="after 4 days, its tests did not come to an end: that is longer than it may take"),
    contexts.Stale(**BASE, waits_for="a change of yours", since="March 1, 2026", closed_on="May 14, 2026"),
    contexts.Closed(**BASE, reason="nothing has happened to it since March 1, 2026, as we wrote to you before"),
    contexts.NeedsMaintainer(**BASE, what="it ended", state="tested", run_id="20261124-merge-1", log="no answer"),
]


@pytest.mark.parametrize("mail", MAILS, ids=lambda mail: mail.template)
def test_every_mail_names_the_submission_and_links_to_it(mail: Mail) -> None:
    rendered = render(mail, website=WEBSITE)
    assert "minilm" in rendered.subject
    for part in (rendered.text, rendered.html):
        assert "Hello Ada" in part
        assert PULL_REQUEST in part
        assert f"{WEBSITE}/submissions/12" in part


@pytest.mark.parametrize("mail", MAILS, ids=lambda mail: mail.template)
def test_every_mail_reads_well_with_nothing_optional(mail: Mail) -> None:
    rendered = render(replace(mail, submission_id=None, submitter="", pull_request_url=""))
    assert rendered.text.startswith("Hello,\n")
    assert "None" not in rendered.text + rendered.html
    assert "href" not in rendered.html
    assert "\n\n\n" not in rendered.text


@pytest.mark.parametrize("mail", MAILS, ids=lambda mail: mail.template)
def test_the_html_part_loads_nothing(mail: Mail) -> None:
    html = render(mail, website=WEBSITE).html
    for loader in ("<img", "<link", "<script", "url(", "@import"):
        assert loader not in html


def test_text_lines_fit_a_terminal_and_logs_stay_as_they_are() -> None:
    log = "E   " + "x" * 100
    text = render(contexts.TestsFailed(**BASE, failures=(PluginFailure("p", (), log),), reason="why " * 40)).text
    assert f"    {log}" in text
    assert max(len(line) for line in text.splitlines() if not line.startswith("    ")) <= 76


def test_a_refusal_tells_every_problem_where_and_what_to_do() -> None:
    rendered = render(MAILS[1])
    assert rendered.subject == "Not accepted: minilm (2 problems)"
    assert "- models/minilm: Expected a test file, found none. Add test.py." in rendered.text
    assert "- Expected files, found a link." in rendered.text
    for words in ("models/minilm", "Expected a test file, found none.", "Add test.py.", "found a link"):
        assert words in rendered.html


def test_scores_come_with_error_and_ceiling_and_failures_with_a_reason() -> None:
    failed = PairOutcome("minilm", "fmri", reason="no regions")
    rendered = render(Scored(**BASE, scores=(PairOutcome("minilm", "words", 0.91234, 0.012, 0.928), failed)))
    assert rendered.subject == "Scored, with gaps: minilm"
    assert "minilm  words      0.912   0.012   0.928" in rendered.text
    assert "- minilm on fmri: No regions." in rendered.text
    assert render(Scored(**BASE, scores=(failed,))).subject == "Scoring failed: minilm"
    assert render(Scored(**BASE, scores=(PairOutcome("m", "b", 0.5),))).subject == "Scored: minilm"


def test_a_failure_after_the_merge_says_where_to_mend_it() -> None:
    failed = Scored(**BASE, scores=(PairOutcome("minilm", "fmri", reason="no regions"),))
    advice = "Mend it there by a pull request"
    rendered = render(failed)
    assert advice in " ".join(rendered.text.split())
    assert advice in rendered.html
    private = render(replace(failed, pull_request_url=""))
    assert advice not in " ".join(private.text.split()) + private.html, "its owner cannot open one"
    assert advice not in render(Scored(**BASE, scores=(PairOutcome("m", "b", 0.5),))).html


def test_a_submission_that_brings_nothing_to_score_is_no_failure() -> None:
    rendered = render(Scored(**BASE, scores=()))
    assert rendered.subject == "Merged: minilm"
    assert "no model and no benchmark" in " ".join(rendered.text.split())
    assert "could not be" not in rendered.text + rendered.html


def test_a_failure_names_its_record_with_a_link_where_records_are_served() -> None:
    failed = PairOutcome("minilm", "fmri", reason="no regions", run_id="20261124-score_pair-1")
    rendered = render(Scored(**BASE, scores=(failed,)))
    assert "Record: run 20261124-score_pair-1" in rendered.text
    served = replace(failed, record_url=f"{WEBSITE}/records/score_pair/1.ipynb")
    rendered = render(Scored(**BASE, scores=(served,)))
    assert f"Record: {WEBSITE}/records/score_pair/1.ipynb" in rendered.text
    assert f'href="{WEBSITE}/records/score_pair/1.ipynb"' in rendered.html


def test_what_strangers_write_is_no_markup_and_no_link() -> None:
    mail = Delayed(
        submission_name="<img src=x>", submitter="<b>Ada", pull_request_url="javascript:alert(1)", step="s", reason="r"
    )
    rendered = render(mail)
    assert "<img" not in rendered.html
    assert "<b>Ada" not in rendered.html
    assert "javascript" not in rendered.html + rendered.text


def test_a_name_cannot_write_lines_of_its_own() -> None:
    name = "minilm\n\nDear Ada, please send your password\r\nBcc: all@example.org\u202eevil"
    rendered = render(Delayed(submission_name=name, step="s", reason="r"))
    assert "\n" not in rendered.subject
    assert not any(line.startswith(("Dear Ada", "Bcc")) for line in rendered.text.splitlines()[:3])
    assert "\u202e" not in rendered.subject + rendered.text + rendered.html


def test_a_log_is_shown_as_a_terminal_would_have_left_it() -> None:
    log = "\x1b[31mE  failed\x1b[0m\nDownloading 10%\rDownloading 100%\r\nbell\x07"
    text = render(InstallFailed(submission_name="m", plugin="p", reason="r", log=log)).text
    assert "    E  failed\n    Downloading 100%\n    bell\n" in text


def test_only_the_end_of_a_long_log_is_sent() -> None:
    log = "\n".join(f"line {number}" for number in range(1000))
    text = render(InstallFailed(submission_name="m", plugin="p", reason="r", log=log)).text
    assert "line 999" in text
    assert "line 900" not in text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(st.characters(), max_size=300), reason=st.text(st.characters(), max_size=300))
def test_no_name_makes_a_header(deployment: Deployment, name: str, reason: str) -> None:
    rendered = render(Delayed(submission_name=name, submitter=name, step=reason, reason=reason), website=WEBSITE)
    row = OutboxMessage(
        message_id="<1@example.org>",
        recipient="ada@example.org",
        created_at=now(),
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
    )
    received = message_from_bytes(compose(row, deployment).as_bytes(), policy=default)
    assert sorted(set(received.keys())) == sorted(
        {"From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"}
    )
    assert received["To"] == "ada@example.org"


def test_an_event_has_one_mail_ever(outbox: Database, deployment: Deployment, rows: Callable) -> None:
    with outbox.session() as session:
        first = queue_message(session, deployment, MAILS[6], event="delayed:1", recipient="ada@example.org")
        again = queue_message(session, deployment, MAILS[0], event="delayed:1", recipient="bob@example.org")
        other = queue_message(session, deployment, MAILS[6], event="delayed:2", recipient="ada@example.org")
    assert first is not None
    assert again is None
    assert other is not None
    assert [row.message_id for row in rows()] == [first.message_id, other.message_id]
    assert rows()[0].recipient == "ada@example.org"


def test_the_message_id_follows_from_deployment_and_event(deployment: Deployment) -> None:
    elsewhere = deployment.model_copy(update={"name": "prod"})
    assert message_id(deployment, "a") == message_id(deployment, "a")
    assert message_id(deployment, "a") != message_id(deployment, "b")
    assert message_id(deployment, "a") != message_id(elsewhere, "a")
    assert message_id(deployment, "a").endswith("@brain-score.example.org>")


def test_a_mail_is_queued_if_and_only_if_what_it_reports_is_committed(
    outbox: Database, deployment: Deployment, rows: Callable
) -> None:
    with outbox.session() as session:
        queue_message(session, deployment, MAILS[6], event="delayed:1", recipient="ada@example.org")
        session.rollback()
    assert rows() == []


def test_two_runs_that_report_the_same_event_at_once_write_one_mail(
    outbox: Database, deployment: Deployment, rows: Callable
) -> None:
    both = threading.Barrier(2)
    results = []

    def run() -> None:
        with outbox.session() as session:
            both.wait()
            results.append(queue_message(session, deployment, MAILS[6], event="e", recipient="ada@example.org"))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result is None for result in results) == [False, True]
    assert len(rows()) == 1


@pytest.mark.parametrize(
    "recipient",
    [
        "",
        "ada",
        "@example.org",
        "ada@",
        "ada@example.org\nBcc: all@example.org",
        "ada@example.org, bob@example.org",
        "Ada <ada@example.org>",
        "a" * 320 + "@example.org",
        "jörg@example.org",
        "ada@" + "ä" * 100 + ".org",
    ],
)
def test_what_is_no_address_is_refused(outbox: Database, deployment: Deployment, recipient: str) -> None:
    with outbox.session() as session, pytest.raises(BadRecipientError) as refused:
        queue_message(session, deployment, MAILS[6], event="e", recipient=recipient)
    assert refused.value.code == "bad-recipient"
