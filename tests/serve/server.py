"""A running server to ask, as production starts it."""

import re
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import uvloop

Result = TypeVar("Result")


@dataclass(frozen=True)
class Server:
    """A server's process and a client of it.

    Attributes:
        process: of the supervisor. Its output begins after the line that told the port.
        client: with the server's address as its base.
    """

    process: "subprocess.Popen[str]"
    client: httpx.Client


PATIENT = """
import runpy
from components.serve.processes import worker
worker._FINISH_SECONDS = 24
runpy.run_module("components.serve", run_name="__main__")
"""


@contextmanager
def serve(bundle: Path, *arguments: str, patient: bool = False) -> Iterator[Server]:
    """Run `python -m components.serve` until the block ends.

    Args:
        bundle: what to serve.
        arguments: of the command.
        patient: whether a worker that is to end cuts connections off after 24 s, not 8, so that
            what ends sooner was not cut off, on a slow machine either.
    """
    program = ["-c", PATIENT] if patient else ["-m", "components.serve"]
    command = [sys.executable, *program, f"--bundle={bundle}", "--port=0"]
    quick = ("--workers=1", "--watch-seconds=0.05", "--drain-seconds=0")
    with subprocess.Popen(
        [*command, *quick, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            with httpx.Client(base_url=address(process), timeout=30) as client:
                wait_until_ready(client)
                yield Server(process, client)
        finally:
            process.terminate()
            process.communicate(timeout=60)


def address(process: "subprocess.Popen[str]") -> str:
    """Where a server says that it serves, in its first line."""
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"serving at (http://\S+)", line)
    assert found, line + process.stdout.read()
    return found[1]


def wait_until_ready(client: httpx.Client) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if client.get("/v2/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    raise TimeoutError("the server did not get ready")


def run_async(scene: Coroutine[Any, Any, Result]) -> Result:
    """What a coroutine returns, in a thread: Playwright keeps an event loop in the tests' own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(uvloop.run, scene).result()
