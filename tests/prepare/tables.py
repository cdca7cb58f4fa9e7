"""Small tables of ratings, and the slow, obvious way to filter them."""

from collections import Counter

import polars as pl
from hypothesis import strategies as st

from components.artifacts.splits import RATINGS_SCHEMA

Row = tuple[int, int, float, int]
"""User, item, stars, and the instant in microseconds since 1970."""

rows = st.lists(
    st.tuples(
        st.integers(0, 6),
        st.integers(0, 5),
        st.sampled_from([1.0, 2.0, 3.0, 4.0, 5.0]),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=80,
)


def unique_pairs(table: list[Row]) -> list[Row]:
    return list({row[:2]: row for row in table}.values())


def frame(table: list[Row]) -> pl.DataFrame:
    columns = {
        "user": pl.Series([row[0] for row in table], dtype=pl.Int32),
        "item": pl.Series([row[1] for row in table], dtype=pl.Int32),
        "star_rating": pl.Series([row[2] for row in table], dtype=pl.Float32),
        "rated_at": pl.Series([row[3] for row in table], dtype=pl.Datetime("us", "UTC")),
    }
    assert list(columns) == RATINGS_SCHEMA.names
    return pl.DataFrame(columns)


def table_of(ratings: pl.DataFrame) -> list[Row]:
    """Rows in a fixed order."""
    return sorted(ratings.with_columns(pl.col("rated_at").to_physical()).rows())


def latest_slowly(table: list[Row]) -> dict[int, tuple[int, int, list[int]]]:
    """For each user with three ratings: the instant to test, that to validate, those to train."""
    instants: dict[int, list[int]] = {}
    for user, _, _, instant in table:
        instants.setdefault(user, []).append(instant)
    ordered = {user: sorted(its) for user, its in instants.items() if len(its) >= 3}
    return {user: (its[-1], its[-2], its[:-2]) for user, its in ordered.items()}


def tied_slowly(table: list[Row], parts: list[int]) -> list[bool]:
    """Whether a rating's user gave one at the same instant that is in another part."""
    placed = list(zip(table, parts, strict=True))
    return [
        any(other[0] == row[0] and other[3] == row[3] and place != part for other, place in placed)
        for row, part in placed
    ]


def deduplicate_slowly(table: list[Row], rule: str) -> list[Row]:
    pairs: dict[tuple[int, int], list[Row]] = {}
    for row in table:
        pairs.setdefault(row[:2], []).append(row)
    kept = []
    for (user, item), group in pairs.items():
        oldest_first = sorted(group, key=lambda row: (row[3], row[2]))
        mean = sum(row[2] for row in group) / len(group)
        kept.append(
            {
                "latest": oldest_first[-1],
                "first": oldest_first[0],
                "mean": (user, item, mean, oldest_first[-1][3]),
            }[rule]
        )
    return sorted(kept)


def filter_slowly(table: list[Row], customer: int, product: int, *, fixpoint: bool) -> list[Row]:
    while True:
        users, items = Counter(row[0] for row in table), Counter(row[1] for row in table)
        kept = [row for row in table if users[row[0]] >= customer and items[row[1]] >= product]
        if not fixpoint or len(kept) == len(table):
            return sorted(kept)
        table = kept
