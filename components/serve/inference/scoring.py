"""Predicted stars for one pair of a customer and a product at a time."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from components.artifacts.model import Rater, RatingFactors
from components.artifacts.tensors import Rows

# Bounds the memory that it takes to go through all customers.
_BLOCK_ROWS = 1 << 16


class Scorer:
    """Computes what `RatingFactors.predict` does, in float64 after the product of the vectors.

    Requests hold a few pairs. For these it takes a quarter of the time of gathering arrays, and
    the prediction of a pair does not depend on the other pairs of its request.
    """

    def __init__(self, factors: RatingFactors, users: Rows) -> None:
        """Read the customers' vectors from `users`, and everything else from `factors`."""
        self._users, self._items = users, factors.items
        # Single values are read from a memoryview in half the time of an array.
        self._user_biases = factors.user_biases.data
        self._item_biases = factors.item_biases.data
        self._offset = float(factors.offset[0])
        self._min_stars, self._max_stars = map(float, factors.bounds)
        self._mean_user = _mean(_blocks(users, len(factors.user_biases)), factors.items.shape[1])
        self._mean_item = factors.items.mean(axis=0, dtype=np.float64)
        self._mean_user_bias = float(factors.user_biases.mean(dtype=np.float64))
        self._mean_item_bias = float(factors.item_biases.mean(dtype=np.float64))

    def rater(self, user: int) -> Rater:
        """How a customer rates."""
        return Rater(self._users.row(user), self._user_biases[user])

    def stars(self, user: int, item: int) -> float:
        """The predicted rating of an item by a user, clipped to the scale's bounds."""
        stars = (
            float(self._users.row(user).dot(self._items[item]))
            + self._user_biases[user]
            + self._item_biases[item]
            + self._offset
        )
        if stars < self._min_stars:
            return self._min_stars
        return self._max_stars if stars > self._max_stars else stars

    def cold_start_stars(self, user: int | None, item: int | None) -> float:
        """The predicted rating of a pair with an unknown user or item, clipped to the bounds.

        It is the mean of the predictions, before clipping, for all users or items in place of the
        unknown one.
        """
        left = self._mean_user if user is None else self._users.row(user)
        right = self._mean_item if item is None else self._items[item]
        stars = (
            float(left.dot(right))
            + (self._mean_user_bias if user is None else self._user_biases[user])
            + (self._mean_item_bias if item is None else self._item_biases[item])
            + self._offset
        )
        return min(max(stars, self._min_stars), self._max_stars)


def _blocks(rows: Rows, count: int) -> Iterator[npt.NDArray[np.float32]]:
    for start in range(0, count, _BLOCK_ROWS):
        yield rows.between(start, min(start + _BLOCK_ROWS, count))


def _mean(blocks: Iterator[npt.NDArray[np.float32]], width: int) -> npt.NDArray[np.float64]:
    """The mean row, float64 [width]; zeros where there are no rows."""
    total, count = np.zeros(width), 0
    for block in blocks:
        total += block.sum(axis=0, dtype=np.float64)
        count += len(block)
    return total / max(count, 1)
