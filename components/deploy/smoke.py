"""Serve a bundle for a moment, as production will, and see that it answers as it should."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from components.deploy.golden import Ask, check_golden
from components.errors import UserError

_REQUEST_SECONDS = 10
_STOP_SECONDS = 30


def smoke_test(bundle: Path, seconds: float) -> int:
    """Start the server on a bundle, ask its golden requests, and stop it.

    Returns:
        How many requests were answered.

    Raises:
        UserError: if the server does not get ready in time, or an answer is wrong.
    """
    with serving(bundle, seconds) as ask:
        return check_golden(bundle, ask)


@contextmanager
def serving(bundle: Path, seconds: float) -> Iterator[Ask]:
    """Run the server on a bundle, on a free port of loopback, until the block ends.

    Raises:
        UserError: if it is not ready in time.
    """
    port = _free_port()
    command = [sys.executable, "-m", "components.serve", f"--bundle={bundle}", f"--port={port}"]
    with subprocess.Popen(
        [*command, "--workers=1", "--no-access-log"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    ) as server:
        try:
            _wait_until_ready(server, port, seconds)
            yield lambda path, body: _ask(port, path, body)
        finally:
            server.terminate()
            try:
                server.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _wait_until_ready(server: subprocess.Popen[str], port: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.poll() is not None:
            last = server.stderr.read().strip().rpartition("\n")[2] if server.stderr else ""
            raise UserError(f"the server ended on the new bundle: {last}")
        with suppress(OSError):
            _ask(port, "/v2/health/ready", None)
            return
        time.sleep(0.05)
    raise UserError(f"the server was not ready on the new bundle within {seconds:g} s")


def _ask(port: int, path: str, body: Any) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=_REQUEST_SECONDS) as answer:
        content = answer.read()
    return json.loads(content) if content else None
