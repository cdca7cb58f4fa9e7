"""Ratings held out: which to learn from, which to choose settings by, which to judge by.

A customer with fewer than three ratings has none to spare for both, and stays in training.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

from components.prepare.settings import PrepareSettings

TRAIN, VALIDATION, TEST = 0, 1, 2
Parts = npt.NDArray[np.int8]

_FEWEST = 3


def split(ratings: pl.DataFrame, settings: PrepareSettings) -> Parts:
    """The part of each rating: `TRAIN`, `VALIDATION` or `TEST`, int8.

    Args:
        ratings: in order of user, then date, then item; users numbered from 0.
        settings: how to split.
    """
    users = ratings["user"].to_numpy()
    counts = np.bincount(users)[users]
    if settings.split == "temporal":
        days = ratings["review_date"].to_physical().to_numpy()
        parts = _latest_days(days, settings.test_fraction)
    elif settings.split == "random":
        place = _shuffled_place(users, settings.seed)
        held_out = np.maximum(1, np.floor(counts * settings.test_fraction)).astype(np.int64)
        parts = _by_place_from_end(counts - 1 - place, held_out)
    else:
        place = _shuffled_place(
            users, settings.seed, ratings["review_date"].to_physical().to_numpy()
        )
        parts = _by_place_from_end(counts - 1 - place, np.ones_like(counts))
    parts[counts < _FEWEST] = TRAIN
    return parts


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
    users: npt.NDArray[np.int32], seed: int, days: npt.NDArray[np.int32] | None = None
) -> npt.NDArray[np.int64]:
    """The place in random order or, given days, in theirs with those of one day in random order.

    In the order of ids, a product's name would tell how likely it is to be held out.
    """
    keys = np.random.default_rng(seed).random(len(users))
    order = np.lexsort((keys, users) if days is None else (keys, days, users))
    places = np.empty(len(users), np.int64)
    places[order] = _place(users)
    return places


def _latest_days(days: npt.NDArray[np.int32], fraction: float) -> Parts:
    """Whole days, so that nothing in one part is older than anything in the part before.

    A part holds one day at least, and otherwise no more than the fraction of the rows.
    """
    parts = np.full(len(days), TRAIN, np.int8)
    test_from = _boundary(days, fraction)
    parts[days >= test_from] = TEST
    earlier = days[days < test_from]
    if len(earlier):
        validation_from = _boundary(earlier, fraction * len(days) / len(earlier))
        parts[(days >= validation_from) & (days < test_from)] = VALIDATION
    return parts


def _boundary(days: npt.NDArray[np.int32], fraction: float) -> int:
    """The first of the latest days that together hold no more than a fraction of the rows."""
    ordered = np.sort(days)
    wanted = max(1, round(fraction * len(days)))
    day = ordered[-wanted]
    begins, ends = np.searchsorted(ordered, [day, day + 1])
    if len(days) - begins > wanted and ends < len(days):
        return int(ordered[ends])
    return int(day)
