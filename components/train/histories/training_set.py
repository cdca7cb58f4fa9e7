"""The data that ranking models train on, and the item embedding that some of them share."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import mxnet as mx
import numpy as np
from mxnet import nd

from components.artifacts.model import RankingFactors
from components.train.histories.histories import Histories, window
from components.train.linear import orthonormal, transposed
from components.train.sizes import Size

_OVERSAMPLING = 16
_POWER_ITERATIONS = 4


@dataclass(frozen=True)
class TrainingSet:
    """Histories, and how to compute with them.

    Attributes:
        histories: of all customers.
        dimensions: the width of the widest vectors to learn.
        seed: of random starts.
        device: where to compute.
    """

    histories: Histories
    dimensions: int
    seed: int
    device: mx.Context

    @cached_property
    def embedding(self) -> Any:
        """Item vectors E = V S^1/2, NDArray [products, k], the leading columns first.

        R = D_u^-1/2 A D_i^-1/2, where D holds the numbers of ratings, has the truncated SVD
        U S V'. V and S^2 are the leading eigenvectors and values of R'R, by subspace iteration
        from a random start (Halko, Martinsson and Tropp 2011, algorithm 4.4).
        """
        histories = self.histories
        rows = histories.matrix(
            np.maximum(histories.lengths, 1) ** -0.5,
            np.maximum(histories.popularity, 1) ** -0.5,
            self.device,
        )
        matrix = [(block, transposed(block)) for block in rows]
        kept = min(self.dimensions, histories.products)
        width = embedding_size(histories.products, self.dimensions).width
        start = np.random.default_rng(self.seed).standard_normal(
            (width, histories.products), np.float32
        )
        basis = orthonormal(nd.array(start, ctx=self.device))
        for _ in range(_POWER_ITERATIONS):
            basis = orthonormal(_gram_product(matrix, basis.T).T)
        # Eigenvectors in rows, in ascending order of their eigenvalues.
        rotation, squares = nd.linalg.syevd(nd.dot(basis, _gram_product(matrix, basis.T)))
        leading = nd.dot(rotation[width - kept :], basis)
        roots = nd.maximum(squares[width - kept :], 0) ** 0.25
        return nd.reverse(leading * roots.expand_dims(1), axis=0).T


def embedding_size(products: int, dimensions: int) -> Size:
    """The largest array needed to compute the embedding: it has more columns than are kept."""
    return Size("products", products, min(dimensions + _OVERSAMPLING, products))


def _gram_product(matrix: list[tuple[Any, Any]], vectors: Any) -> Any:
    """R'R times vectors, NDArray [products, n], for R as blocks of rows with their transposes."""
    total = nd.zeros_like(vectors)
    for block, transpose in matrix:
        total += nd.sparse.dot(transpose, nd.sparse.dot(block, vectors))
    return total


def history_factors(items: Any, histories: Any, recency: float) -> RankingFactors:
    """The factors of a model that computes a customer's vector from their history alone.

    Args:
        items: NDArray [products, k].
        histories: NDArray [products, k], what an item in a history adds to the vector.
        recency: the decay of its weight with age, in (0, 1].
    """
    return RankingFactors(
        items=items.asnumpy(),
        item_biases=np.zeros(len(items), np.float32),
        histories=histories.asnumpy(),
        recency=np.array([recency], np.float32),
        window=np.array([window(recency)], np.int32),
        users=np.zeros((0, items.shape[1]), np.float32),
    )
