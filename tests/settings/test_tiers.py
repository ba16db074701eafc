"""A test or a demo never gets at production's secrets, whichever way it tries, with the secret lying there to be had."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from brainscore_ops.settings import (
    RULES,
    DatabaseSecret,
    SecretWithheldError,
    Tier,
    Workspace,
    load_deployment,
    resolve_secret,
)
from brainscore_ops.settings.deployment import BadSettingsError
from brainscore_ops.settings.secrets import variable_of, write_secret
from brainscore_ops.settings.tiers import OWNERS_OF_OLDER_NAMES, confinement, tier_of_name

PARAMS = Path(__file__).parents[2] / "params"
PRODUCTION = {
    "host": "prod.example.org",
    "database": "brainscore",
    "username": "ops",
    "password": "pr0duction-password",
}
SAFE = [tier for tier in Tier if RULES[tier].in_tests]
SHARED = [tier for tier in Tier if not RULES[tier].in_tests]


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A workspace in which production's secret is at every place where secrets are looked for."""
    (tmp_path / "notebooks" / "runbooks").mkdir(parents=True)
    (tmp_path / "params").mkdir()
    made = Workspace(tmp_path, tmp_path / "state", tmp_path / "outputs")
    monkeypatch.setenv(variable_of("prod/database"), json.dumps(PRODUCTION))
    for name in ("local", "test", "dev", "prod"):
        write_secret(made.state(name) / "secrets.json", "prod/database", PRODUCTION)
    return made


def describe(workspace, name="trial", **settings):
    """Write the settings of a deployment; whatever is not said is as in params/test.yaml."""
    document = {**yaml.safe_load((PARAMS / "test.yaml").read_text()), **settings}
    (workspace.params / f"{name}.yaml").write_text(yaml.safe_dump(document))
    return name


def problems_of(workspace, **settings):
    with pytest.raises(BadSettingsError) as refusal:
        load_deployment(describe(workspace, **settings), workspace)
    return {problem.where: problem.message for problem in refusal.value.problems}


@pytest.mark.parametrize(
    "name", ["prod/database", "brainscore-prod-ohio-cred/x", "production/database", "database/prod"]
)
def test_settings_of_a_test_deployment_cannot_name_it(workspace, name):
    assert (
        "expected the name of a secret that begins with test/"
        in problems_of(workspace, database={"secret": name})["database"]
    )


@pytest.mark.parametrize("service", ["database", "forge", "mail"])
def test_that_holds_for_every_service(workspace, service):
    given = {"secret": "prod/x", **({"sender": "a@example.org"} if service == "mail" else {})}
    assert service in problems_of(workspace, **{service: given})


def test_code_that_asks_for_it_by_name_is_refused(workspace):
    deployment = load_deployment(describe(workspace), workspace)
    with pytest.raises(SecretWithheldError, match="is of prod") as refusal:
        resolve_secret(deployment, "prod/database", DatabaseSecret)
    assert refusal.value.exit_code == 2


def test_the_file_of_another_deployment_gives_nothing_of_its_tier(workspace):
    deployment = load_deployment(describe(workspace, secrets={"file": "../prod/secrets.json"}), workspace)
    assert deployment.secrets_file.resolve() == workspace.state("prod") / "secrets.json"
    with pytest.raises(SecretWithheldError):
        resolve_secret(deployment, "prod/database", DatabaseSecret)


@pytest.mark.parametrize(
    "there", ["brainscore-prod-ohio-cred", "prod/database", "brainscore-1-ohio-cred", "some-name-of-old"]
)
def test_no_alias_at_aws_gives_a_test_what_is_not_its_own(workspace, there):
    secrets = {"sources": ["aws"], "aws": {"names": {"test/database": there}}}
    assert "this deployment of test" in problems_of(workspace, secrets=secrets)["secrets"]


@pytest.mark.parametrize("name", list(OWNERS_OF_OLDER_NAMES))
def test_an_older_name_is_had_by_the_tier_that_owns_it_alone(workspace, name):
    owner = OWNERS_OF_OLDER_NAMES[name]
    for tier in (Tier.TEST, Tier.DEV, Tier.PROD):
        settings = {
            "tier": str(tier),
            **{service: {"secret": f"{tier}/x"} for service in ("database", "forge")},
            "mail": {"secret": f"{tier}/x", "sender": "a@example.org"},
            "embedded": [],
            "secrets": {"sources": ["aws"], "aws": {"names": {f"{tier}/x": name}}},
        }
        if tier is owner:
            assert load_deployment(describe(workspace, **settings), workspace).secrets.aws.name_of(f"{tier}/x") == name
        else:
            assert f"is of the tier {owner}" in problems_of(workspace, **settings)["secrets"]


