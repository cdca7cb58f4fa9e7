"""Large requests are computed in parts, and those of other clients are answered in between."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

from components.serve.protocol.http import HttpError

MAX_REQUESTS = 128
# Turns of the event loop between two parts: a short request that is computed takes four.
_TURNS_BETWEEN = 4


class Turns:
    """Lets one part of one large request be computed at a time, and the event loop turn in between.

    A turn without other requests takes microseconds.
    """

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._pausing = False
        self._alone = asyncio.Lock()
        self._requests = 0

    @asynccontextmanager
    async def large(self, *, alone: bool = False) -> AsyncIterator[None]:
        """Compute a large request within this block, each part after `take`.

        Args:
            alone: whether to wait until no other such request is computed. Requests of several
                parts and with long bodies do, or those that are half done would fill the memory.

        Raises:
            HttpError: 429 if too many are being computed or wait.
        """
        if self._requests >= MAX_REQUESTS:
            reason = f"{MAX_REQUESTS} large requests wait already: ask for less, or try again later"
            raise HttpError(429, reason, b"retry-after: 1\r\n")
        self._requests += 1
        try:
            async with self._alone if alone else nullcontext():
                yield
        finally:
            self._requests -= 1

    def take(self) -> asyncio.Future[None]:
        """Wait for a turn; what follows may take milliseconds."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        if not self._pausing:
            self._pausing = True
            loop.call_soon(self._pause, 0)
        return turn

    def _pause(self, turns: int) -> None:
        """Give the next turn when the event loop has had so many for others."""
        while not turns and self._waiting:
            given = self._waiting.popleft()
            if not given.done():  # its client is still there
                given.set_result(None)
                turns = _TURNS_BETWEEN
        self._pausing = turns > 0
        if self._pausing:
            asyncio.get_running_loop().call_soon(self._pause, turns - 1)
