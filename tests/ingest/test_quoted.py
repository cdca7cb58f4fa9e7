"""Quoted cells may hold line breaks, and a quote that is not closed costs its line alone."""

import csv
import io
from datetime import UTC, datetime
from typing import Literal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.ingest import quoted
from components.ingest.formats import format_of
from components.ingest.parsing import CELLS, Delimited
from components.ingest.quoted import MOST_LINES
from components.ingest.reading import read_batches
from tests.ingest.sources import Read, Stream, read, settings, small_blocks

HEADER = ["product_title", "customer_id", "product_id", "star_rating", "review_date"]
QUOTINGS: list[Literal[0, 1]] = [csv.QUOTE_MINIMAL, csv.QUOTE_ALL]
DAY = datetime(2015, 8, 31, tzinfo=UTC)

titles = st.text(st.sampled_from('a,"\n é'), max_size=9)
customers = st.text(st.sampled_from('b,"\n'), min_size=1, max_size=4)


def written(rows: list[tuple[str, str]], quoting: Literal[0, 1]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, quoting=quoting, lineterminator="\n")
    writer.writerows([HEADER, *([title, who, "B1", "4", str(DAY)] for title, who in rows)])
    return text.getvalue().encode()


def read_csv(content: bytes) -> Read:
    return read(content, format="csv")


@given(
    st.lists(st.tuples(titles, customers), min_size=1, max_size=20),
    st.sampled_from(QUOTINGS),
    st.integers(8, 300),
    st.sampled_from([b"\n", b"\r\n"]),
)
def test_what_a_writer_of_csv_wrote_is_read(
    rows: list[tuple[str, str]], quoting: Literal[0, 1], block: int, end: bytes
) -> None:
    with small_blocks(block):
        found = read_csv(written(rows, quoting).replace(b"\n", end))
    assert found == Read([(who, "B1", 4.0, DAY) for _, who in rows], [])


def lines(*titles: str) -> bytes:
    rows = [f"{title},c{number},B1,4,{DAY:%Y-%m-%d}" for number, title in enumerate(titles)]
    return "\n".join([",".join(HEADER), *rows]).encode()


@pytest.mark.parametrize("block", [50, 8 << 20])
@pytest.mark.parametrize("place", [0, 3, 9])
@pytest.mark.parametrize("title", ["lamp", '"a, lamp"', '"a\nlamp"', '6" lamp'])
def test_a_quote_that_is_not_closed_costs_its_line(title: str, place: int, block: int) -> None:
    titles = [title] * 10
    titles[place] = '"lamp'
    with small_blocks(block):
        found = read_csv(lines(*titles))
    assert [who for who, *_ in found.ratings] == [f"c{n}" for n in range(10) if n != place]
    assert found.rejects == [(2 + place * (1 + title.count("\n")), "quote that is not closed")]


def test_a_quote_that_is_closed_too_late_costs_its_line() -> None:
    rows = 2 * MOST_LINES
    found = read_csv(lines('"lamp', *["lamp"] * rows, '"lamp"'))
    assert len(found.ratings) == rows + 1
    assert found.rejects == [(2, "quote that is not closed")]


def test_what_follows_a_closing_quote_belongs_to_the_cell() -> None:
    assert len(read_csv(lines('"a"lamp', '"a"" ""lamp"')).ratings) == 2


def test_a_row_tells_where_it_begins_and_its_own_words() -> None:
    content = lines('"a\nlamp"', "lamp", '"b\n\nlamp"', "lamp", '"lamp') + b"\n"
    layout = format_of("csv", settings())
    batches = read_batches(Stream(content), layout, "s3://shop/key")
    assert [
        origin for batch in batches for origin in batch.origins([*range(len(batch.cells))])
    ] == [
        (2, f'"a\nlamp",c0,B1,4,{DAY:%Y-%m-%d}'),
        (4, f"lamp,c1,B1,4,{DAY:%Y-%m-%d}"),
        (5, f'"b\n\nlamp",c2,B1,4,{DAY:%Y-%m-%d}'),
        (8, f"lamp,c3,B1,4,{DAY:%Y-%m-%d}"),
        (9, f'"lamp,c4,B1,4,{DAY:%Y-%m-%d}'),
    ]


def test_a_record_has_so_many_lines_and_no_more() -> None:
    longest, too_long = (f'"{count * chr(10)}"' for count in (MOST_LINES - 1, MOST_LINES))
    with small_blocks(100):
        found = read_csv(lines(longest, too_long))
    assert [who for who, *_ in found.ratings] == ["c0"]
    assert found.rejects[0] == (2 + MOST_LINES, "quote that is not closed")


quoted_cells = titles.map(lambda title: '"' + title.replace('"', '""') + '"')
good_rows = st.tuples(*[quoted_cells | st.sampled_from(["", "a", "é"])] * 3).map(",".join)
odd_text = st.text(st.sampled_from('a,"\n\r'), max_size=6)


@given(st.lists(good_rows, max_size=12), odd_text, st.integers(0, 12))
def test_text_is_read_at_once_as_record_by_record(rows: list[str], odd: str, place: int) -> None:
    rows[place:place] = [odd] if odd else []
    text = "".join(f"{row}\n" for row in rows).encode()
    layout = Delimited(3, {"customer": 0, "product": 2}, ",")
    for more in (True, False):
        at_once = quoted._parse_at_once(text, layout, more=more)
        if at_once is None:
            continue
        one_by_one = quoted._parse_one_by_one(text, layout, more=more)
        columns = pl.col(*CELLS, "flaw").fill_null("")
        assert at_once.cells.select(columns).equals(one_by_one.cells.select(columns))
        assert at_once.starts.tolist() == one_by_one.starts.tolist()
        assert at_once.rest == one_by_one.rest
