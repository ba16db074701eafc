"""The main job, end to end: what the example submissions leave in the database, in git, in the mailbox and in the records."""

from __future__ import annotations

import json
import re
import subprocess
from email.utils import parseaddr
from pathlib import Path

import nbformat
import pytest
from pandas.testing import assert_frame_equal
from sqlalchemy import func, select, text
from tests.shown import check_record

from brainscore_ops import scores
from brainscore_ops.database.brainscore_tables import BenchmarkInstance, Model, Score
from brainscore_ops.database.connection import Database
from brainscore_ops.database.ops_tables import OutboxMessage, Run, ScoreProvenance
from brainscore_ops.notify.mailbox import read_mails
from brainscore_ops.scores.score_data import ScoreData
from brainscore_ops.scores.sources.database import DatabaseSource

REPOSITORY = "brain-score/example"
GOOD = {"naming-times", "zipf-frequency", "minilm", "structural-profile"}
FAILING = {
    "failing-test": "tests-failed",
    "uninstallable": "tests-failed",
    "snooping": "tests-failed",
    "crashing": "scoring-failed",
}
MODELS = {"random-features", "word-length", "zipf-frequency", "minilm", "structural-profile"}
BENCHMARKS = {"Scott2019.concreteness-ridge", "VanEssen2013.functional-similarity", "Freeman2010.naming-ridge"}


def git(demo, *arguments):
    folder = demo.installation.deployment.state / "forge" / "repositories" / f"{REPOSITORY}.git"
    return subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, check=True).stdout


def mails_to(demo, name):
    submission = demo.status[name]["submission"]
    return [mail for mail in read_mails(demo.outputs / "mails") if f"submission {submission}," in mail.text]


def test_the_demo_ends_well_and_shows_the_leaderboard_and_where_things_are(demo):
    assert demo.finished.returncode == 0, demo.finished.stdout + demo.finished.stderr
    for words in ("Leaderboard: example", "minilm", "site/index.html", "records", "mails"):
        assert words in demo.finished.stdout


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_good_submission_is_scored(demo, name):
    timeline = demo.status[name]
    assert timeline["state"] == "scored"
    assert [event["state"] for event in timeline["events"]] == [
        "received", "accepted", "proposed", "tested", "merged", "scored",
    ]  # fmt: skip
    assert all(event["run_id"] for event in timeline["events"])


@pytest.mark.parametrize(("name", "state"), sorted(FAILING.items()))
def test_a_failing_submission_says_why_and_whose_fault_it_is(demo, name, state):
    timeline = demo.status[name]
    assert timeline["state"] == state
    assert timeline["fault"] == "submission"
    assert timeline["reason_code"]
    assert len(timeline["reason"]) > 20


def test_what_the_snooping_plugin_reached_for_was_not_there(demo):
    log = next(event["log"] for event in demo.status["snooping"]["events"] if event["log"])
    reached, missed = re.search(r"REACHED: (.*?) NOT REACHED: (.*)", " ".join(log.split())).groups()
    assert not re.search(r"network|secrets|other processes|file:", reached), reached
    assert all(what in missed for what in ("network: example.org:80", "secrets in the environment: none", "/.ssh"))


def test_every_hostile_archive_is_refused_with_its_problem_and_leaves_nothing(demo):
    manifest = json.loads((demo.installation.deployment.state / "demo" / "archives" / "manifest.json").read_text())
    hostile = [entry for entry in manifest if entry["expect"]["state"] == "refused"]
    assert len(hostile) >= 12
    for entry in hostile:
        timeline = demo.status[entry["name"]]
        assert timeline["state"] == "refused", entry["name"]
        assert entry["expect"]["code"] in timeline["reason"], entry["name"]
    kept = list((demo.installation.deployment.state / "archives").iterdir())
    assert len(kept) == len(GOOD) + len(FAILING)


