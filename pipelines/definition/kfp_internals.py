"""The private parts of kfp that this package relies on; an upgrade of kfp may move each of them.

`tests/pipelines/definition/test_kfp_internals.py` fails when one has moved.
"""

import re
from collections.abc import Callable
from typing import Any

from kfp.client import Client
from kfp.local import docker_task_handler, subprocess_task_handler

COLOR = re.compile(r"\x1b\[[0-9;]*m")
"""The colors in these lines."""
TASK_STARTED = re.compile(r"INFO - Executing task '([^']+)'")
"""The line by which kfp.local says that a task starts, without its colors."""
TASK_FINISHED = re.compile(r"Task '([^']+)' finished with status (\w+)")
"""The line by which kfp.local says that a task has ended, and how."""


def replace_python_by(function: Callable[[list[str], str], list[str]]) -> None:
    """Have SubprocessRunner call a function to put the path of Python into a task's command."""
    subprocess_task_handler.replace_python_executable = function


def run_containers_by(function: Callable[..., int]) -> None:
    """Have DockerRunner call a function to run a task's container to its end.

    Args:
        function: takes the Docker client, the image, the command, the volumes and, by name, what
            DockerRunner was given; returns the exit status.
    """
    docker_task_handler.run_docker_container = function


def set_namespace(client: Client, namespace: str) -> None:
    """Set the namespace of a client; empty for a Kubeflow without profiles."""
    client._context_setting["namespace"] = namespace


def connection_pool(client: Client) -> Any:
    """The urllib3 pool that a client sends its requests by."""
    return client._run_api.api_client.rest_client.pool_manager
