"""What plugins say of themselves: taken where it holds to the schema, and named, with its line, where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainscore_ops.plugins.archive import ArchiveRefusedError, inspect_archive
from brainscore_ops.plugins.catalogue import read_catalogue
from brainscore_ops.plugins.metadata import LARGEST_FILE, Metadata, read_metadata
from brainscore_ops.plugins.tree import DirectoryTree, MemoryTree

LIBRARY = "brainscore_tiny"
PLUGINS = {
    "models/net": "from brainscore_tiny import model_registry\nmodel_registry['net-1'] = model_registry['net-2'] = list\n",
    "benchmarks/words": "from brainscore_tiny import benchmark_registry\nbenchmark_registry['Words2019-ridge'] = list\n",
    "data/words": "from brainscore_tiny import data_registry\ndata_registry['Words2019'] = list\n",
    "metrics/ridge": "from brainscore_tiny import metric_registry\nmetric_registry['ridge'] = list\n",
}


def read(*, whole: bool = True, **files: str | bytes) -> Metadata:
    """The metadata of a small library; files by plugin, as ``models_net``."""
    contents = {f"{LIBRARY}/{folder}/__init__.py": text.encode() for folder, text in PLUGINS.items()}
    for name, text in files.items():
        path = f"{LIBRARY}/{name.replace('_', '/', 1)}/metadata.yml"
        contents[path] = text.encode() if isinstance(text, str) else text
    tree = MemoryTree(contents)
    catalogue = read_catalogue(tree, LIBRARY)
    return read_metadata(tree, catalogue, catalogue.plugins, whole=whole)


def of_net(entry: str) -> Metadata:
    return read(models_net="models:\n  net-1:\n" + "".join(f"    {line}\n" for line in entry.splitlines()))


def test_the_example_librarys_is_in_order(example_library: Path) -> None:
    tree = DirectoryTree(example_library)
    catalogue = read_catalogue(tree, "brainscore_example")
    found = read_metadata(tree, catalogue, catalogue.plugins)
    assert found.problems == ()
    assert set(found.models) == {"random-features", "word-length"}
    assert found.benchmarks["Scott2019.concreteness-ridge"].data.num_subjects == 829


def test_nothing_said_is_nothing_wrong() -> None:
    assert read() == Metadata()
    assert read(models_net="") == Metadata()
    assert of_net("architecture: null\nmodel_family: ''").models["net-1"].architecture is None


def test_counts_have_64_bits() -> None:
    found = of_net("total_parameter_count: 1800000000000\ntrainable_parameter_count: 1.8e+12")
    assert found.models["net-1"].trainable_parameter_count == 1_800_000_000_000


def test_a_list_of_words_is_one_text() -> None:
    assert of_net("training_dataset: [imagenet, places]").models["net-1"].training_dataset == "imagenet, places"


@pytest.mark.parametrize("name", ["huggingface_link", "hugging_face_link"])
def test_both_names_of_the_link_to_hugging_face_are_one(name: str) -> None:
    link = "https://huggingface.co/org/net"
    assert of_net(f"{name}: {link}").models["net-1"].hugging_face_link == link


def test_both_names_of_that_link_may_agree() -> None:
    link = "https://huggingface.co/org/net"
    assert of_net(f"huggingface_link: {link}/\nhugging_face_link: {link}").problems == ()


@pytest.mark.parametrize(
    ("entry", "code", "line"),
    [
        ("architecture: DCNN\narchitectur: DCNN", "metadata-unknown-key", 4),
        ("runnable: true\narchitecture: TODO", "metadata-placeholder", 4),
        ("architecture: unknown", "metadata-placeholder", 3),
        ("architecture: <the architecture>", "metadata-placeholder", 3),
        ("architecture: your architecture", "metadata-placeholder", 3),
        ("architecture: '???'", "metadata-placeholder", 3),
        ("brainscore_link: https://example.com/net", "metadata-placeholder", 3),
        ("huggingface_link: https://huggingface.co/your-org/net", "metadata-placeholder", 3),
        ("huggingface_link: https://hf.co/a\nhugging_face_link: https://hf.co/b", "metadata-links-disagree", 3),
        ("total_parameter_count: '61,100,840'", "metadata-wrong-value", 3),
        ("total_parameter_count: 61.5", "metadata-wrong-value", 3),
        ("total_parameter_count: -1", "metadata-wrong-value", 3),
        ("total_parameter_count: yes", "metadata-wrong-value", 3),
        ("total_parameter_count: 9223372036854775808", "metadata-wrong-value", 3),
        ("total_layers: 3\ntrainable_layers: 4", "metadata-wrong-value", 4),
        ("model_size_mb: .nan", "metadata-wrong-value", 3),
        ("model_size_mb: .inf", "metadata-wrong-value", 3),
        ("model_size_mb: large", "metadata-wrong-value", 3),
        ("runnable: maybe", "metadata-wrong-value", 3),
        ("runnable: 1", "metadata-wrong-value", 3),
        ("brainscore_link: javascript:alert(1)", "metadata-wrong-value", 3),
        (f"architecture: {'x' * 101}", "metadata-wrong-value", 3),
        ("architecture: 2020-01-01", "metadata-wrong-value", 3),
        ("architecture: {a: b}", "metadata-wrong-value", 3),
    ],
)
def test_what_is_wrong_is_named_with_its_line(entry: str, code: str, line: int) -> None:
    found = of_net(entry)
    assert [(problem.code, problem.line) for problem in found.problems] == [(code, line)]
    assert found.models == {}


def test_everything_that_is_wrong_is_told_at_once() -> None:
    found = of_net("architecture: TODO\nfamily: x\nrunnable: 3\ntotal_layers: many")
    assert len(found.problems) == 4


def test_one_model_that_is_wrong_does_not_take_another_with_it() -> None:
    found = read(models_net="models:\n  net-1: {architecture: TODO}\n  net-2: {architecture: DCNN}\n")
    assert set(found.models) == {"net-2"}


def test_a_plugin_speaks_of_what_it_registers_alone() -> None:
    found = read(models_net="models:\n  net-1: {}\n  net-3: {}\nbenchmarks: {}\n")
    assert {problem.code for problem in found.problems} == {"metadata-unknown-identifier", "metadata-unknown-key"}


@pytest.mark.parametrize(
    "content",
    [
        "models: [",
        "- models",
        "models: 3",
        "models:\n  net-1: word",
        "a: &a [x]\nmodels: *a",
        "models:\n  net-1: {}\n  net-1: {}",
        "models: !!python/object/apply:os.system [ls]",
        "[" * 5000,
        "models: {net-1: {total_layers: " + "9" * 5000 + "}}",
        b"\xff\xfe",
        "\0",
        "x: 1\n---\ny: 2",
        "#" * (LARGEST_FILE + 1),
    ],
    ids=lambda content: repr(content[:20]),
)
def test_what_is_no_plain_yaml_is_named(content: str | bytes) -> None:
    found = read(models_net=content)
    assert found.problems
    assert found.models == {}


# -------------------------------------------------------------------- benchmarks


BENCHMARK = """\
benchmarks:
  Words2019-ridge:
    stimulus_set: {num_stimuli: 1500, datatype: text}
    data: {benchmark_type: behavioral, species: human, num_subjects: 20, data_publicly_available: true}
    metric: {type: ridge, public: true}
