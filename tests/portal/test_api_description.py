"""The API against its description, in every operation: asked as described, asked wrongly, and by forms that are none."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from tests.portal.test_api import DESCRIPTION, token, world
from tests.portal.test_uploads import archive
from tests.portal.visitors import Portal, eventually
from tests.scores.conftest import World

from brainscore_ops.portal import api

__all__ = ["world"]

METHODS = ("get", "post", "put", "patch", "delete")
OPERATIONS = [(path, method) for path, item in DESCRIPTION["paths"].items() for method in METHODS if method in item] + [
    (path, "get") for path, item in DESCRIPTION["paths"].items() if "$ref" in item
]
ALL_THE_SAME = settings(
    deadline=None, derandomize=True, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
"""The same requests every time, however slow the machine."""
ALL_SEND = settings(ALL_THE_SAME, max_examples=8)
SCHEMA = schemathesis.openapi.from_dict(DESCRIPTION)
BOUNDARY = "----brain"
schemathesis.openapi.media_type("application/zip", st.builds(archive))


@dataclass
class Api:
    """The API of the portal as its description has it, and somebody's program that asks it."""

    portal: Portal
    schema: schemathesis.BaseSchema
    headers: dict[str, str]
    """With a token that may do everything."""

    @property
    def where(self) -> dict[str, Any]:
        return {"base_url": self.portal.url + api.ROOT, "headers": self.headers, "timeout": 60}

    def ask(self, case: schemathesis.Case) -> int:
        """Send a request, and hold the answer against the description; the status."""
        answer = case.call_and_validate(**self.where)
        return answer.status_code


def can_be_asked_wrongly(operation: schemathesis.APIOperation) -> bool:
    """Whether the description excludes anything: every text is one that a model could be called, or an ETag."""
    parameters = [*operation.query, *operation.path_parameters]
    return bool(operation.body) or any(each.definition["schema"].get("type") == "integer" for each in parameters)


@pytest.fixture
def described(world: World, portal: Portal) -> Api:
    """With an account of its own for each test: there is a limit on what anybody may send in an hour."""
    schema = schemathesis.openapi.from_dict({**DESCRIPTION, "servers": [{"url": portal.url + api.ROOT}]})
    # Without a quota: what is in order is accepted.
    return Api(portal, schema, token(portal, portal.make_user(is_staff=True), "read", "submit"))


def test_what_is_described_is_there_and_what_is_there_is_described() -> None:
    described = {re.sub(r"\{\w+\}", "7", path) for path in DESCRIPTION["paths"]}
    patterns = [
        re.compile(pattern.removeprefix(api.ROOT) + "$") for pattern, _ in api.ROUTES if pattern.startswith(api.ROOT)
    ]
    for path in described:
        assert any(pattern.match(path) for pattern in patterns[:-1]), f"{path} has no route"
    for pattern in patterns[:-1]:
        assert any(pattern.match(path) for path in described), f"{pattern.pattern} is not described"


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_what_is_asked_as_described_is_answered_as_described(described: Api, path: str, method: str) -> None:
    statuses: Counter[int] = Counter()

    @ALL_SEND
    @given(case=described.schema[path][method].as_strategy())
    def check(case: schemathesis.Case) -> None:
        statuses[described.ask(case)] += 1

    check()
    # Of what has a name that was made up there is nothing; a number may be a submission's.
    assert statuses.keys() <= ({200, 404, 304} if "{" in path else {200, 201, 304}), statuses
    assert "{" in path or statuses[200] + statuses[201] > 0, statuses


@pytest.mark.parametrize(
    ("path", "method"), [each for each in OPERATIONS if can_be_asked_wrongly(SCHEMA[each[0]][each[1]])]
)
def test_what_is_asked_wrongly_is_refused_as_described(described: Api, path: str, method: str) -> None:
    statuses: Counter[int] = Counter()

    @ALL_SEND
    @given(
        case=described.schema[path][method].as_strategy(
            generation_mode=GenerationMode.NEGATIVE, headers=described.headers
        )
    )
    def check(case: schemathesis.Case) -> None:
        statuses[described.ask(case)] += 1

    check()
    assert statuses.keys() & {400, 404, 422}, statuses


