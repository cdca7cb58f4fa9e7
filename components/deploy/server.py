"""Run the server in a process of its own, as production does, for tests of a bundle."""

import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from components.deploy.http import Ask, client, is_ready
from components.errors import UserError
from components.polling import poll
from components.processes import child_process

_POLL_SECONDS = 0.05


class Server:
    """A server of a bundle on a free port of loopback; it ends with this process at the latest.

    Attributes:
        address: its URL.
    """

    def __init__(self, bundle: Path) -> None:
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        command = [
            *(sys.executable, "-m", "components.serve", f"--bundle={bundle}"),
            *(f"--port={port}", "--workers=1", "--no-access-log", "--drain-seconds=0"),
        ]
        environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
        with ExitStack() as stack:
            self._log = stack.enter_context(tempfile.TemporaryFile())
            child = child_process(command, output=self._log, environment=environment)
            self._process = stack.enter_context(child)
            self._stack = stack.pop_all()

    def wait(self, seconds: float) -> None:
        """Wait until the server is ready.

        Raises:
            UserError: if it ends, or is not ready in time.
        """

        def look() -> bool | None:
            if is_ready(self.address):
                return True
            if self._process.poll() is not None:
                raise UserError(f"the server ended on the new bundle: {self._last_line()}")
            return None

        not_ready = "the server was not ready on the new bundle"
        poll(look, lambda: not_ready, seconds, pause=_POLL_SECONDS)

    def stop(self) -> None:
        """Stop the server, and wait until it has ended."""
        self._stack.close()

    def _last_line(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace").strip().rpartition("\n")[2]


@contextmanager
def serving(bundle: Path, seconds: float) -> Iterator[Ask]:
    """Run a server of a bundle while the block lasts, which starts when the server is ready.

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
    """A free port of loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
