"""``run``: execute a runbook."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from brainscore_ops.cli.main import print_json, user_name
from brainscore_ops.cli.shown_run import execute_shown, leave_with, print_result
from brainscore_ops.display import printable
from brainscore_ops.errors import UsageError

if TYPE_CHECKING:
    from brainscore_ops.cli.shown_run import StepLines
    from brainscore_ops.runbooks.planning import Planned
    from brainscore_ops.runbooks.runs import RunResult


@click.command(add_help_option=False)
@click.argument("runbook", required=False)
@click.option(
    "-p",
    "--parameter",
    "given",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help="A parameter; may be given several times.",
)
@click.option(
    "-f",
    "--file",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A YAML file of parameters; -p wins where both name one.",
)
@click.option("--deployment", help="The deployment to work on; by default the one that its parameters name.")
@click.option(
    "--ref", help="Run notebooks and library of this branch, tag or commit of the ops repository, beside the checkout."
)
@click.option(
    "--driver",
    type=click.Choice(["here", "slurm"]),
    default="here",
    show_default=True,
    help="Where it runs: in this process, or in a SLURM job of its own, for what takes days.",
)
@click.option(
    "--no-wait", is_flag=True, help="With --driver slurm: submit the job, print its number, and do not follow it."
)
@click.option(
    "--plan",
    "only_plan",
    is_flag=True,
    help="Do nothing outside: write down what would be done, with its digest, and keep that as a record.",
)
@click.option("--plan-digest", metavar="DIGEST", help="Plan again first, and act only if the plan is still this one.")
@click.option("--json", "as_json", is_flag=True, help="Print how it ended as one JSON document.")
@click.option("-h", "--help", "wants_help", is_flag=True, help="Show this, or the parameters of RUNBOOK, and exit.")
@click.pass_context
def run(
    context: click.Context,
    runbook: str | None,
    given: tuple[tuple[str, str], ...],
    file: Path | None,
    deployment: str | None,
    ref: str | None,
    driver: str,
    plan_digest: str | None,
    *,
    only_plan: bool,
    no_wait: bool,
    as_json: bool,
    wants_help: bool,
) -> None:
    """Execute RUNBOOK with parameters, and keep the executed notebook as the record.

    Exit codes: 0 done; 1 a step failed; 2 usage; 3 refused by a rule; 4 an outside service was unavailable; 130 interrupted.
    """
    if wants_help:
        _print_help(context, runbook)
        context.exit(0)
    if runbook is None:
        raise UsageError("expected the name of a runbook, found none", remedy="`brainscore-ops run --help` lists them.")
    parameters = {**(_read_file(file) if file else {}), **dict(given)}
    if (only_plan or plan_digest) and (driver != "here" or ref is not None or (only_plan and plan_digest)):
        raise UsageError("expected --plan or --plan-digest alone: without --driver, --ref, and each other")
    if driver == "slurm":
        arguments = [*_arguments(runbook, given, file), *(["--ref", ref] if ref else [])]
        raise SystemExit(_run_as_job(arguments, parameters, deployment, wait=not no_wait, as_json=as_json))
    if no_wait:
        raise UsageError("expected --no-wait beside --driver slurm alone: in this process a run is waited for")
    if ref is not None:
        raise SystemExit(_run_at(ref, runbook, parameters, given, file, deployment, as_json=as_json))
    from brainscore_ops.runbooks.execution import run_runbook
    from brainscore_ops.runbooks.planning import plan_runbook, run_as_planned

    asked: dict[str, Any] = {"deployment": deployment, "triggered_by": f"cli:{user_name()}"}

    def execute(lines: StepLines) -> RunResult:
        if only_plan:
            planned = plan_runbook(runbook, parameters, on_step=lines, **asked)
            lines.close()
            _print_plan(planned, as_json=as_json)
            raise SystemExit(planned.result.exit_code)
        if plan_digest is not None:
            return run_as_planned(runbook, parameters, plan_digest, on_step=lines, **asked)
        return run_runbook(runbook, parameters, on_step=lines, **asked)

    leave_with(execute_shown(execute, to_stderr=as_json), as_json=as_json)


def _run_at(
    name: str,
    runbook: str,
    parameters: dict[str, Any],
    given: tuple[tuple[str, str], ...],
    file: Path | None,
    deployment: str | None,
    *,
    as_json: bool,
) -> int:
    from brainscore_ops.runbooks.refs import find_ref, run_at
    from brainscore_ops.settings import find_workspace, load_deployment

    chosen = _chosen(deployment, parameters)
    workspace = find_workspace()
    settings = load_deployment(chosen, workspace)
    ref = find_ref(workspace.root, name)
    click.secho(printable(f"{ref.name}: {ref.commit[:12]} {ref.subject}"), bold=True, err=True)
    for note in ref.notes:
        click.echo(f"note: {note}", err=True)
    arguments = [*_arguments(runbook, given, file), "--deployment", chosen, *(["--json"] if as_json else [])]
    return run_at(settings, ref, arguments, tell=lambda words: click.echo(words, err=True))


def _run_as_job(
    arguments: list[str], parameters: dict[str, Any], deployment: str | None, *, wait: bool, as_json: bool
) -> int:
    from brainscore_ops.scoring.driver_job import follow, submit_driver
    from brainscore_ops.settings import load_deployment

    settings = load_deployment(_chosen(deployment, parameters))
    arguments += ["--deployment", settings.name, *(["--json"] if as_json else [])]
    job = submit_driver(settings, arguments)
    click.echo(f"SLURM job {job.number}; what it prints goes to {job.output}", err=as_json)
    if not wait:
        if as_json:
            print_json({"job_id": job.number, "output": str(job.output), "errors": str(job.errors)})
        return 0
    try:
        return follow(job, tell=lambda text, errors: click.echo(text, nl=False, err=errors))
    except KeyboardInterrupt:
        click.echo(f"\nnot followed any more; the job goes on. End it with: scancel {job.number}", err=True)
        return 130


def _arguments(runbook: str, given: tuple[tuple[str, str], ...], file: Path | None) -> list[str]:
    """What a command line has to say that runs a runbook with the same parameters elsewhere."""
    words = ["run", runbook, *(word for pair in given for word in ("--parameter", *pair))]
    return [*words, *(["--file", str(file.resolve())] if file else [])]


def _chosen(deployment: str | None, parameters: dict[str, Any]) -> str:
    chosen = str(parameters.get("deployment", deployment or "local"))
    if deployment not in (None, chosen):
        raise UsageError(f"expected one deployment, found {deployment!r} and, as a parameter, {chosen!r}")
    return chosen


def _print_plan(planned: Planned, *, as_json: bool) -> None:
    if as_json:
        print_json(planned.as_dict())
        return
    effects = planned.effects
    click.echo(printable(str(effects.table())))
    if effects.ends_at:
        click.echo(f"\nThe plan goes this far: {effects.ends_at}")
    print_result(planned.result)
    if planned.result.exit_code:
        click.echo("(nothing was done; what ended the plan would end the run)")
        return
    click.echo(f"plan: {effects.digest}\n(nothing was done; `--plan-digest {effects.digest[:16]}` does exactly this)")


def _print_help(context: click.Context, name: str | None) -> None:
    from brainscore_ops.runbooks.catalogue import find_runbook, list_runbooks

    if name is None:
        click.echo(context.get_help())
        click.echo("\nRunbooks:")
        runbooks = list_runbooks()
        width = max((len(runbook.name) for runbook in runbooks), default=0)
        for runbook in runbooks:
            click.echo(f"  {runbook.name:{width}}  {runbook.purpose}")
        return
    from brainscore_ops.runbooks.parameters import describe, load_parameters_model

    runbook = find_runbook(name)
    click.echo(f"{runbook.name}: {runbook.purpose}\n\nParameters (-p NAME VALUE):")
    for parameter in describe(load_parameters_model(runbook.parameters)):
        default = "required" if parameter.required else f"default: {parameter.default!r}"
        click.echo(f"  {parameter.name}: {parameter.type}  ({default})\n      {parameter.description}")
    click.echo(f"\nSteps: {', '.join(runbook.steps)}")


def _read_file(path: Path) -> dict[str, Any]:
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"expected YAML in {path}: {error}", remedy="Mend the file.") from None
    if not isinstance(document, dict) or not all(isinstance(name, str) for name in document):
        raise UsageError(f"expected parameters by name in {path}, found {type(document).__name__}")
    return document