def test_every_public_model_is_scored_on_every_benchmark_exactly_once(demo):
    with demo.installation.database().session() as session:
        rows = session.execute(
            select(Model.name, BenchmarkInstance.benchmark_type_id, func.count())
            .join(Score, Score.model_id == Model.id)
            .join(BenchmarkInstance, BenchmarkInstance.id == Score.benchmark_id)
            .where(Score.score_raw.is_not(None))
            .group_by(Model.name, BenchmarkInstance.benchmark_type_id)
        ).all()
    assert {(model, benchmark): count for model, benchmark, count in rows} == {
        (model, benchmark): 1 for model in MODELS for benchmark in BENCHMARKS
    }


def test_a_pair_that_crashed_has_a_row_with_its_reason(demo):
    with demo.installation.database().session() as session:
        failed = session.scalars(select(ScoreProvenance).where(ScoreProvenance.state == "failed")).all()
        assert {pair.model for pair in failed} == {"small-vocabulary"}
        assert {pair.benchmark for pair in failed} == BENCHMARKS
        assert all("vocabulary" in pair.reason and pair.fault == "submission" for pair in failed)
        assert all(pair.score.score_raw is None and "vocabulary" in pair.score.comment for pair in failed)


def test_scores_agree_with_a_direct_call_of_the_library(demo, tmp_path):
    """Outside of the system: a checkout, the environment's Python, and the library's own function."""
    state = demo.installation.deployment.state
    subprocess.run(
        ["git", "clone", "-q", state / "forge" / "repositories" / f"{REPOSITORY}.git", tmp_path / "library"], check=True
    )
    with demo.installation.database().session() as session:
        pairs = session.scalars(select(ScoreProvenance).where(ScoreProvenance.state == "scored")).all()
    assert {pair.sandboxed for pair in pairs} == {True}
    for pair in [pair for pair in pairs if pair.model in {"minilm", "word-length"}]:
        python = state / "environments" / "environments" / pair.environment_digest / "current" / "bin" / "python"
        code = (
            f"from brainscore_example import score; s = score({pair.model!r}, {pair.benchmark!r});"
            "print(repr([float(s), float(s.attrs['error']), float(s.attrs['ceiling'])]))"
        )
        environment = {
            "PYTHONPATH": str(tmp_path / "library"),
            "BS_INSTALL_DEPENDENCIES": "no",
            "PYTHONHASHSEED": "0",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        ran = subprocess.run(
            [python, "-W", "ignore", "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path
        )
        assert ran.returncode == 0, ran.stderr
        assert json.loads(ran.stdout) == pytest.approx([pair.value, pair.error, pair.ceiling], rel=1e-9)


def test_each_merge_is_one_commit_of_the_tested_head_with_its_base_recorded(demo):
    history = git(demo, "log", "--format=%H %P", "--first-parent", "main").split("\n")
    parents = dict(line.split(" ") for line in history if " " in line)
    for name in GOOD | {"crashing"}:
        timeline = demo.status[name]
        assert parents[timeline["merge_sha"]] == timeline["base_sha"]
        merged = git(demo, "diff", "--name-only", timeline["base_sha"], timeline["merge_sha"]).split()
        assert merged
        assert all(re.match(r"brainscore_example/(models|benchmarks|data|metrics)/\w+/", path) for path in merged)
    assert len(history) - 1 == len(GOOD) + 1 + 1  # the merges, and the library's first commit


def test_the_commit_of_a_submission_is_authored_by_its_submitter(demo):
    head = demo.status["zipf-frequency"]["head_sha"]
    assert git(demo, "show", "-s", "--format=%an <%ae>", head).strip() == "Ada Example <ada@example.org>"
    submission = demo.status["zipf-frequency"]["submission"]
    assert git(demo, "rev-parse", f"submission/{submission}").strip() == head


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_good_submission_gets_a_receipt_and_its_scores_by_mail(demo, name):
    subjects = [mail.subject for mail in mails_to(demo, name)]
    assert len(subjects) == 2
    assert subjects[0].startswith("Received")
    scored_on = expected_benchmarks(demo, name)
    assert scored_on
    assert all(benchmark in mails_to(demo, name)[1].text for benchmark in scored_on)


def expected_benchmarks(demo, name):
    with demo.installation.database().session() as session:
        found = select(ScoreProvenance.benchmark).where(
            ScoreProvenance.submission_id == demo.status[name]["submission"]
        )
        return session.scalars(found).all()


def test_a_refusal_reaches_the_submitter_with_what_to_do(demo):
    [mail] = mails_to(demo, "path-traversal")
    assert parseaddr(mail.recipient)[1] == "mallory@example.org"
    assert ".." in mail.text


def test_no_mail_was_sent_twice_and_none_is_left(demo):
    with demo.installation.database().session() as session:
        queued = session.scalars(select(OutboxMessage)).all()
        assert all(message.sent_at for message in queued)
    assert len(read_mails(demo.outputs / "mails")) == len(queued)


def test_every_run_has_its_record_and_the_record_its_run(demo):
    runs = demo.installation.json("runs", "--limit", "1000")
    assert {run["state"] for run in runs} == {"succeeded", "failed", "refused"}
    records = {path.relative_to(demo.outputs).as_posix() for path in demo.outputs.glob("*/*/*.ipynb")}
    assert {run["record_path"] for run in runs} == records


def test_whatever_a_step_shows_can_be_read_as_html_and_as_text(demo):
    shown = {path: check_record(path) for path in demo.outputs.glob("*/*/*.ipynb")}
    assert min(shown.values()) >= 1, "every record shows at least the deployment, or what went wrong"


@pytest.mark.parametrize("notebook", ["leaderboard", "model_card", "cost_report"])
def test_a_researchers_notebook_runs_on_the_database_and_leaves_a_record(demo, notebook):
    result = demo.installation.json("run", notebook)
    assert result["state"] == "succeeded"
    assert check_record(Path(result["record"])) >= 4


def test_scores_are_the_same_from_the_database_and_from_what_was_kept_of_it(demo, tmp_path):
    deployment = demo.installation.deployment
    data = ScoreData(DatabaseSource(Database.of(deployment), deployment.library.domain, "the demo's database"))
    kept = scores.connect(data.save(tmp_path / "kept"))
    for call in ("table", "matrix", "averages", "history", "runs", "canaries", "benchmarks", "models"):
        assert_frame_equal(getattr(kept, call)(), getattr(data, call)(), check_exact=True)
    assert set(data.table()["model"]) >= MODELS
    assert set(data.matrix().columns) == BENCHMARKS
    assert (data.runs()["peak_memory_bytes"] > 0).all()


def test_every_pair_has_a_record_of_its_own(demo):
    with demo.installation.database().session() as session:
        runs = dict(session.execute(select(Run.id, Run.runbook)).all())
        recorded = session.scalars(select(ScoreProvenance.run_id)).all()
    assert [runs.get(run) for run in recorded] == ["score_pair"] * len(recorded)


def test_show_tells_the_step_that_failed(demo):
    run = next(run for run in demo.status["failing-test"]["runs"] if run["runbook"] == "test_plugins")
    shown = demo.installation.json("show", run["id"])
    assert shown["failing_step"] == "conclude"
    assert shown["error"]["code"] == "tests-failed"


def test_the_record_of_a_failed_run_shows_what_happened_without_a_long_traceback(demo):
    run = next(run for run in demo.status["failing-test"]["runs"] if run["runbook"] == "test_plugins")
    notebook = nbformat.read(demo.outputs / demo.installation.json("show", run["id"])["record_path"], as_version=4)
    failed = next(cell for cell in notebook.cells if "step:conclude" in cell.metadata.get("tags", []))
    html = "".join(output.get("data", {}).get("text/html", "") for output in failed.outputs)
    assert "test_counts_all_vowels" in html
    assert "What to do" in html


def test_no_secret_is_in_any_record_mail_or_log(demo):
    deployment = demo.installation.deployment
    secrets = json.loads(deployment.secrets_file.read_text())
    values = {secret[key].encode() for secret in secrets.values() for key in ("password", "token") if secret.get(key)}
    assert len(values) == 2
    folders = (deployment.outputs, deployment.state / "results", deployment.state / "checkouts")
    paths = [path for folder in folders for path in folder.rglob("*")] + list(deployment.state.glob("*.log"))
    for path in paths:
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            assert not [value for value in values if value in content], path


def test_the_published_page_shows_every_model_and_marks_what_failed(demo):
    page = (demo.outputs / "site" / "index.html").read_text().replace("<wbr>", "")
    assert all(name in page for name in MODELS | BENCHMARKS)
    assert "failed" in page


def test_a_second_demo_changes_nothing(demo):
    def everything():
        with demo.installation.database().session() as session:
            tables = ("run", "submission_event", "outbox", "score_provenance", "brainscore_score", "brainscore_user")
            counts = [session.scalar(text(f"SELECT count(*) FROM {table}")) for table in tables]
        files = sorted(str(path) for path in demo.outputs.rglob("*"))
        return counts, files, git(demo, "for-each-ref"), (demo.outputs / "site" / "index.html").stat().st_mtime_ns

    before = everything()
    again = demo.installation.command("demo", "--keep")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "nothing changed" in again.stdout
    assert everything() == before


@pytest.mark.parametrize("runbook", ["intake", "create_pr", "test_plugins", "merge", "score_plugins", "publish"])
def test_a_runbook_that_is_run_again_does_nothing_again(demo, runbook):
    timeline = demo.status["structural-profile"]
    archive = demo.installation.deployment.state / "demo" / "archives" / "structural-profile.zip"
    parameters = {
        "intake": ["-p", "archive", str(archive), "-p", "email", timeline["email"]],
        "create_pr": ["-p", "submission", str(timeline["submission"])],
        "publish": [],
    }.get(runbook, ["-p", "pull_request", str(timeline["pull_request"])])
    mails = len(read_mails(demo.outputs / "mails"))
    references = git(demo, "for-each-ref")
    ran = demo.installation.command("run", runbook, *parameters)
    # What is merged is not tested any more: that is refused, and nothing else.
    assert ran.returncode == (3 if runbook == "test_plugins" else 0), ran.stdout + ran.stderr
    after = demo.installation.json("status", str(timeline["submission"]))
    assert [event["state"] for event in after["events"]] == [event["state"] for event in timeline["events"]]
    assert after["state"] == "scored"
    assert git(demo, "for-each-ref") == references
    assert len(read_mails(demo.outputs / "mails")) == mails


def test_the_gate_holds_a_pull_request_whose_tests_failed_and_says_which_rule(demo):
    number = str(demo.status["failing-test"]["pull_request"])
    asked = demo.installation.command("gate", number, "--json")
    assert asked.returncode == 3
    rulings = {ruling["rule"]: ruling for ruling in json.loads(asked.stdout)["rulings"]}
    assert [name for name, ruling in rulings.items() if not ruling["passed"]] == ["statuses"]
    assert "failure" in rulings["statuses"]["found"]


def test_merging_what_the_gate_holds_is_refused_and_changes_nothing(demo):
    number = str(demo.status["snooping"]["pull_request"])
    head = git(demo, "rev-parse", "main")
    ran = demo.installation.command("run", "merge", "-p", "pull_request", number)
    assert ran.returncode == 3
    assert "statuses" in ran.stdout + ran.stderr
    assert git(demo, "rev-parse", "main") == head
    assert demo.installation.json("status", str(demo.status["snooping"]["submission"]))["state"] == "tests-failed"


def test_scores_prints_the_leaderboard_as_json_and_one_line_a_score(demo):
    board = demo.installation.json("scores")
    assert {model["model"] for model in board["models"]} >= MODELS
    table = demo.installation.json("scores", "--table")
    assert len([row for row in table if row["state"] == "scored"]) == len(MODELS) * len(BENCHMARKS)


def test_records_are_not_readable_as_anything_but_notebooks(demo):
    for path in demo.outputs.glob("*/*/*.ipynb"):
        nbformat.validate(nbformat.read(Path(path), as_version=4))
