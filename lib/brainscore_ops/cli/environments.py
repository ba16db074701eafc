"""``environments``: the plugin environments of a deployment, and the removal of old ones."""

from __future__ import annotations

import click

from brainscore_ops.cli.main import print_json
from brainscore_ops.cli.services import deployment_option, json_option


@click.command()
@deployment_option
@click.option(
    "--collect", "collecting", is_flag=True, help="Remove those that are old or too many, as the settings say."
)
@json_option
def environments(deployment: str, *, collecting: bool, as_json: bool) -> None:
    """List the environments that plugins run in, with what they take and when they were used last.

    With --collect those are removed that were not used for 'environments.most_days', and then those that were used longest
    ago until all fit into 'environments.most_bytes'. None that is in use is removed, on whichever machine, and none that
    was asked for within the last hour. An environment that was removed is made again from its lock when it is needed.
    """
    from brainscore_ops.plugins.collection import collect, look
    from brainscore_ops.scoring.pair import environments_of
    from brainscore_ops.settings import load_deployment

    settings = load_deployment(deployment)
    store, limits = environments_of(settings), settings.environments
    found = collect(store, most_bytes=limits.most_bytes, most_days=limits.most_days) if collecting else look(store.root)
    if as_json:
        print_json(found.to_json())
    else:
        click.echo(str(found.table()))
