"""A running server to ask, as production starts it."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from components.deploy.server import free_port


@dataclass(frozen=True)
class Server:
    """A server's process and a client of it.

    Attributes:
        process: of the supervisor.
        client: with the server's address as its base.
    """

    process: "subprocess.Popen[str]"
    client: httpx.Client


@contextmanager
def serve(bundle: Path, *arguments: str) -> Iterator[Server]:
    """Run `python -m components.serve` until the block ends."""
    port = free_port()
    command = [sys.executable, "-m", "components.serve", f"--bundle={bundle}", f"--port={port}"]
    quick = ("--workers=1", "--watch-seconds=0.05", "--drain-seconds=0")
    with (
        subprocess.Popen(
            [*command, *quick, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client,
    ):
        try:
            wait_until_ready(client)
            yield Server(process, client)
        finally:
            process.terminate()
            process.communicate(timeout=30)


def wait_until_ready(client: httpx.Client) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if client.get("/v2/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    raise TimeoutError("the server did not get ready")
