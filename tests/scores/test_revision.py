"""The cheap question whether anything changed that the leaderboard shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from brainscore_ops.scores.revision import scores_revision

if TYPE_CHECKING:
    from conftest import World


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE brainscore_score SET score_raw = 0.6 WHERE model_id IN (SELECT id FROM brainscore_model WHERE domain = :domain)",
        "DELETE FROM score_provenance WHERE benchmark LIKE :domain || '%'",
        "UPDATE brainscore_model SET public = false WHERE domain = :domain",
        "UPDATE brainscore_modelmeta SET model_family = 'other'",
        "UPDATE brainscore_benchmarktype SET visible = false WHERE domain = :domain",
        "UPDATE brainscore_benchmarkinstance SET ceiling = 0.5 WHERE benchmark_type_id LIKE :domain || '%'",
        "UPDATE brainscore_reference SET year = 1844",
    ],
)
def test_every_change_of_what_is_shown_is_another_revision(world: World, change: str) -> None:
    world.benchmark(f"{world.domain}.b", reference=("Ada", 1843, "https://example.org"))
    world.model("m", model_family="cnn")
    world.score("m", f"{world.domain}.b", 0.5)
    first = revision(world)
    assert revision(world) == first
    with world.database.session() as session:
        assert session.execute(text(change), {"domain": world.domain}).rowcount
    assert revision(world) != first


def test_a_new_score_is_another_revision(world: World) -> None:
    world.benchmark(f"{world.domain}.b")
    world.model("m")
    first = revision(world)
    world.score("m", f"{world.domain}.b", 0.5)
    assert revision(world) != first


def revision(world: World) -> str:
    with world.database.session() as session:
        return scores_revision(session)
