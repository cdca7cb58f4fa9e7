"""Run the steps of a local run, and its server, in containers that end with the run."""

import codecs
import os
import signal
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
from docker.errors import NotFound
from docker.models.containers import Container
from docker.types import Mount
from kfp import local

from components import images
from components.deploy.http import Ask, client, is_ready
from components.deploy.server import free_port
from components.errors import UserError
from components.polling import poll
from pipelines.definition.kfp_internals import run_containers_by
from pipelines.images.engine import connect, require_images
from pipelines.local.source import portable_variables

LABEL = "alsolike.run"

# Parameters that may name a folder of this machine.
_FOLDERS = ("destination", "warm_start", "checkpoints")
_POLL_SECONDS = 0.1


@contextmanager
def run_of_containers(needed: Iterable[str]) -> Iterator[str]:
    """Yield the id of a run, which is a label of its containers, and remove them at the end.

    Args:
        needed: the images that the run needs.

    Raises:
        UserError: if no engine answers, or any of the images is missing.
    """
    engine = connect()
    require_images(engine, needed)
    run_id = uuid.uuid4().hex
    try:
        yield run_id
    finally:
        # Every container is removed by the process that started it, unless that was killed.
        mine = {"label": f"{LABEL}={run_id}"}
        for container in engine.containers.list(all=True, filters=mine, ignore_removed=True):
            with suppress(NotFound):
                container.remove(force=True, v=True)


def docker_runner(run_id: str, parameters: Mapping[str, Any]) -> local.DockerRunner:
    """The runner by which kfp.local runs steps in containers.

    The containers can reach S3 and the folders that parameters name.

    Args:
        run_id: the id of the run.
        parameters: of the pipeline, by name.
    """
    run_containers_by(run_container)
    named = (str(parameters.get(name, "")) for name in _FOLDERS)
    folders = [Path(name) for name in named if name.startswith("/")]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    mounts = [Mount(str(folder), str(folder), type="bind") for folder in folders]
    return local.DockerRunner(environment=portable_variables(), **_confined(run_id, mounts))


def run_container(
    client: docker.DockerClient,
    image: str,
    command: Sequence[str],
    volumes: Mapping[str, Any],
    **arguments: Any,
) -> int:
    """Run the container of a step until it ends, and return its exit status.

    This replaces kfp.local's own function, in which the engine removes the container when it ends.
    If that is faster than the request for the exit status, the function takes a failure for a
    success (kubeflow/pipelines, 13332).

    Args:
        client: of the engine.
        image: the image of the step.
        command: the program and its arguments.
        volumes: as the engine's API takes them.
        arguments: more arguments of the engine's API.
    """
    with _started(client, image, command, volumes=volumes, **arguments) as container:
        for text in codecs.iterdecode(container.logs(stream=True), "utf-8", errors="replace"):
            sys.stdout.write(text)
        return int(container.wait()["StatusCode"])


@contextmanager
def serving(run_id: str, bundle: Path, seconds: float) -> Iterator[Ask]:
    """Run a server of a bundle in a container while the block lasts, once it is ready.

    Args:
        run_id: the id of the run.
        bundle: the folder of the bundle.
        seconds: the longest wait.

    Raises:
        UserError: if it ends, or is not ready in time.
    """
    port = free_port()
    command = ["python", "-m", "components.serve", f"--bundle={bundle}", f"--port={port}"]
    mounts = [Mount(str(bundle), str(bundle), type="bind", read_only=True)]
    arguments = _confined(run_id, mounts)
    with _started(connect(), images.SERVE, command, **arguments) as container:
        address = f"http://127.0.0.1:{port}"
        _wait_until_ready(container, address, seconds)
        yield client(address)


def _confined(run_id: str, mounts: Sequence[Mount]) -> dict[str, Any]:
    """The arguments of every container, which runs as the current user and without more rights.

    It shares the network of this machine, because the S3 server listens on its loopback.
    """
    return {
        "labels": {LABEL: run_id},
        "user": f"{os.getuid()}:{os.getgid()}",
        "network_mode": "host",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        # A volume that is removed with the container: on disk, and writable for every user.
        "mounts": [*mounts, Mount("/tmp", None, type="volume")],
    }


@contextmanager
def _started(
    engine: docker.DockerClient, image: str, command: Sequence[str], **arguments: Any
) -> Iterator[Container]:
    """A container that is removed at the end, whatever happens."""
    with ExitStack() as stack:
        # An interrupt before the container has an id would leave it behind.
        with _interrupts_held():
            container = engine.containers.create(image, list(command), **arguments)
            stack.callback(container.remove, force=True, v=True)
        container.start()
        yield container


@contextmanager
def _interrupts_held() -> Iterator[None]:
    held = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wait_until_ready(container: Container, address: str, seconds: float) -> None:
    def look() -> bool | None:
        if is_ready(address):
            return True
        container.reload()
        if container.status == "exited":
            last = container.logs(tail=1).decode(errors="replace").strip()
            raise UserError(f"the server's container ended: {last}")
        return None

    poll(look, lambda: "the server's container was not ready", seconds, pause=_POLL_SECONDS)
