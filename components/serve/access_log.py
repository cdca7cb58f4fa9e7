"""The access log: one line of JSON a request, many lines in one write."""

import os
from contextlib import suppress
from typing import ClassVar

import msgspec

# Linux writes up to this much to a pipe in one piece, so that workers' lines never mix.
_PIECE = 4096


class Line(msgspec.Struct):
    """One request, as it is logged."""

    time: str
    id: str
    method: str
    path: str
    route: str
    status: int
    bytes: int
    ms: float


class AccessLog:
    """Collects lines and writes them in pieces to a file descriptor."""

    _encode: ClassVar = msgspec.json.Encoder().encode

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._pending = bytearray()

    def write(self, line: Line) -> None:
        """Add a line; it is written when a piece is full or at the next flush."""
        text = self._encode(line)
        if len(self._pending) + len(text) >= _PIECE:
            self.flush()
        self._pending += text
        self._pending += b"\n"

    def flush(self) -> None:
        """Write what was collected; where nobody reads any more, it is dropped."""
        pending, self._pending = self._pending, bytearray()
        with suppress(OSError):
            while pending:
                pending = pending[os.write(self._descriptor, pending) :]
