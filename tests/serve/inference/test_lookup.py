"""Ids are found at their places, and only those that the table has."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from components.artifacts.strings import StringTable
from components.serve.inference.lookup import Lookup

NAMES = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(NAMES, unique=True), st.lists(NAMES))
def test_every_id_is_found_at_its_place_and_no_other_is_found(
    names: list[str], others: list[str]
) -> None:
    lookup = Lookup(StringTable.of(names))
    places = {name: place for place, name in enumerate(names)}
    assert [lookup.get(name) for name in names] == list(range(len(names)))
    assert [lookup.get(name) for name in others] == [places.get(name) for name in others]


def test_ids_that_begin_or_end_like_another_are_told_apart() -> None:
    lookup = Lookup(StringTable.of(["1", "10", "101", "01"]))
    assert [lookup.get(name) for name in ("1", "10", "101", "01", "", "0")] == [
        0,
        1,
        2,
        3,
        None,
        None,
    ]


def test_a_large_table_is_searched_right() -> None:
    numbers = np.random.default_rng(0).permutation(20_000).tolist()
    lookup = Lookup(StringTable.of(map(str, numbers)))
    assert all(lookup.get(str(number)) == place for place, number in enumerate(numbers))
