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


@given(st.lists(texts, unique=True), st.lists(texts))
def test_a_string_is_found_at_its_place_or_nowhere(strings: list[str], others: list[str]) -> None:
    found = StringTable.of(strings).places([*strings, *others]).tolist()
    assert found[: len(strings)] == list(range(len(strings)))
    assert found[len(strings) :] == [
        strings.index(other) if other in strings else -1 for other in others
    ]
