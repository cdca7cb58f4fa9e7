"""Signs of life of the workers, counted in memory that they share with the supervisor."""

import mmap

_WORD = 8


class Heartbeats:
    """A counter for each worker, made before the workers are forked.

    They count rather than note the time, so that a machine that slept finds no worker dead.
    """

    def __init__(self, workers: int) -> None:
        self._counts = memoryview(mmap.mmap(-1, workers * _WORD)).cast("Q")

    def beat(self, worker: int) -> None:
        """Count one more sign of life."""
        self._counts[worker] += 1

    def count(self, worker: int) -> int:
        """How many signs of life there were."""
        return self._counts[worker]
