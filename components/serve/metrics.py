"""Prometheus metrics of all workers, counted in memory that they share.

Each worker has a row of its own in an anonymous memory map that is made before the workers are
forked. So counting needs no lock, any worker can report for all, and a count outlives its worker.
"""

import mmap
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from http import HTTPStatus

BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
COUNTERS = {
    "cold_starts": "answers to customers that the model does not know",
    "cold_start_pairs": "predictions for a customer or a product that is unknown",
    "precomputed_lists": "recommendations that were looked up",
    "computed_lists": "recommendations that were computed on request",
    "matrix_products": "products of vectors and items, each for one or more of the computed lists",
    "bundle_switches": "bundles that a worker switched to",
    "access_log_lines_dropped": "lines that nobody read in time",
}

_PREFIX = "alsolike"
_WORD = 8


class Metrics:
    """The counters of a server."""

    def __init__(self, workers: int, routes: Sequence[str]) -> None:
        """Make the memory: all counts are 0, and the first worker's row is in use.

        Args:
            workers: how many count.
            routes: the labels of the routes.
        """
        self._routes = {label: number for number, label in enumerate(routes)}
        # For a route: a count per status, a count per bucket and one beyond, the sum of seconds.
        self._route_size = len(_STATUS_OFFSETS) + len(BUCKETS) + 2
        self._counters = {
            name: len(routes) * self._route_size + number for number, name in enumerate(COUNTERS)
        }
        self._size = len(routes) * self._route_size + len(COUNTERS)
        self._memory = memoryview(mmap.mmap(-1, workers * self._size * _WORD)).cast("d")
        self._row = self._memory[: self._size]
        self._workers = workers

    def use_row(self, worker: int) -> None:
        """Count in the row of this worker from now on."""
        self._row = self._memory[worker * self._size : (worker + 1) * self._size]

    def observe(self, route: str, status: HTTPStatus, seconds: float) -> None:
        """Count an answer.

        Args:
            route: one of the labels.
            status: of the answer.
            seconds: how long the answer took.
        """
        row, start = self._row, self._routes[route] * self._route_size
        row[start + _OFFSETS_BY_NUMBER[status]] += 1
        row[start + len(_STATUS_OFFSETS) + bisect_left(BUCKETS, seconds)] += 1
        row[start + self._route_size - 1] += seconds

    def add(self, counter: str, amount: int = 1) -> None:
        """Count an event of `COUNTERS`."""
        self._row[self._counters[counter]] += amount

    def exposition(self, information: dict[str, str]) -> bytes:
        """The metrics of all workers in the Prometheus text format, version 0.0.4.

        Args:
            information: labels that say what is served, such as the model's version.
        """
        total = [sum(self._memory[place :: self._size]) for place in range(self._size)]
        lines = [*self._requests(total), *self._latencies(total)]
        for name, place in self._counters.items():
            lines += _family(f"{name}_total", "counter", COUNTERS[name])
            lines.append(f"{_PREFIX}_{name}_total {total[place]:.0f}")
        labels = ",".join(f'{name}="{value}"' for name, value in information.items())
        lines += _family("model_info", "gauge", "the model that is served")
        lines.append(f"{_PREFIX}_model_info{{{labels}}} 1")
        lines += _family("workers", "gauge", "worker processes")
        lines.append(f"{_PREFIX}_workers {self._workers}")
        return ("\n".join(lines) + "\n").encode()

    def _requests(self, total: Sequence[float]) -> Iterable[str]:
        yield from _family("requests_total", "counter", "answers, by route and status")
        for label, number in self._routes.items():
            for status, offset in _STATUS_OFFSETS.items():
                count = total[number * self._route_size + offset]
                if count:
                    labels = f'route="{label}",status="{status.value}"'
                    yield f"{_PREFIX}_requests_total{{{labels}}} {count:.0f}"

    def _latencies(self, total: Sequence[float]) -> Iterable[str]:
        name = f"{_PREFIX}_request_seconds"
        yield from _family("request_seconds", "histogram", "from the last byte read to the answer")
        for label, number in self._routes.items():
            start = number * self._route_size + len(_STATUS_OFFSETS)
            cumulative = 0.0
            for place, bound in enumerate([*BUCKETS, "+Inf"]):
                cumulative += total[start + place]
                yield f'{name}_bucket{{route="{label}",le="{bound}"}} {cumulative:.0f}'
            yield f'{name}_sum{{route="{label}"}} {total[start + len(BUCKETS) + 1]:.6f}'
            yield f'{name}_count{{route="{label}"}} {cumulative:.0f}'


_STATUS_OFFSETS = {status: offset for offset, status in enumerate(HTTPStatus)}
# The hash of an enumeration's member is computed in Python, for every answer.
_OFFSETS_BY_NUMBER = [0] * (max(HTTPStatus) + 1)
for _status, _offset in _STATUS_OFFSETS.items():
    _OFFSETS_BY_NUMBER[_status] = _offset


def _family(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP {_PREFIX}_{name} {text}", f"# TYPE {_PREFIX}_{name} {kind}"]
