"""The chain of records: it grows with every run that is closed, and tells whatever was changed, removed or reordered since."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text, update
from tests.runbooks.test_ledger import an_entry, write_file

from brainscore_ops.cli.main import commands
from brainscore_ops.database import schema
from brainscore_ops.database.brainscore_tables import Submission, User
from brainscore_ops.database.ops_tables import RecordLink, Run
from brainscore_ops.database.record_chain import FACTS, BadHeadError, Head
from brainscore_ops.planning import PLAN_VARIABLE
from brainscore_ops.runbooks.audit import ChainNotBegunError, NoRecordsHereError, chain_head, verify_chain
from brainscore_ops.runbooks.history import UnknownRunError, list_runs
from brainscore_ops.runbooks.ledger import DatabaseLedger, harvest_outputs, harvest_run, mark_lost
from brainscore_ops.runbooks.records import describe_run, write_whole
from brainscore_ops.runbooks.states import RunState


@pytest.fixture
def database(bench):
    database = bench.database()
    yield database
    database.close()


@pytest.fixture
def chain(bench, database):
    """Five closed runs, the last of which failed, each with its record."""
    states = [RunState.SUCCEEDED] * 4 + [RunState.FAILED]
    return Chain(bench, database, [close(bench.deployment, number, state) for number, state in enumerate(states, 1)])


class Chain:
    """A chain of records, and ways to look at it and to harm it."""

    def __init__(self, bench, database, entries):
        self.bench, self.database, self.entries = bench, database, entries

    @property
    def ids(self):
        return [entry.id for entry in self.entries]

    def audit(self, **options):
        return verify_chain(self.database, "test", self.bench.deployment.outputs, **options)

    def audit_of_chain_alone(self):
        return verify_chain(self.database, "test", None)

    def problems(self, **options):
        return {(problem.code, problem.where) for problem in self.audit(**options).problems}

    def links(self):
        with self.database.session() as session:
            return list(session.scalars(select(RecordLink).order_by(RecordLink.number)))

    def do(self, *statements):
        with self.database.session() as session:
            for statement in statements:
                session.execute(text(statement))

    def record(self, number):
        return self.bench.deployment.outputs / self.entries[number - 1].record_path


def close(deployment, number, state=RunState.SUCCEEDED):
    """A run that was driven to its end, with a record."""
    moment = datetime(2026, 11, 24, 12, number, tzinfo=UTC)
    run_id = f"20261124T12{number:02}00-toy-{number:06x}"
    path = f"toy/2026-11-24/{run_id}.ipynb"
    entry = an_entry(id=run_id, started_at=moment, record_path=path, parameters={"number": number})
    ledger = DatabaseLedger(deployment)
    ledger.open(entry)
    ended = replace(entry, state=state, ended_at=moment + timedelta(seconds=7), summary={"answer": number / 3})
    content = json.dumps({"metadata": {"brainscore_ops": {"run": describe_run(ended, [])}}, "cells": []}).encode()
    write_whole(deployment.outputs / path, content)
    ended = replace(ended, record_digest=hashlib.sha256(content).hexdigest())
    assert ledger.close(ended) == ""
    return ended


def close_some(deployment, numbers):
    """What one of several processes does."""
    return [close(deployment, number).id for number in numbers]


def audit(*arguments):
    return CliRunner().invoke(commands, ["audit", *arguments, "--deployment", "test"])


def test_every_run_that_ends_becomes_a_link_that_follows_the_one_before(chain):
    links = chain.links()
    assert [(link.number, link.run_id, link.kind) for link in links] == [
        (number, run, "closed") for number, run in enumerate(chain.ids, 1)
    ]
    assert [link.previous_digest for link in links] == ["0" * 64, *(link.digest for link in links[:-1])]
    assert [link.record_digest for link in links] == [entry.record_digest for entry in chain.entries]
    found = chain.audit()
    assert (found.is_intact, found.links, found.runs, found.records) == (True, 5, 5, 5)


def test_a_run_of_a_notebook_is_sealed_with_its_record(bench, database):
    odd = "{'tiny': 1e-300, 'huge': 1e300, 'zero': -0.0}"
    bench.write(
        "toy",
        f"from brainscore_ops.runbooks.scraps import glue\nglue('odd', {odd})",
    )
    result = bench.run(note="ümläut \U0001f600")
    found = verify_chain(database, "test", bench.deployment.outputs)
    assert (found.problems, found.records) == ((), 1)
    result.record.chmod(0o644)
    result.record.write_bytes(result.record.read_bytes().replace(b"tiny", b"tony"))
    (problem,) = verify_chain(database, "test", bench.deployment.outputs).problems
    assert (problem.code, problem.where) == ("record-changed", result.id)


def test_a_changed_row_is_told_with_what_its_record_says(chain):
    chain.do(f"UPDATE run SET state = 'succeeded', triggered_by = 'cli:eve' WHERE id = '{chain.ids[4]}'")
    (problem,) = chain.audit().problems
    assert (problem.code, problem.where) == ("run-changed", chain.ids[4])
    assert "expected triggered_by 'test', found 'cli:eve'" in problem.message
    assert "expected state 'failed', found 'succeeded'" in problem.message


COPY = "INSERT INTO run SELECT (jsonb_populate_record(run, jsonb_build_object('id', {}))).* FROM run WHERE id = {}"


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (["DELETE FROM run WHERE id = '{2}'"], {("run-removed", "{2}")}),
        (["UPDATE run SET summary = '{{}}' WHERE id = '{2}'"], {("run-changed", "{2}")}),
        (["DELETE FROM record_link WHERE number = 2"], {("link-missing", "link 2"), ("run-unsealed", "{2}")}),
        (
            ["DELETE FROM record_link WHERE number < 3"],
            {("link-missing", "links 1 to 2"), ("run-unsealed", "{1}"), ("run-unsealed", "{2}")},
        ),
        (["DELETE FROM record_link WHERE number = 5"], {("run-unsealed", "{5}")}),
        (
            [
                "UPDATE record_link SET number = -1 WHERE number = 2",
                "UPDATE record_link SET number = 2 WHERE number = 3",
                "UPDATE record_link SET number = 3 WHERE number = -1",
            ],
            {("chain-broken", f"link {n}") for n in (2, 3, 4)} | {("link-changed", f"link {n}") for n in (2, 3)},
        ),
        (["UPDATE record_link SET at = at + interval '1 second' WHERE number = 2"], {("link-changed", "link 2")}),
        ([COPY.format("'forged'", "'{2}'")], {("run-unsealed", "forged")}),
        (
            # Two runs change places: each row says what the other was.
            [
                COPY.format("'x'", "'{2}'"),
                "DELETE FROM run WHERE id = '{2}'",
                COPY.format("'{2}'", "'{3}'"),
                "DELETE FROM run WHERE id = '{3}'",
                COPY.format("'{3}'", "'x'"),
                "DELETE FROM run WHERE id = 'x'",
            ],
            {(code, run) for code in ("run-changed", "record-changed") for run in ("{2}", "{3}")},
        ),
        (["DELETE FROM record_link"], {("chain-not-begun", "the chain")}),
    ],
)
def test_what_was_done_to_the_tables_is_told(chain, harm, told):
    ids = ["", *chain.ids]
    chain.do(*(statement.format(*ids) for statement in harm))
    assert chain.problems() == {(code, where.format(*ids)) for code, where in told}


def test_a_run_that_was_given_to_another_submission_is_told(chain):
    """Its owner would see the record."""
    with chain.database.session() as session:
        user = User(is_active=True, is_staff=False, is_superuser=False, password="")
        row = Submission(submitter=user, jenkins_id=0, model_type="x", status="y")
        session.add_all([user, row])
        session.flush()
        session.execute(update(Run).where(Run.id == chain.ids[1]).values(submission_id=row.id))
    assert chain.problems() == {("run-changed", chain.ids[1])}


def test_records_that_were_changed_or_removed_are_told_with_what_to_do(chain):
    chain.record(2).unlink()
    chain.record(3).write_bytes(chain.record(3).read_bytes().replace(b"succeeded", b"Succeeded"))
    chain.record(4).write_bytes(chain.record(5).read_bytes())
    found = {problem.where: problem for problem in chain.audit().problems}
    assert {where: problem.code for where, problem in found.items()} == {
        chain.ids[1]: "record-missing",
        chain.ids[2]: "record-changed",
        chain.ids[3]: "record-changed",
    }
    assert str(chain.record(2)) in found[chain.ids[1]].message
    assert chain.entries[2].record_digest in found[chain.ids[2]].message
    assert f"audit accept {chain.ids[1]}" in found[chain.ids[1]].remedy
    assert chain.audit_of_chain_alone().problems == ()


def test_an_end_that_was_cut_off_with_its_runs_is_told_by_a_head_that_was_kept(chain):
    head = chain_head(chain.database)
    assert chain.problems(heads=[head]) == set()
    chain.do(f"DELETE FROM run WHERE id = '{chain.ids[4]}'", "DELETE FROM record_link WHERE number = 5")
    assert chain.problems() == set(), "a chain cannot know what it has lost at its end"
    assert chain.problems(heads=[head]) == {("head-missing", "link 5")}


def test_a_chain_that_was_forged_from_a_link_on_is_told_by_a_head_that_was_kept(chain):
    head = chain_head(chain.database)
    chain.do("DELETE FROM record_link", f"UPDATE run SET state = 'succeeded' WHERE id = '{chain.ids[4]}'")
    later = close(chain.bench.deployment, 6)
    audit = chain.audit()
    assert (audit.problems, audit.kinds) == ((), {"found": 5, "closed": 1}), "it looks like a chain that began late"
    assert chain.problems(heads=[head]) == {("head-missing", "link 5")}
    assert chain.links()[-1].run_id == later.id


def test_processes_that_close_runs_at_once_make_one_chain(bench, database):
    numbers = [range(start, start + 8) for start in (0, 8, 16)]
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as closers:
        closed = [run for runs in closers.map(close_some, [bench.deployment] * 3, numbers) for run in runs]
    audit = verify_chain(database, "test", bench.deployment.outputs)
    assert (audit.problems, audit.links, audit.records) == ((), 24, 24)
    assert {entry.id for entry in list_runs(database)} == set(closed)


def test_a_run_that_is_lost_is_sealed_as_lost_and_again_when_its_driver_has_the_last_word(bench, database):
    ledger = DatabaseLedger(bench.deployment)
    entry = an_entry(host="another-machine", record_path=None)
    ledger.open(entry)
    cut = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
    chain = Chain(bench, database, [entry])
    chain.do(cut)
    assert mark_lost(database) == [entry.id]
    assert [link.kind for link in chain.links()] == ["closed"]
    assert chain.audit_of_chain_alone().problems == ()
    ended = replace(entry, state=RunState.SUCCEEDED, ended_at=datetime.now(UTC), record_path="toy/x.ipynb")
    assert ledger.close(ended) == ""
    audit = chain.audit_of_chain_alone()
    assert (audit.problems, audit.links, audit.runs) == ((), 2, 1)


def test_a_run_that_was_set_to_running_by_hand_and_so_became_lost_is_told(chain):
    gone = f"UPDATE run SET state = 'running', process = {2**22 - 1} WHERE id = '{chain.ids[1]}'"
    chain.do(gone)
    assert mark_lost(chain.database) == [chain.ids[1]]
    assert chain.problems() == {("run-reopened", chain.ids[1])}
    assert audit("accept", chain.ids[1], "--reason", "an exercise").exit_code == 0
    assert chain.problems() == set()
    chain.do(gone)
    mark_lost(chain.database)
    assert chain.problems() == set(), "what was lost may be found"


def test_runs_that_were_kept_in_files_are_sealed_when_they_are_entered(bench, database):
    ended = an_entry(state=RunState.SUCCEEDED, ended_at=datetime.now(UTC), record_digest="0" * 64)
    assert harvest_run(database, write_file(bench, ended))
    folder = bench.deployment.outputs / "toy" / f"{datetime.now(UTC):%Y-%m-%d}"
    folder.mkdir(parents=True)
    for number in range(3):
        entry = replace(ended, id=f"pair-{number}")
        (folder / f"{entry.id}.run.json").write_text(json.dumps(entry.as_dict()))
    (folder / "other.run.json").write_text("no entry")
    assert harvest_outputs(database, bench.deployment.outputs) == 3
    chain = Chain(bench, database, [])
    assert sorted(link.run_id for link in chain.links()) == sorted([ended.id, "pair-0", "pair-1", "pair-2"])
    assert chain.audit_of_chain_alone().problems == ()
    assert [path.name for path in folder.iterdir()] == ["other.run.json"]


def test_what_was_closed_before_there_was_a_chain_is_sealed_as_it_is_found_when_it_begins(bench, database):
    chain = Chain(bench, database, [close(bench.deployment, number) for number in (1, 2)])
    with database.engine.begin() as connection:
        schema.apply(connection, "0016")
    former = close(bench.deployment, 3)  # this code, on a schema without a chain
    schema.upgrade(database)
    assert chain.problems() == {("chain-not-begun", "the chain")}
    with pytest.raises(ChainNotBegunError):
        chain_head(database)
    close(bench.deployment, 4)
    audit = chain.audit()
    assert (audit.problems, audit.kinds) == ((), {"found": 3, "closed": 1})
    assert [link.run_id for link in chain.links()][:3] == [*chain.ids, former.id]
    chain.do(f"UPDATE run SET triggered_by = 'eve' WHERE id = '{former.id}'")
    assert chain.problems() == {("run-changed", former.id)}


def test_what_is_accepted_with_a_reason_is_no_problem_and_stays_told(chain):
    chain.record(2).unlink()
    chain.do(f"DELETE FROM run WHERE id = '{chain.ids[2]}'", COPY.format("'by-older-code'", f"'{chain.ids[0]}'"))
    assert chain.problems() == {
        ("record-missing", chain.ids[1]),
        ("run-removed", chain.ids[2]),
        ("run-unsealed", "by-older-code"),
    }
    outcome = audit("accept", chain.ids[1], chain.ids[2], "by-older-code", "--reason", "disk full on 2026-11-24")
    assert outcome.exit_code == 0, outcome.output
    assert str(chain_head(chain.database)) in outcome.output
    found = chain.audit()
    assert (found.problems, found.kinds) == ((), {"closed": 5, "accepted": 3})
    newest = chain.links()[-1]
    assert newest.reason == "disk full on 2026-11-24"
    assert newest.accepted_by.startswith("cli:")
    assert "3 were found changed or gone, and accepted" in audit("verify").output
    chain.do("UPDATE record_link SET reason = 'none' WHERE number = 8")
    assert chain.problems() == {("link-changed", "link 8")}


def test_nothing_is_accepted_where_one_run_is_unknown_or_goes_on(chain):
    chain.do(COPY.format("'goes-on'", f"'{chain.ids[0]}'"), "UPDATE run SET state = 'running' WHERE id = 'goes-on'")
    outcome = audit("accept", chain.ids[0], "goes-on", "nobody-knows-it", "--reason", "x")
    assert isinstance(outcome.exception, UnknownRunError)
    assert "goes-on, nobody-knows-it" in outcome.exception.message
    assert len(chain.links()) == 5


def test_an_audit_may_begin_at_a_later_link(chain):
    middle = "SELECT at FROM record_link WHERE number = 3"
    with chain.database.session() as session:
        since = session.scalar(text(middle))
    chain.do(f"UPDATE run SET triggered_by = 'eve' WHERE id IN ('{chain.ids[0]}', '{chain.ids[3]}')")
    assert chain.problems(since=since) == {("run-changed", chain.ids[3])}
    assert chain.audit(since=since).links == 3
    assert chain.audit(since=datetime.now(UTC)).links == 0


def test_a_plan_seals_nothing(bench, database, monkeypatch):
    monkeypatch.setenv(PLAN_VARIABLE, str(bench.root / "plan"))
    close(bench.deployment, 1)
    assert Chain(bench, database, []).links() == []


def test_the_command_prints_everything_and_ends_with_1_where_something_is_wrong(chain):
    fine = audit("verify")
    assert (fine.exit_code, "intact" in fine.output) == (0, True)
    head = audit("head").output.strip()
    assert head == str(chain_head(chain.database)) == f"5:{chain.links()[-1].digest}"
    assert audit("verify", "--head", head, "--since", "2026-01-01", "--chain-only").exit_code == 0
    chain.record(1).unlink()
    chain.do(f"UPDATE run SET code_version = '9' WHERE id = '{chain.ids[4]}'")
    broken = audit("verify", "--json", "--head", f"7:{'0' * 64}")
    document = json.loads(broken.stdout)
    assert (broken.exit_code, document["intact"], document["links"], document["head"]["number"]) == (1, False, 5, 5)
    assert [problem["code"] for problem in document["problems"]] == ["record-missing", "run-changed", "head-missing"]
    in_words = audit("verify")
    assert in_words.exit_code == 1
    assert "expected code_version '0.1.0', found '9'" in in_words.output


@pytest.mark.parametrize(
    "text", ["", "5", "5:abc", f"0:{'0' * 64}", f"5:{'g' * 64}", f"-1:{'0' * 64}", f"٣:{'0' * 64}"]
)
def test_a_head_that_is_none_is_told(text):
    with pytest.raises(BadHeadError, match="expected the number of a link"):
        Head.parse(text)


def test_a_machine_without_the_records_is_told_to_look_at_the_chain_alone(bench, database):
    outcome = audit("verify")
    assert isinstance(outcome.exception, NoRecordsHereError)
    assert "--chain-only" in outcome.exception.remedy
    assert audit("verify", "--chain-only").exit_code == 0


def test_a_run_is_shown_with_its_link(chain):
    shown = CliRunner().invoke(commands, ["show", chain.ids[2], "--deployment", "test"])
    assert "link 3 of the chain of records" in shown.output


CHANGES = {
    "id": "id || 'x'",
    "started_at": "started_at + interval '1 microsecond'",
    "ended_at": "ended_at - interval '1 day'",
    "process": "process + 1",
    "parameters": "parameters || '{\"number\": 3.0000000000000004}'",
    "summary": "'{}'",
    "error": '\'{"code": ""}\'',
    "number": "number + 1000",
    "at": "at - interval '1 microsecond'",
    **dict.fromkeys(["failing_step", "continues", "accepted_by", "reason"], "''"),
    **{
        name: f"translate({name}, '0123456789', '1234567890')"
        for name in ["runbook_digest", "previous_digest", "digest", "record_digest", "facts_digest"]
    },
}
"""Column → another value of it; any other column gets one more letter."""
MUTATIONS = st.one_of(
    st.tuples(st.just("run"), st.sampled_from(FACTS)),
    st.tuples(st.just("record_link"), st.sampled_from([column.name for column in RecordLink.__table__.columns])),
    st.tuples(st.sampled_from(["run", "record_link"]), st.just(None)),
    st.tuples(st.just("record"), st.integers(0, 10_000)),
    st.tuples(st.just("record"), st.just(None)),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mutation=MUTATIONS, number=st.integers(1, 5))
def test_any_single_change_is_found(chain, mutation, number):
    """Of a column of a run or a link, of a byte of a record, or the removal of one of them."""
    kind, place = mutation
    record = chain.record(number)
    content = record.read_bytes()
    kept = {table: f"kept_{table}" for table in ("run", "record_link")}
    chain.do(*(f"CREATE TABLE {copy} AS TABLE {table}" for table, copy in kept.items()))
    which = f"number = {number}" if kind == "record_link" else f"id = '{chain.ids[number - 1]}'"
    try:
        if kind == "record" and place is None:
            record.unlink()
        elif kind == "record":
            place %= len(content)
            record.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        elif place is None:
            chain.do(f"DELETE FROM {kind} WHERE {which}")
        else:
            changed = CHANGES.get(place, f"{place} || 'x'")
            chain.do(f"UPDATE {kind} SET {place} = {changed} WHERE {which}")
        assert chain.audit().problems
    finally:
        write_whole(record, content)
        for table, copy in kept.items():
            chain.do(f"TRUNCATE {table}", f"INSERT INTO {table} TABLE {copy}", f"DROP TABLE {copy}")
    assert chain.audit().problems == ()