"""
BY_REFERENCE = "benchmarks:\n  Words2019-ridge: {data_id: Words2019, metric_id: ridge}\n"
DATA = """\
defaults:
  stimulus_set: {datatype: text, num_stimuli: 1}
  data_assembly: {species: human}
data:
  Words2019:
    stimulus_set: {num_stimuli: 1500}
"""


def test_a_benchmark_has_three_parts() -> None:
    found = read(benchmarks_words=BENCHMARK)
    assert found.problems == ()
    benchmark = found.benchmarks["Words2019-ridge"]
    assert (benchmark.stimulus_set.num_stimuli, benchmark.data.num_subjects, benchmark.metric.type) == (
        1500,
        20,
        "ridge",
    )


def test_a_benchmark_may_take_them_from_its_data_and_metric() -> None:
    found = read(benchmarks_words=BY_REFERENCE, data_words=DATA, metrics_ridge="type: regression\n")
    assert found.problems == ()
    benchmark = found.benchmarks["Words2019-ridge"]
    assert (benchmark.stimulus_set.num_stimuli, benchmark.stimulus_set.datatype) == (1500, "text")
    assert (benchmark.data.species, benchmark.metric.type) == ("human", "regression")


def test_a_reference_to_what_there_is_not_is_named_where_the_library_is_whole() -> None:
    elsewhere = BY_REFERENCE.replace("Words2019, ", "Other, ")
    assert [problem.code for problem in read(benchmarks_words=elsewhere).problems] == ["metadata-wrong-value"]
    assert read(benchmarks_words=elsewhere, whole=False).problems == ()


def test_what_is_wrong_in_a_part_is_named() -> None:
    found = read(benchmarks_words=BENCHMARK.replace("species: human", "specie: human").replace("metric:", "metrics:"))
    assert {(problem.code, problem.line) for problem in found.problems} == {
        ("metadata-unknown-key", 4),
        ("metadata-unknown-key", 5),
    }
    assert found.benchmarks == {}


def test_an_archive_is_refused_for_its_metadata_with_all_problems(write_zip, plugin_files) -> None:
    files = plugin_files("models/vgg", "vgg") | {
        "models/vgg/metadata.yml": "models:\n  vgg:\n    architecture: TODO\n    layers: 16\n"
    }
    with pytest.raises(ArchiveRefusedError) as refused:
        inspect_archive(write_zip(files), library=LIBRARY)
    assert {problem.code for problem in refused.value.problems} == {"metadata-placeholder", "metadata-unknown-key"}
    assert "'TODO'" in str(refused.value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(["architecture", "total_layers", "model_size_mb", "runnable", "x"]), VALUES))
def test_whatever_stands_there_is_taken_or_named(entry: dict[str, object]) -> None:
    import yaml

    found = read(models_net=yaml.safe_dump({"models": {"net-1": entry}}, allow_unicode=True))
    assert bool(found.problems) != ("net-1" in found.models)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_are_too_much(content: bytes) -> None:
    read(models_net=content, benchmarks_words=content, data_words=content, metrics_ridge=content)
