"""The commands that talk to Kubeflow: submit, follow, schedules plan and apply, doctor."""

from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from pipelines.compile import Build, compiled_package
from pipelines.definition.environment import Access, Environment, load_environment
from pipelines.definition.package import Package, parse_assignments, read_package
from pipelines.definition.parameters import check_settings
from pipelines.kubeflow.client import connect
from pipelines.kubeflow.doctor import examine
from pipelines.kubeflow.schedules import apply_change, plan, read_schedules
from pipelines.kubeflow.submit import Submission, ensure_experiment
from pipelines.kubeflow.submit import follow as follow_run
from pipelines.kubeflow.versions import find_version, git_revision, publish
from pipelines.training import training_pipeline
from pipelines.tuning import for_tuning, rounds_of, tuning_pipeline

EnvironmentOption = Annotated[
    str,
    typer.Option(
        "--environment",
        "-e",
        envvar="ALSOLIKE_ENVIRONMENT",
        help="An environment that ships (dev, prod), or the path of a YAML file.",
    ),
]
EndpointOption = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        envvar="KF_PIPELINES_ENDPOINT",
        help="URL of the Kubeflow Pipelines API, in place of the environment's.",
    ),
]
AccessOption = Annotated[
    Access | None,
    typer.Option(
        "--access",
        envvar="ALSOLIKE_KFP_ACCESS",
        help="How to sign in, in place of the environment's; a token is read from "
        "ALSOLIKE_KFP_TOKEN, a cookie from ALSOLIKE_KFP_COOKIE.",
    ),
]
PackageOption = Annotated[
    Path | None, typer.Option("--package", help="A compiled pipeline; compiled now if not given.")
]
RevisionOption = Annotated[
    str | None,
    typer.Option("--revision", help="Name of a new version; the git commit if not given."),
]
FileOption = Annotated[Path, typer.Option("--file", help="The schedules.")]

_SCHEDULES = Path(__file__).parents[1] / "schedules.yaml"

schedules = typer.Typer(
    help="Make Kubeflow's schedules those of schedules.yaml.", no_args_is_help=True
)


def submit(
    environment: EnvironmentOption = "dev",
    package: PackageOption = None,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", help="A pipeline parameter, name=value; may be repeated."),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow the run; the exit code is 0 only if it succeeds.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would happen, and change nothing.")
    ] = False,
    tune: Annotated[
        bool, typer.Option("--tune", help="Run the tuning pipeline, which trains with the best.")
    ] = False,
    revision: RevisionOption = None,
    endpoint: EndpointOption = None,
    access: AccessOption = None,
) -> None:
    """Upload the pipeline to Kubeflow unless it is there, and start a run of it."""
    target = load_environment(environment, endpoint=endpoint, access=access)
    build: Build = training_pipeline
    assigned = parse_assignments(param or [])
    if tune:
        target, build = for_tuning(target), partial(tuning_pipeline, rounds_of(assigned))
    revision = revision or git_revision()
    with _package(target, package, build) as compiled:
        values = compiled.parameters(target.parameters | assigned)
        check_settings(values)
        with connect(target.kubeflow) as session:
            submission = Submission(session, target, compiled, revision, values)
            if dry_run:
                submission.preview(say=typer.echo)
                return
            run_id = submission.start(say=typer.echo)
            if wait and not follow_run(session, run_id, compiled, say=typer.echo):
                raise typer.Exit(1)


def follow(
    run: Annotated[str, typer.Argument(help="Id of the run, the end of its page's address.")],
    environment: EnvironmentOption = "dev",
    package: PackageOption = None,
    endpoint: EndpointOption = None,
    access: AccessOption = None,
) -> None:
    """Follow a run that was submitted before; the exit code is 0 only if it succeeds."""
    target = load_environment(environment, endpoint=endpoint, access=access)
    with _package(target, package) as compiled, connect(target.kubeflow) as session:
        if not follow_run(session, run, compiled, say=typer.echo):
            raise typer.Exit(1)


@schedules.command("plan")
def plan_schedules(
    environment: EnvironmentOption = "dev",
    file: FileOption = _SCHEDULES,
    package: PackageOption = None,
    endpoint: EndpointOption = None,
    access: AccessOption = None,
) -> None:
    """Show what `apply` would change."""
    target = load_environment(environment, endpoint=endpoint, access=access)
    wanted = read_schedules(file)
    with _package(target, package) as compiled, connect(target.kubeflow) as session:
        pinned = find_version(session, target, compiled)
        for change in plan(session, target, compiled, wanted, pinned):
            typer.echo(change)


@schedules.command("apply")
def apply_schedules(
    environment: EnvironmentOption = "dev",
    file: FileOption = _SCHEDULES,
    package: PackageOption = None,
    revision: RevisionOption = None,
    endpoint: EndpointOption = None,
    access: AccessOption = None,
) -> None:
    """Make Kubeflow's schedules those of the file; run it as often as you like."""
    target = load_environment(environment, endpoint=endpoint, access=access)
    wanted = read_schedules(file)
    with _package(target, package) as compiled, connect(target.kubeflow) as session:
        pinned = None
        if any(schedule.version == "pinned" for schedule in wanted.values()):
            pinned, _ = publish(session, target, compiled, revision or git_revision())
        experiment_id = ensure_experiment(session)
        for change in plan(session, target, compiled, wanted, pinned):
            typer.echo(change)
            apply_change(session, experiment_id, change, say=typer.echo)


def _package(
    environment: Environment, given: Path | None, build: Build = training_pipeline
) -> AbstractContextManager[Package]:
    """The given package, or one that is compiled now for the environment."""
    return nullcontext(read_package(given)) if given else compiled_package(environment, build)


def doctor(
    environment: EnvironmentOption = "dev",
    package: PackageOption = None,
    endpoint: EndpointOption = None,
    access: AccessOption = None,
) -> None:
    """Check that everything is there that a run on Kubeflow needs."""
    target = load_environment(environment, endpoint=endpoint, access=access)
    with _package(target, package) as compiled:
        failed = False
        for finding in examine(target, compiled):
            typer.echo(f"{finding.state:<7} {finding.check:<24} {finding.text}")
            failed = failed or finding.state == "failed"
    if failed:
        raise typer.Exit(1)
