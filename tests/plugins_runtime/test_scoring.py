"""One pair's scoring: its score, and each way of having none."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from brainscore_ops.errors import Fault
from brainscore_ops.plugins.environment import Requirements
from brainscore_ops.plugins.result import parse_result
from brainscore_ops.plugins.sandbox import Limits, MiB, Sandbox
from brainscore_ops.plugins.scoring import PairFailedError, score_pair


@pytest.fixture
def scored(stub_library, bare_environment, sandbox, tmp_path):
    def run(body: str, limits: Limits | None = None, sandbox: Sandbox = sandbox, **settings):
        stub_library.add_model("m", body)
        return score_pair(
            bare_environment, stub_library.checkout, "brainscore_stub", "m", "half", sandbox=sandbox,
            limits=limits or Limits(wall_seconds=30), results=tmp_path / "results", **settings,
        )  # fmt: skip

    return run


@pytest.fixture
def refused(scored):
    def run(body: str, limits: Limits | None = None) -> PairFailedError:
        with pytest.raises(PairFailedError) as caught:
            scored(body, limits)
        assert pickle.loads(pickle.dumps(caught.value)).as_dict() == caught.value.as_dict()  # noqa: S301
        return caught.value

    return run


def test_a_score(scored, tmp_path, bare_environment):
    lines: list[str] = []
    result = scored("return 0.4", on_line=lines.append)
    assert result.score is not None
    assert (result.score.value, result.score.error, result.score.ceiled) == (0.5, 0.025, True)
    assert (result.raw, result.ceiling, result.ceiling_error) == (0.4, 0.8, 0.01)
    assert (result.benchmark_version, result.benchmark_parent) == ("2", "behavioral")
    assert "pytest" in result.packages
    assert result.measured is not None
    assert result.measured.sandboxed
    assert result.measured.environment_lock_digest == bare_environment.lock_digest
    assert "[score_pair] scoring m on half" in lines
    # What a driver finds that was not there when the pair ended:
    assert parse_result(tmp_path / "results" / "result.json", model="m", benchmark="half") == result


def test_only_what_was_checked_is_left(scored, tmp_path):
    scored("open('/result/junk', 'w').write('x'); open('junk', 'w'); return 0.4")
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["log.txt", "result.json"]


def test_an_earlier_result_does_not_stand_in(scored, refused, tmp_path):
    scored("return 0.4")
    refused("raise ValueError")
    assert not (tmp_path / "results" / "result.json").exists()


def test_without_a_sandbox_the_result_says_so(scored):
    result = scored("return 0.4", sandbox=Sandbox("none"))
    assert result.measured.sandboxed is False


def test_an_exception(refused):
    error = refused("raise ValueError('the words are missing')")
    assert (error.code, error.fault, error.exit_code) == ("scoring-crashed", Fault.SUBMISSION, 1)
    assert error.message == "Scoring failed: ValueError: the words are missing"
    assert "in predict" in error.log


@pytest.mark.parametrize("value", ["float('nan')", "float('inf')"])
def test_a_number_that_is_none(refused, value):
    assert "a finite number is expected" in refused(f"return {value}").message


@pytest.mark.parametrize(
    ("body", "limits", "code"),
    [
        ("while True: pass", Limits(wall_seconds=1), "timeout"),
        ("x = []\nwhile True: x.append(bytearray(10**7))", Limits(memory_bytes=150 * MiB), "out-of-memory"),
        ("while True: print('x' * 10**5)", Limits(output_bytes=10_000), "output-limit"),
        ("import os; os._exit(0)", None, "invalid-result"),
        ("import os; os._exit(7)", None, "scoring-crashed"),
        ("import os; os.kill(os.getpid(), 11)", None, "scoring-crashed"),
        ("import os; os.kill(os.getpid(), 9)", None, "killed"),
    ],
)
def test_an_end_by_force(refused, body, limits, code):
    error = refused(body, limits)
    assert error.code == code
    assert error.fault == (Fault.INFRASTRUCTURE if code == "killed" else Fault.SUBMISSION)


FORGED = {
    "schema_version": 1, "model": "m", "benchmark": "half", "benchmark_version": "2", "benchmark_parent": None,
    "benchmark_bibtex": None, "score": {"value": 1.0, "error": None, "ceiled": False}, "raw": 1.0, "ceiling": None,
    "ceiling_error": None, "comment": None, "raw_reference": None, "failure": None, "timings": {"total_seconds": 1.0},
    "peak_memory_bytes": 1, "python": "3", "packages": {},
}  # fmt: skip


@pytest.mark.parametrize(
    "forged",
    [
        json.dumps({**FORGED, "model": "somebody-else"}),
        json.dumps({**FORGED, "score": {"value": 1e9, "error": None, "ceiled": True}}),
        json.dumps({**FORGED, "raw_reference": {"file": "raw.npz", "bytes": 1, "sha256": "0" * 64}}),
        json.dumps(FORGED).replace("1.0", "NaN"),
        json.dumps({**FORGED, "comment": "x" * 2_000_000}),
    ],
)
def test_a_forged_result(refused, forged, tmp_path):
    body = f"import os\nopen('/result/result.json', 'w').write({forged!r})\nos._exit(0)"
    assert refused(body).code == "invalid-result"
    assert not (tmp_path / "results" / "result.json").exists()


def test_a_result_that_links_to_a_file_of_ours(refused, tmp_path):
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps(FORGED))
    body = f"import os\nos.symlink({str(secret)!r}, '/result/result.json')\nos._exit(0)"
    assert refused(body).code == "invalid-result"


def test_a_score_that_ends_with_a_failure(refused):
    body = f"import os\nopen('/result/result.json', 'w').write({json.dumps(FORGED)!r})\nos._exit(5)"
    assert refused(body).code == "invalid-result"


def test_our_measurements_are_not_taken_from_it(scored):
    numbers = {"wall_seconds": 0, "cpu_seconds": 0, "peak_memory_bytes": 7}
    forged = {**FORGED, "measured": {**numbers, "sandboxed": False, "environment_lock_digest": "0" * 64}}
    result = scored(f"import os\nopen('/result/result.json', 'w').write({json.dumps(forged)!r})\nos._exit(0)")
    assert result.measured is not None
    assert result.measured.sandboxed
    assert result.measured.peak_memory_bytes > 7


def test_the_repositorys_own_settings_are_out_of_sight(scored, stub_library):
    (stub_library.checkout / ".git").mkdir()
    (stub_library.checkout / ".git" / "config").write_text("token = s3cret")
    git = str(stub_library.checkout / ".git")
    assert scored(f"import os\nassert not os.path.exists({git!r})\nreturn 0.4").raw == 0.4


CORE_LIBRARY = """
from brainscore_core.metrics import Score
import numpy as np

