"""Nothing private is seen by others: every page, export, API, mail, comment, record and object is searched as a stranger would.

All that is private here has one marker in it that nobody else could have written: names, titles, code, logs, benchmarks' groups.
The same search as the owner finds it, so that it would find a leak.
"""

from __future__ import annotations

import email
import email.policy
import itertools
import re
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from urllib.parse import quote

import pandas as pd
import pytest
import requests
from sqlalchemy import or_, select
from tests.portal.visitors import COMMAND, Portal, Visitor
from tests.submissions.conftest import CRASHED, House, benchmark_files, model_files, outcome, record

from brainscore_ops import services
from brainscore_ops.database.ops_tables import PRIVATE, Run, SubmissionEvent, SubmissionLife
from brainscore_ops.plugins.layout import PluginKey
from brainscore_ops.plugins.testing import PluginTestReport
from brainscore_ops.portal.api import ROOT, description
from brainscore_ops.portal.app import routes
from brainscore_ops.queue.jobs import jobs
from brainscore_ops.submissions import merging, plugin_tests
from brainscore_ops.submissions.context import Context

pytestmark = pytest.mark.timeout(900)  # what is searched comes of several runbooks, on machines with other things to do

MARKER, NOBODYS = f"hidden{secrets.token_hex(8)}", f"nobody{secrets.token_hex(8)}"
MOST_PARTS = ("scores.parquet", "history.parquet", "runs.parquet", "canaries.parquet", "scores.csv", "cancel", "record")


@dataclass
class Secret:
    """What is private on the site, whose it is, and what there is beside it."""

    portal: Portal
    private: House
    public: House
    owner: Visitor
    names: dict[str, str]
    """What is private → something of the same form that there is not."""


