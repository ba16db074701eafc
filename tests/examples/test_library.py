"""The example library, called directly: outside of everything else, in its own environment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from brainscore_ops.plugins.catalogue import read_catalogue
from brainscore_ops.plugins.tree import DirectoryTree

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Run = Callable[..., subprocess.CompletedProcess[str]]
    ScorePairs = Callable[..., list[dict[str, Any]]]

EXAMPLES = Path(__file__).parents[2] / "examples"
LIBRARY = EXAMPLES / "library"
CONCRETENESS, CONNECTIVITY, NAMING = (
    "Scott2019.concreteness-ridge",
    "VanEssen2013.functional-similarity",
    "Freeman2010.naming-ridge",
)
# Model, benchmark, and the range in which the score must lie.
EXPECTED = [
    ("random-features", CONCRETENESS, (-0.1, 0.1)),
    ("random-features", CONNECTIVITY, (-0.05, 0.05)),
    ("random-features", NAMING, (-0.15, 0.15)),
    ("word-length", CONCRETENESS, (0.1, 0.3)),
    ("word-length", CONNECTIVITY, (0.05, 0.25)),
    ("word-length", NAMING, (-0.05, 0.25)),
    ("structural-profile", CONCRETENESS, (0, 0)),
    ("structural-profile", CONNECTIVITY, (0.25, 0.4)),
    ("structural-profile", NAMING, (0, 0)),
]
CEILINGS = {CONCRETENESS: 0.926, CONNECTIVITY: 0.814, NAMING: 0.858}


@pytest.fixture(scope="module")
def pairs() -> list[tuple[str, str]]:
    return [(model, benchmark) for model, benchmark, _ in EXPECTED]


@pytest.fixture(scope="module")
def scores(score_pairs: ScorePairs, library_with_submissions: Path, pairs: list[tuple[str, str]]) -> dict[Any, Any]:
    return dict(zip(pairs, score_pairs(pairs, library_with_submissions), strict=True))


@pytest.mark.parametrize(("model", "benchmark", "limits"), EXPECTED)
def test_score_is_plausible(scores: dict[Any, Any], model: str, benchmark: str, limits: tuple[float, float]) -> None:
    score = scores[model, benchmark]
    assert limits[0] <= score["value"] <= limits[1]
    assert 0 <= score["error"] < 0.1
    assert score["ceiling"] == pytest.approx(CEILINGS[benchmark], abs=0.005)
    assert 0 < score["ceiling_error"] < 0.02


def test_score_is_the_raw_one_divided_by_the_ceiling(scores: dict[Any, Any]) -> None:
    for score in scores.values():
        assert score["value"] == pytest.approx(score["raw"] / score["ceiling"])
        assert score["error"] == pytest.approx(score["raw_error"] / score["ceiling"])
        assert score["raw"] == pytest.approx(sum(score["raw_values"]) / len(score["raw_values"]))


def test_raw_values_are_of_folds_and_of_subjects(scores: dict[Any, Any]) -> None:
    assert len(scores["word-length", CONCRETENESS]["raw_values"]) == 5
    assert len(scores["word-length", CONNECTIVITY]["raw_values"]) == 7


def test_scores_are_the_same_to_the_last_bit(
    scores: dict[Any, Any], score_pairs: ScorePairs, library_with_submissions: Path, pairs: list[tuple[str, str]]
) -> None:
    again = score_pairs(pairs[::-1], library_with_submissions)
    assert again[::-1] == list(scores.values())


def test_plugins_pass_their_tests(run_in_library: Run) -> None:
    tests = sorted(LIBRARY.glob("brainscore_example/*/*/test.py"))
    done = run_in_library("-m", "pytest", "-c", "/dev/null", "-p", "no:cacheprovider", *tests)
    assert done.returncode == 0, done.stdout


def test_the_failing_submission_fails_by_its_own_test(run_in_library: Run, library_with_submissions: Path) -> None:
    test = library_with_submissions / "brainscore_example/models/failing_test/test.py"
    done = run_in_library(
        "-m", "pytest", "-c", "/dev/null", "-p", "no:cacheprovider", test, checkout=library_with_submissions
    )
    assert done.returncode == 1
    assert "assert [[4.0]] == [[5.0]]" in done.stdout


def test_the_crashing_submission_passes_its_test_and_says_why_it_crashes(
    run_in_library: Run, library_with_submissions: Path
) -> None:
    test = library_with_submissions / "brainscore_example/models/crashing/test.py"
    tested = run_in_library(
        "-m", "pytest", "-c", "/dev/null", "-p", "no:cacheprovider", test, checkout=library_with_submissions
    )
    assert tested.returncode == 0, tested.stdout
    call = f"from brainscore_example import score; score('small-vocabulary', '{CONCRETENESS}')"
    scored = run_in_library("-c", call, checkout=library_with_submissions)
    assert scored.returncode == 1
    assert "the vocabulary of small-vocabulary has 3 words, and not 'abdomen'" in scored.stderr


def test_an_unknown_identifier_is_named(run_in_library: Run) -> None:
    done = run_in_library("-c", "from brainscore_example import load_model; load_model('nonsense')")
    assert "UnknownIdentifierError: no plugin in brainscore_example/models registers 'nonsense'" in done.stderr


def test_identifiers_that_are_no_literals_are_found_all_the_same(run_in_library: Run) -> None:
    # A constant, and a loop over a list: brainscore_core's search for text finds neither.
    code = "import brainscore_example as b; b.load_model('word-length'); b.load_dataset('VanEssen2013.structural')"
    assert run_in_library("-c", code).returncode == 0


def test_catalogue_of_the_library() -> None:
    catalogue = read_catalogue(DirectoryTree(LIBRARY), "brainscore_example").to_json()
    assert catalogue["problems"] == []
    assert set(catalogue["models"]) == {"random-features", "word-length"}
    assert set(catalogue["benchmarks"]) == {CONCRETENESS, CONNECTIVITY}
    assert set(catalogue["data"]) == {"Scott2019.concreteness", "VanEssen2013.structural", "VanEssen2013.functional"}


def test_every_data_set_states_its_source_and_is_small() -> None:
    data = [*LIBRARY.glob("brainscore_example/data/*/__init__.py"), *EXAMPLES.glob("submissions/*/data/*/__init__.py")]
    assert len(data) == 3
    for plugin in data:
        assert "| Licence |" in (plugin.parent / "SOURCE.md").read_text(encoding="utf-8")
        assert (plugin.parent / "derive.py").is_file()
    size = sum(path.stat().st_size for plugin in data for path in plugin.parent.iterdir() if path.is_file())
    assert size < 1_500_000
