"""Ratings held out: which to learn from, which to choose settings by, which to judge by.

Split by customer (last, random), those with fewer than three ratings have none to spare for both,
and stay in training. Split by time for all (temporal), a customer may be new in a later part.
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
"""The order of ratings to split."""

_FEWEST = 3  # ratings of a customer, or instants: one for each part


def split(ratings: pl.DataFrame, settings: PrepareSettings) -> Parts:
    """The part of each rating: `TRAIN`, `VALIDATION` or `TEST`, int8.

    Where there is too little to hold out, all are `TRAIN`.

    Args:
        ratings: in the order `ORDER`, at least one; users numbered from 0.
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
    """How many ratings each part has, by its name."""
    return {name: int(np.count_nonzero(parts == part)) for name, part in NAMES.items()}


def drawn_from_ties(ratings: pl.DataFrame, parts: Parts) -> npt.NDArray[np.bool_]:
    """Which ratings share customer and instant with one in another part.

    Args:
        ratings: in order of user, then instant.
        parts: the part of each.

    Returns:
        A mask of the ratings: the seed decided in which part they are.
    """
    times = _number_times(ratings)
    starts = np.flatnonzero(np.diff(times, prepend=-1))
    divided = np.minimum.reduceat(parts, starts) < np.maximum.reduceat(parts, starts)
    drawn: npt.NDArray[np.bool_] = divided[times]
    return drawn


def _number_times(ratings: pl.DataFrame) -> npt.NDArray[np.int64]:
    """A number for every pair of user and instant, from 0; ratings are in order of both."""
    users, instants = ratings["user"].to_numpy(), ratings["rated_at"].to_physical().to_numpy()
    is_new = (np.diff(users, prepend=-1) != 0) | (np.diff(instants, prepend=0) != 0)
    numbers: npt.NDArray[np.int64] = np.cumsum(is_new) - 1
    return numbers


def _by_place_from_end(from_end: npt.NDArray[np.int64], held_out: npt.NDArray[np.int64]) -> Parts:
    """The last so many of each customer to test with, as many before them to validate with."""
    parts = np.full(len(from_end), TRAIN, np.int8)
    parts[from_end < 2 * held_out] = VALIDATION
    parts[from_end < held_out] = TEST
    return parts


def _place(users: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """The place of each row among its customer's, from 0; rows are in order of user."""
    starts = np.searchsorted(users, users)
    return np.arange(len(users)) - starts


def _shuffled_place(
    users: npt.NDArray[np.int32], groups: npt.NDArray[np.signedinteger[Any]], seed: int
) -> npt.NDArray[np.int64]:
    """The place of each row among its user's, where those of a group are in random order.

    In the order of ids, a product's name would tell how likely it is to be held out.

    Args:
        users: of the rows, ascending.
        groups: of the rows, ascending; all of a group are of one user.
        seed: of the random order.
    """
    keys = np.random.default_rng(seed).random(len(users))
    order = np.lexsort((keys, groups))
    places = np.empty(len(users), np.int64)
    places[order] = _place(users)
    return places


def _latest_instants(instants: npt.NDArray[np.int64], fraction: float) -> Parts:
    """Cut between instants, so that everything in a part is newer than all in the part before.

    A part holds one instant at least, and otherwise no more than the fraction of the rows. Where
    the test's one instant holds more, validation gets that much less of what is left.
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
    """How many of the latest instants hold no more than the wanted rows: from one to `most`."""
    fitting = np.searchsorted(np.cumsum(counts[::-1]), wanted, side="right")
    return int(np.clip(fitting, 1, most))
