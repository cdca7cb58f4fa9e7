"""The low-rank next-item ridge: predicts a customer's next product from the latest ones."""

from functools import lru_cache
from typing import Any

import numpy as np
from mxnet import nd

from components.artifacts.model import RankingFactors
from components.train.histories.histories import Histories, blocks, sparse_rows
from components.train.histories.training_set import TrainingSet, history_factors
from components.train.linear import regularized, root_mean_square, solve, transposed
from components.train.ranking.low_rank import LowRankModel

# The weight of the items after a position; those before it have 1.
_WEIGHT_OF_LATER = 0.3


class Ridge(LowRankModel):
    """Predicts each item of a history from the items around it, by one ridge regression.

    The context p of a position is the sum of `recency**distance * E[item]` over the items before
    it, where E is the embedding of the training set. The target y is a vector with a one for the
    item at the position. The solution is (P'P + regularization I)^-1 P'Y, with the contexts scaled
    to a mean square of 1. The items after a position are a second context, of a smaller weight.
    """

    recencies = (0.8, 0.9, 0.95)
    regularizations = (300.0, 3000.0, 30000.0)

    def __init__(self, data: TrainingSet) -> None:
        super().__init__(data)
        self._system = lru_cache(maxsize=1)(self._sum_up)

    def fit(self, dimensions: int, recency: float, regularization: float) -> RankingFactors:
        """Learn item vectors; a customer's vector is the context at the end of their history.

        Args:
            dimensions: the width of the vectors, k.
            recency: the decay of an item's weight with distance, in (0, 1].
            regularization: of the regression.
        """
        gram, targets, scale = self._system(recency)
        k = min(dimensions, len(gram))
        items = solve(regularized(gram[:k, :k], regularization), targets[:, :k])
        return history_factors(items, self._data.embedding[:, :k] / scale, recency)

    def _sum_up(self, recency: float) -> tuple[Any, Any, float]:
        """P'P and Y'P of contexts with a mean square of 1, and the number they were divided by."""
        histories = self._data.histories
        gram, targets = self._sums(histories, recency)
        contexts = len(histories.items) - np.count_nonzero(histories.lengths)
        scale = root_mean_square(gram, contexts)
        later_gram, later_targets = self._sums(histories.reversed, recency)
        gram = (gram + _WEIGHT_OF_LATER * later_gram) / scale**2
        targets = (targets + _WEIGHT_OF_LATER * later_targets) / scale
        return gram, targets, scale

    def _sums(self, histories: Histories, recency: float) -> tuple[Any, Any]:
        """P'P, NDArray [k, k], and Y'P, NDArray [products, k]."""
        embedding, device = self._data.embedding, self._data.device
        gram = nd.zeros((embedding.shape[1],) * 2, ctx=device)
        targets = nd.zeros(embedding.shape, ctx=device)
        positions = np.arange(len(histories.items))
        starts = histories.offsets[:-1].repeat(histories.lengths)
        starts, positions = starts[positions > starts], positions[positions > starts]
        for block in blocks(len(positions), histories.products):
            before = histories.before(starts[block], positions[block], recency, device)
            contexts = nd.sparse.dot(before, embedding)
            items = histories.items[positions[block]]
            ones = sparse_rows(
                np.ones(len(items)), items, np.arange(len(items) + 1), histories.products, device
            )
            gram += nd.linalg.syrk(contexts, transpose=True)
            targets += nd.sparse.dot(transposed(ones), contexts)
        return gram, targets
