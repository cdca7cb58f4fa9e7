"""A table of strings gives back what was put in."""

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


def test_a_table_of_many_strings_is_read_whole() -> None:
    strings = [str(number) for number in range(10_000)]
    assert list(StringTable.of(strings)) == strings
