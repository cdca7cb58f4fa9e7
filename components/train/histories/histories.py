"""The rated products of each customer, oldest first, with weights that decay with age."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import mxnet as mx
import numpy as np
import numpy.typing as npt
from mxnet import nd

from components.artifacts.model import Integers, Offsets, weigh_histories
from components.artifacts.splits import Ratings
from components.train.sizes import MOST_CELLS

# Older items, and items of a smaller weight, say little about the next one.
_LONGEST_WINDOW = 1000
_LEAST_WEIGHT = 1e-3
# Bounds the memory of a block.
_BLOCK_ROWS = 1 << 15


@dataclass(frozen=True)
class Histories:
    """The items of every customer, oldest first.

    Attributes:
        offsets: int64 [customers + 1]; the rows of customer c are those from offsets[c] up to
            offsets[c + 1].
        items: int32 [ratings], item indices.
        days: int32 [ratings], days since 1970-01-01.
        products: the number of products.
    """

    offsets: Offsets
    items: Integers
    days: Integers
    products: int

    @classmethod
    def of(cls, ratings: Ratings, customers: int, products: int, seed: int) -> "Histories":
        """Build the histories of all customers, including those without ratings.

        Items of the same instant are in random order. In the order of their indices the next item
        would be easy to guess in the data, but not in production.

        Args:
            ratings: in order of user.
            customers: the number of customers.
            products: the number of products.
            seed: of the random order.
        """
        shuffled = np.random.default_rng(seed).random(len(ratings))
        order = np.lexsort((shuffled, ratings.instants, ratings.users))
        offsets = np.searchsorted(ratings.users, np.arange(customers + 1))
        return cls(offsets, ratings.items[order], ratings.days[order], products)

    @property
    def customers(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Offsets:
        """The number of items of each customer, int64 [customers]."""
        return np.diff(self.offsets)

    @property
    def popularity(self) -> Offsets:
        """The number of ratings of each product, int64 [products]."""
        return np.bincount(self.items, minlength=self.products)

    @property
    def reversed(self) -> "Histories":
        """The same histories, newest item first, with the customers in reverse order too."""
        offsets = len(self.items) - self.offsets[::-1]
        return Histories(offsets, self.items[::-1], self.days[::-1], self.products)

    @property
    def transposed(self) -> "Histories":
        """The customers of each product: products take the part of customers, and vice versa."""
        order = np.argsort(self.items, kind="stable")
        offsets = np.searchsorted(self.items[order], np.arange(self.products + 1))
        customers = np.arange(self.customers, dtype=np.int32).repeat(self.lengths)
        return Histories(offsets, customers[order], self.days[order], self.customers)

    def matrix(
        self, by_customer: npt.NDArray[Any], by_product: npt.NDArray[Any], device: mx.Context
    ) -> list[Any]:
        """The matrix with a one for each rating, multiplied by weights of its rows and columns.

        Args:
            by_customer: the weights of the rows, [customers].
            by_product: the weights of the columns, [products].
            device: where to put the matrix.

        Returns:
            Float32 CSR NDArrays [n, products], one for each block of customers.
        """
        return [
            self._rows(block, by_customer, by_product, device)
            for block in blocks(self.customers, self.products)
        ]

    def _rows(
        self,
        block: slice,
        by_customer: npt.NDArray[Any],
        by_product: npt.NDArray[Any],
        device: mx.Context,
    ) -> Any:
        offsets = self.offsets[block.start : block.stop + 1]
        items = self.items[offsets[0] : offsets[-1]]
        values = by_customer[block].repeat(np.diff(offsets)) * by_product[items]
        return sparse_rows(values, items, offsets - offsets[0], self.products, device)

    def before(self, starts: Offsets, ends: Offsets, recency: float, device: mx.Context) -> Any:
        """The weight `recency**age` of each item from a start to an end; the last has age 0.

        Args:
            starts: the first row of a customer, int64 [n].
            ends: the row after the last one to use, int64 [n].
            recency: in (0, 1]; only the newest `window(recency)` items have a weight.
            device: where to put the result.

        Returns:
            A float32 CSR NDArray [n, products].
        """
        rows = weigh_histories(self.items, starts, ends, recency, window(recency))
        return sparse_rows(*rows, self.products, device)


def window(recency: float) -> int:
    """The number of newest items whose weights are worth computing."""
    if recency == 1:
        return _LONGEST_WINDOW
    return min(_LONGEST_WINDOW, 1 + int(np.log(_LEAST_WEIGHT) / np.log(recency)))


def sparse_rows(
    values: npt.NDArray[Any], columns: Integers, offsets: Offsets, width: int, device: mx.Context
) -> Any:
    """Make a float32 CSR NDArray [n, width].

    Args:
        values: of the cells, [cells].
        columns: of the cells, [cells].
        offsets: where the cells of each row begin, [n + 1].
        width: the number of columns.
        device: where to put the array.
    """
    return nd.sparse.csr_matrix(
        (values.astype(np.float32), columns.astype(np.int64), offsets),
        shape=(len(offsets) - 1, width),
        ctx=device,
    )


def blocks(rows: int, width: int) -> Iterator[slice]:
    """Slices that cover all rows, each small enough for a sparse product of this width."""
    step = max(1, min(_BLOCK_ROWS, MOST_CELLS // width))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))
