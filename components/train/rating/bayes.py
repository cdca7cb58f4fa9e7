"""Bayesian matrix factorization with biases, by variational inference.

A rating is `mean + p_u·q_i + b_u + b_i` plus noise of precision alpha. Each row x = [p, b] of
either side has a Gaussian prior whose mean is a linear function of what is known of the row, here
of how many ratings it has and of what they are ratings of, and whose covariance is shared.
Mean-field variational inference over rows (Lim, Teh 2007, "Variational Bayesian approach to movie
rating prediction"; priors learned from all rows as in Salakhutdinov, Mnih 2008, "Bayesian
probabilistic matrix factorization") gives every row a Gaussian of its own, from one small system
of normal equations that also counts how uncertain the other side still is. Deterministic, and its
means are a plain factor model.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import mxnet as mx
import numpy as np
import numpy.typing as npt
from mxnet import nd

from components.artifacts.model import Floats, Integers, RatingFactors
from components.artifacts.splits import Ratings
from components.train.checkpoints import State
from components.train.rating.learning import Problem, Step, mean_squared_error
from components.train.rating.signals import implicit_signals
from components.train.rating.warm_start import overlay
from components.train.symmetric import Packing

_START = 0.1
# MXNet's sparse product fails from 2^31 cells on; fewer rows also bound the memory of a block.
_MOST_CELLS = 2**31 - 1
_BLOCK_ROWS = 1 << 16

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Bayes:
    """The model with its hyperparameters.

    Attributes:
        rank: length of the vectors; 0 leaves the biases alone.
        precision: of the noise, alpha, in 1 / stars squared.
        counts: whether the prior mean depends on a row's number of ratings.
        seed: of the start. device: where to compute.
        signals: how many numbers the prior mean knows of what a row's ratings are ratings of.
    """

    rank: int
    precision: float
    counts: bool
    seed: int
    device: mx.Context
    signals: int = 0

    name = "bayes"

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """What tells it from others of its name."""
        return {
            "rank": self.rank,
            "precision": self.precision,
            "counts": self.counts,
            "signals": self.signals,
        }

    def learn(self, problem: Problem, state: State | None = None) -> Iterator[Step]:
        """Learn without end, a sweep over both sides a step; go on from a state if there is one."""
        ratings, mean = problem.ratings, float(problem.ratings.stars.mean(dtype=np.float64))
        users, items = (
            _Side.of(ratings, mean, by_user, problem, self) for by_user in (True, False)
        )
        user_rows: _Rows | None = None
        item_rows: _Rows | None = None
        if state is not None:
            user_rows, item_rows = (self._restored(state, side) for side in ("users", "items"))
        start = items.start(np.random.default_rng(self.seed), problem.start)
        while True:
            user_rows = users.update(item_rows or start, user_rows)
            item_rows = items.update(user_rows, item_rows)
            export = partial(_export, user_rows, item_rows, mean, problem.bounds)
            predict = partial(_predict, user_rows, item_rows, mean, problem.bounds)
            loss = mean_squared_error(predict, ratings)
            yield Step(loss, export, predict, partial(_state, user_rows, item_rows))

    def _restored(self, state: State, side: str) -> "_Rows":
        parts = (state[f"{side}.{part}"] for part in ("means", "covariances"))
        return _Rows(*(nd.array(part, ctx=self.device) for part in parts))


@dataclass(frozen=True)
class _Rows:
    """What is believed of the rows of a side.

    Attributes:
        means: NDArray [rows, k + 1], vectors and biases.
        covariances: NDArray [rows, k + 1, k + 1].
    """

    means: Any
    covariances: Any


class _Side:
    """The customers, or the products, with their ratings."""

    def __init__(
        self, blocks: list[tuple[Any, Any]], features: Any, rank: int, precision: float
    ) -> None:
        """See `of`.

        Args:
            blocks: for runs of rows, where they rated and what, CSR NDArrays [n, other rows].
            features: NDArray [rows, f], what the prior mean is linear in.
            rank: length of the vectors.
            precision: of the noise.
        """
        self._blocks, self._features = blocks, features
        self._rank, self._size, self._precision = rank, rank + 1, precision
        self._device = features.context
        self._packing = Packing(self._size, self._device)

    @classmethod
    def of(
        cls, ratings: Ratings, mean: float, by_user: bool, problem: Problem, model: Bayes
    ) -> "_Side":
        """The ratings above the mean, in rows of customers or of products."""
        rows, columns = ratings.users, ratings.items
        shape = problem.customers, problem.products
        if not by_user:
            rows, columns, shape = columns, rows, shape[::-1]
        order = np.argsort(rows, kind="stable")
        counts = np.bincount(rows, minlength=shape[0])
        offsets = np.concatenate([[0], np.cumsum(counts)])
        stars = (ratings.stars - np.float32(mean))[order]
        height = min(_BLOCK_ROWS, max(1, _MOST_CELLS // shape[1]))
        blocks = []
        for start in range(0, shape[0], height):
            within = offsets[start : start + height + 1]
            cells = slice(within[0], within[-1])
            indices, pointers = columns[order[cells]], within - within[0]
            block = tuple(
                nd.sparse.csr_matrix(
                    (values, indices, pointers),
                    shape=(len(pointers) - 1, shape[1]),
                    ctx=model.device,
                    dtype="float32",
                )
                for values in (np.ones(len(indices), np.float32), stars[cells])
            )
            blocks.append(block)
        features = nd.array(_features(counts, model.counts), ctx=model.device)
        if model.signals:
            signals = implicit_signals(problem, model.signals, model.seed, model.device)
            features = nd.concat(features, signals[0 if by_user else 1], dim=1)
        return cls(blocks, features, model.rank, model.precision)

    def start(self, random: np.random.Generator, factors: RatingFactors | None) -> _Rows:
        """What products begin with: small random vectors and no biases, or those of a model.

        Nothing is uncertain. Customers need no start, theirs follow from the products.
        """
        rows = len(self._features)
        means = random.normal(0, _START, (rows, self._size))
        means[:, self._rank] = 0
        if factors is not None:
            overlay(means, factors.items, factors.item_biases)
        shape = (rows, self._size, self._size)
        return _Rows(nd.array(means, ctx=self._device), nd.zeros(shape, ctx=self._device))

    def update(self, other: _Rows, own: _Rows | None) -> _Rows:
        """Solve every row of this side, given the rows of the other.

        Args:
            other: the rows of the other side.
            own: what was believed of this side, to learn the prior from; None at the start.
        """
        weights, covariance_inverse = self._prior(own)
        precision = nd.array(covariance_inverse, ctx=self._device)
        towards = nd.dot(self._features, nd.array(weights @ covariance_inverse, ctx=self._device))
        vectors, moments = self._moments(other)
        width = self._packing.width
        means, covariances, start = [], [], 0
        for rated, stars in self._blocks:
            stop = start + rated.shape[0]
            sums = nd.sparse.dot(rated, moments)
            systems = self._packing.unpack(sums[:, :width]) * self._precision
            systems = nd.broadcast_add(systems, precision.expand_dims(0))
            right = nd.sparse.dot(stars, vectors) - sums[:, width:]
            right = right * self._precision + towards[start:stop]
            inverse = nd.linalg.potri(nd.linalg.potrf(systems))
            means.append(nd.linalg.gemm2(inverse, right.expand_dims(2)).reshape(right.shape))
            covariances.append(inverse)
            start = stop
        return _Rows(nd.concat(*means, dim=0), nd.concat(*covariances, dim=0))

    def _moments(self, other: _Rows) -> tuple[Any, Any]:
        """Of f = [q, 1] and the bias c of the other side: f, and E[f f'] packed beside E[f c]."""
        k, rows = self._rank, len(other.means)
        bias = other.means[:, k:]
        vectors = (
            nd.concat(other.means[:, :k], nd.ones_like(bias), dim=1) if k else nd.ones_like(bias)
        )
        outer = self._packing.outer(vectors)
        mixed = nd.broadcast_mul(vectors, bias)
        if k:
            # The constant of f is certain: its row and column of the covariance do not count.
            known = np.ones((1, self._size, self._size), np.float32)
            known[:, k, :] = known[:, :, k] = 0
            spread = nd.broadcast_mul(other.covariances, nd.array(known, ctx=self._device))
            outer = outer + self._packing.pack(spread)
            with_bias = nd.slice_axis(other.covariances, axis=2, begin=k, end=k + 1)
            with_bias = with_bias.reshape((rows, -1))[:, :k]
            mixed = mixed + nd.concat(with_bias, nd.zeros_like(bias), dim=1)
        return vectors, nd.concat(outer, mixed, dim=1)

    def _prior(self, own: _Rows | None) -> tuple[Array, Array]:
        """The weights of the features in the prior mean, and the inverse of its covariance."""
        features = self._features.shape[1]
        if own is None:
            return np.zeros((features, self._size)), np.eye(self._size)
        gram = _double(nd.dot(self._features, self._features, transpose_a=True))
        cross = _double(nd.dot(self._features, own.means, transpose_a=True))
        weights = np.linalg.solve(gram + 2 * np.eye(features), cross)
        rest = own.means - nd.dot(self._features, nd.array(weights, ctx=self._device))
        scatter = _double(nd.dot(rest, rest, transpose_a=True)) + _double(
            own.covariances.sum(axis=0)
        )
        rows = len(own.means)
        return weights, np.linalg.inv((scatter + np.eye(self._size)) / (rows + self._size + 1))


def _features(counts: npt.NDArray[np.int64], by_count: bool) -> npt.NDArray[np.float32]:
    """A constant and, on request, the standardised log of a row's ratings and its square."""
    ones = np.ones(len(counts), np.float32)
    if not by_count:
        return ones[:, None]
    level = np.log1p(counts).astype(np.float32)
    level = (level - level.mean()) / max(level.std(), 1e-6)
    return np.stack([ones, level, level**2 - 1], axis=1)


def _double(array: Any) -> Array:
    return array.asnumpy().astype(np.float64)  # type: ignore[no-any-return]


def _predict(
    users: _Rows,
    items: _Rows,
    mean: float,
    bounds: tuple[float, float],
    user: Integers,
    item: Integers,
) -> Floats:
    left, right = (
        nd.take(side.means, nd.array(indices, ctx=side.means.context, dtype="int32"))
        .asnumpy()
        .astype(np.float64)
        for side, indices in ((users, user), (items, item))
    )
    stars = mean + (left[:, :-1] * right[:, :-1]).sum(1) + left[:, -1] + right[:, -1]
    return stars.clip(*bounds).astype(np.float32)  # type: ignore[no-any-return]


def _state(users: _Rows, items: _Rows) -> State:
    return {
        "users.means": users.means.asnumpy(),
        "users.covariances": users.covariances.asnumpy(),
        "items.means": items.means.asnumpy(),
        "items.covariances": items.covariances.asnumpy(),
    }


def _export(users: _Rows, items: _Rows, mean: float, bounds: tuple[float, float]) -> RatingFactors:
    user, item = users.means.asnumpy(), items.means.asnumpy()
    return RatingFactors(
        users=user[:, :-1].copy(),
        items=item[:, :-1].copy(),
        user_biases=user[:, -1].copy(),
        item_biases=item[:, -1].copy(),
        offset=np.array([mean], np.float32),
        bounds=np.array(bounds, np.float32),
    )
