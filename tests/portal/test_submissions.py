"""Following a submission: who sees what of it, its visibility, its records; and the whole way, in a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select, update
from tests.portal.test_uploads import archive, number, send
from tests.portal.visitors import PASSWORD, Portal, Visitor

from brainscore_ops.database.brainscore_tables import Model
from brainscore_ops.database.ops_tables import Run, SubmissionEvent, SubmissionLife, now
from brainscore_ops.portal import submission_views
from brainscore_ops.queue.jobs import jobs
from brainscore_ops.runbooks.execution import run_runbook
from brainscore_ops.submissions.life import IN_WORDS, State

SECRET_LOG = "Traceback: what only its owner should see"


def submitted(portal: Portal, member: Visitor, **fields: str) -> int:
    return number(send(member, archive(), **fields))


def fail(portal: Portal, submission: int) -> None:
    """As a run of test_plugins leaves it; the page is what is looked at here."""
    with portal.database.session() as session:
        life = session.get_one(SubmissionLife, submission)
        life.state, life.reason_code, life.fault = State.TESTS_FAILED, "tests-failed", "submission"
        life.reason = "The tests of models/uploaded did not pass."
        session.add(
            SubmissionEvent(
                submission_id=submission,
                key="tests-failed:1",
                at=life.updated_at,
                state=State.TESTS_FAILED,
                message=life.reason,
                reason_code="tests-failed",
                fault="submission",
                log=SECRET_LOG,
            )
        )


def test_the_page_says_what_happened_why_and_what_to_do(portal):
    member = portal.member()
    page = f"/submissions/{submitted(portal, member)}"
    assert IN_WORDS[State.ACCEPTED] in member.get(page).text
    fail(portal, int(page.rpartition("/")[2]))
    text = member.get(page).text
    assert "The tests of models/uploaded did not pass." in text
    assert SECRET_LOG in text
    assert "Send a mended archive" in text
    assert "http-equiv" not in text, "it has ended: nothing is loaded again"


@pytest.fixture
def scored(portal) -> Iterator[tuple[Visitor, int, str]]:
    """A submission as a run leaves it that has said the last word, and has yet to close its record: owner, number, run."""
    member = portal.member()
    found, run = submitted(portal, member), f"score_plugins-of-{member.address}"
    with portal.database.session() as session:
        life = session.get_one(SubmissionLife, found)
        life.state, said = State.SCORED, IN_WORDS[State.SCORED]
        session.add(
            SubmissionEvent(submission_id=found, key="scored:1", at=now(), state=life.state, message=said, run_id=run)
        )
        session.add(
            Run(
                id=run, deployment="local", runbook="score_plugins", runbook_digest="0" * 64, code_version="1",
                parameters={}, triggered_by="test", host="here", process=1, started_at=now(), state="running",
            )
        )  # fmt: skip
    yield member, found, run
    with portal.database.session() as session:
        session.delete(session.get_one(Run, run))


def close(portal: Portal, run: str, submission: int) -> None:
    """As the end of a run is entered, which knows by then which submission it was about."""
    with portal.database.session() as session:
        session.execute(
            update(Run).where(Run.id == run).values(ended_at=now(), state="succeeded", submission_id=submission)
        )


def follows(visitor: Visitor, submission: int) -> bool:
    """Whether the page goes on looking for news."""
    return 'data-settled="no"' in visitor.get(f"/submissions/{submission}").text


def test_the_page_that_is_open_shows_the_record_of_the_run_that_said_the_last_word(portal, scored, page):
    member, found, run = scored
    sign_in(page, member.address)
    page.goto(f"/submissions/{found}")
    assert page.get_by_role("link", name="Record").count() == 0
    close(portal, run, found)
    page.get_by_role("link", name="Record").wait_for()  # nobody loads the page again
    assert page.locator("#submission").get_attribute("data-settled") == "yes"


def test_the_page_waits_for_a_record_that_its_reader_may_see_until_it_is_there_and_not_for_ever(portal, scored):
    member, found, run = scored
    assert follows(member, found)
    assert not follows(portal.visitor(), found), "to strangers it is final: they see no record"
    with portal.database.session() as session:
        mine = SubmissionEvent.submission_id == found
        session.execute(update(SubmissionEvent).where(mine).values(at=now() - submission_views.RECORDED_WITHIN))
    assert not follows(member, found), "a run whose process is gone closes no record"
    with portal.database.session() as session:
        session.execute(update(SubmissionEvent).where(mine).values(at=now()))
    close(portal, run, found)
    assert not follows(member, found)


def test_what_was_sent_can_be_had_again_by_its_owner_and_staff_alone(portal):
    member, sent = portal.member(), archive()
    hidden, shown = number(send(member, sent, public="no")), number(send(member, archive()))
    where = f"/submissions/{hidden}/archive"
    assert where in member.get(f"/submissions/{hidden}").text
    for allowed in (member, portal.member(is_staff=True)):
        answer = allowed.get(where)
        assert (answer.headers["Content-Type"], answer.content) == ("application/zip", sent)
    assert portal.member().get(where).status_code == 404
    assert portal.member().get(f"/submissions/{shown}/archive").status_code == 403
    assert where not in portal.visitor().get(f"/submissions/{shown}").text


def test_pages_are_compressed(portal):
    assert portal.visitor().get("/sign-in").headers["Content-Encoding"] == "gzip"


def test_strangers_see_the_steps_of_a_public_submission_and_neither_logs_nor_address(portal):
    member = portal.member()
    found = submitted(portal, member)
    fail(portal, found)
    for other in (portal.visitor(), portal.member()):
        text = other.get(f"/submissions/{found}").text
        assert IN_WORDS[State.ACCEPTED] in text
        assert SECRET_LOG not in text
        assert member.address not in text
        assert "Send a mended archive" not in text
    assert SECRET_LOG in portal.member(is_staff=True).get(f"/submissions/{found}").text


def test_a_private_submission_is_not_there_for_others(portal):
    member = portal.member()
    page = f"/submissions/{submitted(portal, member, public='no')}"
    assert member.get(page).status_code == 200
    assert portal.visitor().get(page).status_code == portal.member().get(page).status_code == 404
    assert portal.visitor().get("/submissions/999999").text == portal.visitor().get(page).text


def test_private_code_is_published_by_its_owner_and_its_scores_are_not_shown_before(portal):
    member, other = portal.member(), portal.member()
    found = submitted(portal, member, public="no")
    page = f"/submissions/{found}"
    assert member.submit(f"{page}/publish", page="/account").status_code == 403
    with portal.database.session() as session:
        session.get_one(SubmissionLife, found).state = State.SCORED
    assert member.submit(f"{page}/visibility", page="/account", public="yes").status_code == 403
    assert other.submit(f"{page}/publish", page="/account").status_code == 404, "they may not know of it"
    assert "Publish code and scores" in member.get(page).text
    assert member.submit(f"{page}/publish", page=page).status_code == 303
    assert "publish_submission" in [job.runbook for job in jobs(portal.deployment, subject=f"submission {found}")]


def test_my_submissions_are_mine(portal):
    member, other = portal.member(), portal.member()
    submitted(portal, member, name="Only Adas")
    assert "Only Adas" in member.get("/submissions").text
    assert "Only Adas" not in other.get("/submissions").text
    assert "not submitted anything" in other.get("/submissions").text


def test_the_owner_shows_and_hides_the_scores_at_any_time_and_nobody_else_does(portal):
    member, other = portal.member(), portal.member()
    found = submitted(portal, member)
    with portal.database.session() as session:
        life = session.get_one(SubmissionLife, found)
        name = life.identifiers["models"][0]
        session.add(
            Model(name=name, owner_id=life.submission.submitter_id, submission_id=found, domain="example", public=True)
        )
    page = f"/submissions/{found}"
    assert "Show them to me alone" in member.get(page).text

    def is_public() -> bool:
        with portal.database.session() as session:
            return session.scalars(select(Model.public).where(Model.name == name)).one()

    assert other.submit(f"{page}/visibility", page="/account", public="no").status_code == 403
    assert is_public()
    assert member.submit(f"{page}/visibility", page=page, public="no").status_code == 303
    assert not is_public()
    assert "Show them to everybody" in member.get(page).text
    assert member.submit(f"{page}/visibility", page=page, public="yes").status_code == 303
    assert is_public()


@pytest.fixture(scope="session")
def record(portal, tmp_path_factory) -> tuple[Visitor, Run]:
    """A run of intake of a submission, with its record; and the submission's owner."""
    member = portal.member()
    file = tmp_path_factory.mktemp("archive") / "recorded.zip"
    file.write_bytes(archive("recorded"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in portal.environment.items():
            patch.setenv(name, value)
        parameters = {"archive": str(file), "email": member.address, "name": "<script>alert(1)</script>"}
        result = run_runbook("intake", parameters, deployment="local", triggered_by="test")
    assert result.exit_code == 0, result.error
    with portal.database.session() as session:
        session.execute(update(Run).where(Run.id == result.id).values(submission_id=int(result.scraps["submission"])))
        return member, session.get_one(Run, result.id)


def test_a_record_is_a_page_for_its_owner_and_the_team(portal, record):
    owner, run = record
    for reader in (owner, portal.member(is_staff=True)):
        assert f'src="/runs/{run.id}/record"' in reader.get(f"/runs/{run.id}").text
        answer = reader.get(f"/runs/{run.id}/record")
        assert "An archive arrived" in answer.text
    for stranger in (portal.member(),):
        assert stranger.get(f"/runs/{run.id}").status_code == 404
        assert stranger.get(f"/runs/{run.id}/record").status_code == 404
    assert portal.visitor().get(f"/runs/{run.id}/record").status_code == 303


@pytest.fixture
def altered(portal, record) -> Iterator[None]:
    """The record, as somebody left it who wants to act in its reader's name."""
    path = portal.deployment.outputs / record[1].record_path
    notebook = path.read_text()
    path.chmod(0o600)
    path.write_text(notebook.replace("An archive arrived", "<script>document.title='acted'</script>An archive arrived"))
    yield
    path.write_text(notebook)


def test_a_record_is_served_so_that_nothing_in_it_acts_or_is_fetched_from_elsewhere(portal, record):
    owner, run = record
    answer = owner.get(f"/runs/{run.id}/record")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script" not in policy
    assert "<script>alert" not in answer.text, "what a submission is called is no markup"
    assert "https://" not in answer.text.partition("<body>")[0]


def test_a_script_in_a_record_does_not_run_and_the_page_says_that_the_record_was_changed(
    portal, record, altered, browser
):
    owner, run = record
    said: list[str] = []
    context = browser.new_context(base_url=portal.url)
    context.add_cookies([{"name": "session", "value": owner.session.cookies["session"], "url": portal.url}])
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"/runs/{run.id}/record")
    assert "An archive arrived" in page.inner_text("body")
    assert page.title() == run.id
    assert any("Blocked script execution" in each for each in said)
    page.goto(f"/runs/{run.id}")
    assert "expected the record" in page.inner_text("main")
    context.close()


def sign_in(page, address: str) -> None:
    page.goto("/sign-in")
    page.get_by_label("E-mail address").fill(address)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/submissions")


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 360)], ids=["a screen by day", "a phone by night"]
)
def test_no_page_keeps_people_from_using_it(portal, page, barriers, record, scheme, width):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 740})
    found = {}

    def visit(path: str) -> None:
        page.goto(path)
        found[path] = barriers(page)
        if (wide := page.evaluate("document.documentElement.scrollWidth")) > width:
            found[path].append(f"it is {wide} pixels wide")

    for path in ("/sign-in", "/sign-up", "/reset", "/account/address", "/no-such-page"):
        visit(path)
    staff = portal.member(is_superuser=True)
    mine = submitted(portal, staff)
    fail(portal, mine)
    sign_in(page, staff.address)
    for path in ("/submit", "/submissions", f"/submissions/{mine}", "/account", f"/runs/{record[1].id}"):
        visit(path)
    for path in ("/staff", "/staff/runs", "/staff/submissions", "/staff/accounts"):
        visit(path)
    assert {path: what for path, what in found.items() if what} == {}


def test_a_page_can_be_used_with_the_keyboard_alone_and_without_scripts(portal, browser):
    context = browser.new_context(
        base_url=portal.url, java_script_enabled=False, extra_http_headers={"X-Forwarded-For": "203.0.113.77"}
    )
    page, address = context.new_page(), portal.make_user()
    page.goto("/sign-in")
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "To the content"
    page.get_by_label("E-mail address").focus()
    page.keyboard.type(address)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/submissions")
    page.goto("/submit")
    page.get_by_label("Zip file").set_input_files({"name": "a.zip", "mimeType": "application/zip", "buffer": archive()})
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/submissions/*")
    assert page.locator("meta[http-equiv=refresh]").count() == 1
    context.close()
