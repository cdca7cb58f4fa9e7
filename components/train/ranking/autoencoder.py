"""The low-rank autoencoder: predicts a customer's products from each other, in any order."""

from functools import cached_property
from typing import Any

import numpy as np
from mxnet import nd

from components.artifacts.model import RankingFactors
from components.train.histories.training_set import history_factors
from components.train.linear import regularized, root_mean_square, solve, transposed
from components.train.ranking.low_rank import LowRankModel


class Autoencoder(LowRankModel):
    """EASE (Steck 2019, "Embarrassingly shallow autoencoders") on item vectors.

    A is the matrix of ones where customers rated, and E the embedding of the training set. EASE
    regresses each column of A on the other columns. This model regresses column j on p - a_j E_j,
    where p is the sum of E[item] over a history and a_j the entry of A: item j is left out of the
    sum. The Gram matrix of these is G - U C U', where G is the Gram matrix of the p,
    U = [E_j, s_j], and s_j the sum of p over the n_j customers who rated j. As U C U' has rank 2,
    one Cholesky factorization of G solves the regressions of all j (Woodbury identity).
    """

    recencies = (0.8, 0.95, 0.99)
    regularizations = (30.0, 300.0, 3000.0)

    def fit(self, dimensions: int, recency: float, regularization: float) -> RankingFactors:
        """Learn item vectors.

        Args:
            dimensions: the width of the vectors, k.
            recency: the decay of an item's weight with age, in a customer's vector only.
            regularization: of the regression.
        """
        gram, sums, embedding = self._system
        k = min(dimensions, len(gram))
        items = self._without_self(gram[:k, :k], sums[:, :k], embedding[:, :k], regularization)
        return history_factors(items, embedding[:, :k], recency)

    @cached_property
    def _system(self) -> tuple[Any, Any, Any]:
        """G, the rows s_j, and E, scaled such that the entries of p have a mean square of 1."""
        embedding, histories = self._data.embedding, self._data.histories
        gram = nd.zeros((embedding.shape[1],) * 2, ctx=self._data.device)
        sums = nd.zeros_like(embedding)
        ones = np.ones(histories.customers), np.ones(histories.products)
        for rows in histories.matrix(*ones, self._data.device):
            vectors = nd.sparse.dot(rows, embedding)
            gram += nd.linalg.syrk(vectors, transpose=True)
            sums += nd.sparse.dot(transposed(rows), vectors)
        scale = root_mean_square(gram, histories.customers)
        return gram / scale**2, sums / scale, embedding / scale

    def _without_self(self, gram: Any, sums: Any, embedding: Any, regularization: float) -> Any:
        """The rows (G + regularization I - U C U')^-1 (s_j - n_j E_j), one for each j."""
        counts = nd.array(self._data.histories.popularity, ctx=self._data.device)
        shared = regularized(gram, regularization)
        own, others = solve(shared, embedding), solve(shared, sums)
        targets = others - counts.expand_dims(1) * own
        # The 2 x 2 system of the identity, for all j at once, by Cramer's rule.
        first = (embedding * own).sum(axis=1)
        cross = (embedding * others).sum(axis=1)
        last = (sums * others).sum(axis=1)
        right = cross - counts * first, last - counts * cross
        off, corner = cross - 1, last - counts
        determinant = first * corner - off * off
        own_share = (right[0] * corner - off * right[1]) / determinant
        others_share = (first * right[1] - off * right[0]) / determinant
        return targets - own * own_share.expand_dims(1) - others * others_share.expand_dims(1)
