"""``validate``, ``catalog`` and ``changes``: what can be told of archives and libraries with nothing else at hand."""

from __future__ import annotations

from pathlib import Path

import click

from brainscore_ops.cli.main import print_json
from brainscore_ops.display import printable
from brainscore_ops.errors import RefusedError
from brainscore_ops.plugins.catalogue import Catalogue, find_library, read_catalogue
from brainscore_ops.plugins.tree import DirectoryTree

DEFAULT_LIBRARY = "brainscore_example"


@click.command()
@click.argument("archive", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--library",
    "library_root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The library that it is for; with it, identifiers that exist already are found.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def validate(archive: Path, library_root: Path | None, *, as_json: bool) -> None:
    """Check the zip ARCHIVE as intake would, and name every problem at once.

    Exit code 3 where there is a problem.
    """
    from brainscore_ops.plugins.archive import inspect_archive

    existing, library = None, DEFAULT_LIBRARY
    if library_root is not None:
        root, library = find_library(library_root)
        existing = read_catalogue(DirectoryTree(root), library)
    try:
        found = inspect_archive(archive, library=library, existing=existing)
    except RefusedError as refusal:
        if not as_json:
            raise
        print_json({"valid": False, "problems": refusal.as_dict()["problems"]})
        raise SystemExit(refusal.exit_code) from None
    plugins = [f"{plugin.type}/{plugin.name}" for plugin in sorted(found.plugins)]
    if as_json:
        print_json({"valid": True, "problems": [], **found.to_json()})
        return
    click.echo(f"{archive.name} is in order.")
    for plugin in plugins:
        click.echo(f"  {plugin}")
    for kind, identifier in sorted(found.identifiers.pairs()):
        click.echo(printable(f"  {kind}: {identifier}"))
    for note in found.notes:
        click.echo(printable(f"  left out: {note}"))


@click.command()
@click.argument("library_root", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def catalog(library_root: Path, *, as_json: bool) -> None:
    """Print which plugin registers which identifier in LIBRARY_ROOT, read from the code without running any."""
    root, library = find_library(library_root)
    catalogue = read_catalogue(DirectoryTree(root), library)
    if as_json:
        print_json(catalogue.to_json())
        return
    _print_catalogue(catalogue)


@click.command()
@click.argument("repository", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("base")
@click.argument("head")
@click.option("--library", required=True, help="The library's package: brainscore_vision.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def changes(repository: Path, base: str, head: str, library: str, *, as_json: bool) -> None:
    """Print what HEAD changes against BASE in the git REPOSITORY: which plugins, and what else."""
    from brainscore_ops.plugins.changes import analyse_changes

    found = analyse_changes(repository, base, head, library)
    if as_json:
        print_json(found.to_json())
        return
    click.echo(
        "only plugins are changed"
        if found.plugin_only
        else "more than plugins is changed"
        if found.files
        else "nothing is changed"
    )
    for plugin in found.plugins:
        click.echo(f"  {plugin.type}/{plugin.name}")
    for path in found.shared:
        click.echo(printable(f"  shared: {path}"))
    for other in found.other:
        click.echo(printable(f"  other: {other.path} ({other.reason})"))


def _print_catalogue(catalogue: Catalogue) -> None:
    document = catalogue.to_json()
    problems = document.pop("problems")
    for kind, identifiers in document.items():
        click.secho(f"{kind} ({len(identifiers)})", bold=True)
        for identifier, plugin in sorted(identifiers.items()):
            click.echo(printable(f"  {identifier}  ({plugin})"))
    for problem in problems:
        click.secho(printable(f"problem: {problem}"), fg="yellow")
