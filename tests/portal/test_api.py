"""The API: what it tells whom."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml
from tests.portal.visitors import Portal
from tests.scores.conftest import World

from brainscore_ops import scores
from brainscore_ops.portal import api
from brainscore_ops.portal.tokens import make_token
from brainscore_ops.scores.columns import SCORES

DESCRIPTION = yaml.safe_load((Path(api.__file__).parent / "openapi.yaml").read_text())


@pytest.fixture(scope="module")
def world(portal: Portal) -> Iterator[World]:
    """Three models on two benchmarks, in the portal's own domain."""
    made = World.make(portal.database, portal.deployment.library.domain)
    made.parent("api-neural")
    made.benchmark("api-words", parent="api-neural", ceiling=0.9)
    made.benchmark("api-hidden", parent="api-neural", visible=False)
    for name in ("api-one", "api-two", "api/three é"):
        made.model(name)
        made.score(name, "api-words", 0.5, error=0.1, raw=0.45, ceiling=0.9)
    made.failure("api-two", "api-words", "RuntimeError: out of memory")
    made.model("api-private", public=False)
    made.score("api-private", "api-words", 0.99)
    made.score("api-one", "api-hidden", 0.98)
    yield made
    made.remove()


def token(portal: Portal, address: str, *scopes: str) -> dict[str, str]:
    with portal.database.session() as session:
        made = make_token(session, portal.user(address).id, name="tests", scopes=scopes, days=1)
    return {"Authorization": f"Bearer {made}"}


def test_a_page_of_scores_has_the_columns_of_the_table(world: World, portal: Portal) -> None:
    first = portal.visitor().get(f"{api.ROOT}/scores?models=1").json()
    assert list(first["items"][0]) == list(SCORES.dtypes)
    assert first["next"].startswith(f"{portal.url}{api.ROOT}/scores?")
    answer = portal.visitor().get(f"{api.ROOT}/scores?model=api-two")
    (row,) = answer.json()["items"]
    assert (row["state"], row["reason"], row["value"]) == ("failed", "RuntimeError: out of memory", None)
    assert "Link" not in answer.headers


def test_pages_lead_to_everything_once(world: World, portal: Portal) -> None:
    visitor, seen, address = portal.visitor(), [], f"{api.ROOT}/scores?models=1"
    while address:
        answer = visitor.get(address)
        seen += [row["model"] for row in answer.json()["items"]]
        following = answer.json()["next"]
        assert (f'<{following}>; rel="next"' in answer.headers.get("Link", "")) == bool(following)
        address = following and following.removeprefix(portal.url)
    mine = [name for name in seen if name.startswith("api")]
    assert mine == ["api-one", "api-two", "api/three é"]
    assert visitor.get(f"{api.ROOT}/models/api%2Fthree%20%C3%A9").json()["model"] == "api/three é"


def test_strangers_see_nothing_private_and_staff_does(world: World, portal: Portal) -> None:
    paths = ("leaderboard", "models", "benchmarks", "scores", "scores.csv", "scores?model=api-private", "site")
    for headers in (
        {},
        token(portal, portal.make_user(), "read"),
        token(portal, portal.make_user(is_staff=True), "submit"),
    ):
        for path in paths:
            text = portal.visitor().get(f"{api.ROOT}/{path}", headers=headers).text
            assert "api-private" not in text, path
            assert "api-hidden" not in text, path
            assert "0.99" not in text, path
    for name in ("scores", "history", "runs", "canaries"):
        frame = pd.read_parquet(io.BytesIO(portal.visitor().get(f"{api.ROOT}/{name}.parquet").content))
        assert "api-private" not in frame.to_csv(), name
        assert "api-hidden" not in frame.to_csv(), name
    staff = token(portal, portal.make_user(is_staff=True), "read")
    assert "api-private" in portal.visitor().get(f"{api.ROOT}/scores?model=api-private", headers=staff).text


def test_what_is_known_already_is_not_sent_again(world: World, portal: Portal) -> None:
    for path in ("leaderboard", "models", "benchmarks", "scores", "site", "scores.parquet"):
        answer = portal.visitor().get(f"{api.ROOT}/{path}")
        again = portal.visitor().get(f"{api.ROOT}/{path}", headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b""), path


def test_the_whole_is_had_as_a_data_frame(world: World, portal: Portal) -> None:
    content = portal.visitor().get(f"{api.ROOT}/scores.parquet").content
    frame = pd.read_parquet(io.BytesIO(content))
    assert set(frame["model"]) >= {"api-one", "api-two"}
    assert list(scores.connect(portal.url).table().columns) == list(SCORES.dtypes)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("scores?models=0", 400, "bad-request"),
        ("leaderboard?page=x", 400, "bad-request"),
        ("models?page=1&page=2", 400, "bad-request"),
        ("models/nobody", 404, "not-found"),
        ("nothing", 404, "not-found"),
        ("submissions/999999999", 404, "not-found"),
        ("submissions", 401, "not-signed-in"),
    ],
)
def test_what_goes_wrong_is_told_as_a_problem(portal: Portal, path: str, status: int, code: str) -> None:
    answer = portal.visitor().get(f"{api.ROOT}/{path}")
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert problem["detail"]


def test_a_bad_token_is_refused_and_one_without_the_scope_too(portal: Portal) -> None:
    visitor = portal.visitor()
    bad = visitor.get(f"{api.ROOT}/site", headers={"Authorization": "Bearer bso_wrong"})
    assert (bad.status_code, bad.headers["WWW-Authenticate"]) == (401, "Bearer")
    reader = token(portal, portal.make_user(), "read")
    answer = visitor.post(
        f"{api.ROOT}/submissions", headers=reader, files={"archive": ("a.zip", b"PK", "application/zip")}
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "not-allowed")


def test_a_zip_that_is_not_in_order_is_refused_with_everything_that_is_wrong(portal: Portal) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("evil/setup.py", "print()")
        archive.writestr("../outside", "")
    sender = token(portal, portal.make_user(), "submit", "read")
    answer = portal.visitor().post(
        f"{api.ROOT}/submissions", headers=sender, files={"archive": ("bad.zip", file.getvalue(), "application/zip")}
    )
    assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json")
    assert answer.json()["problems"]


def test_the_page_for_people_names_every_path(portal: Portal) -> None:
    page = portal.visitor().get("/api").text
    assert all(path in page for path in DESCRIPTION["paths"])
