"""A deployment whose secrets are at AWS: what its kernels get, and that its secrets stay out of records."""

from __future__ import annotations

import json
import os
import socket

import pytest
import yaml

from brainscore_ops.runbooks.kernels import kernel_environment
from brainscore_ops.runbooks.redaction import Redactor
from brainscore_ops.settings.aws import forget_fetched
from brainscore_ops.settings.errors import AwsUnavailableError

FORGE_TOKEN = "ghp_kept-by-amazon"
OF_AWS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


@pytest.fixture
def at_amazon(bench, amazon, runs_postgres):
    """The bench, with its secrets at AWS instead of in the file."""
    bench.deployment.secrets_file.unlink()
    amazon.secrets.create_secret(Name="test/database", SecretString=json.dumps(runs_postgres))
    amazon.secrets.create_secret(Name="test/forge", SecretString=json.dumps({"token": FORGE_TOKEN}))
    _keep_secrets_at(bench, amazon.endpoint)
    return bench


def _keep_secrets_at(bench, endpoint):
    path = bench.root / "params" / "test.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["secrets"] = {"sources": ["aws"], "aws": {"region": "us-east-2", "endpoint": endpoint}}
    path.write_text(yaml.safe_dump(settings))


def test_a_run_finds_its_secrets_and_leaves_none_in_its_record(at_amazon):
    at_amazon.write(
        "toy",
        "from brainscore_ops.settings import ForgeSecret, load_deployment, resolve_secret\n"
        "secret = resolve_secret(load_deployment('test'), 'test/forge', ForgeSecret)\n"
        "print('it is', secret.token.get_secret_value())",
    )
    result = at_amazon.run()
    record = result.record.read_text()
    assert (result.state, "it is ***" in record, FORGE_TOKEN in record) == ("succeeded", True, False)


def test_the_redactor_asks_once(at_amazon, amazon):
    assert Redactor.of(at_amazon.deployment).finds(FORGE_TOKEN)
    amazon.secrets.update_secret(SecretId="test/forge", SecretString='{"token": "another"}')
    assert Redactor.of(at_amazon.deployment).finds(FORGE_TOKEN)


def test_where_it_is_not_known_what_to_hide_nothing_runs(bench, amazon):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        free = listening.getsockname()[1]
    _keep_secrets_at(bench, f"http://127.0.0.1:{free}")
    bench.write("toy", "1")
    with pytest.raises(AwsUnavailableError):
        bench.run()
    assert Redactor.of(bench.deployment, needs_all=False).text("a word") == "a word"  # as on a compute node
    forget_fetched()


def test_credentials_of_aws_reach_a_kernel_only_where_its_secrets_come_from_there(bench, amazon, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-2")
    elsewhere = kernel_environment(bench.deployment, with_secrets=True)
    assert not (OF_AWS | {"AWS_PROFILE"}) & elsewhere.keys()
    assert elsewhere["AWS_DEFAULT_REGION"] == "us-east-2"  # no secret
    assert elsewhere["AWS_SHARED_CREDENTIALS_FILE"] == elsewhere["AWS_CONFIG_FILE"] == os.devnull
    _keep_secrets_at(bench, amazon.endpoint)
    there = kernel_environment(bench.deployment, with_secrets=True)
    assert (OF_AWS | {"AWS_PROFILE"}) <= there.keys()
    assert "AWS_CONFIG_FILE" not in there
    assert not OF_AWS & kernel_environment(bench.deployment, with_secrets=False).keys()
