"""Top-N requests that wait together are computed in one matrix product."""

import asyncio
from collections import deque
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from components.artifacts.model import Floats
from components.artifacts.top_n import Ranked, Ranker
from components.serve.metrics import Metrics

# Customers in one product. Bounds the memory of the scores, 128 bytes a product.
LARGEST = 32
# Products of all the lists computed in one product, unless one list alone is longer: to rank them
# takes about as long as to score 32 customers, and nothing else is answered meanwhile.
_MOST_RANKED = 8192


class _Job(NamedTuple):
    ranker: Ranker
    vector: Floats
    left_out: npt.NDArray[Any]
    wanted: int
    result: asyncio.Future[Ranked]


class Batcher:
    """Gathers what arrives while the event loop reads its sockets, then computes it at once.

    Nothing waits for company: the product starts as soon as all that has arrived is read, and
    what arrives during it makes up the next one. Between two products the event loop answers
    other requests.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._jobs: deque[_Job] = deque()

    def best(
        self, ranker: Ranker, vector: Floats, left_out: npt.NDArray[Any], count: int
    ) -> asyncio.Future[Ranked]:
        """The `count` best products for a vector, as `Ranker.best` finds them."""
        loop = asyncio.get_running_loop()
        if not self._jobs:
            loop.call_soon(self._compute)
        result: asyncio.Future[Ranked] = loop.create_future()
        self._jobs.append(_Job(ranker, vector, left_out, count, result))
        return result

    def _compute(self) -> None:
        jobs = self._next_jobs()
        if self._jobs:
            asyncio.get_running_loop().call_soon(self._compute)
        self._compute_together(jobs[0].ranker, jobs)

    def _next_jobs(self) -> list[_Job]:
        """The longest waiting jobs of one model that fit in one product."""
        first = self._jobs.popleft()
        jobs, ranked = [first], first.wanted
        # During a switch of bundles there may be jobs for both.
        while self._jobs and len(jobs) < LARGEST and self._jobs[0].ranker is first.ranker:
            ranked += self._jobs[0].wanted
            if ranked > _MOST_RANKED:
                break
            jobs.append(self._jobs.popleft())
        return jobs

    def _compute_together(self, ranker: Ranker, jobs: list[_Job]) -> None:
        self._metrics.add("matrix_products")
        self._metrics.add("computed_lists", len(jobs))
        vectors = np.stack([job.vector for job in jobs])
        try:
            ranked = ranker.best(
                vectors, [job.left_out for job in jobs], [job.wanted for job in jobs]
            )
        except Exception as error:  # whoever asked gets it, not the event loop
            for job in jobs:
                if not job.result.done():
                    job.result.set_exception(error)
            return
        for job, answer in zip(jobs, ranked, strict=True):
            if not job.result.done():
                job.result.set_result(answer)
