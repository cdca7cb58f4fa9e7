"""Implicit alternating least squares (iALS)."""

from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import Any

import mxnet as mx
import numpy as np
from mxnet import nd

from components.artifacts.model import Offsets, RankingFactors
from components.train.histories.histories import Histories, blocks, window
from components.train.histories.training_set import TrainingSet
from components.train.linear import solve, solve_each
from components.train.ranking.settings import Parameters, RankingSettings
from components.train.sizes import ALS_WIDTH, GROUP_ROWS, Size, packed_width
from components.train.symmetric import Packing

_SWEEPS = 6
_SPREAD = 0.1
# The weight of a pair without a rating; a rated pair has 1.
_UNRATED = 0.1


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
        """Its largest array: the outer products of the items' vectors."""
        return Size("products", products, packed_width(int(parameters["dimensions"])))

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
        packing = Packing(dimensions, device)
        equations = _Equations(packing, _gram(items), histories.products, regularization)
        outer = packing.outer(items)
        users = []
        mean = nd.zeros((dimensions, dimensions), ctx=device)
        for block in blocks(histories.customers, histories.products):
            starts, ends = histories.offsets[:-1][block], histories.offsets[1:][block]
            rows = histories.before(starts, ends, recency, device)
            systems = equations.of(nd.sparse.dot(rows, outer), histories.lengths[block])
            users.append(solve_each(systems, nd.sparse.dot(rows, items)).asnumpy())
            mean += systems.sum(axis=0) / histories.customers
        return RankingFactors(
            items=items.asnumpy(),
            item_biases=np.zeros(histories.products, np.float32),
            histories=solve(mean, items).asnumpy(),
            recency=np.array([recency], np.float32),
            window=np.array([window(recency)], np.int32),
            users=np.concatenate(users),
        )

    def _learn_items(self, dimensions: int, regularization: float) -> Any:
        """Learn item vectors, NDArray [products, k], by sweeps over both sides from random ones."""
        products = self._data.histories.products
        start = np.random.default_rng(self._data.seed).normal(
            0, _SPREAD / dimensions**0.5, (products, dimensions)
        )
        items = nd.array(start, ctx=self._data.device)
        for _ in range(_SWEEPS):
            items = self._sweep(items, regularization)
        return items

    def _sweep(self, items: Any, regularization: float) -> Any:
        """Solve for every customer, given the item vectors, and then for every item.

        Customers are solved in groups, and each group's part of the items' equations is added up,
        because the outer products of all customers together would take too much memory.
        """
        products, k = items.shape
        device, packing = items.context, Packing(k, items.context)
        equations = _Equations(packing, _gram(items), products, regularization)
        outer = packing.outer(items)
        gram, targets = nd.zeros((k, k), ctx=device), nd.zeros((products, k), ctx=device)
        sums = nd.zeros((products, packing.width), ctx=device)
        for histories, transposed in self._groups:
            users = nd.concat(
                *(
                    solve_each(
                        equations.of(nd.sparse.dot(rows, outer), histories.lengths[block]),
                        nd.sparse.dot(rows, items),
                    )
                    for block, rows in _ones(histories, device)
                ),
                dim=0,
            )
            gram += _gram(users)
            user_outer = packing.outer(users)
            for block, rows in _ones(transposed, device):
                sums[block] += nd.sparse.dot(rows, user_outer)
                targets[block] += nd.sparse.dot(rows, users)
        histories = self._data.histories
        equations = _Equations(packing, gram, histories.customers, regularization)
        solved = (
            solve_each(equations.of(sums[block], histories.popularity[block]), targets[block])
            for block in blocks(products, 1)
        )
        return nd.concat(*solved, dim=0)

    @cached_property
    def _groups(self) -> list[tuple[Histories, Histories]]:
        """The histories of groups of customers, each with its transpose."""
        histories = self._data.histories
        starts = range(0, histories.customers, GROUP_ROWS)
        groups = [histories.part(slice(start, start + GROUP_ROWS)) for start in starts]
        return [(group, group.transposed) for group in groups]


class _Equations:
    """The systems of normal equations of one side, given the vectors of the other."""

    def __init__(self, packing: Packing, gram: Any, others: int, regularization: float) -> None:
        """Compute the part that all systems share.

        Args:
            packing: of k x k matrices.
            gram: the Gram matrix of the vectors of the other side, NDArray [k, k].
            others: the number of these vectors.
            regularization: of the model.
        """
        self._packing = packing
        self._regularization = regularization
        self._identity = nd.eye(len(gram), ctx=gram.context)
        self._shared = _UNRATED * gram
        self._shared += regularization * _UNRATED * others * self._identity

    def of(self, sums: Any, ratings: Offsets) -> Any:
        """The systems of some rows, NDArray [n, k, k].

        Args:
            sums: the packed sum of `v v'` over the vectors v that a row rated, NDArray [n, m].
            ratings: the number of ratings of each row, [n].
        """
        own = nd.array(self._regularization * ratings, ctx=sums.context).reshape((-1, 1, 1))
        return self._packing.unpack(sums) + self._shared + own * self._identity


def _gram(vectors: Any) -> Any:
    return nd.linalg.syrk(vectors, transpose=True)


def _ones(histories: Histories, device: mx.Context) -> Iterator[tuple[slice, Any]]:
    """Blocks of customers, each with a CSR NDArray that has a one for each rating."""
    ones = np.ones(histories.customers), np.ones(histories.products)
    rows = histories.matrix(*ones, device)
    return zip(blocks(histories.customers, histories.products), rows, strict=True)
