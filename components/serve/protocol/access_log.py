"""The access log: one line of JSON for each request, many lines in each write."""

import os
from contextlib import suppress
from queue import Full, Queue
from threading import Thread
from typing import ClassVar

import msgspec

from components.serve.metrics import Metrics

# Linux writes up to this many bytes to a pipe at once (PIPE_BUF). So the lines of several workers
# on one pipe do not mix.
_MAX_WRITE_BYTES = 4096
_MAX_QUEUED_WRITES = 256
_CLOSE_SECONDS = 1.0


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
    """Collects lines; a thread writes them to a file descriptor.

    The thread alone waits for a reader that is slow. Lines that find no room are dropped and
    counted.
    """

    _encode: ClassVar = msgspec.json.Encoder().encode

    def __init__(self, descriptor: int, metrics: Metrics) -> None:
        self._descriptor = descriptor
        self._metrics = metrics
        self._pending = bytearray()
        self._queue: Queue[bytes | None] = Queue(_MAX_QUEUED_WRITES)
        self._thread = Thread(target=self._write_queued, daemon=True)
        self._thread.start()

    def write(self, line: Line) -> None:
        """Add a line; it is written with others, at the next flush at the latest."""
        text = self._encode(line)
        if len(self._pending) + len(text) >= _MAX_WRITE_BYTES:
            self.flush()
        self._pending += text
        self._pending += b"\n"

    def flush(self) -> None:
        """Hand over what was collected to be written."""
        if not self._pending:
            return
        pending, self._pending = bytes(self._pending), bytearray()
        try:
            self._queue.put_nowait(pending)
        except Full:
            self._metrics.add("access_log_lines_dropped", pending.count(b"\n"))

    def close(self) -> None:
        """Write the rest, for as long as a reader may be waited for."""
        self.flush()
        with suppress(Full):
            self._queue.put(None, timeout=_CLOSE_SECONDS)
        self._thread.join(_CLOSE_SECONDS)

    def _write_queued(self) -> None:
        while (piece := self._queue.get()) is not None:
            with suppress(OSError):  # nobody reads the log any more
                while piece:
                    piece = piece[os.write(self._descriptor, piece) :]
