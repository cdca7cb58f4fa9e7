"""The private parts of kfp that this package uses; an upgrade of kfp may change any of them.

`tests/pipelines/definition/test_kfp_internals.py` fails if one has changed.
"""

import re
from collections.abc import Callable
from typing import Any

from kfp.client import Client
from kfp.local import docker_task_handler, subprocess_task_handler

COLOR = re.compile(r"\x1b\[[0-9;]*m")
"""A color in the log of kfp.local."""
TASK_STARTED = re.compile(r"INFO - Executing task '([^']+)'")
"""The start of a task in that log, without colors."""
TASK_FINISHED = re.compile(r"Task '([^']+)' finished with status (\w+)")
"""The end of a task in that log, without colors, with its status."""


def replace_python_by(function: Callable[[list[str], str], list[str]]) -> None:
    """Replace the function by which SubprocessRunner puts the path of Python into a command."""
    subprocess_task_handler.replace_python_executable = function


def run_containers_by(function: Callable[..., int]) -> None:
    """Replace the function by which DockerRunner runs a container to its end.

    Args:
        function: takes the Docker client, the image, the command, the volumes and, by name, the
            arguments of DockerRunner; returns the exit status.
    """
    docker_task_handler.run_docker_container = function


def set_namespace(client: Client, namespace: str) -> None:
    """Set the namespace of a client; empty for a Kubeflow without profiles."""
    client._context_setting["namespace"] = namespace


def connection_pool(client: Client) -> Any:
    """The urllib3 pool by which a client sends its requests."""
    return client._run_api.api_client.rest_client.pool_manager
