"""Accounts: signing up and in, passwords, tokens; and that nobody learns who has one."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from tests.portal.visitors import PASSWORD

from brainscore_ops.database.account_tables import AccountTicket, ApiToken, PortalSession
from brainscore_ops.database.brainscore_tables import User
from brainscore_ops.database.ops_tables import OutboxMessage, now
from brainscore_ops.portal.sessions import browser_name


def django_pbkdf2(password: str, rounds: int = 1000) -> str:
    """As django.contrib.auth.hashers.PBKDF2PasswordHasher encodes it."""
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), b"salt", rounds)
    return f"pbkdf2_sha256${rounds}$salt${base64.b64encode(digest).decode()}"


def test_somebody_signs_up_by_a_mailed_link_and_is_signed_in(portal):
    visitor, address = portal.visitor(), "ada@example.org"
    answer = visitor.submit("/sign-up", email=address, name="Ada Example")
    assert "Look into your mail" in answer.text
    path = portal.link(address, "Finish signing up").removeprefix(portal.url)
    answer = visitor.post(
        "/choose-password",
        data={
            "_xsrf": visitor.token(path),
            "key": path.partition("key=")[2],
            "name": "Ada Example",
            "password": PASSWORD,
        },
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, "/account?said=welcome")
    assert "Ada Example" in visitor.get("/account").text
    assert portal.user(address).password.startswith("argon2$argon2id$")


def test_an_account_that_a_submission_by_mail_made_is_adopted_with_what_it_owns(portal):
    address = portal.make_user(password="!never-chosen")
    before = portal.user(address).id
    visitor = portal.visitor()
    visitor.submit("/sign-up", email=address.upper().replace("EXAMPLE.ORG", "example.org"), name="Ada")
    key = portal.link(address.upper().replace("EXAMPLE.ORG", "example.org"), "Finish").partition("key=")[2]
    visitor.submit("/choose-password", page=f"/choose-password?key={key}", key=key, name="Ada", password=PASSWORD)
    assert portal.user(address).id == before
    assert visitor.get("/account").status_code == 200


@pytest.mark.parametrize("stored", [django_pbkdf2(PASSWORD), "argon2"], ids=["pbkdf2_sha256", "argon2"])
def test_passwords_of_the_former_website_are_accepted_and_written_anew(portal, stored):
    if stored == "argon2":  # Django's own parameters, which differ from ours
        from argon2 import PasswordHasher

        stored = "argon2" + PasswordHasher(time_cost=1, memory_cost=8192, parallelism=8).hash(PASSWORD)
    address = portal.make_user(password=stored)
    visitor = portal.visitor()
    assert visitor.submit("/sign-in", email=address, password="something else").status_code == 422
    assert portal.user(address).password == stored
    assert visitor.submit("/sign-in", email=address, password=PASSWORD).status_code == 303
    renewed = portal.user(address).password
    assert renewed.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
    assert portal.visitor().submit("/sign-in", email=address, password=PASSWORD).status_code == 303


@pytest.mark.parametrize(
    ("path", "fields"), [("/sign-up", {"name": "Eve"}), ("/reset", {}), ("/sign-in", {"password": "wrong wrong wrong"})]
)
def test_no_answer_and_no_time_tells_whether_an_address_has_an_account(portal, path, fields):
    known = portal.make_user(password=django_pbkdf2(PASSWORD, rounds=300_000))
    answers, times = [], []
    for address in (known, f"nobody-{known}"):
        visitor = portal.visitor()
        token = visitor.token(path)
        began = time.monotonic()
        answer = visitor.post(path, data={"_xsrf": token, "email": address, **fields})
        times.append(time.monotonic() - began)
        text = re.sub(r'name="_xsrf" value="[^"]+"', "", answer.text).replace(address, "ADDRESS")
        answers.append((answer.status_code, text, sorted(set(answer.headers) - {"Date"})))
    assert answers[0] == answers[1]
    assert abs(times[0] - times[1]) < 0.3, times


def test_the_mail_tells_its_reader_what_the_page_tells_nobody(portal):
    known = portal.make_user()
    for address, path, subject in [
        (known, "/sign-up", "You have an account already"),
        (f"nobody-{known}", "/reset", "There is no account"),
    ]:
        portal.visitor().submit(path, email=address, name="Ada")
        assert portal.mail(address, subject)


def test_a_link_to_choose_a_password_is_good_once_and_for_a_time(portal):
    address, visitor = portal.make_user(), portal.visitor()
    visitor.submit("/reset", email=address)
    key = portal.link(address, "Choose a new password").partition("key=")[2]
    page = f"/choose-password?key={key}"
    with portal.database.session() as session:
        ticket = session.scalars(select(AccountTicket).where(AccountTicket.email == address)).one()
        assert key not in ticket.digest
        ticket.expires_at, kept = now() - timedelta(seconds=1), ticket.expires_at
    assert "too old" in visitor.get(page).text
    with portal.database.session() as session:
        session.execute(update(AccountTicket).where(AccountTicket.email == address).values(expires_at=kept))
    fields = {"_xsrf": visitor.token(page), "key": key, "password": "another good password"}
    assert visitor.post("/choose-password", data=fields).status_code == 303
    assert visitor.get(page).status_code == 422
    fields["_xsrf"] = visitor.token("/account")
    assert visitor.post("/choose-password", data={**fields, "password": "and yet another one"}).status_code == 422
    assert portal.visitor().submit("/sign-in", email=address, password="another good password").status_code == 303


def test_a_new_password_ends_every_session_and_is_told_by_mail(portal):
    member = portal.member()
    other = portal.visitor()
    other.submit("/sign-in", email=member.address, password=PASSWORD)
    answer = member.submit("/account/password", page="/account", current=PASSWORD, password="quite another password")
    assert answer.status_code == 303
    assert member.get("/account").status_code == 200
    assert other.get("/account").status_code == 303  # to sign in
    assert portal.mail(member.address, "Your password was changed")


def test_keys_stand_in_no_table_and_no_log(portal):
    member = portal.member()
    answer = member.submit("/account/tokens", page="/account", token_name="laptop", scopes=["read"], days="30")
    token = re.search(r'id="new-token">([^<]+)<', answer.text).group(1)
    member.submit("/reset", email=member.address)
    link_key = portal.link(member.address, "Choose a new password").partition("key=")[2]
    member.get(f"/choose-password?key={link_key}")
    keys = [token, link_key, member.session.cookies["session"]]
    portal.mail(member.address, "Choose a new password")
    with portal.database.session() as session:
        stored = "".join(
            str(row)
            for table in (PortalSession, AccountTicket, ApiToken, OutboxMessage)
            for row in session.execute(select(*table.__table__.columns))
        )
    log = portal.log.read_text()
    assert [key for key in keys if key in stored or key in log] == []
    assert token not in member.get("/account").text


def test_the_sessions_key_changes_when_somebody_signs_in_and_out(portal):
    visitor = portal.visitor()
    address = portal.make_user()
    visitor.session.cookies.set("session", "chosen-by-an-attacker")
    visitor.submit("/sign-in", email=address, password=PASSWORD)
    first = [cookie.value for cookie in visitor.session.cookies if cookie.name == "session"]
    assert "chosen-by-an-attacker" not in first[-1]
    visitor.session.cookies.clear()
    visitor.session.cookies.set("session", first[-1])
    assert visitor.get("/account").status_code == 200
    assert visitor.submit("/sign-out", page="/account").status_code == 303
    visitor.session.cookies.set("session", first[-1])
    assert visitor.get("/account").status_code == 303
    with portal.database.session() as session:
        digest = hashlib.sha256(first[-1].encode()).hexdigest()
        assert session.scalar(select(func.count()).where(PortalSession.digest == digest)) == 0


def test_who_tries_too_often_waits_and_others_do_not(portal):
    address, visitor = portal.make_user(), portal.visitor()
    token = visitor.token("/sign-in")
    with portal.database.session() as session:  # as if it had been tried fourteen times already
        from brainscore_ops.portal import rate_limits

        network = rate_limits.network_of(visitor.session.headers["X-Forwarded-For"])
        for _ in range(rate_limits.SIGN_INS_TO_ACCOUNT.times):
            rate_limits.count(session, rate_limits.SIGN_INS_TO_ACCOUNT, address, network)
    answer = visitor.post("/sign-in", data={"_xsrf": token, "email": address, "password": PASSWORD})
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert portal.visitor().submit("/sign-in", email=address, password=PASSWORD).status_code == 303


def test_who_was_shut_out_gets_in_no_more(portal):
    member = portal.member()
    with portal.database.session() as session:
        session.execute(update(User).where(User.email == member.address).values(is_active=False))
    assert member.get("/account").status_code == 303
    assert portal.visitor().submit("/sign-in", email=member.address, password=PASSWORD).status_code == 422
    member.submit("/reset", email=member.address)
    assert portal.mail(member.address, "There is no account")


def test_a_token_opens_what_its_scopes_say_until_it_is_deleted(portal):
    member = portal.member()
    answer = member.submit("/account/tokens", page="/account", token_name="ci", scopes=["submit"], days="30")
    token = re.search(r'id="new-token">([^<]+)<', answer.text).group(1)
    program = portal.visitor()
    program.session.headers["Authorization"] = f"Bearer {token}"
    assert program.get("/account").status_code == 403
    assert program.get("/sign-in").status_code == 303
    number = re.search(r"/account/tokens/(\d+)/delete", member.get("/account").text).group(1)
    stranger = portal.member()
    assert stranger.submit(f"/account/tokens/{number}/delete", page="/account").status_code == 404
    assert member.submit(f"/account/tokens/{number}/delete", page="/account").status_code == 303
    assert program.get("/sign-in").status_code == 401


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("short", "Expected at least 12"),
        ("aaaaaaaaaaaaaa", "Expected more than a few"),
        ("", "than your name or address"),
    ],
)
def test_a_weak_password_is_refused_with_what_is_wrong(portal, password, says):
    member = portal.member()
    fields = {"current": PASSWORD, "password": password or member.address}
    answer = member.submit("/account/password", page="/account", **fields)
    assert answer.status_code == 422
    assert says in answer.text


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1",
            "Safari on an iPhone",
        ),
        ("python-requests/2.34", "python-requests/2.34"),
        ("", "A program"),
    ],
)
def test_a_session_is_listed_by_what_its_owner_knows_the_browser_by(said, name):
    assert browser_name(said) == name
