"""A table of strings gives back what was put in, and finds it."""

from hypothesis import given
from hypothesis import strategies as st

from components.artifacts.strings import StringTable

texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(texts))
def test_strings_come_back_in_their_order(strings: list[str]) -> None:
    table = StringTable.of(strings)
    assert len(table) == len(strings)
    assert table.to_list() == strings
    assert [table[index] for index in range(len(table))] == strings


@given(st.sets(texts), texts)
def test_a_string_is_found_where_it_is_and_nowhere_else(strings: set[str], other: str) -> None:
    ordered = sorted(strings)
    table = StringTable.of(ordered)
    assert [table.find(string) for string in ordered] == list(range(len(ordered)))
    assert table.find(other) == (ordered.index(other) if other in strings else None)
