"""The networks that predict stars by gradient descent, in Gluon."""

from typing import Any

import mxnet as mx
import numpy as np
from mxnet import gluon, nd

from components.artifacts.model import Floats, RatingFactors
from components.train.rating.trials import Problem
from components.train.rating.warm_start import overlay

INITIAL = mx.init.Xavier(magnitude=60)
"""The initializer of `Mlp`, meant for large tables; small ones start far from the ratings."""

Tables = tuple[Floats, Floats]
"""Embeddings of customers and of products, float32 [n, k] each."""


class MatrixFactorization(gluon.HybridBlock):  # type: ignore[misc]
    """Stars above the mean: a dot product, a bias of the customer and one of the product.

    Koren, Bell, Volinsky 2009, "Matrix factorization techniques for recommender systems". A bias
    is a factor whose other side is always 1: a customer has [p, b, 1] and a product [q, 1, b], so
    that one look-up a side and one product do it all.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self._width = width
        with self.name_scope():
            self.ones = self.params.get_constant("ones", nd.ones(width + 2))

    def hybrid_forward(self, F: Any, users: Any, items: Any, ones: Any) -> Any:  # noqa: N803
        """Predict stars above the mean, [n].

        Args:
            F: the operations of MXNet.
            users: the embeddings of the users, [n, k + 2].
            items: the embeddings of the items, [n, k + 2].
            ones: ones, [k + 2].
        """
        # A sum over each row, for which MXNet takes ten times as long.
        return F.dot(users * items, ones)

    def start(self, problem: Problem, random: np.random.Generator) -> Tables:
        """Small random vectors and no biases; known factors where the problem has them."""
        counts, factors = (problem.customers, problem.products), problem.start
        user, item = (self._small(count, random) for count in counts)
        if factors is not None:
            overlay(user, factors.users, factors.user_biases)
            overlay(item, factors.items, factors.item_biases)
        one = np.float32(1)
        return np.insert(user, self._width + 1, one, axis=1), np.insert(item, self._width, one, 1)

    def _small(self, count: int, random: np.random.Generator) -> Floats:
        table = random.standard_normal((count, self._width + 1), np.float32)
        table *= np.float32(0.1 / self._width**0.5)
        table[:, -1] = 0
        return table

    def groups(self) -> Tables:
        """The groups of columns of each side, vector and bias, float32 [2, k + 2]."""
        users, items = np.zeros((2, 2, self._width + 2), np.float32)
        users[0, : self._width] = items[0, : self._width] = 1
        users[1, -2] = items[1, -1] = 1
        return users, items

    def export_factors(
        self, users: Any, items: Any, offset: float, bounds: tuple[float, float]
    ) -> RatingFactors:
        """Split the tables into vectors and biases.

        Args:
            users: the table of users, NDArray [customers, k + 2].
            items: the table of items, NDArray [products, k + 2].
            offset: the mean of the stars.
            bounds: the lowest and the highest rating of the scale.
        """
        user, item = users.asnumpy(), items.asnumpy()
        return RatingFactors(
            users=user[:, :-2].copy(),
            items=item[:, :-2].copy(),
            user_biases=user[:, -2].copy(),
            item_biases=item[:, -1].copy(),
            offset=np.array([offset], np.float32),
            bounds=np.array(bounds, np.float32),
        )


class Mlp(gluon.HybridBlock):  # type: ignore[misc]
    """Stars: the dot product of two towers, each an embedding, a dense layer, ReLU and dropout.

    The network of the AWS example for Gluon recommenders on Amazon video reviews, as published:
    Xavier's initializer of magnitude 60, dropout of a half, and, in `sgd`, half the squared error
    minimised by SGD with momentum .9 and rate .02 in batches of 1,024 ratings.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self._width = width
        with self.name_scope():
            self.user_dense = gluon.nn.Dense(width, activation="relu", in_units=width)
            self.item_dense = gluon.nn.Dense(width, activation="relu", in_units=width)
            self.dropout = gluon.nn.Dropout(dropout)

    def hybrid_forward(self, F: Any, users: Any, items: Any) -> Any:  # noqa: N803
        """Predict stars, [n].

        Args:
            F: the operations of MXNet.
            users: the embeddings of the users, [n, k].
            items: the embeddings of the items, [n, k].
        """
        user = self.dropout(self.user_dense(users))
        item = self.dropout(self.item_dense(items))
        return F.sum(user * item, axis=1)

    def start(self, problem: Problem) -> Tables:
        user, item = (
            nd.zeros((count, self._width)) for count in (problem.customers, problem.products)
        )
        for table in (user, item):
            INITIAL(mx.init.InitDesc("weight"), table)
        return user.asnumpy(), item.asnumpy()

    def export_factors(
        self, users: Any, items: Any, offset: float, bounds: tuple[float, float]
    ) -> RatingFactors:
        """Compute the outputs of the towers for every user and every item.

        Args:
            users: the table of users, NDArray [customers, k].
            items: the table of items, NDArray [products, k].
            offset: added to each prediction.
            bounds: the lowest and the highest rating of the scale.
        """
        user, item = (
            np.concatenate([dense(block).asnumpy() for block in _blocks(table)])
            for table, dense in ((users, self.user_dense), (items, self.item_dense))
        )
        return RatingFactors(
            users=user,
            items=item,
            user_biases=np.zeros(len(user), np.float32),
            item_biases=np.zeros(len(item), np.float32),
            offset=np.array([offset], np.float32),
            bounds=np.array(bounds, np.float32),
        )


_EXPORT_ROWS = 1 << 16


def _blocks(table: nd.NDArray) -> Any:
    return (table[start : start + _EXPORT_ROWS] for start in range(0, len(table), _EXPORT_ROWS))


class Objective(gluon.HybridBlock):  # type: ignore[misc]
    """A network with its squared error, compiled together."""

    def __init__(self, network: gluon.HybridBlock) -> None:
        super().__init__()
        self.network = network

    def hybrid_forward(
        self,
        F: Any,  # noqa: N803
        user_rows: Any,
        item_rows: Any,
        users: Any,
        items: Any,
        stars: Any,
    ) -> tuple[Any, Any, Any]:
        """Squared errors [n], and the embeddings [n, k] of both sides.

        Args:
            F: the operations of MXNet.
            user_rows: the fetched embeddings of users, [m, k].
            item_rows: the fetched embeddings of items, [m, k].
            users: the place in `user_rows` of each rating's user, [n].
            items: the place in `item_rows` of each rating's item, [n].
            stars: the stars to predict, [n].
        """
        user, item = F.take(user_rows, users), F.take(item_rows, items)
        return F.square(self.network(user, item) - stars), user, item
