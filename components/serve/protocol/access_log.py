"""The access log: one line of JSON for each request, many lines in each write."""

import os
from contextlib import suppress
from typing import ClassVar

import msgspec

# Linux writes up to this many bytes to a pipe at once (PIPE_BUF). So the lines of several workers
# on one pipe do not mix.
_MAX_WRITE_BYTES = 4096


class Line(msgspec.Struct):
    """One request in the log; `ms` is the time from the last byte read to the answer."""

    time: str
    id: str
    method: str
    path: str
    route: str
    status: int
    bytes: int
    ms: float


class AccessLog:
    """Collects lines, and writes them to a file descriptor."""

    _encode: ClassVar = msgspec.json.Encoder().encode

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._pending = bytearray()

    def write(self, line: Line) -> None:
        """Add a line; it is written with others, at the next flush at the latest."""
        text = self._encode(line)
        if len(self._pending) + len(text) >= _MAX_WRITE_BYTES:
            self.flush()
        self._pending += text
        self._pending += b"\n"

    def flush(self) -> None:
        """Write what was collected; it is lost if nobody reads the log any more."""
        pending, self._pending = self._pending, bytearray()
        with suppress(OSError):
            while pending:
                pending = pending[os.write(self._descriptor, pending) :]
