"""Scores as data frames: the same from a database, a folder and an address, filtered, aggregated and exported."""

from __future__ import annotations

import functools
import http.server
import json
import math
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from brainscore_ops import scores
from brainscore_ops.errors import OpsError
from brainscore_ops.scores.benchmark_tree import RULE, Benchmark, Node, leaf_weights, tree_means
from brainscore_ops.scores.columns import SCHEMAS
from brainscore_ops.scores.errors import (
    BadPublishedDataError,
    NoScoresError,
    NotPublishedError,
    SourceUnavailableError,
    UnknownNamesError,
    UnknownSourceError,
)
from brainscore_ops.scores.leaderboard import leaderboard
from brainscore_ops.scores.score_data import ScoreData
from brainscore_ops.scores.sources.database import DatabaseSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.scores.conftest import World


@pytest.fixture
def data(world: World) -> ScoreData:
    """Two groups, one of them with a version history; a failure, a pair that nobody tried, a private model."""
    v4, it, behavior = (f"{world.domain}.{name}" for name in ("V4", "IT", "behavior"))
    world.parent(f"{world.domain}.neural")
    world.benchmark(v4, parent=f"{world.domain}.neural", ceiling=0.9, ceiling_error=0.02, order=2)
    world.benchmark(it, parent=f"{world.domain}.neural", versions=(1, 2), order=1, reference=("Doe", 2019, ""))
    world.benchmark(behavior, order=3)
    world.model("alexnet", model_family="convnet", total_parameter_count=62_000_000)
    world.model("resnet")
    world.model("private", public=False)
    world.score("alexnet", v4, 0.4 + 0.1 * 0.1, raw=0.3, error=0.01, ceiling=0.85)
    world.score("alexnet", it, 0.3, version=1)
    world.score("alexnet", it, 0.35, version=2)
    world.score("resnet", v4, 0.6, ceiling=0.85)
    world.failure("resnet", it, "out of memory", version=2, reason_code="out-of-memory")
    world.score("resnet", behavior, 0.2)
    world.score("private", v4, 0.99)
    return ScoreData(DatabaseSource(world.database, world.domain, "the tests' database"))


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A web server that gives what is in tmp_path / "site"."""
    (tmp_path / "site").mkdir()
    handler = functools.partial(_Quiet, directory=tmp_path / "site")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_long_lists_of_an_api_are_read_page_by_page(data: ScoreData, tmp_path: Path, address: str) -> None:
    """An API as the website's, whose pages hold one item each, in an order of their own."""
    kept = data.save(tmp_path / "kept")
    api = tmp_path / "site" / "api" / "v1"
    api.mkdir(parents=True)
    for file in kept.glob("*.parquet"):
        (api / file.name).write_bytes(file.read_bytes())
    (api / "site").write_bytes((kept / "site.json").read_bytes())
    for name in ("benchmarks", "models"):
        _Quiet.pages[f"/api/v1/{name}"] = json.loads((kept / f"{name}.json").read_text())[::-1]
    found = scores.connect(address)
    for call in ("benchmarks", "models", "averages"):
        assert_frame_equal(getattr(found, call)(), getattr(data, call)(), check_exact=True)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    pages: ClassVar[dict[str, list[object]]] = {}

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path not in self.pages:
            return super().do_GET()
        items, place = self.pages[path], int(query.removeprefix("page=") or 0)
        following = f"https://elsewhere.example.org{path}?page={place + 1}" if place + 1 < len(items) else None
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"items": items[place : place + 1], "next": following}).encode())
        return None

    def log_message(self, *args: object) -> None:
        pass


def frames(data: ScoreData) -> dict[str, pd.DataFrame]:
    calls = ("table", "matrix", "averages", "history", "runs", "canaries", "benchmarks", "models")
    return {call: getattr(data, call)() for call in calls}


def test_every_source_gives_equal_frames(data: ScoreData, tmp_path: Path, address: str) -> None:
    expected = frames(data)
    data.save(tmp_path / "kept")
    data.save(tmp_path / "site" / "data")
    for source in (tmp_path / "kept", str(tmp_path / "kept"), tmp_path / "site", address, f"{address}/data"):
        found = frames(scores.connect(source))
        for call, frame in expected.items():
            assert_frame_equal(found[call], frame, check_exact=True)