def test_a_file_called_test_is_of_no_other_tier(workspace):
    describe(workspace, "test", tier="prod")
    with pytest.raises(BadSettingsError) as refusal:
        load_deployment("test", workspace)
    assert "tier" in {problem.where for problem in refusal.value.problems}


def test_the_tier_has_to_be_said(workspace):
    document = yaml.safe_load((PARAMS / "test.yaml").read_text())
    del document["tier"]
    (workspace.params / "trial.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(BadSettingsError) as refusal:
        load_deployment("trial", workspace)
    assert [(problem.where, problem.message) for problem in refusal.value.problems] == [
        ("tier", "expected a value, found none")
    ]


def test_a_document_that_says_whose_it_is_is_believed(workspace, monkeypatch):
    monkeypatch.setenv(variable_of("test/database"), json.dumps({**PRODUCTION, "tier": "prod"}))
    deployment = load_deployment(describe(workspace), workspace)
    with pytest.raises(SecretWithheldError) as refusal:
        resolve_secret(deployment, "test/database", DatabaseSecret)
    assert PRODUCTION["password"] not in str(refusal.value)


@pytest.mark.parametrize("tier", SHARED)
def test_even_settings_of_a_shared_tier_give_a_test_nothing(workspace, monkeypatch, tier):
    (workspace.params / f"{tier}.yaml").write_text((PARAMS / f"{tier}.yaml").read_text())
    monkeypatch.setenv(variable_of(f"{tier}/database"), json.dumps(PRODUCTION))
    deployment = load_deployment(str(tier), workspace)
    with pytest.raises(SecretWithheldError, match="not for a test"):
        resolve_secret(deployment, f"{tier}/database", DatabaseSecret)


RESOLVE = """
import sys
from pathlib import Path
from brainscore_ops.settings import DatabaseSecret, Workspace, load_deployment, resolve_secret
root = Path(sys.argv[1])
deployment = load_deployment("prod", Workspace(root, root / "state", root / "outputs"))
print(resolve_secret(deployment, "prod/database", DatabaseSecret).host)
"""


def resolve_in_a_process(workspace, **variables):
    """What a process of its own makes of production's secret; without what says that a test started it."""
    (workspace.params / "prod.yaml").write_text((PARAMS / "prod.yaml").read_text())
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "GITHUB_"))}
    return subprocess.run(
        [sys.executable, "-c", RESOLVE, str(workspace.root)], capture_output=True, text=True, env={**ours, **variables}
    )


def test_production_itself_gets_it(workspace):
    assert resolve_in_a_process(workspace).stdout.strip() == "prod.example.org"


@pytest.mark.parametrize(
    ("variables", "who"),
    [
        ({"PYTEST_VERSION": "9"}, "a test"),
        ({"PYTEST_CURRENT_TEST": "x (call)"}, "a test"),
        ({"BRAINSCORE_OPS_CONFINED": "the demo"}, "the demo"),
        ({"GITHUB_EVENT_NAME": "pull_request"}, "CI on a pull request's code"),
        ({"GITHUB_EVENT_NAME": "merge_group"}, "CI on a pull request's code"),
    ],
)
def test_what_tests_demos_and_ci_on_strangers_code_start_does_not(workspace, variables, who):
    done = resolve_in_a_process(workspace, **variables)
    assert done.returncode == 1
    assert f"is not for {who}" in done.stderr
    assert PRODUCTION["password"] not in done.stderr + done.stdout


def test_this_process_knows_that_it_is_a_test(monkeypatch):
    monkeypatch.delenv("PYTEST_VERSION")
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    assert confinement() == "a test"


names = st.from_regex(r"[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*", fullmatch=True)


@given(names, names)
def test_names_of_two_tiers_never_share_a_variable(rest, other):
    variables = [{variable_of(f"{tier}/{name}") for name in (rest, other)} for tier in Tier]
    assert sum(map(len, variables)) == len(set().union(*variables))


@given(names)
def test_a_name_that_says_nothing_is_productions(name):
    if name.partition("/")[0] not in list(Tier) or "/" not in name:
        assert tier_of_name(name) is OWNERS_OF_OLDER_NAMES.get(name, Tier.PROD)


def test_what_a_tier_does_not_allow_is_said_with_all_else_that_is_wrong(workspace):
    document = yaml.safe_load((PARAMS / "prod.yaml").read_text())
    found = problems_of(workspace, **{**document, "embedded": ["database"], "sandbox": {"kind": "none"}, "odd": 1})
    assert found.keys() == {"embedded", "sandbox", "odd"}


def test_a_machine_of_ones_own_takes_no_secrets_from_aws(workspace):
    document = yaml.safe_load((PARAMS / "local.yaml").read_text())
    assert "aws" in problems_of(workspace, **{**document, "secrets": {"sources": ["aws"]}})["secrets"]
