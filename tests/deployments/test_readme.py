"""The README's table of deployments states what the code holds."""

from __future__ import annotations

from pathlib import Path

from brainscore_ops.settings import RULES, Tier, Workspace, load_deployment

ROOT = Path(__file__).parents[2]
SOURCES = {"environment": "environment", "file": "file", "aws": "AWS"}
EMBEDDED = {frozenset({"database", "forge", "mail"}): "all", frozenset(): "none"}


def table() -> dict[str, dict[Tier, str]]:
    lines = (ROOT / "README.md").read_text().splitlines()
    start = lines.index("| | `local` | `test` | `dev` | `prod` |")
    rows = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        rows[name] = dict(zip(Tier, cells, strict=True))
    return rows


def test_the_table_of_deployments_is_made_of_the_rules():
    def said(tell):
        return {tier: tell(tier, RULES[tier]) for tier in Tier}

    assert table() == {
        "names of its secrets": said(lambda tier, _: f"`{tier}/…`"),
        "secrets come from": said(
            lambda _, rules: ", ".join(SOURCES[name] for name in SOURCES if name in rules.sources)
        ),
        "services that it may embed": said(lambda _, rules: EMBEDDED[rules.embedded]),
        "`run --ref` takes": said(lambda _, rules: "any ref" if rules.any_ref else "the default branch"),
        "a migration has run before on": said(
            lambda _, rules: ", ".join(f"`{tier}`" for tier in rules.migrated_after) or "–"
        ),
        "restoring over its database": said(
            lambda _, rules: "its name typed" if rules.restore_asks_name else "as told"
        ),
        "`sandbox: {kind: none}`": said(lambda _, rules: "allowed" if rules.sandbox_may_be_off else "refused"),
        "in tests, the demo, and CI on a pull request's code": said(
            lambda _, rules: "yes" if rules.in_tests else "no secret given"
        ),
    }


def test_each_tier_has_a_deployment_that_keeps_to_its_rules():
    for tier in Tier:
        assert load_deployment(str(tier), Workspace(ROOT, ROOT, ROOT)).tier is tier