def test_the_links_of_the_description_lead_where_they_say(described: Api) -> None:
    """A walk from answer to answer: whatever was sent in can be followed, and what is listed is there."""
    ways: Counter[tuple[str, int]] = Counter()

    class Walk(described.schema.as_state_machine()):
        def get_call_kwargs(self, case: schemathesis.Case) -> dict[str, Any]:
            return described.where

        def after_call(self, response: schemathesis.Response, case: schemathesis.Case) -> None:
            super().after_call(response, case)
            ways[case.operation.label, response.status_code] += 1

    Walk.run(settings=settings(ALL_THE_SAME, max_examples=6, stateful_step_count=5))
    assert ways["GET /submissions/{submission}", 200] > 0, ways
    assert ways["GET /models/{model}", 200] > 0, ways


def form(*parts: bytes) -> bytes:
    return b"".join(b"--%b\r\n%b\r\n" % (BOUNDARY.encode(), part) for part in parts) + b"--%b--\r\n" % BOUNDARY.encode()


FILE = b'Content-Disposition: form-data; name="archive"; filename="a.zip"\r\n\r\nPK\x03\x04'
NAME = b'Content-Disposition: form-data; name="name"\r\n\r\nWords'
RUBBISH = st.binary(max_size=40)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A form that something happened to on its way."""
    sent = form(*draw(st.permutations([FILE, NAME])))
    begin = draw(st.integers(0, len(sent)))
    end = draw(st.one_of(st.just(len(sent)), st.integers(begin, min(begin + 8, len(sent)))))
    return sent[:begin] + draw(RUBBISH) + sent[end:]


IS_FORM = f"multipart/form-data; boundary={BOUNDARY}"
TYPES = ["", "multipart/form-data", f"multipart/mixed; boundary={BOUNDARY}", 'multipart/form-data; boundary="\xff\xfe']
BODIES = st.one_of(
    damaged(),
    RUBBISH,
    st.lists(st.builds(b"%b\r\n\r\n%b".__mod__, st.tuples(RUBBISH, RUBBISH))).map(lambda all_: form(*all_)),
)


def send(described: Api, body: bytes, kind: str) -> int:
    """Send what no client makes, and hold the answer against the description; the status."""
    headers = {**described.headers, "Content-Type": kind.encode("latin-1")}
    answer = requests.post(described.where["base_url"] + "/submissions", data=body, headers=headers, timeout=60)
    described.schema["/submissions"]["POST"].validate_response(answer)
    return answer.status_code


def test_a_form_that_was_damaged_is_refused_as_described(described: Api) -> None:
    statuses: Counter[int] = Counter()

    @settings(ALL_THE_SAME, max_examples=40)
    @given(body=BODIES, kind=st.one_of(st.just(IS_FORM), st.sampled_from(TYPES)))
    def check(body: bytes, kind: str) -> None:
        statuses[send(described, body, kind)] += 1

    check()
    assert statuses.keys() == {400, 422}, statuses


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (form(NAME), IS_FORM, 400),
        (form(FILE, FILE), IS_FORM, 400),
        (form(*[NAME] * 31), IS_FORM, 400),
        (form(b"X-Long: " + b"x" * 100_000 + b"\r\n" + FILE), IS_FORM, 400),
        (form(FILE), "application/json", 400),
        (form(FILE), f"multipart/form-data; boundary={'x' * 500}", 400),
        (form(NAME + b"s" * 20_001, FILE), IS_FORM, 413),
        (form(FILE.replace(b"a.zip", b"../../../etc/passwd")), IS_FORM, 422),
        (form(FILE.replace(b"a.zip", b"\x00\xff\xfe" * 100)), IS_FORM, 422),
        (form(NAME.replace(b"Words", b"\x00\xff\xfe"), FILE), IS_FORM, 422),
    ],
    ids=[
        "no file",
        "two files",
        "many fields",
        "a long header",
        "no form",
        "a long boundary",
        "a long field",
        "a path",
        "a name that is none",
        "bytes",
    ],
)
def test_a_form_that_no_client_sends_is_refused_as_described(
    described: Api, body: bytes, kind: str, status: int
) -> None:
    assert send(described, body, kind) == status
    folder = described.portal.deployment.state / "uploads"
    assert eventually(lambda: not any(folder.iterdir())), "nothing is left of it"
