"""Who wants results alone says so by a link of any mail, or by the button of a mail program, and gets those and no others."""

from __future__ import annotations

from dataclasses import replace

import pytest
import requests
from sqlalchemy import text
from tests.reconcile.conftest import Place, metric

from brainscore_ops import services
from brainscore_ops.notify.contexts import Delayed, Scored
from brainscore_ops.notify.mailbox import ReceivedMail, read_mails
from brainscore_ops.submissions import mail
from brainscore_ops.submissions.context import Context
from brainscore_ops.submissions.life import find_life


@pytest.fixture
def ops(place: Place, portal_url: str) -> Context:
    settings = place.deployment.mail.model_copy(update={"website": portal_url})
    return replace(place.context, deployment=place.deployment.model_copy(update={"mail": settings}))


def write(ops: Context, submission: int, event: str) -> list[ReceivedMail]:
    """Have a mail of both kinds sent, and see which arrive."""
    with ops.database.session() as session:
        life = find_life(session, submission)
        about = {**mail.about(life), "submission_name": f"{life.name} {event}"}
        delayed = Delayed(**about, step="running its tests", reason="the cluster is away")
        mail.queue(session, ops.deployment, life, delayed, event=f"delayed-{event}")
        mail.queue(session, ops.deployment, life, Scored(**about, scores=()), event=f"scored-{event}")
    mail.deliver(ops)
    return [found for found in read_mails(services.mail_folder(ops.deployment)) if event in found.subject]


def test_one_click_stops_all_mails_but_results_and_the_page_brings_them_back(place: Place, ops: Context) -> None:
    with ops.database.session() as session:
        session.execute(text("TRUNCATE mail_choice"))
    submission = place.accepted(metric("mailed"))
    delayed, scored = write(ops, submission, "first")
    link = delayed.message["List-Unsubscribe"].strip("<>")
    assert delayed.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert link in delayed.text
    assert f'href="{link}"' in delayed.html
    assert scored.message["List-Unsubscribe"] is None, "results are sent in any case"
    assert link in scored.text

    page = requests.get(link, timeout=10)
    assert "all mails" in page.text
    assert page.headers["Referrer-Policy"] == "no-referrer"
    clicked = requests.post(link, data={"List-Unsubscribe": "One-Click"}, timeout=10)
    assert (clicked.status_code, clicked.text) == (200, "")
    assert [found.subject for found in write(ops, submission, "second")] == ["Merged: a submission second"]

    back = requests.post(link, data={"wanted": "all"}, timeout=10)
    assert "all mails" in back.text
    assert len(write(ops, submission, "third")) == 2


def test_a_link_that_is_none_of_ours_chooses_nothing(portal_url: str) -> None:
    link = f"{portal_url}/mails/{'x' * 43}"
    assert requests.get(link, timeout=10).status_code == 404
    assert requests.post(link, data={"List-Unsubscribe": "One-Click"}, timeout=10).status_code == 404
