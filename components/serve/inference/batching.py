"""Top-N requests that arrive together are computed in one matrix product."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from components.artifacts.model import Floats, Rater
from components.artifacts.top_n import Ranked, Ranker
from components.serve.metrics import Metrics

# Vectors in one matrix product. It bounds the memory of the scores, 128 bytes per product.
_MAX_BATCH = 32
# Length of all lists of one batch, unless a single list is longer.
_MAX_RANKED = 1024


class _Job(NamedTuple):
    ranker: Ranker
    vector: Floats
    excluded: npt.NDArray[Any]
    wanted: int
    rater: Rater | None
    result: asyncio.Future[Ranked]


class TopNBatcher:
    """Collects top-N requests while the event loop reads its sockets, then computes a batch.

    No request waits for others: a batch starts as soon as everything that has arrived is read.
    What arrives during a batch forms the next one. Between two batches the event loop answers
    other requests.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._jobs: deque[_Job] = deque()

    def best(
        self,
        ranker: Ranker,
        vector: Floats,
        excluded: npt.NDArray[Any],
        count: int,
        rater: Rater | None,
    ) -> asyncio.Future[Ranked]:
        """The best products for a vector, as `Ranker.best` finds them.

        Args:
            ranker: of the bundle that answers.
            vector: of the customer, float32 [k].
            excluded: item indices, or a mask of all items.
            count: how many products to find.
            rater: how the customer rates; None to leave expected stars out.
        """
        loop = asyncio.get_running_loop()
        if not self._jobs:
            loop.call_soon(self._compute)
        result: asyncio.Future[Ranked] = loop.create_future()
        self._jobs.append(_Job(ranker, vector, excluded, count, rater, result))
        return result

    def _compute(self) -> None:
        batch = self._next_batch()
        if self._jobs:
            asyncio.get_running_loop().call_soon(self._compute)
        self._compute_batch(batch)

    def _next_batch(self) -> list[_Job]:
        """The jobs that have waited longest, of one model, as many as fit in one product."""
        first = self._jobs.popleft()
        batch, ranked = [first], first.wanted
        # While bundles are switched, there may be jobs for both.
        while self._jobs and len(batch) < _MAX_BATCH and self._jobs[0].ranker is first.ranker:
            ranked += self._jobs[0].wanted
            if ranked > _MAX_RANKED:
                break
            batch.append(self._jobs.popleft())
        return batch

    def rank(
        self,
        ranker: Ranker,
        vectors: Sequence[Floats],
        excluded: Sequence[npt.NDArray[Any]],
        counts: Sequence[int],
        raters: Sequence[Rater | None],
    ) -> list[Ranked]:
        """The best products for each vector, as `Ranker.best` finds them, computed now.

        Args:
            ranker: of the bundle that answers.
            vectors: of the customers, float32 [k] each.
            excluded: for each, item indices, or a mask of all items.
            counts: for each, how many products to find.
            raters: how each rates; None to leave expected stars out.
        """
        self._metrics.add("matrix_products")
        self._metrics.add("computed_lists", len(vectors))
        return ranker.best(np.stack(vectors), excluded, counts, raters)

    def _compute_batch(self, batch: list[_Job]) -> None:
        vectors = [job.vector for job in batch]
        excluded, counts = [job.excluded for job in batch], [job.wanted for job in batch]
        raters = [job.rater for job in batch]
        try:
            ranked = self.rank(batch[0].ranker, vectors, excluded, counts, raters)
        except Exception as error:  # the requests fail, not the event loop
            for job in batch:
                if not job.result.done():
                    job.result.set_exception(error)
            return
        for job, answer in zip(batch, ranked, strict=True):
            if not job.result.done():
                job.result.set_result(answer)
