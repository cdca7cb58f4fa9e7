"""The serving image, started as it is: it becomes healthy, and answers."""

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import docker
import pytest
from docker.models.containers import Container

from pipelines.images.building import NAMES
from tests.images.containers import CONFINED, readable
from tests.serve.bundles import make_model, write_bundle

pytestmark = [pytest.mark.docker, pytest.mark.slow]


@pytest.fixture
def server(engine: docker.DockerClient, tmp_path: Path) -> Iterator[Container]:
    bundle = readable(write_bundle(tmp_path / "bundle", make_model()))
    container = engine.containers.create(
        NAMES["serve"],
        volumes={str(bundle): {"bind": "/bundle", "mode": "ro"}},
        ports={"8080/tcp": ("127.0.0.1", None)},
        **CONFINED,
    )
    try:
        container.start()
        yield container
    finally:
        container.remove(force=True, v=True)


def test_the_server_becomes_healthy_and_answers(server: Container) -> None:
    deadline = time.monotonic() + 60
    while (health := state(server)) == "starting" and time.monotonic() < deadline:
        time.sleep(0.5)
    assert health == "healthy", server.logs().decode()
    port = server.ports["8080/tcp"][0]["HostPort"]
    with urlopen(f"http://127.0.0.1:{port}/popular?n=3") as response:
        assert response.status == 200
    server.stop(timeout=20)
    server.reload()
    assert server.attrs["State"]["ExitCode"] == 0


def state(container: Container) -> str:
    container.reload()
    status: str = container.attrs["State"]["Health"]["Status"]
    return status
