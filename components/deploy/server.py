"""The server in a process of its own, as production runs it, for as long as it is asked."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.deploy.http import Ask, client, is_ready
from components.errors import UserError

_POLL_SECONDS = 0.05
_STOP_SECONDS = 30


class Server:
    """A server on a bundle, on a free port of loopback.

    Attributes:
        address: the URL it answers at.
    """

    def __init__(self, bundle: Path) -> None:
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "components.serve", f"--bundle={bundle}"),
                *(f"--port={port}", "--workers=1", "--no-access-log", "--drain-seconds=0"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )

    def wait(self, seconds: float) -> None:
        """Wait until it is ready.

        Raises:
            UserError: if it ends, or is not ready in time.
        """
        deadline = time.monotonic() + seconds
        while not is_ready(self.address):
            if self._process.poll() is not None:
                assert self._process.stderr is not None
                last = self._process.stderr.read().strip().rpartition("\n")[2]
                raise UserError(f"the server ended on the new bundle: {last}")
            if time.monotonic() > deadline:
                raise UserError(f"the server was not ready on the new bundle within {seconds:g} s")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        with self._process:
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()


@contextmanager
def serving(bundle: Path, seconds: float) -> Iterator[Ask]:
    """Run a server on a bundle until the block ends, once it is ready.

    Raises:
        UserError: if it is not ready in time.
    """
    server = Server(bundle)
    try:
        server.wait(seconds)
        yield client(server.address)
    finally:
        server.stop()


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
