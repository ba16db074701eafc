"""No known secret is left in what a run writes, in whatever form it is printed."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from brainscore_ops.runbooks.redaction import MASK, Redactor

from .conftest import FORGE_TOKEN

secrets = st.text(st.characters(exclude_characters="*", exclude_categories=("Cs",)), min_size=4)


@given(secrets, st.text(), st.text())
def test_a_secret_is_hidden_wherever_it_stands(secret, before, after):
    redacted = Redactor([secret]).text(before + secret + after)
    assert secret not in redacted
    assert MASK in redacted


@given(secrets)
def test_its_encoded_forms_are_hidden_too(secret):
    redactor = Redactor([secret])
    forms = [quote(secret, safe=""), json.dumps(secret)[1:-1], base64.b64encode(secret.encode()).decode()]
    assert [redactor.text(f"<{form}>") for form in forms] == [f"<{MASK}>"] * 3


def test_documents_are_cleaned_in_place_down_to_their_keys():
    document = {"a": ["x s3cret y", 3, None], "s3cret": {"b": "s3cret"}}
    inner = document["a"]
    assert Redactor(["s3cret"]).clean(document) == {"a": ["x *** y", 3, None], "***": {"b": "***"}}
    assert inner == ["x *** y", 3, None]


def test_a_secret_too_short_to_protect_anything_tears_up_no_words():
    assert Redactor(["a", ""]).text("banana") == "banana"


def test_it_knows_all_secrets_of_a_deployment(bench, runs_postgres):
    redactor = Redactor.of(bench.deployment)
    assert redactor.finds([runs_postgres["password"]])
    assert redactor.finds({"x": FORGE_TOKEN})
    assert not redactor.finds("nothing")


def test_it_knows_secrets_that_the_environment_gives(bench, monkeypatch):
    monkeypatch.setenv(
        "BRAINSCORE_OPS_SECRET_TEST_MAIL", json.dumps({"host": "h", "port": 25, "password": "m41l-password"})
    )
    assert Redactor.of(bench.deployment).finds("m41l-password")
