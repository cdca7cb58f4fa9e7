"""Bayesian matrix factorization with biases, by variational inference.

A rating is `mean + p_u·q_i + b_u + b_i` plus noise of precision alpha. Each row x = [p, b] of a
user or an item has a Gaussian prior. The prior mean is a linear function of the row's features, its
number of ratings and the signals of `rating.signals`; all rows of a side share the covariance.
Mean-field variational inference over rows (Lim, Teh 2007, "Variational Bayesian approach to movie
rating prediction"; priors learned from all rows as in Salakhutdinov, Mnih 2008, "Bayesian
probabilistic matrix factorization") gives every row a Gaussian posterior, from a small system of
normal equations that includes the uncertainty of the other side. The method is deterministic, and
the posterior means are a plain factor model.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import mxnet as mx
import numpy as np
import numpy.typing as npt
from mxnet import nd

from components.artifacts.model import Floats, Integers, RatingFactors
from components.artifacts.splits import Ratings
from components.train.checkpoints import State
from components.train.rating.signals import implicit_signals
from components.train.rating.trials import Problem, Snapshot, mean_squared_error
from components.train.rating.warm_start import overlay
from components.train.sizes import GROUP_ROWS, MOST_CELLS, Size, packed_width
from components.train.symmetric import Packing

_START = 0.1
# Bounds the memory that it takes to solve rows.
_BLOCK_ROWS = 1 << 16

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Bayes:
    """The model with its hyperparameters.

    Attributes:
        rank: the length of the vectors; 0 for biases alone.
        precision: alpha, the precision of the noise, in 1 / stars squared.
        counts: whether the prior mean depends on a row's number of ratings.
        seed: the seed of the random start.
        device: where to compute.
        signals: how many implicit signals of a row the prior mean depends on.
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
        """What distinguishes it from other models of its name."""
        return {
            "rank": self.rank,
            "precision": self.precision,
            "counts": self.counts,
            "signals": self.signals,
        }

    def sizes(self, customers: int, products: int) -> list[Size]:
        """The sizes of its largest arrays: means or features of users, and moments of items."""
        size = self.rank + 1
        features = (3 if self.counts else 1) + self.signals
        return [
            Size("customers", customers, max(size, features)),
            Size("products", products, max(packed_width(size) + size, features)),
        ]

    def train(self, problem: Problem, state: State | None = None) -> Iterator[Snapshot]:
        """Train without end, a snapshot for each sweep, resuming from a state if there is one."""
        ratings, mean = problem.ratings, float(problem.ratings.stars.mean(dtype=np.float64))
        sweep = _Sweep(self, problem, mean)
        users: _Rows | None = None
        items: _Rows | None = None
        if state is not None:
            users, items = (self._restored(state, side) for side in ("users", "items"))
        start = sweep.start(problem.start)
        while True:
            users, items = sweep(users, items, start)
            export = partial(_export, users, items, mean, problem.bounds)
            predict = partial(_predict, users, items, mean, problem.bounds)
            loss = mean_squared_error(predict, ratings)
            yield Snapshot(loss, export, predict, partial(_state, users, items))

    def _restored(self, state: State, side: str) -> "_Rows":
        means, moments = (
            nd.array(state[name], ctx=self.device) if name in state else None
            for name in (f"{side}.means", f"{side}.moments")
        )
        return _Rows(means, state[f"{side}.spread"], moments)


@dataclass(frozen=True)
class _Rows:
    """The posteriors of rows of one side.

    Attributes:
        means: NDArray [rows, k + 1], vectors and biases.
        spread: the sum of the covariances, [k + 1, k + 1].
        moments: the expectations that the equations of the other side need, NDArray [rows, m] as
            `_Side` computes them; None for all users together, which would take too much memory.
    """

    means: Any
    spread: Array
    moments: Any = None

    @cached_property
    def vectors(self) -> Any:
        """[q, 1], NDArray [rows, k + 1]."""
        return _vectors(self.means)


@dataclass(frozen=True)
class _Block:
    """The ratings of some rows, as sparse matrices.

    Attributes:
        rows: the rows, by their number on their side.
        rated: CSR NDArray [n, columns], 1 where there is a rating.
        stars: CSR NDArray [n, columns], the stars above the mean.
    """

    rows: slice
    rated: Any
    stars: Any

    def equations(self, others: _Rows) -> "_Equations":
        """The part of the rows' normal equations that comes from their ratings of the others."""
        moments = nd.sparse.dot(self.rated, others.moments)
        return self.rows, moments, nd.sparse.dot(self.stars, others.vectors)


_Equations = tuple[slice, Any, Any]
"""Rows, the sums of the others' moments, and the sums of their vectors times the stars."""


