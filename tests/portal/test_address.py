"""Another e-mail address for an account: asked for with the password, confirmed by a mailed link, and told to the present one."""

from __future__ import annotations

import re
import time
from datetime import timedelta

import pytest
from sqlalchemy import select, text, update
from tests.portal.test_uploads import archive, number, send
from tests.portal.visitors import NUMBERS, PASSWORD, Portal, Visitor

from brainscore_ops.database.account_tables import AccountTicket
from brainscore_ops.database.brainscore_tables import User
from brainscore_ops.database.ops_tables import OutboxMessage, now
from brainscore_ops.portal import rate_limits

CONFIRM = "Confirm your new address"


def fresh() -> str:
    return f"moved{next(NUMBERS)}@example.org"


def ask(member: Visitor, email: str, password: str = PASSWORD):
    return member.submit("/account/address", page="/account", new_email=email, address_password=password)


def link(portal: Portal, email: str) -> str:
    """Where the link in the mail to a new address leads."""
    return portal.link(email, CONFIRM).removeprefix(portal.url)


def follow(visitor: Visitor, path: str):
    return visitor.submit("/account/address/confirm", page=path, key=path.partition("key=")[2])


def users_of(portal: Portal, address: str) -> list[int]:
    with portal.database.session() as session:
        return list(session.scalars(select(User.id).where(User.email == address)))


def test_an_account_gets_the_address_when_the_link_that_was_mailed_there_is_followed(portal):
    member, new = portal.member(), fresh()
    old, account = member.address, portal.user(member.address).id
    elsewhere = portal.visitor()
    elsewhere.submit("/sign-in", email=old, password=PASSWORD)

    assert "Look into your mail" in ask(member, new).text
    path = link(portal, new)
    assert new in portal.mail(old, "is to have another address").get_body(("plain",)).get_content()
    assert users_of(portal, old) == [account], "nothing is changed yet"
    assert new in member.get(path).text
    assert users_of(portal, old) == [account], "looking at the link changes nothing"

    answer = follow(member, path)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/account?said=address")
    assert (users_of(portal, new), users_of(portal, old)) == ([account], [])
    assert new in member.get("/account").text, "this browser stays signed in"
    assert elsewhere.get("/account").status_code == 303, "others do not"
    assert portal.mail(old, "has another address now")
    assert portal.visitor().submit("/sign-in", email=new, password=PASSWORD).status_code == 303
    assert portal.visitor().submit("/sign-in", email=old, password=PASSWORD).status_code == 422


def test_mails_go_to_the_new_address_and_what_waits_in_the_outbox_where_it_was_addressed(portal):
    member, new = portal.member(), fresh()
    sent = archive()
    found = number(send(member, sent))
    portal.mail(member.address, "Received")
    with portal.database.session() as session:  # as a worker that took it in would leave the queue
        session.execute(
            text("DELETE FROM procrastinate_jobs WHERE args::text LIKE :who"), {"who": f"%{member.address}%"}
        )
        before = session.scalars(select(OutboxMessage.id).where(OutboxMessage.recipient == member.address)).all()
    ask(member, new)
    assert follow(member, link(portal, new)).status_code == 303
    with portal.database.session() as session:
        kept = session.scalars(select(OutboxMessage.id).where(OutboxMessage.recipient == member.address)).all()
    assert set(before) <= set(kept)
    assert number(send(member, sent)) == found, "the same archive from the same person is the same submission"
    send(member, archive())
    assert portal.mail(new, "Received")


def test_the_address_is_not_changed_while_an_archive_is_taken_in_that_came_from_the_present_one(portal):
    member, new = portal.member(), fresh()
    send(member, archive())
    ask(member, new)
    path = link(portal, new)
    answer = follow(member, path)
    assert (answer.status_code, "just being taken in" in answer.text) == (403, True)
    assert new in member.get(path).text, "the link is still good"


