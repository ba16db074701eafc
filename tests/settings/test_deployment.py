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
    with pytest.raises(UnknownDeploymentError, match="local"):
        load_deployment(name, workspace)


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
