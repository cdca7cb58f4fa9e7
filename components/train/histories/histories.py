"""What each customer rated, oldest first, and sums over it that forget with age."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import mxnet as mx
import numpy as np
import numpy.typing as npt
from mxnet import nd

from components.artifacts.model import Integers, Offsets
from components.artifacts.splits import Ratings
from components.train.sizes import MOST_CELLS

# An older item, or one of less weight, hardly tells what comes next.
_LONGEST_WINDOW = 1000
_LEAST_WEIGHT = 1e-3
# Bounds the memory of a block.
_BLOCK_ROWS = 1 << 15


@dataclass(frozen=True)
class Histories:
    """The items of every customer, oldest first.

    Attributes:
        offsets: int64 [customers + 1], where a customer's rows begin.
        items: int32 [ratings]. days: int32 [ratings].
        products: how many there are.
    """

    offsets: Offsets
    items: Integers
    days: Integers
    products: int

    @classmethod
    def of(cls, ratings: Ratings, customers: int, products: int, seed: int) -> "Histories":
        """The histories of all customers, those without ratings included.

        The items of one instant come in random order: in that of their index the next item would
        be easy to guess in the data, and nowhere else.
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
        """int64 [customers], how many items each has."""
        return np.diff(self.offsets)

    @property
    def popularity(self) -> Offsets:
        """int64 [products], how many customers rated each."""
        return np.bincount(self.items, minlength=self.products)

    @property
    def reversed(self) -> "Histories":
        """The same, newest first, of the customers in reverse."""
        offsets = len(self.items) - self.offsets[::-1]
        return Histories(offsets, self.items[::-1], self.days[::-1], self.products)

    @property
    def transposed(self) -> "Histories":
        """The customers of every product: both change their parts."""
        order = np.argsort(self.items, kind="stable")
        offsets = np.searchsorted(self.items[order], np.arange(self.products + 1))
        customers = np.arange(self.customers, dtype=np.int32).repeat(self.lengths)
        return Histories(offsets, customers[order], self.days[order], self.customers)

    def part(self, customers: slice) -> "Histories":
        """Those of some customers."""
        offsets = self.offsets[customers.start : customers.stop + 1]
        rows = slice(offsets[0], offsets[-1])
        return Histories(offsets - offsets[0], self.items[rows], self.days[rows], self.products)

    def matrix(
        self, by_customer: npt.NDArray[Any], by_product: npt.NDArray[Any], device: mx.Context
    ) -> list[Any]:
        """A, with a one wherever a customer rated a product, its rows and columns weighted.

        Args:
            by_customer: [customers], the weights of the rows.
            by_product: [products], the weights of the columns.
            device: where it shall lie.

        Returns:
            Float32 CSR NDArrays [n, products], a block of customers each.
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
        """Rows of weights `recency**age` on the items from start to end, age 0 the last of them.

        Args:
            starts: int64 [n], each the first row of a customer.
            ends: int64 [n], each one beyond the last row to count.
            recency: in (0, 1]; only the newest `window(recency)` items count.
            device: where the rows shall lie.

        Returns:
            A float32 CSR NDArray [n, products].
        """
        lengths = np.minimum(ends - starts, window(recency))
        offsets = np.append(0, lengths.cumsum())
        ages = np.arange(offsets[-1]) - offsets[:-1].repeat(lengths)
        items = self.items[ends.repeat(lengths) - 1 - ages]
        return sparse_rows(recency**ages, items, offsets, self.products, device)


def window(recency: float) -> int:
    """How many of the newest items are worth counting."""
    if recency == 1:
        return _LONGEST_WINDOW
    return min(_LONGEST_WINDOW, 1 + int(np.log(_LEAST_WEIGHT) / np.log(recency)))


def sparse_rows(
    values: npt.NDArray[Any], columns: Integers, offsets: Offsets, width: int, device: mx.Context
) -> Any:
    """A float32 CSR NDArray [n, width] from its parts."""
    return nd.sparse.csr_matrix(
        (values.astype(np.float32), columns.astype(np.int64), offsets),
        shape=(len(offsets) - 1, width),
        ctx=device,
    )


def blocks(rows: int, width: int) -> Iterator[slice]:
    """Slices of that many rows, each small enough for one sparse product of this width."""
    step = max(1, min(_BLOCK_ROWS, MOST_CELLS // width))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))