@pytest.fixture(scope="module")
def secret(portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> Secret:
    context = Context(deployment=portal.deployment, database=portal.database, run_id=None)
    public = House(context, tmp_path_factory.mktemp("secret"))
    private, owner, somebody = public.at_private(), portal.member(), portal.member()
    theirs = {"email": owner.address, "public": False, "submitter": f"Ada {MARKER}", "name": f"The title {MARKER}"}

    def merged(files: dict[str, str]) -> int:
        return private.merged({path: f"{text}# {MARKER}\n" for path, text in files.items()}, **theirs)

    record(private, merged(model_files(f"model_{MARKER}")), outcome)
    # A benchmark in a group that nobody had named, and one on which every model failed before anything was known of it.
    number = merged(benchmark_files(f"benchmark_{MARKER}", f"Benchmark-{MARKER}"))
    record(private, number, lambda pair: outcome(pair, benchmark_parent=f"group-{MARKER}"))
    why = {**CRASHED, "message": f"it crashed: {MARKER}", "log": f"the end {MARKER}"}
    number = merged(benchmark_files(f"failing_{MARKER}", f"Failing-{MARKER}"))
    failing = record(private, number, lambda pair: outcome(pair, why))
    # Tests that failed, and why.
    candidate = plugin_tests.find_candidate(
        private.context, private.proposed(model_files(f"broken_{MARKER}"), **theirs)
    )
    report = PluginTestReport(
        PluginKey("models", f"broken_{MARKER}"), passed=False, reason="failed", message=MARKER, log=MARKER
    )
    with pytest.raises(plugin_tests.PluginTestsFailedError):
        plugin_tests.conclude(private.context, candidate, plugin_tests.TestReport(candidate.head_sha, (report,)))
    # Names that a stranger may hit upon: a pull request of theirs is held, and says why.
    record(private, merged(model_files("plain_folder", "plain-name")), outcome)
    pull = public.by_hand({f"brainscore_example/{path}": text for path, text in model_files("plain_folder").items()})
    public.force_green(pull.number)
    with pytest.raises(merging.GateRefusedError):
        public.merge(pull.number)
    # Public work beside it: what meets every model, and what leaves the records of real runs.
    number = public.merged(benchmark_files("after_all", "Public2026-after"), somebody.address, name="Public")
    record(public, number, outcome)
    number = public.merged(metric_files("public_metric"), somebody.address, name="Public")
    under_way = private.accept(model_files(f"under_way_{MARKER}"), **theirs)
    for runbook, given in (
        ("create_pr", {"submission": under_way}),
        ("score_plugins", {"pull_request": number}),
        ("rescore", {"failed": "scoring-crashed"}),
        ("rescore", {"submission": failing, "pairs": f"[[word-length, Failing-{MARKER}]]"}),
        ("publish", {}),
    ):
        words = [word for name, value in given.items() for word in ("-p", name, str(value))]
        ran = subprocess.run([COMMAND, "run", runbook, *words], env=portal.environment, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert runbook == "create_pr" or given.get("submission") or MARKER not in ran.stdout + ran.stderr
    with portal.database.session() as session:
        lives = session.scalars(select(SubmissionLife).where(SubmissionLife.library.endswith(PRIVATE))).all()
        runs = session.scalars(select(Run.id).where(Run.submission_id.in_([life.submission_id for life in lives])))
        names = {run: run[:-6] + "000000" for run in runs}
    names |= {str(life.submission_id): str(99_999_000 + life.submission_id) for life in lives}
    for name in ("model_{}", "Benchmark-{}", "Failing-{}", "group-{}", "broken_{}"):
        names[name.format(MARKER)] = name.format(NOBODYS)
    return Secret(portal, private, public, owner, {**names, "plain-name": "plain-nome"})


def metric_files(name: str) -> dict[str, str]:
    return {
        f"metrics/{name}/__init__.py": "from brainscore_example import metric_registry\n"
        f"metric_registry['{name}'] = lambda: None\n",
        f"metrics/{name}/test.py": "def test_nothing():\n    pass\n",
    }


def groups(pattern: str) -> list[str]:
    """A route's fixed parts and, at every second place, its groups."""
    parts, depth = [""], 0
    for character in pattern:
        if (character == "(" and (depth := depth + 1) == 1) or (character == ")" and (depth := depth - 1) == 0):
            parts.append("")
        else:
            parts[-1] += character
    return [part if place % 2 else part.replace("\\", "").replace(".*", "x") for place, part in enumerate(parts)]


def filled(pattern: str, names: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Every address that a route has for something private; and the same for what there is not."""
    known = {**names, **{part: part for part in MOST_PARTS}}
    parts = groups(pattern)
    choices = [
        [(value, other) for value, other in known.items() if re.fullmatch(part, value)] if place % 2 else [(part, part)]
        for place, part in enumerate(parts)
    ]
    for chosen in itertools.product(*choices):
        yield "".join(value for value, _ in chosen), "".join(other for _, other in chosen)


def addresses(names: dict[str, str]) -> list[tuple[str, str]]:
    """Of every page, and of every path and argument of the API."""
    found = [pair for pattern, _ in routes() for pair in filled(pattern, names)]
    for path, methods in description()["paths"].items():
        found += filled(ROOT + re.sub(r"\{\w+\}", "([^/]+)", path), names)
        asked = [each["name"] for each in methods.get("get", {}).get("parameters", ()) if each.get("in") == "query"]
        for argument in {"model", "benchmark", "after"} & set(asked):
            found += [
                (f"{ROOT}{path}?{argument}={name}", f"{ROOT}{path}?{argument}={other}") for name, other in names.items()
            ]
    return list(dict.fromkeys(found))


def said(answer: requests.Response) -> str:
    """All that an answer tells."""
    if "parquet" in answer.headers.get("Content-Type", "") and answer.ok:
        return pd.read_parquet(BytesIO(answer.content)).to_csv()
    return f"{answer.headers.get('Location', '')} {answer.text}"


def told(answer: requests.Response, name: str) -> tuple[int, str]:
    """What an answer tells beside what was asked for."""
    text = re.sub(r'name="_xsrf" value="[^"]*"|\b\d+ seconds?\b|\b(state|code_challenge)=[\w-]+', "", said(answer))
    for part in (name, quote(name, safe=""), quote(name), *re.split(r"[/?=]", name)):
        text = text.replace(part, "…") if len(part) > 4 else text
    return answer.status_code, text


def visitors(secret: Secret) -> Iterator[Visitor]:
    yield secret.portal.visitor()
    yield secret.portal.member()


def test_no_page_and_no_part_of_the_api_tells_that_it_exists(secret: Secret) -> None:
    pairs = addresses(secret.names)
    assert len(pairs) > 60
    for visitor in visitors(secret):
        for path, other in pairs:
            answer = visitor.get(path)
            assert MARKER not in told(answer, path)[1], path
            if path != other:
                assert told(answer, path) == told(visitor.get(other), other), (path, other)


def test_nobody_else_can_do_anything_to_it(secret: Secret) -> None:
    stranger = secret.portal.member()
    for (name, other), what in itertools.product(secret.names.items(), ("visibility", "again", "publish")):
        if name.isdigit():
            answer, same = (
                stranger.submit(f"/submissions/{number}/{what}", page="/account", public="yes")
                for number in (name, other)
            )
            assert answer.status_code == same.status_code == 404
            assert MARKER not in answer.text


def test_its_owner_finds_it_by_the_same_search(secret: Secret) -> None:
    found = [path for path, _ in addresses(secret.names) if MARKER in said(secret.owner.get(path))]
    for begins in (
        "/models/",
        "/benchmarks",
        "/submissions/",
        "/runs/",
        "/leaderboard.json",
        f"{ROOT}/scores",
        f"{ROOT}/runs",
    ):
        assert any(path.startswith(begins) for path in found), begins
    assert any(path.endswith("/pull-request") for path in found)


def test_the_published_site_and_its_data_hold_nothing_of_it(secret: Secret) -> None:
    site = secret.portal.deployment.outputs / "site"
    files = [path for path in site.resolve().rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".html", ".csv", ".json", ".parquet"}
    for path in files:
        text = pd.read_parquet(path).to_csv() if path.suffix == ".parquet" else path.read_text(errors="replace")
        assert MARKER not in text, path
        assert MARKER not in path.name
        assert "plain-name" not in text


def test_nobody_else_is_written_to_about_it(secret: Secret) -> None:
    theirs, others = [], []
    for path in services.mail_folder(secret.portal.deployment).glob("*.eml"):
        mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        parts = " ".join(part.get_content() for part in mail.walk() if part.get_content_maintype() == "text")
        (theirs if secret.owner.address in mail["To"] else others).append(f"{mail['Subject']} {parts}")
    assert any(MARKER in text for text in theirs)
    assert others
    assert not [text for text in others if MARKER in text]


def test_the_public_repository_and_what_is_said_there_hold_nothing_of_it(secret: Secret) -> None:
    deployment = secret.portal.deployment
    public, private = deployment.library.repository, deployment.library.private_repository
    api = secret.public.context.forge.api_url
    assert private
    secret.public.context.mirror.fetch()
    for house, holds in ((secret.public, False), (secret.private, True)):
        revisions = git(house, "rev-list", "--all").split()
        searched = subprocess.run(
            ["git", "-C", house.context.mirror.path, "grep", "--quiet", MARKER, *revisions], check=False
        )
        assert (searched.returncode == 0) is holds
        assert (MARKER in git(house, "log", "--all", "--format=%B%an%ae")) is holds
    pulls = requests.get(f"{api}/repos/{public}/pulls", params={"state": "all"}, timeout=30).json()
    assert pulls
    for pull in pulls:
        there = [pull["comments_url"], f"{api}/repos/{public}/commits/{pull['head']['sha']}/statuses"]
        texts = [str(pull), *(requests.get(url, timeout=30).text for url in there)]
        assert not [text for text in texts if MARKER in text or private in text]
    site = api.removesuffix("/api/v3")
    for url in (
        f"{api}/repos/{private}",
        f"{api}/repos/{private}/pulls/1",
        f"{site}/{private}",
        f"{site}/{private}/pull/1",
    ):
        assert requests.get(url, timeout=30).status_code == 404, url
    assert requests.get(f"{site}/{private}.git/info/refs?service=git-upload-pack", timeout=30).status_code == 401


def git(house: House, *arguments: str) -> str:
    command = ["git", "-C", house.context.mirror.path, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_records_and_timelines_of_public_work_hold_nothing_of_it(secret: Secret) -> None:
    with secret.portal.database.session() as session:
        public = select(SubmissionLife.submission_id).where(~SubmissionLife.library.endswith(PRIVATE))
        runs = session.scalars(select(Run).where(or_(Run.submission_id.is_(None), Run.submission_id.in_(public)))).all()
        events = session.scalars(select(SubmissionEvent).where(SubmissionEvent.submission_id.in_(public))).all()
    assert {run.runbook for run in runs} >= {"score_plugins", "rescore", "publish"}
    for run in runs:
        text = (secret.portal.deployment.outputs / str(run.record_path)).read_text()
        assert not [
            name for name in (MARKER, "plain-name") if name in f"{text} {run.parameters} {run.summary} {run.error}"
        ]
    assert events
    assert not [event for event in events if MARKER in f"{event.message} {event.log}"]


def test_what_failed_in_private_is_scored_again_in_runs_that_its_owner_sees(secret: Secret) -> None:
    asked = [job for job in jobs(secret.portal.deployment) if job.runbook == "rescore"]
    assert len(asked) == 1, "by the public run, for the submission whose pairs had failed"
    submission = asked[0].parameters["submission"]
    with secret.portal.database.session() as session:
        [run] = session.scalars(select(Run).where(Run.runbook == "rescore", Run.submission_id == submission)).all()
        [pair] = session.scalars(select(Run).where(Run.runbook == "score_pair", Run.submission_id == submission)).all()
    page = secret.owner.get(f"/submissions/{submission}").text
    for one in (run, pair):
        assert f"/runs/{one.id}" in page
        assert MARKER in secret.owner.get(f"/runs/{one.id}/record").text
        assert secret.portal.member().get(f"/runs/{one.id}/record").status_code == 404