class _Sweep:
    """A pass over both sides.

    Users are solved in groups. The part of a group in the equations of the items is added up as
    soon as the group is solved, so that only the means of all users are kept.
    """

    def __init__(self, model: Bayes, problem: Problem, mean: float) -> None:
        self._model = model
        self._products = problem.products
        ratings, counts = problem.ratings, (problem.customers, problem.products)
        features = [
            nd.array(_features(np.bincount(rows, minlength=count), model.counts), ctx=model.device)
            for rows, count in zip((ratings.users, ratings.items), counts, strict=True)
        ]
        if model.signals:
            signals = implicit_signals(problem, model.signals, model.seed, model.device)
            features = [nd.concat(*pair, dim=1) for pair in zip(features, signals, strict=True)]
        self._users, self._items = (_Side(side, model) for side in features)
        self._groups = [
            _group(ratings, mean, customers, problem.products, model.device)
            for customers in _runs(problem.customers, GROUP_ROWS)
        ]

    def start(self, factors: RatingFactors | None) -> _Rows:
        """The start of the items: small random vectors and no biases, or the factors of a model.

        The covariances are zero. Users need no start: the first sweep solves for them.
        """
        random, rank = np.random.default_rng(self._model.seed), self._model.rank
        means = random.normal(0, _START, (self._products, rank + 1))
        means[:, rank] = 0
        if factors is not None:
            overlay(means, factors.items, factors.item_biases)
        return self._items.certain(nd.array(means, ctx=self._model.device))

    def __call__(
        self, users: _Rows | None, items: _Rows | None, start: _Rows
    ) -> tuple[_Rows, _Rows]:
        """Solve for every user, given the items, then for every item.

        Args:
            users: the posteriors of the sweep before, from which the prior is learned; None at the
                start.
            items: likewise.
            start: the items at the start.
        """
        known, prior, solved = items or start, self._users.prior(users), []
        sums, pulls = (
            nd.zeros((self._products, columns.shape[1]), ctx=self._model.device)
            for columns in (known.moments, known.vectors)
        )
        for by_user, by_item in self._groups:
            group = self._users.solve(prior, (block.equations(known) for block in by_user))
            for block in by_item:
                rows, moments, pull = block.equations(group)
                sums[rows] += moments
                pulls[rows] += pull
            solved.append(replace(group, moments=None))
        parts = ((rows, sums[rows], pulls[rows]) for rows in _runs(self._products, _BLOCK_ROWS))
        return _joined(solved), self._items.solve(self._items.prior(items), parts)


class _Side:
    """The users or the items: their prior and their systems of equations."""

    def __init__(self, features: Any, model: Bayes) -> None:
        """Keep the features.

        Args:
            features: NDArray [rows, f]; the prior mean is linear in them.
            model: the hyperparameters.
        """
        self._features = features
        self._device = features.context
        self._rank = model.rank
        self._size = model.rank + 1
        self._precision = model.precision
        self._packing = Packing(self._size, self._device)

    def prior(self, own: _Rows | None) -> tuple[Any, Any]:
        """The prior of every row, learned from the posteriors of a sweep; None at the start.

        Returns:
            NDArray [f, k + 1], which turns features into the prior's precision times its mean; and
            that precision, NDArray [k + 1, k + 1].
        """
        weights, inverse = self._fitted(own)
        towards, precision = (
            nd.array(values, ctx=self._device) for values in (weights @ inverse, inverse)
        )
        return towards, precision

    def solve(self, prior: tuple[Any, Any], equations: Iterable[_Equations]) -> _Rows:
        """The posteriors of some rows of this side, computed block by block."""
        towards, precision = prior
        solved, width = [], self._packing.width
        for rows, sums, pull in equations:
            systems = self._packing.unpack(sums[:, :width]) * self._precision
            systems = nd.broadcast_add(systems, precision.expand_dims(0))
            right = (pull - sums[:, width:]) * self._precision
            right = right + nd.dot(self._features[rows], towards)
            inverse = nd.linalg.potri(nd.linalg.potrf(systems))
            means = nd.linalg.gemm2(inverse, right.expand_dims(2)).reshape(right.shape)
            spread = _double(inverse.sum(axis=0))
            solved.append(_Rows(means, spread, self._moments(means, inverse)))
        return _joined(solved)

    def certain(self, means: Any) -> _Rows:
        """Rows with these means and zero covariance."""
        return _Rows(means, np.zeros((self._size, self._size)), self._moments(means, None))

    def _moments(self, means: Any, covariances: Any) -> Any:
        """E[f f'], packed, beside E[f c], for the vectors f = [q, 1] and the biases c of rows."""
        k, bias = self._rank, means[:, self._rank :]
        vectors = _vectors(means)
        outer = self._packing.outer(vectors)
        mixed = nd.broadcast_mul(vectors, bias)
        if k and covariances is not None:
            # The 1 in f is a constant: its row and column of the covariance are zero.
            known = np.ones((1, self._size, self._size), np.float32)
            known[:, k, :] = known[:, :, k] = 0
            spread = nd.broadcast_mul(covariances, nd.array(known, ctx=self._device))
            outer = outer + self._packing.pack(spread)
            with_bias = nd.slice_axis(covariances, axis=2, begin=k, end=k + 1)
            with_bias = with_bias.reshape((len(means), -1))[:, :k]
            mixed = mixed + nd.concat(with_bias, nd.zeros_like(bias), dim=1)
        return nd.concat(outer, mixed, dim=1)

    def _fitted(self, own: _Rows | None) -> tuple[Array, Array]:
        """The weights of the features in the prior mean, and the inverse of its covariance."""
        features = self._features.shape[1]
        if own is None:
            return np.zeros((features, self._size)), np.eye(self._size)
        gram = _double(nd.dot(self._features, self._features, transpose_a=True))
        cross = _double(nd.dot(self._features, own.means, transpose_a=True))
        weights = np.linalg.solve(gram + 2 * np.eye(features), cross)
        rest = own.means - nd.dot(self._features, nd.array(weights, ctx=self._device))
        scatter = _double(nd.dot(rest, rest, transpose_a=True)) + own.spread
        rows = len(own.means)
        return weights, np.linalg.inv((scatter + np.eye(self._size)) / (rows + self._size + 1))