def test_the_frames_have_the_columns_and_dtypes_that_are_documented(data: ScoreData, world: World) -> None:
    empty = ScoreData(DatabaseSource(world.database, "nothing", "an empty domain"))
    for name, schema in SCHEMAS.items():
        for of in (data, empty):
            found = getattr(of, name)()
            assert {column: str(dtype) for column, dtype in found.dtypes.items()} == schema.dtypes
        assert "meaning" in str(schema)
        assert "<table" in schema._repr_html_()


def test_the_table_is_of_the_newest_versions_that_the_public_sees(data: ScoreData, world: World) -> None:
    table = data.table()
    benchmarks = table["benchmark"].str.removeprefix(f"{world.domain}.")
    assert list(zip(table["model"], benchmarks, table["version"], strict=True)) == [
        ("alexnet", "IT", 2), ("alexnet", "V4", 1), ("resnet", "IT", 2), ("resnet", "V4", 1), ("resnet", "behavior", 1),
    ]  # fmt: skip
    assert len(data.table(version="all")) == 6


def test_filters(data: ScoreData, world: World) -> None:
    d = world.domain
    assert set(data.table(models="resnet")["model"]) == {"resnet"}
    assert set(data.table(benchmarks=[f"{d}.V4", f"{d}.behavior"])["benchmark"]) == {f"{d}.V4", f"{d}.behavior"}
    assert set(data.table(under=f"{d}.neural")["benchmark"]) == {f"{d}.V4", f"{d}.IT"}
    assert set(data.table(under=f"{d}.V4")["benchmark"]) == {f"{d}.V4"}
    assert data.table(state="failed")["reason_code"].tolist() == ["out-of-memory"]
    newest = data.table()["computed_at"].max()
    assert len(data.table(since=newest)) == 1
    assert data.table(since="2999-01-01").empty
    assert len(data.table(since="2000-01-01")) == 5
    assert set(data.history(models=["alexnet"])["model"]) == {"alexnet"}


def test_a_name_that_nothing_has_is_refused_with_those_that_come_close(data: ScoreData, world: World) -> None:
    with pytest.raises(UnknownNamesError, match="Did you mean alexnet") as raised:
        data.table(models=["alexnett", "resnet", "vgg"])
    assert [problem.where for problem in raised.value.problems] == ["alexnett", "vgg"]
    with pytest.raises(UnknownNamesError, match=f"{world.domain}.neural"):
        data.matrix(under=f"{world.domain}.neurl")
    with pytest.raises(UnknownNamesError):
        data.averages(models="private")


def test_the_matrix_is_the_leaderboard_in_the_order_of_ranks_and_tree(data: ScoreData, world: World) -> None:
    board = leaderboard(world.database, domain=world.domain)
    matrix = data.matrix()
    assert list(matrix.columns) == [f"{world.domain}.{name}" for name in ("IT", "V4", "behavior")]
    cells = {
        row.model: {of.identifier: cell.value for of, cell in zip(board.benchmarks, row.cells, strict=True)}
        for row in board.rows
    }
    expected = pd.DataFrame.from_dict(cells, orient="index", dtype="float64")[list(matrix.columns)]
    assert_frame_equal(matrix, expected, check_exact=True, check_names=False)
    assert matrix.attrs["rule"] == RULE


def test_averages_are_those_of_the_leaderboard_and_say_their_rule(data: ScoreData, world: World) -> None:
    board = leaderboard(world.database, domain=world.domain)
    averages = data.averages()
    assert list(averages.columns) == ["average", f"{world.domain}.neural"]
    for row in board.rows:
        [neural] = [mean for group, mean in zip(board.groups, row.means, strict=True) if group.path]
        assert averages.loc[row.model].tolist() == [row.average, neural]
    assert averages.attrs["rule"] == RULE
    # A failure and a pair that nobody tried count as 0.
    assert averages.loc["resnet"].tolist() == [(0.6 / 2 + 0.2) / 2, 0.6 / 2]
    assert data.averages(under=f"{world.domain}.neural").loc["resnet", "average"] == 0.6 / 2


