import json
from pathlib import Path

import pytest

from brainscore_ops.settings import DatabaseSecret, Workspace, load_deployment, resolve_secret
from brainscore_ops.settings.secrets import SecretError, write_secret

ROOT = Path(__file__).parents[2]
DOCUMENT = {"host": "db.example.org", "database": "brainscore", "username": "ops", "password": "hush-hush"}


@pytest.fixture
def deployment(tmp_path):
    return load_deployment("local", Workspace(ROOT, tmp_path / "state", tmp_path / "outputs"))


def resolve(deployment):
    return resolve_secret(deployment, deployment.database.secret, DatabaseSecret)


def test_a_secret_is_found_in_the_file(deployment):
    write_secret(deployment.secrets_file, "local/database", DOCUMENT)
    assert resolve(deployment).host == "db.example.org"


def test_the_environment_comes_before_the_file(deployment, monkeypatch):
    write_secret(deployment.secrets_file, "local/database", DOCUMENT)
    monkeypatch.setenv("BRAINSCORE_OPS_SECRET_LOCAL_DATABASE", json.dumps({**DOCUMENT, "host": "elsewhere"}))
    assert resolve(deployment).host == "elsewhere"


def test_the_form_that_brain_score_keeps_at_amazon_is_understood(deployment):
    amazon = {"dbInstanceIdentifier": "brainscore", "host": "h", "username": "u", "password": "p", "engine": "postgres"}
    write_secret(deployment.secrets_file, "local/database", amazon)
    assert resolve(deployment).database == "brainscore"


def test_writing_a_secret_keeps_the_others_and_closes_the_file(deployment):
    write_secret(deployment.secrets_file, "one", {"a": 1})
    write_secret(deployment.secrets_file, "two", {"b": 2})
    assert json.loads(deployment.secrets_file.read_text()) == {"one": {"a": 1}, "two": {"b": 2}}
    assert deployment.secrets_file.stat().st_mode & 0o777 == 0o600


def test_a_missing_secret_is_named_with_the_places_that_were_looked_at(deployment):
    with pytest.raises(SecretError, match="BRAINSCORE_OPS_SECRET_LOCAL_DATABASE") as error:
        resolve(deployment)
    assert error.value.exit_code == 2


def test_a_file_that_others_may_read_is_refused(deployment):
    write_secret(deployment.secrets_file, "local/database", DOCUMENT)
    deployment.secrets_file.chmod(0o644)
    with pytest.raises(SecretError, match="mode 644"):
        resolve(deployment)


@pytest.mark.parametrize("text", ['{"host": "h", "password": "hush-hush"}', '"hush-hush"', "hush-hush {"])
def test_no_value_of_a_broken_secret_is_ever_told(deployment, monkeypatch, text):
    monkeypatch.setenv("BRAINSCORE_OPS_SECRET_LOCAL_DATABASE", text)
    with pytest.raises(SecretError) as error:
        resolve(deployment)
    assert "hush-hush" not in str(error.value) + repr(error.value) + json.dumps(error.value.as_dict())


def test_a_password_does_not_show_in_the_secret_itself(deployment):
    write_secret(deployment.secrets_file, "local/database", DOCUMENT)
    assert "hush-hush" not in repr(resolve(deployment)) + str(resolve(deployment))
