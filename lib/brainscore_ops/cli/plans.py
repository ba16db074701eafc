"""``plan``, ``approve`` and ``reproduce``: what would be scored and what it costs, leave to do it, and whether it holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from brainscore_ops.cli.main import print_json, user_name
from brainscore_ops.cli.services import deployment_option, json_option
from brainscore_ops.display import printable


@click.command()
@click.option("--pull-request", type=int, help="What merging this pull request calls for, or has called for.")
@click.option("--commit", default="", help="The library's commit; by default the newest.")
@click.option("--models", multiple=True, metavar="MODEL", help="Score this model again; may be given several times.")
@click.option(
    "--benchmarks", multiple=True, metavar="BENCHMARK", help="Score this benchmark again; with models, their pairs."
)
@click.option("--private", is_flag=True, help="A pull request of the private repository.")
@click.option(
    "--submission",
    type=int,
    metavar="N",
    help="Score again only pairs with a plugin of this submission, private ones too.",
)
@click.option("--pairs", nargs=2, multiple=True, metavar="MODEL BENCHMARK", help="Score exactly this pair again.")
@click.option("--stale", is_flag=True, help="Score again what rests on older shared code or an older environment.")
@click.option(
    "--failed", default="", metavar="REASON", help="Score again what failed for this reason: its code, or its words."
)
@click.option(
    "--before",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    help="Only what was recorded before this moment (UTC).",
)
@deployment_option
@json_option
def plan(
    pull_request: int | None,
    submission: int | None,
    commit: str,
    models: tuple[str, ...],
    benchmarks: tuple[str, ...],
    pairs: tuple[tuple[str, str], ...],
    failed: str,
    before: datetime | None,
    deployment: str,
    *,
    private: bool,
    stale: bool,
    as_json: bool,
) -> None:
    """Print which pairs would be scored, why, and what that is estimated to cost; nothing is run.

    Without models, benchmarks, pairs, --submission, --failed or --stale it is the plan of `score_plugins`: of everything that has
    no outcome yet, or of a pull request. With them it is that of `rescore`.
    """
    from brainscore_ops.submissions import rescoring, scoring_request
    from brainscore_ops.submissions.context import open_deployment

    if submission is None:
        context = open_deployment(deployment, private=private)
        target = scoring_request.preview_target(context, pull_request, commit)
    else:
        context = rescoring.at_home_of(open_deployment(deployment), submission)
        target = rescoring.find_target(context, submission, commit)
    if submission is not None or models or benchmarks or pairs or failed or stale:
        moment = before.replace(tzinfo=UTC) if before else None
        wanted = rescoring.asked_for(
            submission=submission,
            models=models,
            benchmarks=benchmarks,
            pairs=pairs,
            failed=failed,
            stale=stale,
            before=moment,
        )
        found = rescoring.plan_rescoring(context, target, wanted)
    else:
        found = scoring_request.make_plan(context, target)
    cost = rescoring.cost_of(context, found.pairs)
    limit = context.deployment.scoring.approval_over_hours
    if as_json:
        print_json({**found.as_dict(), "cost": cost.as_dict(), "needs_approval": cost.hours > limit})
        return
    click.echo(str(found.table()))
    if found.pairs:
        click.echo(f"\n{cost.table()}")
        if cost.hours > limit:
            click.echo(f"\nOver {limit:g} hours: its run waits for an approval.")


@click.command()
@click.argument("digest", required=False)
@click.option("--by", default="", metavar="NAME", help="Who approves; by default, who calls.")
@click.option("--hours", type=click.IntRange(1, 24 * 31), default=72, show_default=True, help="How long it holds.")
@deployment_option
@json_option
def approve(digest: str | None, by: str, hours: int, deployment: str, *, as_json: bool) -> None:
    """Give leave to carry out exactly the plan DIGEST (or its beginning); without one, list the plans that asked for it.

    A runbook whose plan waits prints its digest. An approval holds for no other plan, and ends.
    """
    from brainscore_ops.scoring import approvals
    from brainscore_ops.submissions.context import open_deployment

    with open_deployment(deployment).database.session() as session:
        if digest is None:
            requests = approvals.plan_requests(session)
        else:
            requests = [approvals.approve(session, digest, by=by or user_name(), lasting=timedelta(hours=hours))]
    if as_json:
        documents = [request.as_dict() for request in requests]
        print_json(documents if digest is None else documents[0])
        return
    for request in requests:
        click.echo(str(request.table()))
    if not requests:
        click.echo("no plan has asked for an approval")


@click.command()
@click.argument("score")
@click.option(
    "--tolerance",
    type=click.FloatRange(0),
    default=1e-9,
    show_default=True,
    help="The greatest relative difference.",
)
@deployment_option
@json_option
def reproduce(score: str, tolerance: float, deployment: str, *, as_json: bool) -> None:
    """Compute SCORE once more, from the recorded commit, lock and seed, and print what differs. Nothing is recorded.

    SCORE is its number in the database, or its identity or the beginning of that (`brainscore-ops scores --table`).
    Exit code 1 where it differs beyond the tolerance.
    """
    from brainscore_ops.submissions.context import open_deployment
    from brainscore_ops.submissions.reproduction import reproduce as compute_again

    def say(line: str) -> None:
        click.secho(printable(line), dim=True, err=True)

    found = compute_again(open_deployment(deployment), score, tolerance=tolerance, say=say)
    if as_json:
        print_json(found.as_dict())
    else:
        click.echo(str(found.table()))
    raise SystemExit(0 if found.same else 1)
