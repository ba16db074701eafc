"""What tests of several folders share: AWS as moto's server plays it, and a real SLURM, started once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.slurm_cluster import Slurm, running_slurm

from brainscore_ops.settings.aws import forget_fetched

# Wherever tests run, their deployments are no workflow's: within one, nothing private is worked on.
os.environ.pop("GITHUB_ACTIONS", None)


@dataclass(frozen=True)
class Amazon:
    """An AWS with nothing in it, and the way there."""

    endpoint: str
    secrets: Any
    """boto3's client of its Secrets Manager."""

    region: str = "us-east-2"


@pytest.fixture(scope="session")
def amazon_server() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def amazon(amazon_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Amazon]:
    """AWS, empty, and credentials for it in the environment."""
    import boto3

    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "an-access-key")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    forget_fetched()
    client = boto3.client("secretsmanager", region_name=Amazon.region, endpoint_url=amazon_server)
    for secret in client.list_secrets()["SecretList"]:
        client.delete_secret(SecretId=secret["Name"], ForceDeleteWithoutRecovery=True)
    yield Amazon(amazon_server, client)
    forget_fetched()


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """A real SLURM of two nodes. What a test does to a node or a job it undoes."""
    with running_slurm(tmp_path_factory.mktemp("slurm")) as found:
        yield found
