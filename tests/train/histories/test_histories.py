"""Histories keep the order of time, and nothing else of the data's order."""

from dataclasses import replace

import mxnet as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.train.histories.histories import Histories, blocks, window
from tests.evaluate.worlds import to_ratings
from tests.train.ranking.data import CUSTOMERS, PRODUCTS, dense, lists, make_ratings


def test_items_are_in_order_of_time_and_in_random_order_at_one() -> None:
    """Two microseconds of one day, a hundred items in each."""
    items = np.arange(200)
    ratings = to_ratings([np.zeros(200), items, np.full(200, 5), np.zeros(200)])
    ratings = replace(ratings, instants=items // 100)
    found = Histories.of(ratings, 1, 200, seed=0).items
    assert sorted(found[:100].tolist()) == list(range(100))
    steps = np.diff(found[:100])
    assert 30 < np.count_nonzero(steps > 0) < 70


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), recency=st.sampled_from([0.3, 0.8, 0.99, 1.0]))
def test_rows_before_a_position_hold_weights_by_age(seed: int, recency: float) -> None:
    histories = Histories.of(make_ratings(seed), CUSTOMERS, PRODUCTS, seed)
    rows = histories.before(histories.offsets[:-1], histories.offsets[1:], recency, mx.cpu())
    expected = np.zeros((CUSTOMERS, PRODUCTS))
    for user, items in enumerate(lists(histories)):
        for age, item in enumerate(items[::-1][: window(recency)]):
            expected[user, item] = recency**age
    np.testing.assert_allclose(rows.asnumpy(), expected, rtol=1e-5)


def test_reversed_and_transposed_hold_the_same_ratings() -> None:
    histories = Histories.of(make_ratings(), CUSTOMERS, PRODUCTS, 0)
    assert [items[::-1] for items in lists(histories)][::-1] == lists(histories.reversed)
    assert (dense(histories.transposed) == dense(histories).T).all()
    assert (histories.popularity == dense(histories).sum(axis=0)).all()


def test_a_window_ends_where_weights_vanish() -> None:
    assert window(0.8) < window(0.95) < window(1.0)
    assert 0.8 ** window(0.8) < 1e-3 <= 0.8 ** (window(0.8) - 1)


@pytest.mark.parametrize("width", [1, 40_000, 3_000_000_000])
def test_blocks_cover_every_row_and_stay_below_the_limit_of_the_sparse_product(width: int) -> None:
    covered = 0
    for block in blocks(20_000, width):
        assert block.start == covered
        assert block.stop - block.start == 1 or (block.stop - block.start) * width < 2**31
        covered = block.stop
    assert covered == 20_000
