"""The serving image, started as it is: it becomes healthy, answers, and keeps to its memory."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

import docker
import pytest
from docker.models.containers import Container

from components.deploy.settings import DeploySettings
from pipelines.images.building import NAMES
from tests.images.containers import CONFINED, readable
from tests.serve.bundles import make_model, write_bundle
from tests.serve.test_load import EMOJI_PAIRS, MOST, PREDICT, get, make_large_model, post

pytestmark = [pytest.mark.docker, pytest.mark.slow]

_PIECE_BYTES = 1 << 16
_SECONDS_TO_FILL = 8
_SECONDS_TO_CALM = 3


@contextmanager
def running(engine: docker.DockerClient, bundle: Path, **limits: object) -> Iterator[Container]:
    """A container of the image that serves a bundle."""
    container = engine.containers.create(
        NAMES["serve"],
        volumes={str(bundle): {"bind": "/bundle", "mode": "ro"}},
        ports={"8080/tcp": ("127.0.0.1", None)},
        **CONFINED,
        **limits,
    )
    try:
        container.start()
        yield container
    finally:
        container.remove(force=True, v=True)


def test_the_server_becomes_healthy_and_answers(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    bundle = readable(write_bundle(tmp_path / "bundle", make_model()))
    with running(engine, bundle) as server:
        wait_until_healthy(server)
        port = server.ports["8080/tcp"][0]["HostPort"]
        with urlopen(f"http://127.0.0.1:{port}/popular?n=3") as response:
            assert response.status == 200
        server.stop(timeout=20)
        server.reload()
        assert server.attrs["State"]["ExitCode"] == 0


def wait_until_healthy(server: Container) -> None:
    deadline = time.monotonic() + 60
    while (health := state(server)) == "starting" and time.monotonic() < deadline:
        time.sleep(0.5)
    assert health == "healthy", server.logs().decode()


def state(container: Container) -> str:
    container.reload()
    status: str = container.attrs["State"]["Health"]["Status"]
    return status


INCOMPLETE = post("/recommend", "i" * 1_000_000)[:-10]
GREEDY = {
    "incomplete bodies": ([INCOMPLETE], 1000),
    "bodies that grow when they are read": ([post(PREDICT, EMOJI_PAIRS, ensure_ascii=False)], 300),
    "the largest answers": ([MOST["lists for many customers"]], 300),
    "many answers": ([get("/popular?n=100") * 1000], 2000),
    "many requests": ([get("/") * 1000], 5000),
    "the most of every kind": (list(MOST.values()), 3000),
}
# Where a container sees its limit, the most that it has used, and how often it came to the limit.
V1 = ("memory/memory.limit_in_bytes", "memory/memory.max_usage_in_bytes", "memory/memory.failcnt")
V2 = ("memory.max", "memory.peak", "memory.events")


def test_greedy_clients_do_not_fill_the_memory_of_a_pod(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    """With the limits and the number of workers that a deployment has by default."""
    bundle, settings = (
        readable(write_bundle(tmp_path / "bundle", make_large_model())),
        DeploySettings(),
    )
    with running(
        engine,
        bundle,
        mem_limit=settings.memory_limit.removesuffix("i"),
        nano_cpus=int(settings.cpu_limit) * 10**9,
    ) as server:
        wait_until_healthy(server)
        address = server.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        for requests, connections in GREEDY.values():
            fill((address, 8080), requests, connections)
        limit, most, times_at_limit = memory_of(server)
        assert times_at_limit == 0
        assert most < limit == 2**30
        server.reload()
        assert server.attrs["State"]["Running"]
        assert b"killing" not in server.logs()


def memory_of(container: Container) -> tuple[int, int, int]:
    """The limit, the most that was used, in bytes, and how often it came to the limit."""

    def read(file: str) -> list[str]:
        code, output = container.exec_run(["cat", f"/sys/fs/cgroup/{file}"])
        assert code == 0, output
        words: list[str] = output.decode().split()
        return words

    version_2 = container.exec_run(["test", "-e", "/sys/fs/cgroup/memory.max"]).exit_code == 0
    limit, most, times = map(read, V2 if version_2 else V1)
    return (
        int(limit[0]),
        int(most[0]),
        int(times[times.index("max") + 1] if version_2 else times[0]),
    )


def fill(address: tuple[str, int], requests: list[bytes], connections: int) -> None:
    """Send these requests over so many connections, and read nothing, until nothing more goes."""
    rests: dict[socket.socket, bytes] = {}
    with ExitStack() as stack:
        for number in range(connections):
            connection = stack.enter_context(socket.create_connection(address, timeout=30))
            connection.setblocking(False)
            rests[connection] = requests[number % len(requests)]
        end = time.monotonic() + _SECONDS_TO_FILL
        while time.monotonic() < end:
            for connection, rest in rests.items():
                with suppress(OSError):  # full, or refused
                    rests[connection] = rest[connection.send(rest[:_PIECE_BYTES]) :]
    time.sleep(_SECONDS_TO_CALM)
