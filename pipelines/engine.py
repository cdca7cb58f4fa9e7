"""The Docker engine of this machine."""

import os

import docker
from docker.errors import DockerException

from components.errors import UserError

_DEFAULT_HOST = "unix:///var/run/docker.sock"
_HOW_TO_START = (
    "start one (`sudo systemctl start docker`, or `sudo dockerd` where there is no systemd), "
    "join the group `docker`, or set DOCKER_HOST"
)


def connect() -> docker.DockerClient:
    """A client of the engine that DOCKER_HOST names, or of this machine's.

    Raises:
        UserError: if none answers.
    """
    try:
        return docker.from_env()
    except DockerException:
        host = os.environ.get("DOCKER_HOST", _DEFAULT_HOST)
        raise UserError(f"no Docker engine answers at {host}: {_HOW_TO_START}") from None
