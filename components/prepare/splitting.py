"""Split ratings into parts for training, for validation and for testing.

The splits `last` and `random` hold out ratings of each customer; customers with fewer than three
ratings are in training only. The split `temporal` holds out the latest ratings of all customers, so
a customer may be new in a later part.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from components.artifacts import splits
from components.prepare.settings import PrepareSettings

TRAIN, VALIDATION, TEST = 0, 1, 2
NAMES = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
HELD_OUT = ("validation", "test")
Parts = npt.NDArray[np.int8]

ORDER = ("user", "rated_at", "item")
"""The columns by which ratings must be sorted before they are split."""

_FEWEST = 3  # ratings of a customer, or different instants: one for each part
_NEVER = np.iinfo(np.int64).max


def split(ratings: pl.DataFrame, settings: PrepareSettings) -> Parts:
    """The part of each rating, `TRAIN`, `VALIDATION` or `TEST`, int8 [n].

    If there are too few ratings to hold any out, all are `TRAIN`.

    Args:
        ratings: sorted by `ORDER`, at least one; users are numbered from 0.
        settings: how to split.
    """
    if settings.split == "temporal":
        instants = ratings["rated_at"].to_physical().to_numpy()
        distinct, counts = np.unique(instants, return_counts=True)
        return split_by_time(ratings, cut_time(distinct, counts, settings.test_fraction))
    return split_by_customer(ratings, settings)


def split_by_customer(ratings: pl.DataFrame, settings: PrepareSettings, before: int = 0) -> Parts:
    """The parts of a `last` or `random` split, which each customer's ratings alone decide.

    Args:
        ratings: as for `split`, all of some customers that follow one another.
        settings: how to split.
        before: how many ratings the customers before them have, all together.
    """
    users = ratings["user"].to_numpy()
    counts = np.bincount(users - users[0])[users - users[0]]
    if settings.split == "random":
        place = _shuffled_place(users, users, settings.seed, before)
        held_out = np.maximum(1, np.floor(counts * settings.test_fraction)).astype(np.int64)
        parts = _by_place_from_end(counts - 1 - place, held_out)
    else:
        place = _shuffled_place(users, _number_times(ratings), settings.seed, before)
        parts = _by_place_from_end(counts - 1 - place, np.ones_like(counts))
    parts[counts < _FEWEST] = TRAIN
    return parts


def split_by_time(ratings: pl.DataFrame, cuts: tuple[int, int]) -> Parts:
    """The parts of a `temporal` split.

    Args:
        ratings: with rated_at.
        cuts: as `cut_time` gives them.
    """
    instants = ratings["rated_at"].to_physical().to_numpy()
    return np.searchsorted(np.array(cuts), instants, side="right").astype(np.int8)


def count_parts(parts: Parts) -> dict[str, int]:
    """The number of ratings in each part, by its name."""
    return {name: int(np.count_nonzero(parts == part)) for name, part in NAMES.items()}


def count_new(ratings: pl.DataFrame, parts: Parts) -> dict[str, int]:
    """How many customers there are in a part held out who are in none before it."""
    rows = pl.DataFrame({"user": ratings["user"], "part": parts})
    first = rows.group_by("user").agg(pl.col("part").min())["part"]
    return {name: int((first == NAMES[name]).sum()) for name in HELD_OUT}


def count_ties(ratings: pl.DataFrame, parts: Parts) -> dict[str, int]:
    """How many ratings of each part held out the seed chose among those of one instant.

    Args:
        ratings: in the order `ORDER`.
        parts: the part of each.
    """
    drawn = parts[drawn_from_ties(ratings, parts)]
    return {name: int((drawn == NAMES[name]).sum()) for name in HELD_OUT}


def divide(ratings: pl.DataFrame, parts: Parts) -> dict[str, pa.Table]:
    """The table of each part, by the name that it has in a `splits` artifact."""
    columns = ratings.select(splits.RATINGS_SCHEMA.names)
    files = {splits.TRAIN: TRAIN, splits.VALIDATION: VALIDATION, splits.TEST: TEST}
    return {
        file: columns.filter(pl.Series(parts == part)).to_arrow().cast(splits.RATINGS_SCHEMA)
        for file, part in files.items()
    }


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
    users: npt.NDArray[np.int32], groups: npt.NDArray[np.signedinteger[Any]], seed: int, before: int
) -> npt.NDArray[np.int64]:
    """The position of each row among those of its user, with each group in random order.

    If a group were in the order of ids, the id of a product would hint at whether it is held out.

    Args:
        users: the user of each row, ascending.
        groups: the group of each row, ascending; all rows of a group have the same user.
        seed: of the random order.
        before: how many rows are before these; each row has a random number of its own.
    """
    random = np.random.PCG64(seed).advance(before)
    keys = np.random.Generator(random).random(len(users))
    order = np.lexsort((keys, groups))
    places = np.empty(len(users), np.int64)
    places[order] = _place(users)
    return places


def cut_time(
    distinct: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], fraction: float
) -> tuple[int, int]:
    """Cut between instants, so that every rating is newer than all ratings of the part before.

    A part has at least one instant, and otherwise at most this fraction of the rows. If the single
    instant of the test has more rows, the validation part gets the same fraction of fewer rows.

    Args:
        distinct: the instants, ascending.
        counts: the number of rows of each instant.
        fraction: the fraction of the rows for the test.

    Returns:
        The first instants of validation and of test; with too few instants, later than all.
    """
    if len(distinct) < _FEWEST:
        return _NEVER, _NEVER
    rows = int(counts.sum())
    wanted = max(1, round(fraction * rows))
    test = _count_latest(counts, wanted, len(counts) - 2)
    earlier = counts[:-test]
    share = min(1.0, earlier.sum() / (rows - wanted))
    validation = _count_latest(earlier, share * wanted, len(earlier) - 1)
    return int(distinct[-test - validation]), int(distinct[-test])


def _count_latest(counts: npt.NDArray[np.int64], wanted: float, most: int) -> int:
    """The number of latest instants that together have at most `wanted` rows, from 1 to `most`."""
    fitting = np.searchsorted(np.cumsum(counts[::-1]), wanted, side="right")
    return int(np.clip(fitting, 1, most))
