"""Private parts of kfp are where they were: if one of these fails, an upgrade of kfp moved it."""

import subprocess
import sys
from inspect import signature
from pathlib import Path

import urllib3
from kfp.client import Client
from kfp.local import docker_task_handler

from pipelines.definition import kfp_internals

RUN = """
import sys
from kfp import dsl, local
from pipelines.definition import kfp_internals

@dsl.component(install_kfp_package=False)
def greet():
    print("hello")

def put(command, python):
    print("command of", len(command), "for", python)
    return [part.replace("python3", sys.executable) for part in command]

kfp_internals.replace_python_by(put)
local.init(local.SubprocessRunner(use_venv=False), pipeline_root=sys.argv[1])
greet()
"""


def test_the_local_runner_calls_the_replacement_and_logs_the_states_of_tasks(
    tmp_path: Path,
) -> None:
    script = tmp_path / "run.py"
    script.write_text(RUN)
    ended = subprocess.run(
        [sys.executable, script, tmp_path], capture_output=True, text=True, check=True
    )
    printed = ended.stdout + ended.stderr
    assert f"for {sys.executable}" in printed
    plain = kfp_internals.COLOR.sub("", printed)
    started = kfp_internals.TASK_STARTED.search(plain)
    finished = kfp_internals.TASK_FINISHED.search(plain)
    assert started is not None
    assert finished is not None
    assert started[1] == "greet"
    assert finished.groups() == ("greet", "SUCCESS")


def test_the_docker_runner_has_the_function_that_is_replaced() -> None:
    taken = list(signature(docker_task_handler.run_docker_container).parameters)
    assert taken[:4] == ["client", "image", "command", "volumes"]
    called = docker_task_handler.DockerTaskHandler.run.__code__.co_names
    assert "run_docker_container" in called


def test_a_client_has_a_namespace_and_a_connection_pool() -> None:
    client = Client(host="http://127.0.0.1:1", namespace="none")
    kfp_internals.set_namespace(client, "team")
    assert client.get_user_namespace() == "team"
    assert isinstance(kfp_internals.connection_pool(client), urllib3.PoolManager)
