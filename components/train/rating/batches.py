"""Batches of ratings in a given order, with the rows of the tables that each batch touches."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.artifacts.model import Floats, Integers
from components.artifacts.splits import Ratings

# So many batches are made at once, while the ones before are still being learned from.
_AT_ONCE = 32
# The number of rows is rounded up to a multiple, so that most batches have equal shapes.
_MULTIPLE = 64


@dataclass(frozen=True, eq=False)
class TouchedRows:
    """The rows of one table, of users or of items, that some batches touch.

    Attributes:
        rows: the rows that each batch touches, int32 [batches, most], ascending, none twice, then
            filled up with the padding row.
        places: the place in `rows` of each rating's row, int32 [batches, size].
    """

    rows: Integers
    places: Integers


@dataclass(frozen=True, eq=False)
class Batches:
    """Some batches of the same size.

    Attributes:
        users: the touched rows of the users.
        items: the touched rows of the items.
        stars: float32 [batches, size].
    """

    users: TouchedRows
    items: TouchedRows
    stars: Floats


def iterate_batches(
    ratings: Ratings, order: Integers, size: int, counts: tuple[int, int]
) -> Iterator[Batches]:
    """Ratings in a given order; the last batch may be smaller than the others.

    Args:
        ratings: ratings of users and items below the counts.
        order: the places of the ratings to take, int [n].
        size: the number of ratings in a batch.
        counts: how many users and how many items there are; these numbers are the padding rows.
    """
    whole = len(order) // size * size
    for start in range(0, whole, size * _AT_ONCE):
        chosen = order[start : min(start + size * _AT_ONCE, whole)]
        yield _batches(ratings, chosen.reshape(-1, size), counts)
    if whole < len(order):
        yield _batches(ratings, order[None, whole:], counts)


def _batches(ratings: Ratings, chosen: Integers, counts: tuple[int, int]) -> Batches:
    """Batches of the chosen ratings, int [batches, at most size]."""
    users, items = (
        touched_rows(indices[chosen], count)
        for indices, count in zip((ratings.users, ratings.items), counts, strict=True)
    )
    return Batches(users, items, ratings.stars[chosen])


def touched_rows(indices: Integers, padding: int) -> TouchedRows:
    """The rows that some batches touch.

    Args:
        indices: the row of each rating, int32 [batches, size].
        padding: the row to fill up with.
    """
    order = _sorting_order(indices)
    ascending = np.take_along_axis(indices, order, axis=1)
    first = np.ones(indices.shape, bool)
    first[:, 1:] = ascending[:, 1:] != ascending[:, :-1]
    ranks = first.cumsum(axis=1, dtype=np.int32) - 1
    places = np.empty_like(ranks)
    np.put_along_axis(places, order, ranks, axis=1)
    last = ranks[:, -1:]
    most = -(-(int(last.max()) + 1) // _MULTIPLE) * _MULTIPLE
    rows = np.full((len(indices), most), padding, np.int32)
    rows[np.arange(most) <= last] = ascending[first]
    return TouchedRows(rows, places)


def _sorting_order(indices: Integers) -> npt.NDArray[np.int64]:
    """The order that sorts each batch: by 16 bits at a time, six times as fast in NumPy."""
    order = indices.astype(np.uint16).argsort(axis=1, kind="stable")
    if indices.max() > np.iinfo(np.uint16).max:
        high = np.take_along_axis((indices >> 16).astype(np.uint16), order, axis=1)
        order = np.take_along_axis(order, high.argsort(axis=1, kind="stable"), axis=1)
    return order
