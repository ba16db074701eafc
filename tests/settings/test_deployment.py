import shutil
from pathlib import Path

import pytest

from brainscore_ops.settings import Workspace, deployment_names, find_workspace, load_deployment
from brainscore_ops.settings.deployment import BadSettingsError, UnknownDeploymentError
from brainscore_ops.settings.workspace import NoWorkspaceError

PARAMS = Path(__file__).parents[2] / "params"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "notebooks" / "runbooks").mkdir(parents=True)
    shutil.copytree(PARAMS, tmp_path / "params")
    return Workspace(tmp_path, tmp_path / "state", tmp_path / "outputs")


def test_every_deployment_of_the_repository_is_well_described(workspace):
    for name in deployment_names(workspace):
        assert load_deployment(name, workspace).name == name


def test_a_deployment_keeps_its_state_and_its_records_apart_from_others(workspace):
    local = load_deployment("local", workspace)
    assert local.state == workspace.state_root / "local"
    assert local.outputs == workspace.outputs_root / "local"
    assert local.secrets_file == local.state / "secrets.json"


@pytest.mark.parametrize("name", ["prodd", "../params/local", "Local", ""])
def test_an_unknown_deployment_is_refused_with_the_names_that_there_are(workspace, name):
    with pytest.raises(UnknownDeploymentError, match="local") as refusal:
        load_deployment(name, workspace)
    assert ("write params/" in refusal.value.remedy) == (name == "prodd"), (
        "none is asked to write what could not be read"
    )


def test_all_that_is_wrong_with_the_settings_is_said_at_once(workspace):
    path = workspace.params / "local.yaml"
    path.write_text(path.read_text() + "databse: {secret: x}\n" + "gate: {required_statuses: 7}\n")
    with pytest.raises(BadSettingsError) as refusal:
        load_deployment("local", workspace)
    assert {problem.where for problem in refusal.value.problems} == {"databse", "gate.required_statuses"}


def test_settings_that_are_no_mapping_are_refused(workspace):
    (workspace.params / "odd.yaml").write_text("- a\n- list\n")
    with pytest.raises(BadSettingsError, match="mapping"):
        load_deployment("odd", workspace)


def test_the_workspace_is_found_from_a_folder_inside_it(workspace, monkeypatch):
    monkeypatch.delenv("BRAINSCORE_OPS_WORKSPACE", raising=False)
    assert find_workspace(workspace.notebooks / "runbooks").root == workspace.root


def test_a_named_workspace_that_is_none_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINSCORE_OPS_WORKSPACE", str(tmp_path))
    with pytest.raises(NoWorkspaceError, match="BRAINSCORE_OPS_WORKSPACE"):
        find_workspace()


CLASSES = """
scoring:
  cluster: slurm
  default_class: small
  classes:
    - {name: small, partition: normal, memory: 4 GiB, walltime: 2:00:00}
    - {name: large, partition: gpu, memory: 64G, walltime: 1-00:00:00, cores: 8, gpus: 1, sbatch: [--constraint=a100]}
"""


def with_scoring(workspace, text):
    path = workspace.params / "local.yaml"
    lines = path.read_text().split("scoring:")[0]
    path.write_text(lines + text)
    return load_deployment("local", workspace)


def test_resource_classes_say_what_a_pair_may_use_in_words_that_people_and_slurm_use(workspace):
    small, large = with_scoring(workspace, CLASSES).resource_classes
    assert (small.memory, small.walltime, small.cores, small.gpus) == (4 * 1024**3, 7200, 1, 0)
    assert (large.memory, large.walltime, large.cores, large.gpus) == (64 * 1024**3, 86400, 8, 1)


def test_without_classes_there_is_one_with_what_the_sandbox_allows(workspace):
    deployment = load_deployment("local", workspace)
    assert deployment.default_class.memory == deployment.sandbox.memory_bytes


def test_all_that_is_wrong_with_resource_classes_is_said_at_once(workspace):
    text = CLASSES.replace("4 GiB", "plenty").replace("2:00:00", "'90'").replace("large", "small").replace(
        "default_class: small", "default_class: huge"
    )  # fmt: skip
    with pytest.raises(BadSettingsError) as refusal:
        with_scoring(workspace, text)
    assert {problem.where for problem in refusal.value.problems} == {
        "scoring.classes.0.memory", "scoring.classes.0.walltime", "scoring.classes", "scoring.default_class",
    }  # fmt: skip


def test_a_cluster_without_classes_is_refused(workspace):
    with pytest.raises(BadSettingsError, match="at least one resource class"):
        with_scoring(workspace, "scoring: {cluster: slurm}\n")