def _vectors(means: Any) -> Any:
    ones = nd.ones((len(means), 1), ctx=means.context)
    return nd.concat(means[:, :-1], ones, dim=1) if means.shape[1] > 1 else ones


def _joined(parts: Sequence[_Rows]) -> _Rows:
    """The rows of several parts, in their order."""
    means = nd.concat(*(part.means for part in parts), dim=0)
    spread = np.sum([part.spread for part in parts], axis=0)
    moments = [part.moments for part in parts if part.moments is not None]
    return _Rows(means, spread, nd.concat(*moments, dim=0) if moments else None)


def _runs(rows: int, most: int) -> Iterator[slice]:
    return (slice(start, min(start + most, rows)) for start in range(0, rows, most))


def _group(
    ratings: Ratings, mean: float, customers: slice, products: int, device: mx.Context
) -> tuple[list[_Block], list[_Block]]:
    """The ratings of some users, less the mean, in rows by user and in rows by item."""
    first, last = np.searchsorted(ratings.users, (customers.start, customers.stop))
    users = ratings.users[first:last] - customers.start
    items, stars = ratings.items[first:last], ratings.stars[first:last] - np.float32(mean)
    shape = customers.stop - customers.start, products
    by_user = _blocks(users, items, stars, shape, device, customers.start)
    return by_user, _blocks(items, users, stars, shape[::-1], device)


def _blocks(
    rows: Integers,
    columns: Integers,
    stars: Floats,
    shape: tuple[int, int],
    device: mx.Context,
    first: int = 0,
) -> list[_Block]:
    """Ratings as sparse matrices, none with more cells than the sparse product can take.

    Args:
        rows: row numbers of the ratings, int32 [n].
        columns: column numbers, int32 [n].
        stars: the values, float32 [n].
        shape: how many rows and columns there are.
        device: where to put the matrices.
        first: the number that row 0 has on its side.
    """
    order = np.argsort(rows, kind="stable")
    offsets = np.append(0, np.bincount(rows, minlength=shape[0]).cumsum())
    columns, stars = columns[order], stars[order]
    blocks = []
    for run in _runs(shape[0], min(_BLOCK_ROWS, max(1, MOST_CELLS // shape[1]))):
        within = offsets[run.start : run.stop + 1]
        cells = slice(within[0], within[-1])
        rated, scored = (
            nd.sparse.csr_matrix(
                (values, columns[cells], within - within[0]),
                shape=(len(within) - 1, shape[1]),
                ctx=device,
                dtype="float32",
            )
            for values in (np.ones(within[-1] - within[0], np.float32), stars[cells])
        )
        blocks.append(_Block(slice(first + run.start, first + run.stop), rated, scored))
    return blocks


def _features(counts: npt.NDArray[np.int64], by_count: bool) -> npt.NDArray[np.float32]:
    """A constant and, if asked for, the standardised log of a row's ratings and its square."""
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
        "users.spread": users.spread,
        "items.means": items.means.asnumpy(),
        "items.spread": items.spread,
        "items.moments": items.moments.asnumpy(),
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
