"""Implicit alternating least squares: a customer likes what similar customers rated."""

from functools import lru_cache
from typing import Any

import numpy as np
from mxnet import nd

from components.artifacts.model import Offsets, RankingFactors
from components.train.ranking.histories import Histories, blocks, window
from components.train.ranking.linear import solve, solve_each
from components.train.ranking.settings import Parameters, RankingSettings
from components.train.ranking.training_set import TrainingSet
from components.train.symmetric import Packing

_WIDEST = 32
_SWEEPS = 6
_SPREAD = 0.1
# Weight of a pair that nobody rated, against 1 for one that somebody did.
_UNRATED = 0.1


class ImplicitAls:
    """Implicit matrix factorization, scaled as Rendle et al. 2022, "Revisiting iALS", advise.

    Minimises the sum of (1 - u·v)^2 over rated pairs, of w (u·v)^2 over all pairs, and of
    regularization (n + w N) |x|^2 over the vectors x of both sides, n being the ratings of x and
    N the rows of the other side. Item vectors are learned from all ratings alike; in a customer's
    own vector the ratings weigh less with age.
    """

    recencies = (0.8, 0.95)
    regularizations = (0.003, 0.03)

    def __init__(self, data: TrainingSet) -> None:
        self._data = data
        self._items = lru_cache(maxsize=1)(self._learn_items)

    @classmethod
    def candidates(cls, settings: RankingSettings) -> list[Parameters]:
        """What to try."""
        return settings.choices(
            dimensions=[min(settings.ranking_dimensions, _WIDEST)],
            regularization=cls.regularizations,
            recency=cls.recencies,
        )

    def fit(self, dimensions: int, recency: float, regularization: float) -> RankingFactors:
        """Learn vectors of both sides.

        A customer who comes later gets their vector from the mean of all customers' normal
        equations: that makes it a sum over their items.
        """
        items = self._items(dimensions, regularization)
        histories, device = self._data.histories, self._data.device
        equations = _Equations(items, regularization)
        users = []
        mean = nd.zeros((dimensions, dimensions), ctx=device)
        for block in blocks(histories.customers, histories.products):
            starts, ends = histories.offsets[:-1][block], histories.offsets[1:][block]
            rows = histories.before(starts, ends, recency, device)
            systems = equations.of(rows, histories.lengths[block])
            users.append(solve_each(systems, nd.sparse.dot(rows, items)))
            mean += systems.sum(axis=0) / histories.customers
        return RankingFactors(
            items=items.asnumpy(),
            item_biases=np.zeros(histories.products, np.float32),
            histories=solve(mean, items).asnumpy(),
            recency=np.array([recency], np.float32),
            window=np.array([window(recency)], np.int32),
            users=nd.concat(*users, dim=0).asnumpy(),
        )

    def _learn_items(self, dimensions: int, regularization: float) -> Any:
        """Item vectors, NDArray [products, k], by sweeps over both sides from a random start."""
        by_user = self._data.histories
        by_item = by_user.transposed
        start = np.random.default_rng(self._data.seed).normal(
            0, _SPREAD / dimensions**0.5, (by_user.products, dimensions)
        )
        items = nd.array(start, ctx=self._data.device)
        for _ in range(_SWEEPS):
            users = self._half_sweep(by_user, items, regularization)
            items = self._half_sweep(by_item, users, regularization)
        return items

    def _half_sweep(self, histories: Histories, others: Any, regularization: float) -> Any:
        """Vectors of one side, given those of the other."""
        equations = _Equations(others, regularization)
        ones = np.ones(histories.customers), np.ones(histories.products)
        solved = [
            solve_each(equations.of(rows, histories.lengths[block]), nd.sparse.dot(rows, others))
            for block, rows in zip(
                blocks(histories.customers, histories.products),
                histories.matrix(*ones, self._data.device),
                strict=True,
            )
        ]
        return nd.concat(*solved, dim=0)


class _Equations:
    """The matrices of the normal equations of one side, given the vectors of the other."""

    def __init__(self, others: Any, regularization: float) -> None:
        rows, k = others.shape
        self._device, self._packing = others.context, Packing(k, others.context)
        self._outer = self._packing.outer(others)
        self._identity = nd.eye(k, ctx=self._device)
        self._regularization = regularization
        self._shared = _UNRATED * nd.linalg.syrk(others, transpose=True)
        self._shared += regularization * _UNRATED * rows * self._identity

    def of(self, weights: Any, ratings: Offsets) -> Any:
        """For each row, NDArray [n, k, k].

        Args:
            weights: CSR NDArray [n, others], of the rated pairs.
            ratings: [n], how many each row has.
        """
        systems = self._packing.unpack(nd.sparse.dot(weights, self._outer))
        own = nd.array(self._regularization * ratings, ctx=self._device).reshape((-1, 1, 1))
        return systems + self._shared + own * self._identity
