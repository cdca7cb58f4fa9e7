"""Filtering agrees with the slow, obvious way, and tells what it removed."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.prepare.filtering import Duplicates, Removal, deduplicate, keep_active
from tests.prepare.tables import (
    Row,
    deduplicate_slowly,
    filter_slowly,
    frame,
    rows,
    table_of,
    unique_pairs,
)

minimums = st.integers(1, 5)


@pytest.mark.parametrize("rule", ["latest", "first", "mean"])
@given(table=rows)
def test_one_rating_stands_for_a_pair(rule: Duplicates, table: list[Row]) -> None:
    kept = table_of(deduplicate(frame(table), rule))
    np.testing.assert_allclose(kept, deduplicate_slowly(table, rule), rtol=1e-6)


@given(rows, st.sampled_from(["latest", "first", "mean"]), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(
    table: list[Row], rule: Duplicates, chance: random.Random
) -> None:
    shuffled = chance.sample(table, len(table))
    assert table_of(deduplicate(frame(table), rule)) == table_of(deduplicate(frame(shuffled), rule))


@given(rows.map(unique_pairs), minimums, minimums, st.booleans())
def test_filtering_keeps_what_the_obvious_way_keeps(
    table: list[Row], customer: int, product: int, fixpoint: bool
) -> None:
    kept, _ = keep_active(frame(table), customer, product, fixpoint=fixpoint)
    assert table_of(kept) == filter_slowly(table, customer, product, fixpoint=fixpoint)


@given(rows.map(unique_pairs), minimums, minimums)
def test_at_the_fixpoint_everyone_has_enough(table: list[Row], customer: int, product: int) -> None:
    kept, _ = keep_active(frame(table), customer, product, fixpoint=True)
    if len(kept):
        assert kept["user"].value_counts()["count"].min() >= customer  # type: ignore[operator]
        assert kept["item"].value_counts()["count"].min() >= product  # type: ignore[operator]


@given(rows.map(unique_pairs), minimums, minimums, st.booleans())
def test_the_removals_add_up(table: list[Row], customer: int, product: int, fixpoint: bool) -> None:
    before = frame(table)
    kept, removals = keep_active(before, customer, product, fixpoint=fixpoint)
    assert sum(one.rows for one in removals) == len(before) - len(kept)
    gone = before["user"].n_unique() - kept["user"].n_unique()
    assert sum(one.customers for one in removals) == gone


def test_a_chain_of_removals_is_told_round_by_round() -> None:
    # Without user 0, item 0 has too few; without item 0, so has user 1.
    table = [(0, 0, 5.0, 0), (1, 0, 5.0, 0), (1, 1, 5.0, 0)]
    table += [(user, item, 5.0, 0) for user in (2, 3) for item in (1, 2)]
    kept, removals = keep_active(frame(table), 2, 2, fixpoint=True)
    assert table_of(kept) == sorted(table[3:])
    assert removals[:5] == [
        Removal("min_customer_ratings", 1, rows=1, customers=1, products=0),
        Removal("min_product_ratings", 1, rows=0, customers=0, products=0),
        Removal("min_customer_ratings", 2, rows=0, customers=0, products=0),
        Removal("min_product_ratings", 2, rows=1, customers=0, products=1),
        Removal("min_customer_ratings", 3, rows=1, customers=1, products=0),
    ]
