"""Ratings in the common order, merged and selected."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from components.artifacts.splits import Ratings

rows = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 4)), max_size=20)


def to_ratings(table: list[tuple[int, int, int]], stars: float) -> Ratings:
    columns = np.array(sorted(table), np.int32).reshape(-1, 3)
    return Ratings(
        columns[:, 0],
        columns[:, 2],
        np.full(len(columns), stars, np.float32),
        columns[:, 1],
    )


@given(rows, rows)
def test_merging_keeps_every_row_and_the_order(
    earlier: list[tuple[int, int, int]], later: list[tuple[int, int, int]]
) -> None:
    merged = to_ratings(earlier, 1).merged_with(to_ratings(later, 2))
    table = list(zip(merged.users, merged.days, merged.stars, strict=True))
    assert table == sorted(table)
    found = sorted(zip(merged.users, merged.days, merged.items, merged.stars, strict=True))
    assert found == sorted([(*row, 1) for row in earlier] + [(*row, 2) for row in later])


@given(rows)
def test_a_mask_selects_rows(table: list[tuple[int, int, int]]) -> None:
    ratings = to_ratings(table, 3)
    selected = ratings.where(ratings.users == 2)
    assert len(selected) == sum(row[0] == 2 for row in table)
    assert all(first <= second for first, second in pairwise(selected.days))
