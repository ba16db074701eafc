"""What protects the site: it has nothing of Jupyter's, headers, cookies, forms from elsewhere, proxies, what is not there."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from urllib.parse import urlsplit

import pytest
from jupyter_server.serverapp import JUPYTER_SERVICE_HANDLERS, load_handlers
from tests.portal.visitors import COMMAND, PASSWORD

from brainscore_ops.database.embedded import EmbeddedPostgres
from brainscore_ops.portal.address import Address
from brainscore_ops.portal.app import routes
from brainscore_ops.queue.jobs import JobState, cancel, enqueue, find_job, jobs

PATHS_OF_JUPYTER = [
    "/api",
    "/api/contents",
    "/api/contents/params/local.yaml",
    "/api/kernels",
    "/api/kernelspecs",
    "/api/sessions",
    "/api/terminals",
    "/api/config/notebook",
    "/api/nbconvert",
    "/api/security/csp-report",
    "/api/shutdown",
    "/api/resolvePath",
    "/api/spec.yaml",
    "/api/status",
    "/api/me",
    "/api/events/subscribe",
    "/files/params/local.yaml",
    "/view/params/local.yaml",
    "/nbconvert/html/x.ipynb",
    "/kernelspecs/python3/logo-64x64.png",
    "/login",
    "/logout",
    "/metrics",
    "/lab",
    "/notebooks/x.ipynb",
    "/tree",
    "/terminals/1",
    "/custom/custom.css",
    "/static/base/images/logo.png",
]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_nothing_of_jupyters_answers(portal, method):
    visitor = portal.visitor()
    token = visitor.token("/sign-in")
    answered = []
    for path in PATHS_OF_JUPYTER:
        answer = visitor.session.request(
            method, portal.url + path, timeout=20, headers={"X-XSRFToken": token}, allow_redirects=False
        )
        if answer.status_code not in {404, 405}:
            answered.append((path, answer.status_code))
    # The portal has a page of that name for people who look for its own API.
    assert [each for each in answered if each[0] not in {pattern for pattern, _ in routes()}] == []


def test_every_service_of_jupyters_is_among_these():
    patterns = {
        pattern
        for modules in JUPYTER_SERVICE_HANDLERS.values()
        for module in modules or []
        for pattern, *_ in load_handlers(module)
    }
    first = {pattern: "/".join(re.split(r"[/(]", pattern.removeprefix("/api"))[:2]) for pattern in patterns}
    assert {name for name in first.values() if not any(name in path for path in PATHS_OF_JUPYTER)} == set()


def test_a_websocket_is_not_opened(portal):
    where = urlsplit(portal.url)
    with socket.create_connection((where.hostname, where.port), timeout=10) as connection:
        connection.sendall(
            b"GET /api/kernels/1/channels HTTP/1.1\r\nHost: portal\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert b" 404 " in connection.recv(4096).splitlines()[0]


@pytest.mark.parametrize("path", ["/sign-in", "/no-such-page", "/static/portal.css", "/static/no-such-file"])
def test_every_answer_carries_what_protects_its_reader(portal, path):
    headers = portal.visitor().get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "Strict-Transport-Security" not in headers  # it is not reached by TLS here
    assert "Tornado" not in headers["Server"]


def test_with_tls_cookies_are_sent_by_no_other_way_and_set_by_no_other_host(portal):
    settings = portal.deployment.model_copy(
        update={"mail": portal.deployment.mail.model_copy(update={"website": "https://brain-score.example.org"})}
    )
    address = Address.of(settings, own_address=portal.url)
    assert address.secure
    assert address.cookie_options == {"httponly": True, "samesite": "Lax", "secure": True, "path": "/"}
    assert address.cookie_name("session") == "__Host-session"


def test_cookies_are_out_of_the_reach_of_scripts_and_of_other_sites(portal):
    visitor = portal.visitor()
    answer = visitor.submit("/sign-in", email=portal.make_user(), password=PASSWORD)
    set_cookie = answer.headers["Set-Cookie"]
    assert set_cookie.count("HttpOnly") == set_cookie.count("SameSite=Lax") == set_cookie.count("Path=/")


@pytest.mark.parametrize("path", ["/sign-in", "/sign-up", "/sign-out", "/account/tokens", "/submissions/1/visibility"])
def test_a_form_that_does_not_come_from_a_page_of_ours_is_refused(portal, path):
    member = portal.member()
    assert member.post(path, data={"email": "a@example.org", "password": "x"}).status_code == 403
    assert member.post(path, data={"_xsrf": portal.visitor().token("/sign-in")}).status_code == 403
    assert member.get("/account").status_code == 200


@pytest.mark.parametrize(
    "wanted", ["//evil.example.org", "/\\evil.example.org", "https://evil.example.org", "/\t/evil"]
)
def test_signing_in_leads_to_no_other_site(portal, wanted):
    visitor = portal.visitor()
    answer = visitor.submit("/sign-in", email=portal.make_user(), password=PASSWORD, next=wanted)
    assert answer.headers["Location"] == "/submissions"


def test_links_in_mails_begin_with_the_sites_own_address_whatever_a_visitor_calls_it(portal):
    address, visitor = portal.make_user(), portal.visitor()
    visitor.session.headers["Host"] = "evil.example.org"
    visitor.submit("/reset", email=address)
    assert portal.link(address, "Choose a new password").startswith(portal.url)
    assert "evil" not in portal.mail(address, "Choose a new password").as_string()


def test_a_visitors_address_is_taken_from_our_own_proxies_alone(portal):
    address = Address("https://x", secure=True, trusted_proxies=portal_networks("127.0.0.1", "10.0.0.0/8"))
    assert address.trusts("127.0.0.1")
    assert address.trusts("10.1.2.3")
    assert not address.trusts("198.51.100.7")
    assert not address.trusts("no address")


def portal_networks(*names: str):
    from ipaddress import ip_network

    return tuple(ip_network(name) for name in names)


@pytest.mark.parametrize("path", ["/staff", "/staff/runs", "/staff/submissions", "/staff/accounts", "/runs/any"])
def test_the_teams_pages_are_there_for_the_team_alone(portal, path):
    assert portal.visitor().get(path).headers["Location"].startswith("/sign-in?next=")
    assert portal.member().get(path).status_code == 404
    staff = portal.member(is_staff=True)
    assert staff.get(path).status_code == (404 if path == "/runs/any" else 200)


def test_staff_sets_quotas_and_a_superuser_what_others_may_do(portal):
    member, staff, chief = portal.member(), portal.member(is_staff=True), portal.member(is_superuser=True)
    user = portal.user(member.address).id
    page = f"/staff/accounts?search={member.address}"
    fields = {"user": user, "quota": "7"}
    assert staff.submit("/staff/accounts", page=page, **fields).status_code == 303
    assert "of 7 in the last" in member.get("/account").text
    assert staff.submit("/staff/accounts", page=page, **fields, rank="superuser").status_code == 403
    assert chief.submit("/staff/accounts", page=page, **fields, rank="staff").status_code == 303
    assert member.get("/account").status_code == 303, "what somebody may do changed: they sign in again"
    assert portal.user(member.address).is_staff


def test_the_first_superuser_is_named_at_the_shell(portal):
    member = portal.member()
    command = [COMMAND, "accounts", member.address, "--superuser", "--json"]
    said = subprocess.run(command, env=portal.environment, capture_output=True, text=True, check=True).stdout
    assert json.loads(said) == {"email": member.address, "rank": "superuser", "quota": None}
    member.submit("/sign-in", email=member.address, password=PASSWORD)
    assert member.get("/staff").status_code == 200


def test_a_database_that_is_away_is_said_in_words_that_name_nothing_of_ours(portal):
    member, server = portal.member(), EmbeddedPostgres(portal.deployment.state / "postgres")
    server.stop()
    try:
        answer = member.get("/account")
    finally:
        server.start()
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    assert "A service that this page needs does not answer" in answer.text
    assert str(portal.deployment.state) not in answer.text
    assert member.get("/account").status_code == 200


def test_the_server_takes_little_memory(portal):
    import psutil

    assert psutil.Process(portal.process.pid).memory_info().rss < 250e6


def test_the_team_cancels_a_job_and_asks_for_it_again(portal):
    staff, member = portal.member(is_staff=True), portal.member()
    number = enqueue(portal.deployment, "snapshot", {"if_older_than_days": 3}, by="test")
    assert member.submit(f"/staff/jobs/{number}/cancel", page="/account").status_code == 404
    assert "snapshot" in staff.get("/staff").text
    assert staff.submit(f"/staff/jobs/{number}/cancel", page="/staff").status_code == 303
    assert find_job(portal.deployment, number).state == JobState.CANCELLED
    assert staff.submit(f"/staff/jobs/{number}/cancel", page="/staff").status_code == 422
    assert staff.submit(f"/staff/jobs/{number}/retry", page="/staff").status_code == 303
    again = jobs(portal.deployment, subject="snapshot", states=[JobState.WAITING])
    assert [job.by for job in again] == [f"web:{staff.address}"]
    cancel(portal.deployment, again[0].id, "test")