def test_the_password_is_asked_for_and_everything_that_is_wrong_is_said(portal):
    member = portal.member()
    answer = ask(member, "no address", "not the password")
    assert answer.status_code == 422
    assert "name@example.org" in answer.text
    assert "not your present password" in answer.text
    assert "your address already" in ask(member, member.address.upper()).text
    with portal.database.session() as session:
        account = portal.user(member.address).id
        assert session.scalars(select(AccountTicket).where(AccountTicket.user_id == account)).all() == []


def test_nobody_learns_whether_there_is_an_account_for_an_address(portal):
    taken, free = portal.make_user(), fresh()
    answers, times, members = [], [], [portal.member(), portal.member()]
    for member, address in zip(members, (taken, free), strict=True):
        token = member.token("/account")
        began = time.monotonic()
        fields = {"_xsrf": token, "new_email": address, "address_password": PASSWORD}
        answer = member.post("/account/address", data=fields)
        times.append(time.monotonic() - began)
        page = re.sub(r'name="_xsrf" value="[^"]+"', "", answer.text).replace(address, "ADDRESS")
        answers.append((answer.status_code, page, sorted(set(answer.headers) - {"Date"})))
    assert answers[0] == answers[1]
    assert abs(times[0] - times[1]) < 0.3, times
    # The mail tells its reader, who has the address; the asker's own mailbox tells no difference.
    assert portal.mail(taken, "This address has another account")
    assert portal.mail(free, CONFIRM)
    for member in members:
        assert portal.mail(member.address, "is to have another address")
    assert users_of(portal, taken) != [portal.user(members[0].address).id]


def test_a_link_to_confirm_is_good_once_for_a_time_and_for_its_own_account(portal):
    member, new = portal.member(), fresh()
    ask(member, new)
    path = link(portal, new)
    key = path.partition("key=")[2]
    with portal.database.session() as session:
        ticket = session.scalars(select(AccountTicket).where(AccountTicket.email == new)).one()
        assert key not in ticket.digest
        ticket.expires_at, kept = now() - timedelta(seconds=1), ticket.expires_at
    assert "too old" in member.get(path).text
    with portal.database.session() as session:
        session.execute(update(AccountTicket).where(AccountTicket.email == new).values(expires_at=kept))

    stranger = portal.member()
    assert "for another account" in stranger.get(path).text
    fields = {"_xsrf": stranger.token("/account"), "key": key}
    assert stranger.post("/account/address/confirm", data=fields).status_code == 422
    visitor = portal.visitor()
    assert "Sign in to your account" in visitor.get(path).text
    assert new not in visitor.get(path).text
    assert visitor.get(f"/choose-password?key={key}").status_code == 422, "it opens no other door"

    assert follow(member, path).status_code == 303
    assert member.get(path).status_code == 422
    assert key not in portal.log.read_text()


def test_a_new_password_makes_the_link_useless(portal):
    member, new = portal.member(), fresh()
    ask(member, new)
    path = link(portal, new)
    member.submit("/account/password", page="/account", current=PASSWORD, password="quite another password")
    assert member.get(path).status_code == 422


def test_an_address_that_somebody_else_has_got_meanwhile_is_not_given_twice(portal):
    member, new = portal.member(), fresh()
    ask(member, new)
    path = link(portal, new)
    portal.make_user(new)
    other = portal.user(new).id
    answer = follow(member, path)
    assert (answer.status_code, "Another account has got this address" in answer.text) == (422, True)
    assert users_of(portal, new) == [other]
    assert users_of(portal, member.address) != []


def test_who_asks_too_often_waits(portal):
    member = portal.member()
    with portal.database.session() as session:
        for _ in range(rate_limits.ADDRESS_CHANGES.times):
            rate_limits.count(session, rate_limits.ADDRESS_CHANGES, str(portal.user(member.address).id))
    answer = ask(member, fresh())
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (429, True)


@pytest.mark.parametrize("path", ["/account/address", "/account/address/confirm"])
def test_a_stranger_and_a_program_change_nobodys_address(portal, path):
    visitor = portal.visitor()
    data = {"_xsrf": visitor.token("/sign-in"), "new_email": fresh()}
    assert visitor.post(path, data=data).status_code == 401
