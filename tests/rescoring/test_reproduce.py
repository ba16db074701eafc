"""A score that is computed once more from what is recorded of it."""

import json
import shutil

import pytest
from sqlalchemy import update

from brainscore_ops.database.connection import Database
from brainscore_ops.database.ops_tables import ScoreProvenance

from .conftest import CONCRETENESS

pytestmark = pytest.mark.timeout(900)  # each drives several runbooks, on machines that have other things to do


def set_value(lab, identity, value):
    database = Database.of(lab.deployment)
    with database.session() as session:
        session.execute(update(ScoreProvenance).where(ScoreProvenance.identity == identity).values(value=value))
    database.close()


def test_a_score_comes_out_as_recorded_also_where_the_state_folder_was_lost(lab):
    row = lab.newest(CONCRETENESS)["word-length"]
    for folder in ("environments/environments", "environments/resolved", "locks", "checkouts", "results"):
        shutil.rmtree(lab.deployment.state / folder, ignore_errors=True)
    shutil.rmtree(lab.deployment.state / "library.git")
    found = lab.json("reproduce", str(row.score_id))
    assert found["reproduced"] is True
    assert found["numbers"]["value"] == {"recorded": row.value, "again": row.value, "same": True}
    assert (found["packages"], found["seed"]) == ({}, {"recorded": 0, "again": 0})
    assert found["environment_digest"] == row.environment_digest


def test_what_differs_is_told_and_the_exit_code_says_so(lab):
    row = lab.newest(CONCRETENESS)["word-length"]
    set_value(lab, row.identity, row.value + 0.25)
    try:
        ran = lab.command("reproduce", row.identity[:12])
        assert ran.returncode == 1
        assert "NOT REPRODUCED" in ran.stdout
        assert "DIFFERS" in next(line for line in ran.stdout.splitlines() if line.strip().startswith("value"))
    finally:
        set_value(lab, row.identity, row.value)


def test_an_unknown_score_is_a_usage_error(lab):
    assert lab.command("reproduce", "999999", "--tolerance", "-1").returncode == 2
    ran = lab.command("reproduce", "999999", "--json")
    assert (ran.returncode, json.loads(ran.stdout)["error"]["code"]) == (2, "unknown-score")
