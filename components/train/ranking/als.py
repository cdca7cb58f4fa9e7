"""Implicit alternating least squares (iALS)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from mxnet import nd

from components.artifacts.model import Integers, Offsets, RankingFactors
from components.train.histories.histories import window
from components.train.histories.training_set import TrainingSet
from components.train.linear import solve, solve_each
from components.train.ranking.settings import Parameters, RankingSettings
from components.train.sizes import ALS_WIDTH, Size

_SWEEPS = 6
_SPREAD = 0.1
# The weight of a pair without a rating; a rated pair has 1.
_UNRATED = 0.1
# Bounds the memory of a block of rows that are solved for at once.
_BLOCK_CELLS = 1 << 22

Places = npt.NDArray[np.int64]


class ImplicitAls:
    """Implicit matrix factorization with the scaling of Rendle et al. 2022, "Revisiting iALS".

    It minimises the sum of (1 - u·v)^2 over rated pairs, of w (u·v)^2 over all pairs, and of
    regularization (n + w N) |x|^2 over the vectors x of both sides, where n is the number of
    ratings of x and N the number of vectors of the other side. For item vectors all ratings weigh
    the same; for a customer's vector older ratings weigh less.
    """

    recencies = (0.8, 0.95)
    regularizations = (0.003, 0.03)

    def __init__(self, data: TrainingSet) -> None:
        self._data = data
        self._items = lru_cache(maxsize=1)(self._learn_items)

    @classmethod
    def candidates(cls, settings: RankingSettings) -> list[Parameters]:
        """The parameters to try."""
        return settings.choices(
            dimensions=[min(settings.ranking_dimensions, ALS_WIDTH)],
            regularization=cls.regularizations,
            recency=cls.recencies,
        )

    @classmethod
    def size(cls, products: int, parameters: Parameters) -> Size:
        """Its largest array of one row a product, the items' vectors."""
        return Size("products", products, int(parameters["dimensions"]))

    def fit(self, dimensions: int, recency: float, regularization: float) -> RankingFactors:
        """Learn the vectors of both sides.

        A new customer's vector is computed by the mean of all customers' normal equations, which
        makes it a sum over their items.

        Args:
            dimensions: the width of the vectors, k.
            recency: the decay of a rating's weight with age, in (0, 1].
            regularization: as in the sum above.
        """
        items = self._items(dimensions, regularization)
        histories, device = self._data.histories, self._data.device
        ages = histories.offsets[1:].repeat(histories.lengths) - 1 - np.arange(len(histories.items))
        weights = np.where(ages < window(recency), recency**ages, 0)
        by_item = np.bincount(histories.items, weights, histories.products) / histories.customers
        own = regularization * float(histories.lengths.mean())
        mean = _shared(items, regularization) + own * nd.eye(dimensions, ctx=device)
        mean += nd.dot(items.T, items * nd.array(by_item, ctx=device).expand_dims(1))
        ratings = _Ratings(histories.offsets, histories.items, recency)
        return RankingFactors(
            items=items.asnumpy(),
            item_biases=np.zeros(histories.products, np.float32),
            histories=solve(mean, items).asnumpy(),
            recency=np.array([recency], np.float32),
            window=np.array([window(recency)], np.int32),
            users=_solved(ratings, items, regularization).asnumpy(),
        )

    def _learn_items(self, dimensions: int, regularization: float) -> Any:
        """Item vectors, NDArray [products, k], by sweeps over both sides from a random start."""
        histories = self._data.histories
        by_customer = _Ratings(histories.offsets, histories.items)
        transposed = histories.transposed
        by_item = _Ratings(transposed.offsets, transposed.items)
        start = np.random.default_rng(self._data.seed).normal(
            0, _SPREAD / dimensions**0.5, (histories.products, dimensions)
        )
        items = nd.array(start, ctx=self._data.device)
        for _ in range(_SWEEPS):
            users = _solved(by_customer, items, regularization)
            items = _solved(by_item, users, regularization)
        return items


