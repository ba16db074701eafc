"""Secrets from AWS Secrets Manager: moto's server on the other side, boto3 on this one."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest
import requests
import yaml

from brainscore_ops.settings import DatabaseSecret, SecretError, Workspace, load_deployment, resolve_secret
from brainscore_ops.settings.aws import fetch_secret, forget_fetched
from brainscore_ops.settings.errors import (
    AwsAccessDeniedError,
    AwsCredentialsError,
    AwsUnavailableError,
    Boto3MissingError,
    SecretWithheldError,
)

PARAMS = Path(__file__).parents[2] / "params"
DOCUMENT = {"host": "db.example.org", "dbInstanceIdentifier": "brainscore", "username": "ops", "password": "hush-hush"}


@pytest.fixture
def deploy(tmp_path, amazon):
    """``deploy(**aws)`` is a deployment of the tier test whose secrets are at AWS."""

    def make(sources=("environment", "aws"), **aws):
        (tmp_path / "params").mkdir(exist_ok=True)
        document = yaml.safe_load((PARAMS / "test.yaml").read_text())
        document["secrets"] = {
            "sources": list(sources),
            "aws": {"region": amazon.region, "endpoint": amazon.endpoint, **aws},
        }
        (tmp_path / "params" / "test.yaml").write_text(yaml.safe_dump(document))
        return load_deployment("test", Workspace(tmp_path, tmp_path / "state", tmp_path / "outputs"))

    return make


def resolve(deployment):
    return resolve_secret(deployment, "test/database", DatabaseSecret)


def test_a_secret_in_the_form_that_brain_score_keeps_there_is_found(amazon, deploy):
    amazon.secrets.create_secret(Name="test/database", SecretString=json.dumps(DOCUMENT))
    assert resolve(deploy()).database == "brainscore"


def test_an_older_name_of_the_tier_is_found_where_the_settings_say_so(amazon, deploy):
    amazon.secrets.create_secret(Name="brainscore-ohio-test", SecretString=json.dumps(DOCUMENT))
    assert resolve(deploy(names={"test/database": "brainscore-ohio-test"})).host == "db.example.org"


def test_productions_secret_is_not_given_to_a_test_that_asks_aws(amazon, deploy):
    amazon.secrets.create_secret(Name="prod/database", SecretString=json.dumps(DOCUMENT))
    with pytest.raises(SecretWithheldError):
        resolve_secret(deploy(), "prod/database", DatabaseSecret)


def test_the_first_source_that_has_it_gives_it(amazon, deploy, monkeypatch):
    amazon.secrets.create_secret(Name="test/database", SecretString=json.dumps(DOCUMENT))
    monkeypatch.setenv("BRAINSCORE_OPS_SECRET_TEST_DATABASE", json.dumps({**DOCUMENT, "host": "elsewhere"}))
    assert resolve(deploy(["environment", "aws"])).host == "elsewhere"
    assert resolve(deploy(["aws", "environment"])).host == "db.example.org"


def test_aws_is_asked_once(amazon, deploy):
    amazon.secrets.create_secret(Name="test/database", SecretString=json.dumps(DOCUMENT))
    assert resolve(deploy()).host == "db.example.org"
    amazon.secrets.update_secret(SecretId="test/database", SecretString=json.dumps({**DOCUMENT, "host": "new"}))
    assert resolve(deploy()).host == "db.example.org"
    forget_fetched()
    assert resolve(deploy()).host == "new"


def test_a_secret_that_is_not_there_is_looked_for_at_the_next_place(amazon, deploy):
    with pytest.raises(SecretError) as error:
        resolve(deploy())
    assert "BRAINSCORE_OPS_SECRET_TEST_DATABASE" in error.value.message
    assert "AWS Secrets Manager (test/database)" in error.value.message


def test_the_region_may_come_from_the_environment(amazon, deploy, monkeypatch):
    amazon.secrets.create_secret(Name="test/database", SecretString=json.dumps(DOCUMENT))
    with pytest.raises(AwsCredentialsError, match="region"):
        resolve(deploy(region=None))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-2")
    assert resolve(deploy(region=None)).host == "db.example.org"


def test_without_credentials_it_is_said_what_to_set(amazon, deploy, monkeypatch, tmp_path):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    with pytest.raises(AwsCredentialsError) as error:
        resolve(deploy())
    assert error.value.exit_code == 2
    assert "AWS_PROFILE" in error.value.remedy


def test_a_profile_that_is_not_there_is_a_matter_of_credentials(amazon, deploy, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(AwsCredentialsError, match="nobody"):
        resolve(deploy())


def test_credentials_that_are_not_allowed_to_are_told(amazon, deploy):
    """Moto checks signatures and policies once it is told to; nobody has the key that the environment names."""
    amazon.secrets.create_secret(Name="test/database", SecretString=json.dumps(DOCUMENT))
    requests.post(f"{amazon.endpoint}/moto-api/reset-auth", data="0", timeout=10)
    try:
        with pytest.raises(AwsAccessDeniedError) as error:
            resolve(deploy())
    finally:
        requests.post(f"{amazon.endpoint}/moto-api/reset-auth", data="inf", timeout=10)
    assert error.value.exit_code == 2
    assert "secretsmanager:GetSecretValue" in error.value.remedy


def test_an_aws_that_does_not_answer_is_unavailable(amazon, deploy):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        free = listening.getsockname()[1]
    with pytest.raises(AwsUnavailableError) as error:
        resolve(deploy(endpoint=f"http://127.0.0.1:{free}"))
    assert error.value.exit_code == 4


@pytest.mark.parametrize("text", ["hush-hush", '["hush-hush"]', '"hush-hush"', '{"password": "hush-hush"'])
def test_what_is_no_json_object_is_told_without_a_word_of_it(amazon, deploy, text):
    amazon.secrets.create_secret(Name="test/database", SecretString=text)
    with pytest.raises(SecretError) as error:
        resolve(deploy())
    assert "hush-hush" not in str(error.value) + json.dumps(error.value.as_dict())


def test_binary_data_are_told(amazon, deploy):
    amazon.secrets.create_secret(Name="test/database", SecretBinary=b"\x00")
    with pytest.raises(SecretError, match="binary"):
        resolve(deploy())


def test_without_boto3_it_is_said_how_to_install_it(deploy, monkeypatch):
    forget_fetched()
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(Boto3MissingError) as error:
        fetch_secret("test/database", deploy().secrets.aws)
    assert "brainscore_ops[aws]" in error.value.remedy
