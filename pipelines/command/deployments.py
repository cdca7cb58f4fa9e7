"""The commands for deployed versions: list, verify, prune, rollback, promote."""

import logging
import os
from typing import Annotated, Any

import typer

from components.artifacts.bundles import (
    BundleStore,
    StoredVersion,
    current_version,
    dispensable_versions,
    open_store,
    previous_version,
)
from components.artifacts.scratch import scratch_folder
from components.deploy.deploy import deploy_stored
from components.deploy.settings import DeploySettings
from components.errors import UserError
from pipelines.definition.environment import load_environment
from pipelines.definition.package import parse_assignments, unknown_parameter

EnvironmentOption = Annotated[
    str,
    typer.Option(
        "--environment",
        "-e",
        envvar="ALSOLIKE_ENVIRONMENT",
        help="The cluster whose parameters say what is deployed where; none: this machine.",
    ),
]
ParamOption = Annotated[
    list[str] | None,
    typer.Option(
        "--param", "-p", help="A parameter of the deploy step, name=value; may be repeated."
    ),
]

app = typer.Typer(help="See and change which version serves.", no_args_is_help=True)


@app.command("list")
def list_versions(environment: EnvironmentOption = "", param: ParamOption = None) -> None:
    """List the stored versions: first the one that serves, then those that served before it.

    Metrics are those of the validation ratings, by which the models were chosen.
    """
    store = open_store(_settings(environment, param).destination)
    history = store.history()[::-1]
    never = sorted(set(store.versions()) - set(history))
    if not history and not never:
        typer.echo(f"nothing is deployed at {store.location}")
        return
    states = ["serves", "previous", *["before"] * len(history)][: len(history)]
    typer.echo(_line("version", "state", "stored (UTC)", "MSE", "NDCG@10", "source"))
    for version, state in zip([*history, *never], [*states, *["stored"] * len(never)], strict=True):
        typer.echo(_line(version, state, *_columns(store.describe(version))))


@app.command()
def verify(environment: EnvironmentOption = "", param: ParamOption = None) -> None:
    """Check every byte of every stored version."""
    store = open_store(_settings(environment, param).destination)
    damaged = [version for version in sorted(store.versions()) if not _is_valid(store, version)]
    if damaged:
        raise UserError(
            f"{store.location} has damaged versions: {', '.join(damaged)}: deploy them again"
        )
    typer.echo(f"all {len(store.versions())} versions at {store.location} are valid")


def _is_valid(store: BundleStore, version: str) -> bool:
    with scratch_folder("alsolike-bundle-") as copies:
        try:
            store.fetch(version, copies)
        except UserError as error:
            typer.echo(f"{version}  {error}")
            return False
    typer.echo(f"{version}  valid")
    return True


@app.command()
def prune(
    keep: Annotated[
        int, typer.Option(min=2, help="How many of the versions that have served to keep.")
    ],
    environment: EnvironmentOption = "",
    param: ParamOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be removed, and remove nothing.")
    ] = False,
) -> None:
    """Remove old versions: never the one that serves, the one before it, or a newer one."""
    store = open_store(_settings(environment, param).destination)
    versions = dispensable_versions(store, keep)
    if versions and not dry_run:
        store.remove(versions)
    for version in versions:
        typer.echo(f"{version}  {'would be removed' if dry_run else 'removed'}")
    if not versions:
        typer.echo(f"there is nothing to remove at {store.location}")


@app.command()
def rollback(environment: EnvironmentOption = "", param: ParamOption = None) -> None:
    """Let the version serve that served before the current one."""
    settings = _settings(environment, param)
    previous = previous_version(open_store(settings.destination))
    if previous is None:
        raise UserError(f"{settings.destination} has no version before the current one")
    _let_serve(settings, previous)


@app.command()
def promote(
    version: Annotated[
        str, typer.Argument(help="A stored version, such as a canary that has proved itself.")
    ],
    environment: EnvironmentOption = "",
    param: ParamOption = None,
) -> None:
    """Let a stored version serve, after the same smoke test as a new one."""
    _let_serve(_settings(environment, param), version)


def _columns(stored: StoredVersion) -> list[str]:
    """Date, MSE, NDCG@10 and source; a value that the model does not have is empty."""
    description = stored.description
    mse = description.get("rating", {}).get("validation_mse")
    ndcg = description.get("ranking", {}).get("ndcg_at_10")
    figures = ["" if figure is None else f"{figure:.4f}" for figure in (mse, ndcg)]
    return [f"{stored.stored_at:%Y-%m-%d %H:%M}", *figures, description.get("source", "")]


def _line(*columns: str) -> str:
    widths = (12, 8, 16, 7, 7, 0)
    padded = (text.ljust(width) for text, width in zip(columns, widths, strict=True))
    return "  ".join(padded).rstrip()


def _let_serve(settings: DeploySettings, version: str) -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    deploy_stored(settings, version)
    current = current_version(open_store(settings.destination))
    typer.echo(f"{current} is current in {settings.destination}")


def _settings(environment: str, param: list[str] | None) -> DeploySettings:
    """The settings of the deploy step in an environment, by default with all requests."""
    given = parse_assignments(param or [])
    for name in given.keys() - DeploySettings.model_fields.keys():
        raise unknown_parameter("the deploy step", name, DeploySettings.model_fields)
    known: dict[str, Any] = {}
    if environment:
        there = load_environment(environment)
        known = there.defaults()
        # The deploy step has them too, for the store and for the servers that it starts.
        for variable, value in there.store_variables().items():
            os.environ.setdefault(variable, value)
    own = {name: known[name] for name in known.keys() & DeploySettings.model_fields.keys()}
    return DeploySettings.model_validate(own | {"canary_percent": 100} | given)
