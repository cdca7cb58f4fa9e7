"""A JSON line means the same whatever lines stand beside it."""

import json
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from components.ingest.parsing import BLANK, JSON_FLAW, json_parser

COLUMNS = {"customer": "user", "product": "item", "title": "name"}
PARSE = json_parser(COLUMNS)
BROKEN = '{"user": '  # makes its block one that the fast parser cannot read

texts = st.text(max_size=4) | st.sampled_from(["NaN", "\ud83d", "\0", "1.0"])
numbers = st.integers() | st.floats() | st.integers(-(2**70), 2**70).map(float)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
entries = st.dictionaries(st.sampled_from(["user", "item", "name", "other"]), values)
written = entries.map(json.dumps) | entries.map(lambda entry: json.dumps(entry, ensure_ascii=False))
pieces = st.sampled_from(
    ["{", "}", "[", "]", ",", ":", '"user"', '"item"', '"', "1", "1.0", "1e400", "NaN", "null", " "]
)
lines = written | st.lists(pieces, max_size=9).map("".join) | st.text(max_size=4)
raw_lines = lines.map(lambda line: line.replace("\n", " ").encode(errors="surrogatepass"))


def cells_of(*lines: bytes) -> list[tuple[Any, ...]]:
    cells = PARSE(b"".join(line + b"\n" for line in lines))
    return cells.select(*COLUMNS, "flaw").rows()


@given(st.lists(raw_lines, min_size=1, max_size=12))
@example([b'{"user": 1.0}', BROKEN.encode()])
@example([b'{"user": NaN, "item": 1.0}', b'{"user": 1, "user": 2}'])
@example([b'{"user": 1}{"user": 2}', b""])
@example([b'{"user": "\xff"}', b'{"user": 1e400}', b"\xff", b"\x0b"])
@example([b'{"user": %s1%s}' % (b"[" * depth, b"]" * depth) for depth in (200, 1000, 1100)])
def test_a_line_is_read_as_when_it_is_alone(table: list[bytes]) -> None:
    assert cells_of(*table) == [cell for line in table for cell in cells_of(line)]


@given(st.lists(entries, min_size=1, max_size=9), st.integers(0, 8))
def test_a_broken_line_changes_no_id_of_others(table: list[dict[str, Any]], place: int) -> None:
    whole = [json.dumps(entry).encode() for entry in table]
    found = cells_of(*whole[:place], BROKEN.encode(), *whole[place:])
    broken = found.pop(min(place, len(whole)))
    assert broken == (None, None, None, JSON_FLAW)
    assert found == cells_of(*whole)


@pytest.mark.parametrize("beside", ["{}", BROKEN])
@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("123", "123"),
        ("123.0", "123"),
        ("1e3", "1000"),
        ("0.5", "0.5"),
        ("18446744073709551616", "18446744073709551616"),
        ("true", "true"),
        ("null", None),
        ("NaN", None),
        ("-Infinity", None),
        ('"1.0"', "1.0"),
        ('"\\u00e9"', "é"),
        ('["a", 1.0, {"b": null}]', '["a", 1, {"b": null}]'),
    ],
)
def test_a_value_has_one_text(value: str, text: str | None, beside: str) -> None:
    assert cells_of(b'{"user": %s}' % value.encode(), beside.encode())[0][0] == text


def test_blank_lines_are_told_from_broken_ones() -> None:
    assert [row[-1] for row in cells_of(b"", b" \t", b"{}", b"[1]", b"{")] == [
        *(BLANK, BLANK, None),
        *(JSON_FLAW, JSON_FLAW),
    ]


def test_cells_are_strings_however_a_block_was_read() -> None:
    for text in (b"{}\n", b"{\n", b"{}\n{\n"):
        assert set(PARSE(text).dtypes) == {pl.String}
