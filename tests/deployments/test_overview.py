"""``brainscore-ops deployments``: what there is, without a secret's value."""

from __future__ import annotations

from pathlib import Path

import pytest

from brainscore_ops.database.schema import newest_revision

ROOT = Path(__file__).parents[2]


@pytest.fixture
def documents(house, server):
    house.keep("test/forge", {"api_url": "http://127.0.0.1:1/api/v3", "token": "ghp-very-secret"})
    (house.root / "params" / "prod.yaml").write_text((ROOT / "params" / "prod.yaml").read_text())
    (house.root / "params" / "odd.yaml").write_text("tier: nowhere\n")
    return house


def test_the_list_tells_tiers_and_where_secrets_are_and_leaves_services_alone(documents):
    found = {overview["name"]: overview for overview in documents.json("deployments")}
    assert {name: overview["tier"] for name, overview in found.items()} == {
        "trial": "test",
        "prod": "prod",
        "odd": None,
    }
    database, forge, mail = found["trial"]["services"]
    assert database["secret"] == "test/database"
    assert database["looked_for"] == [
        "the environment (BRAINSCORE_OPS_SECRET_TEST_DATABASE)",
        str(documents.workspace.state("trial") / "secrets.json"),
    ]
    assert database["found_in"] == database["looked_for"][1]
    assert (database["reachable"], forge["reachable"], mail["found_in"]) == (None, None, None)
    assert found["odd"]["problem"]["code"] == "bad-settings"


def test_production_is_listed_and_its_secrets_are_not_looked_for(documents):
    found = {overview["name"]: overview for overview in documents.json("deployments")}
    for service in found["prod"]["services"]:
        assert service["found_in"] is None
        assert "is not for a test" in service["says"]


def test_one_deployment_is_knocked_at(documents):
    database, forge, mail = documents.json("deployments", "trial")["services"]
    assert (database["reachable"], database["says"]) == (True, f"schema {newest_revision()}, marked test")
    assert forge["reachable"] is False
    assert mail["reachable"] is None
    assert "expected a secret named 'test/mail'" in mail["says"]


def test_no_value_of_a_secret_is_shown(documents, server):
    for arguments in (
        ["deployments"],
        ["deployments", "trial"],
        ["deployments", "--json"],
        ["deployments", "trial", "--json"],
    ):
        done = documents.command(*arguments)
        assert done.returncode == (4 if "trial" in arguments else 0), "the forge does not answer, where it is asked"
        for value in (server["password"], "ghp-very-secret"):
            assert value not in done.stdout + done.stderr


def test_a_name_is_needed_to_mark(documents):
    assert documents.command("deployments", "--mark").returncode == 2
