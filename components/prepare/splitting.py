"""Split ratings into parts for training, for validation and for testing.

The splits `last` and `random` hold out ratings of each customer; customers with fewer than three
ratings are in training only. The split `temporal` holds out the latest ratings of all customers, so
a customer may be new in a later part.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from components.prepare.settings import PrepareSettings

TRAIN, VALIDATION, TEST = 0, 1, 2
NAMES = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
Parts = npt.NDArray[np.int8]

ORDER = ("user", "rated_at", "item")
"""The columns by which ratings must be sorted before they are split."""

_FEWEST = 3  # ratings of a customer, or different instants: one for each part


def split(ratings: pl.DataFrame, settings: PrepareSettings) -> Parts:
    """The part of each rating, `TRAIN`, `VALIDATION` or `TEST`, int8 [n].

    If there are too few ratings to hold any out, all are `TRAIN`.

    Args:
        ratings: sorted by `ORDER`, at least one; users are numbered from 0.
        settings: how to split.
    """
    if settings.split == "temporal":
        instants = ratings["rated_at"].to_physical().to_numpy()
        return _latest_instants(instants, settings.test_fraction)
    users = ratings["user"].to_numpy()
    counts = np.bincount(users)[users]
    if settings.split == "random":
        place = _shuffled_place(users, users, settings.seed)
        held_out = np.maximum(1, np.floor(counts * settings.test_fraction)).astype(np.int64)
        parts = _by_place_from_end(counts - 1 - place, held_out)
    else:
        place = _shuffled_place(users, _number_times(ratings), settings.seed)
        parts = _by_place_from_end(counts - 1 - place, np.ones_like(counts))
    parts[counts < _FEWEST] = TRAIN
    return parts


def count_parts(parts: Parts) -> dict[str, int]:
    """The number of ratings in each part, by its name."""
    return {name: int(np.count_nonzero(parts == part)) for name, part in NAMES.items()}


def drawn_from_ties(ratings: pl.DataFrame, parts: Parts) -> npt.NDArray[np.bool_]:
    """The mask of the ratings whose part was chosen at random among equal times, bool [n].

    These share customer and instant with a rating in another part.

    Args:
        ratings: in order of user, then instant.
        parts: the part of each rating, int8 [n].
    """
    times = _number_times(ratings)
    starts = np.flatnonzero(np.diff(times, prepend=-1))
    divided = np.minimum.reduceat(parts, starts) < np.maximum.reduceat(parts, starts)
    drawn: npt.NDArray[np.bool_] = divided[times]
    return drawn


def _number_times(ratings: pl.DataFrame) -> npt.NDArray[np.int64]:
    """A number for each pair of user and instant, from 0; ratings are in order of both."""
    users, instants = ratings["user"].to_numpy(), ratings["rated_at"].to_physical().to_numpy()
    is_new = (np.diff(users, prepend=-1) != 0) | (np.diff(instants, prepend=0) != 0)
    numbers: npt.NDArray[np.int64] = np.cumsum(is_new) - 1
    return numbers


def _by_place_from_end(from_end: npt.NDArray[np.int64], held_out: npt.NDArray[np.int64]) -> Parts:
    """Hold out the last ratings of each customer for testing, and as many before for validation.

    Args:
        from_end: the number of later ratings of the same customer, int64 [n].
        held_out: the number of ratings of the same customer to test with, int64 [n].
    """
    parts = np.full(len(from_end), TRAIN, np.int8)
    parts[from_end < 2 * held_out] = VALIDATION
    parts[from_end < held_out] = TEST
    return parts


def _place(users: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """The position of each row among those of its customer, from 0; rows are in order of user."""
    starts = np.searchsorted(users, users)
    return np.arange(len(users)) - starts


def _shuffled_place(
    users: npt.NDArray[np.int32], groups: npt.NDArray[np.signedinteger[Any]], seed: int
) -> npt.NDArray[np.int64]:
    """The position of each row among those of its user, with each group in random order.

    If a group were in the order of ids, the id of a product would hint at whether it is held out.

    Args:
        users: the user of each row, ascending.
        groups: the group of each row, ascending; all rows of a group have the same user.
        seed: of the random order.
    """
    keys = np.random.default_rng(seed).random(len(users))
    order = np.lexsort((keys, groups))
    places = np.empty(len(users), np.int64)
    places[order] = _place(users)
    return places


def _latest_instants(instants: npt.NDArray[np.int64], fraction: float) -> Parts:
    """Cut between instants, so that every rating is newer than all ratings of the part before.

    A part has at least one instant, and otherwise at most this fraction of the rows. If the single
    instant of the test has more rows, the validation part gets the same fraction of fewer rows.
    """
    distinct, counts = np.unique(instants, return_counts=True)
    if len(distinct) < _FEWEST:
        return np.full(len(instants), TRAIN, np.int8)
    wanted = max(1, round(fraction * len(instants)))
    test = _count_latest(counts, wanted, len(counts) - 2)
    earlier = counts[:-test]
    share = min(1.0, earlier.sum() / (len(instants) - wanted))
    validation = _count_latest(earlier, share * wanted, len(earlier) - 1)
    parts = np.full(len(instants), TRAIN, np.int8)
    parts[instants >= distinct[-test - validation]] = VALIDATION
    parts[instants >= distinct[-test]] = TEST
    return parts


def _count_latest(counts: npt.NDArray[np.int64], wanted: float, most: int) -> int:
    """The number of latest instants that together have at most `wanted` rows, from 1 to `most`."""
    fitting = np.searchsorted(np.cumsum(counts[::-1]), wanted, side="right")
    return int(np.clip(fitting, 1, most))
