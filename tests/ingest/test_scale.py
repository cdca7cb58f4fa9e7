"""A rating that can hardly be meant stands out, and none of a real scale does."""

from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.ingest.scale import MOST_STEPS, find_strays

counts = st.integers(1, 10_000)


@given(st.data(), st.integers(2, 101), st.sampled_from([0.1, 0.5, 1, 10]), st.integers(-10, 10))
def test_no_value_of_an_even_scale_stands_out(
    data: st.DataObject, steps: int, step: float, start: int
) -> None:
    values = [float(np.float32(start + number * step)) for number in range(steps)]
    assert find_strays({value: data.draw(counts) for value in values}) == []


@given(
    st.lists(counts, min_size=2, max_size=20),
    st.lists(st.integers(1, 3), min_size=1, max_size=4),
    st.floats(5, 1e6),
    st.booleans(),
)
def test_a_few_ratings_far_from_the_others_stand_out(
    often: list[int], apart: list[int], gap: float, above: bool
) -> None:
    scale = {float(star): 1000 * count for star, count in enumerate(often, start=1)}
    odd = list(accumulate(apart, initial=len(often) + gap))
    if not above:
        odd = [1 - value for value in reversed(odd)]
    assert find_strays({**scale, **dict.fromkeys(odd, 1)}) == odd


@pytest.mark.parametrize(
    "stars",
    [
        {},
        {1.0: 1000},
        {1.0: 1, 5.0: 1000},
        {1: 6110, 2: 11370, 3: 27145, 4: 34174, 5: 21201},
        {0.5: 1370, 1: 2811, 1.5: 1791, 2: 7551, 2.5: 5550, 3: 20047, 4: 26818, 5: 13211},
        {1: 100, 2: 100, 3: 100, 99: 100},
        {**dict.fromkeys(range(MOST_STEPS), 100), 10**6: 1},
    ],
)
def test_what_may_be_a_scale_is_left_alone(stars: dict[float, int]) -> None:
    assert find_strays(stars) == []
