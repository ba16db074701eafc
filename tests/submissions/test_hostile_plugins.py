"""A scoring run with plugins that mean harm: each ends with its reason, and the rest of the scores are as ever."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import select

from brainscore_ops.database.brainscore_tables import Model, Score
from brainscore_ops.database.ops_tables import ScoreProvenance
from brainscore_ops.errors import OpsError
from brainscore_ops.plugins.sandbox import Limits, MiB
from brainscore_ops.scoring import pair as scoring_pair
from brainscore_ops.scoring.pair import ScorePairParameters, build_environment, compute
from brainscore_ops.settings import RunSettings
from brainscore_ops.submissions import scoring_request
from brainscore_ops.submissions.life import timeline

from .conftest import ROOT

BENCHMARK = "VanEssen2013.functional-similarity"
HONEST = "structural-profile"
LIMITS = Limits(wall_seconds=20, memory_bytes=700 * MiB, processes=64, file_bytes=100 * MiB)

MODEL = """
from brainscore_example import model_registry

def load():
{body}

model_registry[{identifier!r}] = load
"""

RESULT = {
    "schema_version": 1, "model": HONEST, "benchmark": BENCHMARK, "benchmark_version": "1", "benchmark_parent": None,
    "benchmark_bibtex": None, "score": {"value": 1.0, "error": None, "ceiled": False}, "raw": 1.0, "ceiling": None,
    "ceiling_error": None, "comment": None, "raw_reference": None, "failure": None, "timings": {"total_seconds": 1.0},
    "peak_memory_bytes": 1, "python": "3", "packages": {},
}  # fmt: skip


def handing_in(text: str) -> str:
    """A model that writes a result by itself.

    :param text: a Python expression
    """
    return f"import os\nopen('/result/result.json', 'w').write({text})\nos._exit(0)"


# What the model does, the code of its failure, and what the reason says.
HOSTILE = {
    "forks": ("import os\nwhile True:\n    os.fork()", "process-limit", "more than the 64 processes"),
    "fills-the-disk": (
        ("import itertools, os\nfor number in itertools.count():\n"
        "    os.posix_fallocate(os.open(f'/result/{number}', os.O_CREAT | os.O_WRONLY), 0, 1 << 20)\n"),
        "disk-limit",
        "it filled /result",
    ),
    "fills-the-memory": ("kept = []\nwhile True:\n    kept.append(bytearray(10**7))", "out-of-memory", "700 MiB are allowed"),
    "prints": ("import os\nfor _ in range(1000):\n    os.write(1, b'x' * 10**6)", "output-limit", "more than 64 MiB"),
    "sleeps": (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(10**6)",
        "timeout",
        "longer than 20 s",
    ),
    "returns-nan": (
        ("import numpy\n"
        "from brainscore_example.benchmarks.vanessen2013 import benchmark\n"
        "from brainscore_example.model_interface import representation\n"
        "benchmark.normalize = lambda raw, ceiling: raw * float('nan')\n"
        "class Model:\n"
        "    identifier = 'returns-nan'\n"
        "    def represent(self, stimuli):\n"
        "        return representation(stimuli, numpy.eye(len(stimuli)))\n"
        "return Model()"),
        "scoring-crashed",
        "The score is nan: a finite number is expected",
    ),
    "hands-in-nan": (handing_in(repr(json.dumps(RESULT).replace("1.0", "NaN"))), "invalid-result", "NaN is no number"),
    "hands-in-much": (handing_in("'[' * 2_000_000"), "invalid-result", "at most 1048576 are expected"),
    "hands-in-anothers": (handing_in(repr(json.dumps(RESULT))), "invalid-result", f"it says it is of '{HONEST}'"),
    "hands-in-a-link": (
        "import os\nos.symlink('/etc/passwd', '/result/result.json')\nos._exit(0)",
        "invalid-result",
        "no file result.json",
    ),
    "reads-processes": (
        "import glob\nraise RuntimeError([open(path).read() for path in glob.glob('/proc/*/environ')])",
        "scoring-crashed",
        "PYTHONHASHSEED=0",
    ),
    "reads-the-home": (
        (
            "import os\nhome = sorted(os.listdir(os.path.expanduser('~')))\n"
            "raise RuntimeError(home, [path for path in {home!r} if os.path.exists(path)])"
        ),
        "scoring-crashed",
        "([], [])",
    ),
    "reads-the-others": (
        "import os\nraise RuntimeError([os.path.exists(path) for path in {private!r}])",
        "scoring-crashed",
        "[False, False, False, False, False]",
    ),
    "changes-the-shared": (
        ("import brainscore_example, numpy\nfailed = 0\n"
        "for module in (brainscore_example, numpy):\n"
        "    try:\n        open(module.__file__, 'a')\n    except OSError:\n        failed += 1\n"
        "raise RuntimeError(failed, 'were closed')"),
        "scoring-crashed",
        "(2, 'were closed')",
    ),
    "opens-a-socket": (
        "import socket\nsocket.create_connection(('192.0.2.1', 53), timeout=2)",
        "scoring-crashed",
        "Network is unreachable",
    ),
    "stays": (
        ("import os, subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', 'stayed-behind'], start_new_session=True)\n"
        "os.write(1, b'\\x1b]0;owned\\x07\\x1b[2J')\nraise RuntimeError('\\x1b[31mred')"),
        "scoring-crashed",
        "RuntimeError: red",
    ),
}  # fmt: skip


def execute(parameters: Mapping[str, Any], bounds: RunSettings) -> dict[str, Any] | None:
    """What the notebook ``score_pair`` does, without the notebook."""
    job = ScorePairParameters(**parameters)
    try:
        compute(job, build_environment(job, None), None)
    except OpsError as failure:
        return {**failure.as_dict(), "run_id": None}
    return None


@pytest.fixture(scope="module")
def environment(house):
    """What a worker finds: the deployment of the house, with small limits."""
    workspace = house.context.deployment.workspace
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAINSCORE_OPS_WORKSPACE", str(ROOT))
        patch.setenv("BRAINSCORE_OPS_STATE", str(workspace.state_root))
        patch.setenv("BRAINSCORE_OPS_OUTPUTS", str(workspace.outputs_root))
        patch.setattr(scoring_pair, "limits_of", lambda *_: LIMITS)
        yield


@pytest.fixture(scope="module")
def run(house, environment):
    """The run, once: all hostile models and an honest one on one benchmark."""
    state = house.context.deployment.state
    private = [
        str(state / name) for name in ("secrets.json", "results", "mirror", "environments/locks", "checkouts/another")
    ]
    (state / "checkouts" / "another").mkdir(parents=True, exist_ok=True)
    home = [str(Path.home() / name) for name in (".bashrc", ".profile", ".ssh", ".config", ".cache", ".netrc")]
    files = {}
    for name, (body, _, _) in HOSTILE.items():
        body = body.replace("{home!r}", repr(home)).replace("{private!r}", repr(private))
        folder = name.replace("-", "_")
        code = MODEL.format(identifier=name, body="\n".join(f"    {line}" for line in body.splitlines()))
        files[f"models/{folder}/__init__.py"] = code
        files[f"models/{folder}/test.py"] = "def test_nothing():\n    pass\n"
    honest = ROOT / "examples" / "submissions" / HONEST
    for path in (honest / "models").rglob("*"):
        if path.is_file():
            files[str(path.relative_to(honest))] = path.read_text()
    free = shutil.disk_usage(state).free
    number = house.merged(files)
    target = scoring_request.find_target(house.context, number, "")
    plan = scoring_request.make_plan(house.context, target)
    plan = replace(plan, pairs=tuple(one for one in plan.pairs if one.benchmark == BENCHMARK))
    report = scoring_request.compute_pairs(house.context, plan, execute)
    scoring_request.record(house.context, target, plan, report)
    scoring_request.conclude(house.context, target, plan, report)
    assert free - shutil.disk_usage(state).free < 2_000_000_000  # environments, mostly
    return target.submission, {outcome.model: outcome for outcome in report.pairs}


@pytest.mark.parametrize("name", HOSTILE)
def test_each_ends_with_its_reason(run, name):
    _, outcomes = run
    _, code, said = HOSTILE[name]
    failure = outcomes[name].failure
    assert (failure["code"], failure["fault"]) == (code, "submission")
    assert said in failure["message"]
    assert len(failure["log"]) < 20_000
    assert "\x1b" not in json.dumps(failure)
    assert "s3cret" not in json.dumps(failure)


def test_the_rest_of_the_scores_is_intact(run, house):
    submission, outcomes = run
    assert outcomes[HONEST].state == "scored"
    assert 0.25 < outcomes[HONEST].result["value"] < 0.4
    with house.context.database.session() as session:
        rows = session.scalars(select(ScoreProvenance).where(ScoreProvenance.benchmark == BENCHMARK)).all()
        states = {row.model: row.state for row in rows if row.model in outcomes}
        assert states == {**dict.fromkeys(HOSTILE, "failed"), HONEST: "scored"}
        score = session.scalars(select(Score).join(Model).where(Model.name == HONEST)).one()
        assert score.score_ceiled == pytest.approx(outcomes[HONEST].result["value"])
    assert timeline(house.context.database, submission).state == "partly-scored"


def test_nothing_is_left_behind(run, house):
    assert [one for one in psutil.process_iter(["cmdline"]) if "stayed-behind" in (one.info["cmdline"] or [])] == []
    results = house.context.deployment.state / "results"
    found = {path.name for path in results.rglob("*") if path.is_file() and path.parent.name != "attempts"}
    locks = {".lock", ".claim.lock", ".attempt.lock"}
    assert found <= {"outcome.json", "result.json", "raw.npz", "log.txt", "claim"} | locks
    assert max(path.stat().st_size for path in results.rglob("log.txt")) < 20_000
