"""The `alsolike` command."""

import os
import shlex
import sys
import textwrap
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from components.errors import UserError
from components.processes import interrupt_on_termination
from components.step import mistakes_in_one_line
from pipelines.command import deployments, images
from pipelines.command import kubeflow as remote
from pipelines.compile import Build, compile_pipeline, compiled_package
from pipelines.definition.difference import diff
from pipelines.definition.environment import LOCK, load_environment
from pipelines.definition.package import SHIPPED, read_package
from pipelines.definition.parameters import list_parameters, read_given
from pipelines.local.compare import compare
from pipelines.local.run import ENDPOINT, RUNS, StepFailed
from pipelines.local.run import run as run_locally
from pipelines.local.summary import SUMMARY, TRIALS
from pipelines.local.tune import tune_locally
from pipelines.training import training_pipeline
from pipelines.tuning import for_tuning, tuning_pipeline


class _Commands(TyperGroup):
    """Commands that end with one line on an interrupt."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            notes = getattr(interrupt, "__notes__", [])
            typer.echo(": ".join(["interrupted", *notes]), err=True)
            sys.exit(130)


app = typer.Typer(
    cls=_Commands,
    help="Star ratings in S3 to a live recommendation endpoint.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


_Source = Annotated[
    str | None, typer.Option(help="File, folder or s3:// URI of ratings; generated if not given.")
]
_Docker = Annotated[
    bool, typer.Option("--docker", help="Run each step, and the server, in its image.")
]
_Engine = Annotated[
    str, typer.Option(help="Where ratings are prepared: local, or spark, on a cluster made here.")
]
_Runs = Annotated[Path, typer.Option("--runs", help="Folder of all runs.")]


@app.command()
def run(
    source: _Source = None,
    params: Annotated[
        str,
        typer.Option(
            help="Pipeline parameters: 'epochs=10 format=csv', or a YAML file. "
            "`alsolike parameters` lists them."
        ),
    ] = "",
    engine: _Engine = "",
    docker: _Docker = False,
    runs: _Runs = RUNS,
) -> None:
    """Run the whole pipeline on this machine and ask the deployed server."""
    ratings, given = read_given(source, params)
    given |= {"engine": engine} if engine else {}
    summary = run_locally(ratings, given, Console(), runs, docker=docker)
    typer.echo()
    _show_end(summary)


@app.command()
def tune(
    source: _Source = None,
    params: Annotated[
        str,
        typer.Option(
            help="As for run, and the search's own: 'trials=12 minutes=30', or a YAML file. "
            "`alsolike parameters --tune` lists them."
        ),
    ] = "",
    docker: _Docker = False,
    runs: _Runs = RUNS,
) -> None:
    """Search settings of the training step on this machine, then run the pipeline with the best."""
    summary = tune_locally(*read_given(source, params), Console(), runs, docker=docker)
    typer.echo(f"\nTrials   {Path(summary['folder']) / TRIALS}")
    _show_end(summary)


def _show_end(summary: Mapping[str, Any]) -> None:
    """Print the places of a run's results, and the next command."""
    typer.echo(f"Report   {summary['report']}")
    typer.echo(f"Summary  {Path(summary['folder']) / SUMMARY}")
    endpoint = summary["endpoint"]
    if endpoint["checked"]:
        typer.echo(f"Serve it {_how_to_serve(summary['destination'], endpoint['version'])}")
    else:
        typer.echo(f"Nothing was deployed: {summary['verdict']['summary']}")


def _how_to_serve(destination: str, version: str) -> str:
    """The command to serve a version that was deployed to a folder or to S3."""
    if Path(destination) == ENDPOINT.resolve():
        return "make serve"
    place, serve = shlex.quote(destination), f"{shlex.quote(sys.argv[0])} serve --bundle"
    if "://" in destination:
        fetch = f"{shlex.quote(sys.executable)} -m components.deploy.fetch"
        return f"{fetch} {place} {version} bundles && {serve} bundles/{version}"
    return f"{serve} {place}/current"


@app.command()
def parameters(
    search: Annotated[
        bool, typer.Option("--tune", help="Those of `alsolike tune`, with the search's own.")
    ] = False,
) -> None:
    """List the pipeline's parameters, their defaults and what they are for."""
    shipped = nullcontext(read_package(SHIPPED))
    with compiled_package(build=partial(tuning_pipeline, 1)) if search else shipped as package:
        listed = list(list_parameters(package))
    for name, default, text in listed:
        typer.echo(f"{name} = {default}" if default else name)
        typer.echo(textwrap.indent(textwrap.fill(text, 92), "    "))


