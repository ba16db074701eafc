"""``accounts``: who of the website's users is of the team, and how much somebody may submit."""

from __future__ import annotations

import click

from brainscore_ops.cli.main import print_json
from brainscore_ops.cli.services import deployment_option, json_option


@click.command()
@click.argument("email")
@click.option("--staff/--no-staff", default=None, help="Whether they see everything, and the staff pages.")
@click.option("--superuser/--no-superuser", default=None, help="Whether they may also say who is staff.")
@click.option("--active/--shut-out", default=None, help="Whether they may sign in.")
@click.option("--quota", type=click.IntRange(0), default=None, help="Submissions in the quota's period.")
@click.option("--no-quota", is_flag=True, help="The deployment's own quota again.")
@deployment_option
@json_option
def accounts(
    email: str,
    deployment: str,
    *,
    staff: bool | None,
    superuser: bool | None,
    active: bool | None,
    quota: int | None,
    no_quota: bool,
    as_json: bool,
) -> None:
    """Show the account of EMAIL on the website, or change what it may do. They sign up on the website first."""
    from brainscore_ops.portal.ranks import change_rank
    from brainscore_ops.submissions.context import open_deployment

    context = open_deployment(deployment)
    try:
        found = change_rank(
            context.database,
            email,
            staff=staff,
            superuser=superuser,
            active=active,
            quota=None if no_quota else quota,
            sets_quota=no_quota or quota is not None,
        )
    finally:
        context.database.close()
    if as_json:
        print_json(vars(found))
        return
    limit = "the deployment's quota" if found.quota is None else f"a quota of {found.quota}"
    click.echo(f"{found.email}: {found.rank}, {limit}")
