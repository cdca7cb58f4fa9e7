"""The Docker engine of this machine."""

import os
from collections.abc import Iterable

import docker
from docker.errors import DockerException, ImageNotFound

from components.errors import UserError

_DEFAULT_HOST = "unix:///var/run/docker.sock"
_HOW_TO_START = (
    "start one (`sudo systemctl start docker`, or `sudo dockerd` where there is no systemd), "
    "join the group `docker`, or set DOCKER_HOST"
)


def connect() -> docker.DockerClient:
    """A client of the engine in DOCKER_HOST, by default of the engine of this machine.

    Raises:
        UserError: if no engine answers.
    """
    try:
        return docker.from_env()
    except DockerException:
        host = os.environ.get("DOCKER_HOST", _DEFAULT_HOST)
        raise UserError(f"no Docker engine answers at {host}: {_HOW_TO_START}") from None


def require_images(engine: docker.DockerClient, names: Iterable[str]) -> None:
    """Check that the engine has these images.

    Raises:
        UserError: if any is missing.
    """
    if missing := sorted(name for name in set(names) if not _has(engine, name)):
        raise UserError(f"the Docker engine has no {', '.join(missing)}: build first (make images)")


def _has(engine: docker.DockerClient, image: str) -> bool:
    try:
        engine.images.get(image)
    except ImageNotFound:
        return False
    return True