@app.command("compile")
def compile_command(
    output: Annotated[Path | None, typer.Option(help="File to write.")] = None,
    environment: Annotated[
        str,
        typer.Option(
            "--environment", "-e", help="Cluster to compile for; for any cluster if not given."
        ),
    ] = "",
    local: Annotated[
        bool, typer.Option("--local", help="Name images by tag, though they are locked.")
    ] = False,
    tuning_rounds: Annotated[
        int,
        typer.Option(
            min=0, help="Rounds of the tuning pipeline; 0 compiles the training pipeline."
        ),
    ] = 0,
) -> None:
    """Write the pipeline's YAML, the same bytes for the same code."""
    if LOCK.exists() and not environment and not local:
        raise UserError(
            f"{LOCK.name} locks the images, and without a cluster they are named by tag: "
            "give --environment, or --local for this machine alone"
        )
    build: Build = training_pipeline
    target = output or SHIPPED
    there = load_environment(environment) if environment else None
    if tuning_rounds:
        build = partial(tuning_pipeline, tuning_rounds)
        target = output or SHIPPED.with_name("tuning.yaml")
        there = for_tuning(there) if there else None
    compile_pipeline(target, there, build)
    typer.echo(target)


_Bundle = Annotated[
    Path | None, typer.Option(help="Folder of the bundle; by default what the runs deployed.")
]


def _deployed(bundle: Path | None, runs: Path) -> Path:
    bundle = bundle or runs / ENDPOINT.name / "current"
    if not bundle.exists():
        raise UserError(f"there is no bundle at {bundle}: run the pipeline first (make run)")
    return bundle


@app.command()
def serve(
    bundle: _Bundle = None,
    port: Annotated[int, typer.Option(help="Port on loopback.")] = 8080,
    runs: _Runs = RUNS,
) -> None:
    """Serve the deployed model; a later deployment is taken up while it runs."""
    bundle = _deployed(bundle, runs)
    command = [sys.executable, "-m", "components.serve", f"--bundle={bundle}", f"--port={port}"]
    os.execv(sys.executable, command)


@app.command()
def recommend(
    output: Annotated[Path, typer.Option(help="Parquet file to write, such as lists.parquet.")],
    everyone: Annotated[
        bool, typer.Option("--all", help="Recommend to all customers of the model; must be given.")
    ] = False,
    n: Annotated[int, typer.Option("-n", min=1, help="The most products of a customer.")] = 10,
    bundle: _Bundle = None,
    runs: _Runs = RUNS,
) -> None:
    """Write the lists that the deployed model would answer with for every customer."""
    from components.artifacts.lists import write_lists
    from components.artifacts.model import open_model

    if not everyone:
        raise UserError("say for whom: --all for all customers; the server answers for one")
    model, _ = open_model(_deployed(bundle, runs))
    rows = write_lists(model, n, output)
    typer.echo(f"{output}: {rows} rows for {len(model.catalogue.customers)} customers")


@app.command("compare")
def compare_command(
    first: Annotated[Path, typer.Argument(help="Folder of a run, such as runs/latest.")],
    second: Annotated[Path, typer.Argument(help="Folder of the run to compare with it.")],
) -> None:
    """Print how the settings, the metrics and the verdicts of two runs differ."""
    Console().print(compare(first, second))


@app.command("sample-data")
def sample_data(
    output: Annotated[Path, typer.Argument(help="File to write, such as ratings.tsv.gz.")],
    rows: Annotated[int, typer.Option(min=1, help="How many ratings.")] = 200_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the ratings.")] = 0,
) -> None:
    """Generate ratings in the 15 columns of the Amazon reviews."""
    from pipelines.local.sample_data import write_sample

    write_sample(output, rows=rows, seed=seed)


app.command()(remote.submit)
app.command()(remote.follow)
app.command()(remote.doctor)
app.add_typer(remote.schedules, name="schedules")
app.add_typer(deployments.app, name="deployments")
app.add_typer(images.app, name="images")
app.command()(diff)


def main() -> None:
    """Run the command; an error of the user ends it with one line."""
    interrupt_on_termination()
    try:
        with mistakes_in_one_line("error"):
            app(standalone_mode=True)
    except StepFailed as failure:
        sys.exit(str(failure))
