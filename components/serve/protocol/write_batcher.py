"""Answers of one turn of the event loop are written one straight after the other."""

import asyncio

_MAX_CONNECTIONS = 32
_MAX_BYTES = 256 * 1024


class WriteBatcher:
    """Collects answers, and writes them at the end of the event loop's turn, joined by connection.

    To wake a client that sleeps costs more than the rest of a write. When answers are written one
    after the other, the first wakes the client, and the others find it awake.
    """

    def __init__(self) -> None:
        self._answers: dict[asyncio.Transport, list[bytes]] = {}
        self._bytes = 0

    def write(self, transport: asyncio.Transport, data: bytes) -> None:
        """Write at the end of this turn, or earlier if there is much to write."""
        if not self._answers:
            asyncio.get_running_loop().call_soon(self.flush)
        self._answers.setdefault(transport, []).append(data)
        self._bytes += len(data)
        if len(self._answers) >= _MAX_CONNECTIONS or self._bytes >= _MAX_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what was collected now, in order."""
        answers, self._answers, self._bytes = self._answers, {}, 0
        for transport, data in answers.items():
            if not transport.is_closing():
                transport.write(b"".join(data))  # a single answer is not copied
