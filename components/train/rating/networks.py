"""The networks that predict stars by gradient descent, in Gluon."""

from typing import Any

import mxnet as mx
import numpy as np
from mxnet import gluon, nd

from components.artifacts.model import RatingFactors
from components.train.rating.warm_start import overlay


class MatrixFactorization(gluon.HybridBlock):  # type: ignore[misc]
    """Stars above the mean: a dot product, a bias of the customer and one of the product.

    Koren, Bell, Volinsky 2009, "Matrix factorization techniques for recommender systems". The
    last column of either table is the bias, so that one look-up a side fetches both.
    """

    def __init__(self, customers: int, products: int, width: int) -> None:
        super().__init__()
        self._width = width
        start = mx.init.Normal(0.1 / width**0.5)
        with self.name_scope():
            self.users = gluon.nn.Embedding(
                customers, width + 1, sparse_grad=True, weight_initializer=start
            )
            self.items = gluon.nn.Embedding(
                products, width + 1, sparse_grad=True, weight_initializer=start
            )

    def hybrid_forward(self, F: Any, users: Any, items: Any) -> tuple[Any, Any]:  # noqa: N803
        """Stars above the mean, and the squared norm of what was looked up, each [n]."""
        user, item = self.users(users), self.items(items)
        vectors = F.slice_axis(user, axis=1, begin=0, end=self._width)
        others = F.slice_axis(item, axis=1, begin=0, end=self._width)
        biases = F.slice_axis(user + item, axis=1, begin=self._width, end=self._width + 1)
        stars = F.sum(vectors * others, axis=1) + F.reshape(biases, shape=(-1,))
        return stars, F.sum(F.square(user) + F.square(item), axis=1)

    def begin_with(self, factors: RatingFactors) -> None:
        """Put the vectors and biases of a model into the tables, where it has them."""
        for side, vectors, biases in (
            (self.users, factors.users, factors.user_biases),
            (self.items, factors.items, factors.item_biases),
        ):
            table = side.weight.list_data()[0].asnumpy()
            overlay(table, vectors, biases)
            side.weight.set_data(nd.array(table))

    def export_factors(self, offset: float, bounds: tuple[float, float]) -> RatingFactors:
        """The tables, cut into vectors and biases."""
        user, item = (side.weight.list_data()[0].asnumpy() for side in (self.users, self.items))
        return RatingFactors(
            users=user[:, :-1].copy(),
            items=item[:, :-1].copy(),
            user_biases=user[:, -1].copy(),
            item_biases=item[:, -1].copy(),
            offset=np.array([offset], np.float32),
            bounds=np.array(bounds, np.float32),
        )


class Mlp(gluon.HybridBlock):  # type: ignore[misc]
    """Stars: the dot product of two towers, each an embedding, a dense layer, ReLU and dropout.

    The network of the AWS example for Gluon recommenders on Amazon video reviews.
    """

    def __init__(self, customers: int, products: int, width: int, dropout: float) -> None:
        super().__init__()
        with self.name_scope():
            self.users = gluon.nn.Embedding(customers, width, sparse_grad=True)
            self.items = gluon.nn.Embedding(products, width, sparse_grad=True)
            self.user_dense = gluon.nn.Dense(width, activation="relu", in_units=width)
            self.item_dense = gluon.nn.Dense(width, activation="relu", in_units=width)
            self.dropout = gluon.nn.Dropout(dropout)

    def hybrid_forward(self, F: Any, users: Any, items: Any) -> tuple[Any, Any]:  # noqa: N803
        """Stars, and a penalty of 0, each [n]."""
        user = self.dropout(self.user_dense(self.users(users)))
        item = self.dropout(self.item_dense(self.items(items)))
        stars = F.sum(user * item, axis=1)
        return stars, F.zeros_like(stars)

    def export_factors(self, offset: float, bounds: tuple[float, float]) -> RatingFactors:
        """What comes out of the towers, for every customer and every product."""
        users, items = (
            np.concatenate(
                [dense(block).asnumpy() for block in _blocks(table.weight.list_data()[0])]
            )
            for table, dense in ((self.users, self.user_dense), (self.items, self.item_dense))
        )
        return RatingFactors(
            users=users,
            items=items,
            user_biases=np.zeros(len(users), np.float32),
            item_biases=np.zeros(len(items), np.float32),
            offset=np.array([offset], np.float32),
            bounds=np.array(bounds, np.float32),
        )


class Objective(gluon.HybridBlock):  # type: ignore[misc]
    """What a network is to make small, compiled with it: half the squared error and a penalty."""

    def __init__(self, network: gluon.HybridBlock, weight_decay: float) -> None:
        super().__init__()
        self._weight_decay = weight_decay
        self.network = network

    def hybrid_forward(
        self,
        F: Any,  # noqa: N803
        users: Any,
        items: Any,
        stars: Any,
    ) -> tuple[Any, Any]:
        """The objective, and the squared errors alone, each [n]."""
        predicted, norm = self.network(users, items)
        squares = F.square(predicted - stars)
        # Half the squares, as the L2 loss of Gluon.
        return (squares + self._weight_decay * norm) / 2, squares


_EXPORT_ROWS = 1 << 16


def _blocks(table: nd.NDArray) -> Any:
    return (table[start : start + _EXPORT_ROWS] for start in range(0, len(table), _EXPORT_ROWS))
