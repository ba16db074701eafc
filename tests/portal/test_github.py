"""Signing in by an account on GitHub, as the embedded forge plays it."""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from sqlalchemy import select

from brainscore_ops import services
from brainscore_ops.database.ops_tables import ForgeAccount


@pytest.fixture
def octo(portal) -> str:
    """The login of somebody on the forge, whose address the site has never seen."""
    services.forge_store(portal.deployment).create_user("octo", "Octo Example", "octo@example.org")
    return "octo"


def away(visitor) -> str:
    """Where a visitor is sent to."""
    answer = visitor.get("/sign-in/github?next=/account")
    assert answer.status_code == 303
    return answer.headers["Location"]


def say(address: str, login: str) -> str:
    """Say on the forge's page who one is; the path on the site that it sends one back to."""
    assert login in requests.get(address, timeout=10).text
    back = requests.post(address, data={"login": login}, timeout=10, allow_redirects=False).headers["Location"]
    return urlsplit(back).path + "?" + urlsplit(back).query


def test_somebody_signs_in_with_github_and_is_the_same_person_the_next_time(portal, octo, page):
    page.goto("/account")
    page.get_by_role("link", name="Sign in with GitHub").click()
    page.get_by_role("button", name=re.compile(octo)).click()
    page.get_by_role("heading", name="Account").wait_for()
    assert "octo@example.org" in page.inner_text("main")
    visitor = portal.visitor()
    assert visitor.get(say(away(visitor), octo)).headers["Location"] == "/account"
    with portal.database.session() as session:
        assert len(session.scalars(select(ForgeAccount).where(ForgeAccount.login == octo)).all()) == 1


def test_an_account_of_the_confirmed_address_is_theirs(portal):
    address = portal.make_user()
    services.forge_store(portal.deployment).create_user("known", "Known Example", address)
    visitor = portal.visitor()
    visitor.get(say(away(visitor), "known"))
    assert address in visitor.get("/account").text


def test_an_answer_that_this_browser_did_not_ask_for_signs_nobody_in(portal, octo):
    theirs, mine = portal.visitor(), portal.visitor()
    back = say(away(mine), octo)
    assert theirs.get(back).status_code == 422
    assert theirs.get("/account").status_code == 303
    away(theirs)  # even while they are under way themselves
    assert theirs.get(back).status_code == 422


def test_a_code_is_good_once_and_with_its_verifier_alone(portal, octo):
    visitor = portal.visitor()
    address = away(visitor)
    assert parse_qs(urlsplit(address).query)["code_challenge_method"] == ["S256"]
    back, cookies = say(address, octo), visitor.session.cookies.copy()
    assert visitor.get(back).status_code == 303
    visitor.session.cookies = cookies
    assert visitor.get(back).status_code == 422
    thief = portal.visitor()
    own_state = parse_qs(urlsplit(away(thief)).query)["state"][0]
    stolen = re.search(r"code=([^&]+)", say(away(visitor), octo)).group(1)
    assert thief.get(f"/sign-in/github/back?code={stolen}&state={own_state}").status_code == 422


def test_who_was_shut_out_does_not_come_in_by_github(portal):
    address = portal.make_user(is_active=False, last_login=datetime(2026, 1, 1))  # noqa: DTZ001 - as the table has it
    services.forge_store(portal.deployment).create_user("closed", "Closed Example", address)
    visitor = portal.visitor()
    assert visitor.get(say(away(visitor), "closed")).status_code == 422
    assert visitor.get("/account").status_code == 303