trees = st.recursive(
    st.just(()), lambda below: st.lists(below, min_size=1, max_size=4).map(tuple), max_leaves=20
).filter(bool)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(trees, st.data())
def test_a_mean_lies_between_nothing_and_the_best_and_is_missing_only_without_a_score(shape, drawn) -> None:
    names = iter(range(10**6))

    def build(node) -> Node:
        name = f"n{next(names)}"
        return Node(name, tuple(map(build, node)), None if node else Benchmark(name, 1, None, None))

    tree = tuple(map(build, shape))
    leaves = [node.identifier for node in _leaves(tree)]
    scores_of = {name: drawn.draw(st.none() | st.floats(0, 1)) for name in leaves if drawn.draw(st.booleans())}
    matrix = pd.DataFrame([scores_of], ["model"], dtype="float64")
    known = matrix.max(axis=1).iloc[0]
    means = {path: of_models[0] for path, of_models in tree_means(tree, matrix).items()}
    for mean in means.values():
        assert math.isnan(mean) or 0 <= mean <= known + 1e-12
    assert math.isnan(means[()]) == math.isnan(known)
    weights = leaf_weights(tree)
    assert sum(weights.values()) == pytest.approx(1)
    if not math.isnan(known):
        assert means[()] == pytest.approx(sum(weights[name] * (value or 0) for name, value in scores_of.items()))


def _leaves(nodes: tuple[Node, ...]) -> Iterator[Node]:
    for node in nodes:
        yield from _leaves(node.children) if node.children else (node,)


def test_the_history_tells_what_counts(data: ScoreData, world: World) -> None:
    world.score("alexnet", f"{world.domain}.behavior", 0.5)
    world.score("alexnet", f"{world.domain}.behavior", 0.6)
    history = ScoreData(data.source).history(models="alexnet", benchmarks=f"{world.domain}.behavior")
    assert list(zip(history["value"], history["place"], strict=True)) == [(0.6, "counts"), (0.5, "superseded")]


def test_a_connection_is_of_one_moment(data: ScoreData, world: World) -> None:
    before = len(data.table())
    world.score("alexnet", f"{world.domain}.behavior", 0.5)
    assert len(data.table()) == before
    changed = data.table()
    changed["value"] = 0.0
    assert data.table()["value"].max() == 0.6


def test_parquet_and_arrow_carry_every_version_and_what_the_columns_mean(data: ScoreData, tmp_path: Path) -> None:
    file = data.to_parquet(tmp_path / "scores.parquet")
    read = pq.read_table(file)
    assert read.num_rows == 6
    assert read.schema.field("ceiling").metadata[b"unit"] == b"score"
    assert_frame_equal(pd.read_parquet(file), data.table(version="all"), check_exact=True)


def test_a_source_that_is_none_is_refused_with_what_would_be_one(tmp_path: Path, address: str) -> None:
    for source, said in (
        ("locl", "a deployment \\(.*local"),
        (tmp_path / "missing", "there is no folder"),
        (tmp_path, "found no site.json"),
        (address, "found no site.json"),
    ):
        with pytest.raises(UnknownSourceError, match=said):
            scores.table(source=source)
    with pytest.raises(SourceUnavailableError):
        scores.table(source="http://127.0.0.1:9")


def test_without_a_source_the_environment_names_one(data: ScoreData, tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(UnknownSourceError, match="BRAINSCORE_OPS_SCORES"):
        scores.table()  # this workspace has several deployments
    monkeypatch.setenv("BRAINSCORE_OPS_SCORES", str(data.save(tmp_path / "kept")))
    assert len(scores.table()) == 5


def test_damaged_published_data_is_refused_in_words(data: ScoreData, tmp_path: Path) -> None:
    folder = data.save(tmp_path / "kept")
    (folder / "scores.parquet").write_bytes(b"PAR1 no more")
    (folder / "runs.parquet").unlink()
    (folder / "benchmarks.json").write_text('[{"name": "V1"}]')
    kept = scores.connect(folder)
    with pytest.raises(BadPublishedDataError, match=r"scores\.parquet"):
        kept.table()
    with pytest.raises(BadPublishedDataError, match="lacks the columns benchmark"):
        kept.benchmarks()
    with pytest.raises(NotPublishedError, match=r"runs\.parquet"):
        kept.runs()
    (folder / "site.json").write_text("<html>")
    with pytest.raises(OpsError, match=r"site\.json"):
        scores.connect(folder)


def test_who_wants_scores_and_finds_none_is_told(world: World) -> None:
    with pytest.raises(NoScoresError, match=world.domain):
        ScoreData(DatabaseSource(world.database, world.domain, "an empty database")).insist()


def test_published_scores_need_no_database(data: ScoreData, tmp_path: Path) -> None:
    code = (
        "import sys; from brainscore_ops import scores; assert 'pandas' not in sys.modules; "
        f"print(len(scores.table(source={str(data.save(tmp_path / 'kept'))!r}))); "
        "print(sorted(m for m in sys.modules if m in ('sqlalchemy', 'psycopg2', 'papermill', 'dask')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["5", "[]"]
