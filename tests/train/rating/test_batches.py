"""Batches hold every rating once, and name the rows that they touch once each."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from components.artifacts.splits import Ratings
from components.train.rating.batches import iterate_batches, touched_rows

PADDING = 1 << 20
# So few that some occur twice, and such as differ in their higher bits alone.
SOME = st.sampled_from([0, 1, 2, 65535, 65536, 65537, 131072, PADDING - 1])
INDICES = st.tuples(st.integers(1, 4), st.integers(1, 90)).flatmap(
    lambda shape: arrays(np.int32, shape, elements=SOME | st.integers(0, PADDING - 1))
)


@given(INDICES)
def test_rows_by_place_are_the_indices(indices: np.ndarray) -> None:  # type: ignore[type-arg]
    touched = touched_rows(indices, PADDING)
    np.testing.assert_array_equal(np.take_along_axis(touched.rows, touched.places, axis=1), indices)


@given(INDICES)
def test_every_row_is_named_once_and_nobody_fills_up(indices: np.ndarray) -> None:  # type: ignore[type-arg]
    for batch, rows in zip(indices, touched_rows(indices, PADDING).rows, strict=True):
        wanted = np.unique(batch)
        np.testing.assert_array_equal(rows[: len(wanted)], wanted)
        assert (rows[len(wanted) :] == PADDING).all()


@given(st.integers(1, 700), st.integers(1, 12))
def test_batches_hold_the_ratings_in_their_order(count: int, size: int) -> None:
    random = np.random.default_rng(0)
    users, items = (random.integers(0, n, count).astype(np.int32) for n in (9, 5))
    stars = np.arange(count, dtype=np.float32)
    order = random.permutation(count).astype(np.int32)
    ratings = Ratings(users, items, stars, np.zeros(count, np.int64))
    made = list(iterate_batches(ratings, order, size, (9, 5)))
    np.testing.assert_array_equal(np.concatenate([b.stars.ravel() for b in made]), order)
    sizes = [len(row) for batches in made for row in batches.stars]
    assert sizes == [size] * (count // size) + [count % size] * (count % size > 0)
    for batches in made:
        chosen = batches.stars.astype(int)
        for side, column in ((batches.users, users), (batches.items, items)):
            found = np.take_along_axis(side.rows, side.places, axis=1)
            np.testing.assert_array_equal(found, column[chosen])
