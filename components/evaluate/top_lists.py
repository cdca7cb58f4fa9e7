"""Top-N lists of many customers over the whole catalogue, computed block by block."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from components.artifacts.model import Floats, Integers, RankingFactors, weigh_histories
from components.artifacts.splits import Ratings
from components.artifacts.top_n import lower_bounds

LENGTH = 20
"""The length of a list: that of the longest cut of a metric."""

# The number of scores in a block: 32 MB for any size of the catalogue.
_BLOCK = 1 << 23
# A row with more candidates has many equal scores, and is sorted on its own.
_CROWD = 8 * LENGTH
_NEVER = np.finfo(np.float32).min


def histories_of(ratings: Ratings, customers: int, products: int) -> csr_matrix:
    """The ratings as a sparse matrix of ones, [customers, products].

    The columns of a row are in the order of its ratings, oldest first.

    Args:
        ratings: in order of user, then instant.
        customers: the number of customers.
        products: the number of products.
    """
    offsets = np.searchsorted(ratings.users, np.arange(customers + 1))
    ones = np.ones(len(ratings), np.float32)
    return csr_matrix((ones, ratings.items, offsets), shape=(customers, products))


def best_unseen(
    scores: Callable[[slice], Floats], seen: csr_matrix, ties: npt.NDArray[np.int64]
) -> Integers:
    """The unseen products with the largest scores, best first.

    Args:
        scores: returns the scores of a slice of customers, float32 [rows, products]; they are
            overwritten.
        seen: the ratings to leave out, [customers, products].
        ties: decides between equal scores, ascending, int64 [products]. It should be random: the
            order of the data may hint at what was rated.

    Returns:
        Item indices, int32 [customers, LENGTH]; -1 where no product is left.
    """
    customers, products = seen.shape
    lists = np.full((customers, LENGTH), -1, dtype=np.int32)
    step = max(1, _BLOCK // max(1, products))
    for start in range(0, customers, step):
        block = slice(start, min(start + step, customers))
        table = scores(block)
        hidden = seen[block]
        table[_rows(hidden), hidden.indices] = -np.inf
        lists[block] = _best(table, ties)
    return lists


def best_in_order(
    order: npt.NDArray[np.int64], starts: npt.NDArray[np.int64], seen: csr_matrix
) -> Integers:
    """Lists, as `best_unseen` returns them, if all customers share one order of the products.

    Args:
        order: all item indices, the best first, int64 [products].
        starts: the place in the order where each customer starts, int64 [customers]; after the last
            product comes the first.
        seen: the ratings to leave out, [customers, products].
    """
    customers, products = seen.shape
    places = np.empty(products, dtype=np.int64)
    places[order] = np.arange(products)
    rows = _rows(seen)
    hidden = (places[seen.indices] - starts[rows]) % products
    by_row = np.lexsort((hidden, rows))
    # A customer's i-th hidden place p shifts every list place from p - i on by one.
    shifts_from = hidden[by_row] - _ranks(seen.indptr)
    near = shifts_from < LENGTH
    shifts = np.zeros((customers, LENGTH), dtype=np.int64)
    np.add.at(shifts, (rows[by_row][near], shifts_from[near]), 1)
    unseen = np.arange(LENGTH) + shifts.cumsum(axis=1)
    lists = order[(starts[:, None] + unseen) % products]
    return np.where(unseen < products, lists, -1).astype(np.int32)


def places_of(lists: Integers, rows: npt.NDArray[np.int64], items: Integers) -> Integers:
    """The places of items in lists, from 0, int32 [n]; LENGTH for items that are not listed.

    Args:
        lists: as `best_unseen` returns them.
        rows: the list of each item, [n].
        items: item indices, int32 [n].
    """
    found = lists[rows] == items[:, None]
    return np.where(found.any(axis=1), found.argmax(axis=1), LENGTH).astype(np.int32)


def history_vectors(factors: RankingFactors, seen: csr_matrix) -> Floats:
    """`RankingFactors.vector`, [customers, k], of many histories at once, oldest first."""
    starts, ends = seen.indptr[:-1], seen.indptr[1:]
    recency, window = float(factors.recency[0]), int(factors.window[0])
    weights, items, offsets = weigh_histories(seen.indices, starts, ends, recency, window)
    weighted = csr_matrix((weights.astype(np.float32), items, offsets), seen.shape)
    vectors: Floats = weighted @ factors.histories
    return vectors


def _rows(matrix: csr_matrix) -> npt.NDArray[np.int64]:
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def _ranks(offsets: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """0, 1, 2 …, starting again at each offset."""
    ranks: npt.NDArray[np.int64] = np.arange(offsets[-1])
    return ranks - np.repeat(offsets[:-1], np.diff(offsets)).astype(np.int64)


def _best(table: Floats, ties: npt.NDArray[np.int64]) -> Integers:
    """The columns of the largest finite scores of each row, best first; -1 after the last."""
    height, width = table.shape
    bounds = np.fmax(lower_bounds(table, LENGTH), _NEVER)
    above = table >= bounds[:, None]
    found = np.flatnonzero(above)
    crowded = np.flatnonzero(np.bincount(found // width, minlength=height) > _CROWD)
    if len(crowded):
        for row in crowded:
            above[row] = _exact(table[row], ties)
        found = np.flatnonzero(above)
    rows, columns = divmod(found, width)
    order = np.lexsort((ties[columns], -table[rows, columns], rows))
    offsets = np.searchsorted(rows, np.arange(height + 1))
    ranks = _ranks(offsets)
    listed = ranks < LENGTH
    lists = np.full((height, LENGTH), -1, dtype=np.int32)
    lists[rows[listed], ranks[listed]] = columns[order][listed]
    return lists


def _exact(scores: Floats, ties: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """The mask of the LENGTH largest finite scores; `ties` decides between equal ones."""
    finite = np.flatnonzero(scores >= _NEVER)
    least = np.partition(scores[finite], -LENGTH)[-LENGTH]
    best: npt.NDArray[np.bool_] = scores > least
    equal = finite[scores[finite] == least]
    best[equal[np.argsort(ties[equal])[: LENGTH - best.sum()]]] = True
    return best
