"""Where metadata goes: to rows that are whole, with the scores that make them, and never without."""

from sqlalchemy import select

from brainscore_ops.database.brainscore_tables import (
    BenchmarkDataMeta,
    BenchmarkInstance,
    BenchmarkMetricMeta,
    BenchmarkStimuliMeta,
    Model,
    ModelMeta,
)
from brainscore_ops.plugins.metadata import BenchmarkMetadata, Metadata, ModelMetadata, StimulusSetMetadata
from brainscore_ops.submissions.metadata import store_metadata

from .conftest import model_files
from .test_scoring_request import CRASHED, outcome, record

PARAMETERS = 1_800_000_000_000


def with_metadata(name, text):
    return {**model_files(name), f"models/{name}/metadata.yml": f"models:\n  {name}:\n    {text}\n"}


def meta_of(house, name):
    with house.context.database.session() as session:
        return session.scalar(select(ModelMeta).join(Model, Model.id == ModelMeta.model_id).where(Model.name == name))


def test_it_is_stored_with_the_scores(house):
    number = house.merged(with_metadata("says", f"total_parameter_count: {PARAMETERS}"))
    assert meta_of(house, "says") is None
    record(house, number, outcome)
    assert meta_of(house, "says").total_parameter_count == PARAMETERS


def test_it_is_stored_where_scoring_failed_as_well_and_again_changes_nothing(house):
    number = house.merged(with_metadata("says_failing", "runnable: false"))
    for _ in range(2):
        record(house, number, lambda pair: outcome(pair, CRASHED))
    assert meta_of(house, "says_failing").runnable is False


def test_a_benchmarks_newest_version_gets_its_three_parts(house):
    record(house, house.merged(model_files("needs_a_benchmark")), outcome)
    with house.context.database.session() as session:
        instance = session.scalar(
            select(BenchmarkInstance).where(BenchmarkInstance.benchmark_type_id == "Scott2019.concreteness-ridge")
        )
        assert session.get(BenchmarkStimuliMeta, instance.stimuli_meta_id).num_stimuli == 1500
        assert session.get(BenchmarkDataMeta, instance.data_meta_id).num_subjects == 829
        assert session.get(BenchmarkMetricMeta, instance.metric_meta_id).type == "ridge"


def test_what_has_no_row_is_not_made_one(house):
    found = Metadata({"nobody-knows": ModelMetadata(runnable=True)}, {"Nothing2020-x": BenchmarkMetadata()})
    with house.context.database.session() as session:
        store_metadata(session, found, house.context.deployment.library.domain)
        assert session.scalar(select(Model).where(Model.name == "nobody-knows")) is None


def test_a_part_that_two_versions_share_is_changed_for_the_newest_alone(house):
    record(house, house.merged(model_files("shares_a_part")), outcome)
    identifier, domain = "Scott2019.concreteness-ridge", house.context.deployment.library.domain
    with house.context.database.session() as session:
        old = session.scalar(select(BenchmarkInstance).where(BenchmarkInstance.benchmark_type_id == identifier))
        new = BenchmarkInstance(benchmark_type_id=identifier, version=99, stimuli_meta_id=old.stimuli_meta_id)
        session.add(new)
        session.flush()
        part = StimulusSetMetadata(num_stimuli=7)
        for _ in range(2):
            store_metadata(session, Metadata({}, {identifier: BenchmarkMetadata(stimulus_set=part)}), domain)
        assert session.get(BenchmarkStimuliMeta, new.stimuli_meta_id).num_stimuli == 7
        assert session.get(BenchmarkStimuliMeta, old.stimuli_meta_id).num_stimuli == 1500
        assert new.stimuli_meta_id != old.stimuli_meta_id
        session.rollback()
