"""Build the images of the steps on a Docker engine."""

import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import docker
from docker.errors import APIError
from docker.utils.build import create_archive, exclude_paths

from components import images
from components.errors import UserError
from pipelines.kubeflow.versions import git_revision, git_source

NAMES = {image.partition("/")[2].partition(":")[0]: image for image in images.ALL}
"""The images by their short names, which are the names of the folders in `images/`."""

BASE_IMAGE = "python:3.11-slim-bookworm"

_ROOT = Path(__file__).parents[2]
_DOCKERFILE = "images/Dockerfile"
_CERTIFICATES = "images/ca-bundle.pem"
_LAST_LINES = 20
_WIDTH = 80
_ON_BASE = "FROM ${BASE_IMAGE}"
_STEP = re.compile(r"Step (\d+/\d+) : ((FROM|COPY|RUN) .*)")


def select(names: Iterable[str]) -> list[str]:
    """The images with these short names; all if there are none.

    Raises:
        UserError: if there is no image of that name.
    """
    wanted = list(names) or list(NAMES)
    for name in wanted:
        if name not in NAMES:
            raise UserError(f"there is no image {name!r}: give some of {', '.join(NAMES)}")
    return wanted


def build(
    engine: docker.DockerClient,
    name: str,
    base_image: str,
    platform: str | None,
    network: str | None,
    *,
    no_cache: bool = False,
    say: Callable[[str], None],
) -> None:
    """Build one image, under the name that the pipeline gives it.

    Args:
        engine: where to build it.
        name: its short name.
        base_image: what it is built on, a Debian with Python 3.11.
        platform: such as linux/arm64; None for the engine's own.
        network: the network of the build, such as host; None for the default.
        no_cache: whether to repeat every step, to get the latest security updates of Debian.
        say: prints a line for each step.

    Raises:
        UserError: if it cannot be built.
    """
    check_platform(engine, name, platform)
    start = time.monotonic()
    arguments = {"BASE_IMAGE": base_image, "IMAGE": name, **_labels()}
    try:
        with open_context() as context:
            output = engine.api.build(
                fileobj=context,
                custom_context=True,
                dockerfile=_DOCKERFILE,
                tag=NAMES[name],
                buildargs=arguments,
                platform=platform,
                network_mode=network,
                nocache=no_cache,
                rm=True,
                forcerm=True,
                decode=True,
            )
            print_steps(name, output, say)
    except APIError as error:
        raise UserError(f"image {name} was not built: {error.explanation or error}") from None
    size, base = (engine.images.get(image).attrs["Size"] for image in (NAMES[name], base_image))
    seconds = time.monotonic() - start
    beyond = f"{(size - base) / 1e6:,.0f} beyond its base"
    say(f"{name}: {size / 1e6:,.0f} MB, {beyond} ({seconds:.0f} s)")


def check_platform(engine: docker.DockerClient, name: str, platform: str | None) -> None:
    """Check that the packages of an image exist for a platform.

    Args:
        engine: where to build the image.
        name: its short name.
        platform: such as linux/arm64; None for the engine's own.

    Raises:
        UserError: if the image has MXNet, and the platform is not linux/amd64.
    """
    target = platform or f"linux/{engine.version()['Arch']}"
    if name.startswith("train") and target != "linux/amd64":
        raise UserError(
            f"image {name} cannot be built for {target}, because MXNet exists for linux/amd64 "
            "only: give --platform linux/amd64"
        )


def open_context() -> IO[bytes]:
    """The build context: the checkout without the files in .dockerignore, and certificates.

    Raises:
        UserError: if this is an installed package, not a checkout.
    """
    if not (_ROOT / _DOCKERFILE).exists():
        raise UserError(f"images are built in a checkout, and there is no {_ROOT / _DOCKERFILE}")
    lines = (_ROOT / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    files = sorted(exclude_paths(str(_ROOT), patterns, dockerfile=_DOCKERFILE))
    certificates = [(_CERTIFICATES, file.read_text()) for file in _certificates(os.environ)]
    context: IO[bytes] = create_archive(str(_ROOT), files, extra_files=certificates)
    return context


def _certificates(environment: Mapping[str, str]) -> list[Path]:
    """The certificates that pip on this machine trusts, such as those of a proxy, if configured.

    Only the build stages have them, not the image.
    """
    named = environment.get("PIP_CERT") or environment.get("REQUESTS_CA_BUNDLE")
    return [Path(named)] if named and Path(named).is_file() else []


def _labels() -> dict[str, str]:
    try:
        revision = git_revision()
    except UserError:
        revision = ""
    return {"VERSION": images.VERSION, "REVISION": revision, "SOURCE": git_source()}


def print_steps(name: str, output: Iterable[dict[str, Any]], say: Callable[[str], None]) -> None:
    """Print the steps of a build until its end.

    Args:
        name: of the image.
        output: the messages of the engine.
        say: prints each step, and before an error the last lines of its output.

    Raises:
        UserError: if a step fails.
    """
    step = ""
    last: deque[str] = deque(maxlen=_LAST_LINES)
    for message in output:
        text = message.get("stream", "").strip()
        if found := _STEP.match(text):
            step = " ".join(found[2].split())[:_WIDTH]
            say(f"{name}: {found[1]} {step}")
        elif text and not text.startswith(("Step ", "--->")):
            last.append(text)
        if "error" in message:
            for line in last:
                say(f"  {line}")
            hint = "; --base-image names another" if step.startswith(_ON_BASE) else ""
            reason = " ".join(message["error"].split())
            raise UserError(f"image {name} was not built, at {step!r}: {reason}{hint}")
