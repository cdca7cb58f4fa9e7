"""Parse text whose cells may be in double quotes, with separators and line breaks in them.

This is RFC 4180, except that a quote that is never closed must not swallow the lines after it. A
record of several lines counts as one only if all its quotes are where RFC 4180 allows them and it
has the right number of cells. Otherwise its first line is flawed, and the next line begins a new
record.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from components.ingest.parsing import BLANK, COLUMNS_FLAW, Delimited, completed, split_line

QUOTE_FLAW = "quote that is not closed"

MOST_LINES = 1000
"""The most lines of one record, which limits how far an unclosed quote is followed."""

_MOST_BYTES = 128 << 10  # of a record that polars reads: Python's csv has this limit for a cell

Places = npt.NDArray[np.int64]

_QUOTE, _NEWLINE = b'"'[0], b"\n"[0]


@dataclass(frozen=True)
class Quoted:
    """The records of a text.

    Attributes:
        cells: as `parsing` describes them, one row for each record.
        starts: the first line of each record, from 0, and the line after the last, [rows + 1].
        rest: the beginning of a record that ends after the text.
    """

    cells: pl.DataFrame
    starts: Places
    rest: bytes


def quoted_cells(text: bytes, layout: Delimited, *, more: bool) -> Quoted:
    """The cells of whole lines with quotes.

    Args:
        text: with a newline after each line.
        layout: of a record.
        more: whether more text follows; if so, an incomplete last record is returned as the rest.
    """
    return _parse_at_once(text, layout, more=more) or _parse_one_by_one(text, layout, more=more)


def _parse_at_once(text: bytes, layout: Delimited, *, more: bool) -> Quoted | None:
    """As `_parse_one_by_one`, but several times as fast; None if any record breaks a rule."""
    array = np.frombuffer(text, np.uint8)
    quotes, newlines = (np.flatnonzero(array == one) for one in (_QUOTE, _NEWLINE))
    ends = _outside(newlines, quotes)
    is_open = len(quotes) % 2 == 1
    if not len(ends) or (is_open and not more) or b"\r" in text:
        return None
    if not _quotes_are_at_the_ends_of_cells(quotes, array, layout):
        return None
    starts = np.searchsorted(newlines, ends, side="right")
    separators = _outside(np.flatnonzero(array == ord(layout.separator)), quotes)
    widths = np.diff(np.searchsorted(separators, ends), prepend=0) + 1
    sizes, heights = np.diff(ends, prepend=-1), np.diff(starts, prepend=0)
    if (widths != layout.width).any() or sizes.max() > _MOST_BYTES or heights.max() > MOST_LINES:
        return None
    end = int(ends[-1]) + 1
    return Quoted(_cells(text[:end], layout), np.insert(starts, 0, 0), text[end:])


def _cells(text: bytes, layout: Delimited) -> pl.DataFrame:
    """The cells of records that follow the rules."""
    frame = pl.read_csv(
        text,
        has_header=False,
        separator=layout.separator,
        schema={str(place): pl.String for place in range(layout.width)},
        columns=sorted({*layout.places.values()}),
        encoding="utf8-lossy",
    )
    places = layout.places.items()
    return completed(frame.select(pl.col(str(place)).alias(what) for what, place in places))


def _outside(places: Places, quotes: Places) -> Places:
    """The places that are outside of quotes."""
    outside: Places = places[np.searchsorted(quotes, places) % 2 == 0]
    return outside


def _quotes_are_at_the_ends_of_cells(
    quotes: Places, array: npt.NDArray[np.uint8], layout: Delimited
) -> bool:
    """Whether every quote opens a cell, closes one, or is doubled within one."""
    beside = [_QUOTE, _NEWLINE, ord(layout.separator)]
    opening, closing = quotes[::2], quotes[1::2]
    before = array[opening[opening > 0] - 1]
    return bool(np.isin(before, beside).all() and np.isin(array[closing + 1], beside).all())


def _parse_one_by_one(text: bytes, layout: Delimited, *, more: bool) -> Quoted:
    lines = list(io.StringIO(text.decode(errors="replace"), newline="\n"))
    records = list(_read_records(lines, layout.width, layout.separator, more=more))
    flaws = [_flaw(record, layout.width) for record in records]
    empty = [""] * layout.width
    rows = [
        record.cells if record.cells and not flaw else empty
        for record, flaw in zip(records, flaws, strict=True)
    ]
    columns = {what: [row[place] for row in rows] for what, place in layout.places.items()}
    schema = dict.fromkeys((*columns, "flaw"), pl.String)
    starts = np.array([0, *(record.end for record in records)])
    return Quoted(
        completed(pl.DataFrame({**columns, "flaw": flaws}, schema=schema)),
        starts,
        "".join(lines[starts[-1] :]).encode(),
    )


def _flaw(record: "_Record", width: int) -> str | None:
    if record.is_open:
        return QUOTE_FLAW
    if record.cells == []:
        return BLANK
    return COLUMNS_FLAW if record.cells is None or len(record.cells) != width else None


class _Record(NamedTuple):
    """One record.

    Attributes:
        start: its first line, from 0.
        end: the line after its last.
        cells: its cells, none for a blank line; None if it cannot be read.
        is_open: whether a quote in it is not closed.
    """

    start: int
    end: int
    cells: list[str] | None
    is_open: bool = False


class _Lines:
    """Lines for a `csv.reader`, which takes another line only while a quote is open.

    Attributes:
        start: the first line of the current record.
        next: the next line to give.
        ended: whether a line was asked for that does not exist.
    """

    def __init__(self, lines: list[str], start: int) -> None:
        self._lines = lines
        self.start = self.next = start
        self.ended = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        if self.next == len(self._lines) or self.next == self.start + MOST_LINES:
            self.ended = True
            raise StopIteration
        self.next += 1
        return self._lines[self.next - 1]


def _read_records(lines: list[str], width: int, separator: str, *, more: bool) -> Iterator[_Record]:
    """Read the records in some lines.

    Args:
        lines: each with its line end.
        width: the number of cells of a good record.
        separator: between cells.
        more: whether more lines follow; if so, an incomplete last record is left out.
    """
    start = 0
    while start < len(lines):
        ahead = _Lines(lines, start)
        yield from _read_whole(ahead, width, separator)
        start = ahead.start
        if start == len(lines) or (more and ahead.ended and ahead.next == len(lines)):
            return
        is_open = ahead.ended or ahead.next - start > 1
        cells = None if is_open else split_line(lines[start], separator)
        yield _Record(start, start + 1, cells, is_open)
        start += 1


def _read_whole(lines: _Lines, width: int, separator: str) -> Iterator[_Record]:
    """Read records up to the first that breaks the rules or may swallow others."""
    try:
        for cells in csv.reader(lines, delimiter=separator, strict=True):
            several = lines.next - lines.start > 1
            if several and len(cells) != width:
                return
            yield _Record(lines.start, lines.next, cells)
            lines.start = lines.next
    except csv.Error:
        return
