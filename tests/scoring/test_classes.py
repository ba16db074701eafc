"""Which resource class a pair begins in."""

from __future__ import annotations

import json

import pytest

from brainscore_ops.scoring.classes import (
    BadResourcesError,
    Measurement,
    Need,
    NoClassError,
    asked_by_plugins,
    choose_class,
)
from brainscore_ops.settings import ResourceClass, ScoringSettings

GiB = 1024**3
SMALL = ResourceClass(name="small", memory="4 GiB", walltime="1:00:00")
LARGE = ResourceClass(name="large", memory="32 GiB", walltime="1:00:00", cores=8)
GPU = ResourceClass(name="gpu", memory="16 GiB", walltime="12:00:00", gpus=1, cores=4)
CLASSES = (SMALL, LARGE, GPU)
SETTINGS = ScoringSettings(classes=CLASSES, default_class="large")


def choose(asked: Need = Need(), measured: Measurement | None = None) -> str:  # noqa: B008 - it is frozen
    return choose_class(asked, measured, CLASSES, SETTINGS)[0].name


def test_of_what_nothing_is_known_the_default_is_chosen():
    assert choose() == "large"


def test_what_plugins_ask_for_is_met_by_the_smallest_class_that_does():
    assert choose(Need(memory=GiB)) == "small"
    assert choose(Need(memory=8 * GiB)) == "large"
    assert choose(Need(gpus=1)) == "gpu"
    assert choose(Need(walltime=7200)) == "gpu"


def test_what_was_measured_is_taken_with_a_margin():
    assert choose(measured=Measurement(2 * GiB, 60, of="pair")) == "small"
    assert choose(measured=Measurement(3 * GiB, 60, of="pair")) == "large"


def test_a_measurement_never_goes_below_what_is_asked_for_and_never_fails():
    assert choose(Need(gpus=1), Measurement(GiB, 60, of="pair")) == "gpu"
    assert choose(measured=Measurement(900 * GiB, 60, of="pair")) == "gpu"


def test_more_than_there_is_is_refused_with_what_was_asked_and_where():
    with pytest.raises(NoClassError, match=r"900 GiB of memory \(asked for in models/m/metadata.yml\)"):
        choose(Need(memory=900 * GiB, because="asked for in models/m/metadata.yml"))


@pytest.fixture
def plugin(tmp_path):
    def write(text: str) -> Need:
        folder = tmp_path / "lib" / "models" / "m"
        folder.mkdir(parents=True)
        (folder / "metadata.yml").write_text(text)
        return asked_by_plugins(tmp_path, "lib", {("models", "m"): "resnet", ("benchmarks", "b"): "fMRI"})

    return write


def test_plugins_ask_in_their_metadata_for_all_or_for_one_identifier(plugin):
    need = plugin(
        """
        resources: {memory: 8 GiB, walltime: 2:00:00}
        models:
          resnet: {architecture: CNN, resources: {memory: 16 GiB, gpus: 1}}
          other: {resources: {cores: 64}}
        """
    )
    assert (need.memory, need.walltime, need.gpus, need.cores) == (16 * GiB, 7200, 1, 0)
    assert "models/m/metadata.yml" in need.because


def test_plugins_that_ask_for_nothing_need_nothing(plugin):
    assert not plugin("models: {resnet: {architecture: CNN}}")


def test_everything_that_is_not_understood_is_told_at_once(plugin):
    document = {"resources": {"memory": "lots", "gpus": -1, "cores": 1.5, "walltime": "60", "speed": 3}}
    with pytest.raises(BadResourcesError) as told:
        plugin(json.dumps(document))
    assert all(name in told.value.message for name in document["resources"])


@pytest.mark.parametrize("text", ["[", "resources: 7", "resources: {memory: true}", "a: *b", "\x00"])
def test_metadata_that_is_no_metadata_is_refused(plugin, text):
    with pytest.raises(BadResourcesError):
        plugin(text)