@dataclass(frozen=True)
class _Ratings:
    """What the rows of one side rated.

    Attributes:
        offsets: int64 [rows + 1], where the ratings of a row begin.
        others: int32 [ratings], the rows of the other side, oldest first.
        recency: the weight of a rating relative to the next newer one.
    """

    offsets: Offsets
    others: Integers
    recency: float = 1.0

    @property
    def lengths(self) -> Offsets:
        """int64 [rows], how many ratings each row has."""
        return np.diff(self.offsets)

    def blocks(self, width: int) -> Iterator[tuple[Places, Places]]:
        """Rows of equally many ratings that count, [n], and the places of these, [n, ratings].

        Args:
            width: of the vectors; bounds how many rows are in a block.
        """
        longest = window(self.recency) if self.recency < 1 else len(self.others)
        lengths = np.minimum(self.lengths, longest)
        order = np.argsort(lengths, kind="stable")
        starts = np.flatnonzero(np.diff(lengths[order], prepend=-1))
        for first, end in zip(starts, [*starts[1:], len(order)], strict=True):
            length = int(lengths[order[first]])
            step = max(1, _BLOCK_CELLS // max(1, length * width))
            for start in range(first, end, step):
                rows = order[start : min(start + step, end)]
                yield rows, self.offsets[rows + 1][:, None] + np.arange(-length, 0)


def _shared(others: Any, regularization: float) -> Any:
    """The part of the normal equations that all rows of a side share, NDArray [k, k]."""
    rows, width = others.shape
    gram = _UNRATED * nd.linalg.syrk(others, transpose=True)
    return gram + regularization * _UNRATED * rows * nd.eye(width, ctx=others.context)


def _solved(ratings: _Ratings, others: Any, regularization: float) -> Any:
    """The vectors of one side that solve its normal equations, given those of the other side.

    Of a row with n ratings they are (S + regularization n I + V'WV) x = V'W1, S shared, V the
    vectors that it rated and W their weights. In the basis of the eigenvectors of S the first two
    terms are a diagonal matrix D, different from row to row, and with E = W^1/2 V D^-1/2 they are
    D^1/2 (I + E'E) D^1/2 x = D^1/2 E' W^1/2 1. As E'(I + EE')^-1 = (I + E'E)^-1 E', the system to
    solve is no larger than n.

    Args:
        ratings: of this side.
        others: the vectors of the other side, NDArray [others, k].
        regularization: as the model has it.

    Returns:
        NDArray [rows, k].
    """
    device, width = others.context, others.shape[1]
    basis, values = nd.linalg.syevd(_shared(others, regularization))
    rotated = nd.dot(others, basis.T)
    lengths = nd.array(ratings.lengths, ctx=device)
    order, solved = [], []
    for rows, places in ratings.blocks(width):
        own = nd.take(lengths, nd.array(rows, ctx=device, dtype="int32"))
        roots = nd.sqrt(values + regularization * own.reshape((-1, 1)))
        order.append(rows)
        if not places.size:
            solved.append(nd.zeros_like(roots))
            continue
        vectors = nd.take(rotated, nd.array(ratings.others[places], ctx=device, dtype="int32"))
        solved.append(_minimum(vectors, roots, ratings.recency))
    places_of = np.argsort(np.concatenate(order))
    joined = nd.dot(nd.concat(*solved, dim=0), basis)
    return nd.take(joined, nd.array(places_of, ctx=device, dtype="int32"))


def _minimum(vectors: Any, roots: Any, recency: float) -> Any:
    """Solutions x, NDArray [n, k], of the systems of rows that have equally many ratings.

    Args:
        vectors: V, oldest first, NDArray [n, ratings, k].
        roots: the diagonals of D^1/2, NDArray [n, k].
        recency: the weight of a rating relative to the next newer one.
    """
    rows, count, width = vectors.shape
    weights = np.sqrt(recency ** np.arange(count - 1, -1, -1.0))
    right = nd.array(np.tile(weights, (rows, 1)), ctx=vectors.context)
    scaled = vectors * right.expand_dims(2) / roots.expand_dims(1)
    dual = count < width
    gram = nd.linalg.syrk(scaled, transpose=not dual)
    systems = gram + nd.eye(min(count, width), ctx=vectors.context).expand_dims(0)
    if dual:
        right = solve_each(systems, right)
    found = nd.linalg.gemm2(scaled, right.expand_dims(2), transpose_a=True).reshape(roots.shape)
    return (found if dual else solve_each(systems, found)) / roots
