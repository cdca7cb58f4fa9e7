"""Connections whose clients sent much at once are served in turn, for a moment at a time."""

import asyncio
from collections.abc import Callable
from time import perf_counter

# In each turn of the event loop. What has arrived from other clients is answered in between.
_MAX_SECONDS = 0.002


class Rotation:
    """Steps of the connections that have more to do, one of each connection after the other."""

    def __init__(self) -> None:
        self._steps: dict[Callable[[], None], None] = {}  # an ordered set
        self._scheduled = False

    def add(self, step: Callable[[], None]) -> None:
        """Call this once, after those that were added before; it may add itself again."""
        self._steps[step] = None
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        deadline = perf_counter() + _MAX_SECONDS
        while self._steps and perf_counter() < deadline:
            step = next(iter(self._steps))
            del self._steps[step]
            step()
        self._scheduled = False
        if self._steps:
            self._schedule()
