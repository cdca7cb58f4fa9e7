"""Ratings in the common order, merged and selected, and splits of another format."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.artifacts.folder import write_artifact
from components.artifacts.instants import RESOLUTIONS
from components.artifacts.splits import KIND, Ratings, Splits, liked
from components.errors import UserError

rows = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 4)), max_size=20)


def to_ratings(table: list[tuple[int, int, int]], stars: float) -> Ratings:
    columns = np.array(sorted(table), np.int32).reshape(-1, 3)
    return Ratings(
        columns[:, 0],
        columns[:, 2],
        np.full(len(columns), stars, np.float32),
        columns[:, 1].astype(np.int64),
    )


@given(rows, rows)
def test_merging_keeps_every_row_and_the_order(
    earlier: list[tuple[int, int, int]], later: list[tuple[int, int, int]]
) -> None:
    merged = to_ratings(earlier, 1).merged_with(to_ratings(later, 2))
    table = list(zip(merged.users, merged.instants, merged.stars, strict=True))
    assert table == sorted(table)
    found = sorted(zip(merged.users, merged.instants, merged.items, merged.stars, strict=True))
    assert found == sorted([(*row, 1) for row in earlier] + [(*row, 2) for row in later])


@given(rows)
def test_a_mask_selects_rows(table: list[tuple[int, int, int]]) -> None:
    ratings = to_ratings(table, 3)
    selected = ratings.where(ratings.users == 2)
    assert len(selected) == sum(row[0] == 2 for row in table)
    assert all(first <= second for first, second in pairwise(selected.instants))


def test_days_are_those_of_utc_also_before_1970() -> None:
    instants = np.array([-1, 0, RESOLUTIONS["day"] - 1, RESOLUTIONS["day"]])
    nothing = np.zeros(len(instants), np.int32)
    ratings = Ratings(nothing, nothing, nothing.astype(np.float32), instants)
    assert ratings.days.tolist() == [-1, 0, 0, 1]


def rated(*pairs: tuple[int, float]) -> Ratings:
    """Ratings of these users with these stars."""
    users, stars = (np.array(column) for column in zip(*pairs, strict=True))
    nothing = np.zeros(len(users), np.int32)
    return Ratings(users.astype(np.int32), nothing, stars.astype(np.float32), nothing + np.int64(0))


def test_liked_is_what_is_no_lower_than_the_mean_of_the_customer_so_far() -> None:
    history = rated((0, 1), (0, 2), (1, 4.1), (1, 4.1), (1, 4.1))
    ratings = rated((0, 1), (0, 1.5), (1, 4), (1, 4.1))
    assert liked(ratings, history).tolist() == [False, True, False, True]


def test_liked_by_a_customer_without_a_history_is_what_reaches_the_mean_of_all() -> None:
    history = rated((0, 1), (0, 2), (2, 4), (2, 5))
    assert liked(rated((1, 2.9), (1, 3), (3, 3)), history).tolist() == [False, True, True]


def test_liked_may_mean_a_number_of_stars() -> None:
    history = rated((0, 1), (0, 2))
    assert liked(rated((0, 3.5), (0, 4)), history, liked_stars=4).tolist() == [False, True]


def test_splits_of_the_format_before_are_refused_in_one_line(tmp_path: Path) -> None:
    with write_artifact(tmp_path / "splits", KIND, 1):
        pass
    with pytest.raises(
        UserError, match=r"version 1 of the splits format, .* version 2: "
    ) as raised:
        Splits.open(tmp_path / "splits")
    assert "\n" not in str(raised.value)