class Benchmark:
    version, parent, bibtex = 3, "neural", "@article{core}"

def load_benchmark(identifier):
    return Benchmark()

def score(model_identifier, benchmark_identifier):
    values = Score([0.2, 0.4, 0.6], coords={"split": [0, 1, 2]}, dims=["split"])
    if model_identifier == "aggregated":
        return Score([0.4, 0.1], coords={"aggregation": ["center", "error"]}, dims=["aggregation"])
    raw = values.mean()
    raw.attrs["raw"] = values
    score = raw / 0.5
    score.attrs.update(raw=raw, ceiling=Score(0.5), error=0.05)
    return score
"""


def test_scores_of_brainscore_core(environment_store, sandbox, tmp_path):
    """The two ways in which Brain-Score's scores carry their numbers."""
    library = tmp_path / "checkout" / "brainscore_real"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text(CORE_LIBRARY)
    environment = environment_store.ensure(Requirements("brainscore_core==2.5.*\nboto3>=1.40\n", ()))

    def scored(model: str):
        return score_pair(
            environment, tmp_path / "checkout", "brainscore_real", model, "b",
            sandbox=sandbox, limits=Limits(), results=tmp_path / model,
        )  # fmt: skip

    ceiled, aggregated = scored("ceiled"), scored("aggregated")
    assert ceiled.score.value == pytest.approx(0.8)
    assert (ceiled.raw, ceiled.score.error, ceiled.ceiling) == (pytest.approx(0.4), 0.05, 0.5)
    assert ceiled.packages["brainscore-core"].startswith("2.5")
    assert (aggregated.score.value, aggregated.score.error, aggregated.score.ceiled) == (0.4, 0.1, False)

    import numpy as np

    with np.load(tmp_path / "ceiled" / "raw.npz", allow_pickle=False) as raw:
        assert raw["raw_raw"].tolist() == [0.2, 0.4, 0.6]
        assert raw["raw_raw.split"].tolist() == [0, 1, 2]
    assert not Path(tmp_path / "aggregated" / "raw.npz").exists()
