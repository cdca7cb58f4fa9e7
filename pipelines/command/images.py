"""The commands for images: build, push and lock."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter

from components.errors import UserError
from pipelines.definition.environment import LOCK, Registry
from pipelines.images.audit import audit, find_problems
from pipelines.images.building import BASE_IMAGE, NAMES, build, select
from pipelines.images.engine import connect
from pipelines.images.exceptions import read_exceptions
from pipelines.images.pushing import find_digest, push, write_lock

Names = Annotated[
    list[str] | None, typer.Argument(help=f"Some of {', '.join(NAMES)}; all if not given.")
]
RegistryOption = Annotated[
    str, typer.Option(help="Registry and path, such as ghcr.io/you/alsolike.")
]

app = typer.Typer(help="Build, push and lock the images of the steps.", no_args_is_help=True)


@app.command("build")
def build_command(
    names: Names = None,
    registry: Annotated[
        str | None, typer.Option(help="Name the images for this registry as well.")
    ] = None,
    base_image: Annotated[
        str, typer.Option(help="Image of Debian bookworm with Python 3.11 to build on.")
    ] = BASE_IMAGE,
    platform: Annotated[
        str | None, typer.Option(help="Such as linux/arm64; the engine's own if not given.")
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="Network of the build, such as host; the engine's default.")
    ] = None,
    no_cache: Annotated[
        bool,
        typer.Option("--no-cache", help="Repeat every step, to get the latest fixes of Debian."),
    ] = False,
) -> None:
    """Build images, each step of it from the engine's cache where nothing changed."""
    wanted = select(names or [])
    engine = connect()
    for name in wanted:
        build(engine, name, base_image, platform, network, no_cache=no_cache, say=typer.echo)
        if registry:
            repository, _, tag = f"{_checked(registry)}/{NAMES[name]}".rpartition(":")
            engine.api.tag(NAMES[name], repository, tag)


@app.command("push")
def push_command(registry: RegistryOption, names: Names = None) -> None:
    """Push images, and lock the pipeline to their digests (images.lock)."""
    wanted = select(names or [])
    engine = connect()
    for name in wanted:
        digest = push(engine, NAMES[name], _checked(registry), say=typer.echo)
        write_lock(LOCK, {NAMES[name]: digest})
    typer.echo(LOCK)


@app.command("lock")
def lock_command(registry: RegistryOption, names: Names = None) -> None:
    """Lock the pipeline to the digests that a registry has (images.lock), and push nothing."""
    wanted = select(names or [])
    engine = connect()
    digests = {NAMES[name]: find_digest(engine, NAMES[name], _checked(registry)) for name in wanted}
    write_lock(LOCK, digests)
    for image, digest in digests.items():
        typer.echo(f"{image}: {digest}")
    typer.echo(LOCK)


@app.command("sbom")
def sbom_command(
    names: Names = None,
    output: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("dist/sbom"),
) -> None:
    """Write what each image is made of, in CycloneDX."""
    from pipelines.images.sbom import write_bill  # of the development environment

    wanted = select(names or [])
    engine = connect()
    for name in wanted:
        file = output / f"{name}.cdx.json"
        count = write_bill(engine, NAMES[name], file)
        typer.echo(f"{file}: {count} components")


@app.command("audit")
def audit_command(
    osv_url: Annotated[
        str | None,
        typer.Option(help="Server to ask, in OSV's protocol (…/v1/query); OSV's own if not given."),
    ] = None,
) -> None:
    """Look up known vulnerabilities of the images' packages, less images/exceptions.yaml."""
    problems = find_problems(audit(NAMES, osv_url), read_exceptions().findings)
    for problem in problems:
        typer.echo(problem)
    if problems:
        raise typer.Exit(1)
    typer.echo("no finding without an exception")


def _checked(registry: str) -> str:
    try:
        return TypeAdapter(Registry).validate_python(registry)
    except ValueError:
        raise UserError(
            f"{registry!r} is no registry: write one such as ghcr.io/you/alsolike, without https://"
        ) from None
