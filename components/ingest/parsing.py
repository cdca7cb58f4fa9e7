"""Parse text or Parquet into cells. Lines that cannot be parsed are marked, never dropped.

Cells are a data frame with one row for each line and the columns customer, product, rating, date,
title and category, as strings or in the types of the source, and `flaw`: null, or why the line
cannot be parsed.
"""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from components.errors import UserError

COLUMNS_FLAW = "wrong number of columns"
JSON_FLAW = "not a JSON object"
BLANK = "blank line"  # not counted as rejected

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"  # in place of undecodable bytes

QUOTED_SEPARATOR = ","
"""The separator of cells that may be in double quotes."""

_OTHER_SEPARATORS = ("::", ";", "|")
_UNIT_SEPARATOR = "\x1f"

CELLS = ("customer", "product", "rating", "date", "title", "category")

Parser = Callable[[bytes], pl.DataFrame]
Reader = Callable[[bytes], pl.DataFrame | None]
"""Returns the cells of a text, or None if any of its lines cannot be read."""


@dataclass(frozen=True)
class Delimited:
    """The layout of lines of cells.

    Attributes:
        width: the number of cells in a line.
        places: the positions of the cells to read, from 0, by their content.
        separator: between cells.
    """

    width: int
    places: dict[str, int]
    separator: str

    @property
    def has_quotes(self) -> bool:
        """Whether a cell may be in double quotes; between tabs, quotes are part of the text."""
        return self.separator == QUOTED_SEPARATOR


def plain_cells(text: bytes, layout: Delimited) -> pl.DataFrame:
    """The cells of lines without quotes, one row for each line."""
    if len(layout.separator) > 1:  # polars accepts a single byte
        text = text.replace(layout.separator.encode(), _UNIT_SEPARATOR.encode())
        layout = replace(layout, separator=_UNIT_SEPARATOR)
    return _parse_plain(text, layout)


def json_parser(chosen: dict[str, str]) -> Parser:
    """Make a parser of JSON Lines that reads the chosen keys.

    A value that is not a string becomes its text in JSON, whatever the other lines of the block.

    Args:
        chosen: the keys to read, by their content.
    """
    schema = dict.fromkeys(chosen.values(), pl.String)
    # Polars reads an escaped surrogate without its pair as NUL.
    cells = [
        pl.col(name).str.replace_all("\0", REPLACEMENT, literal=True).alias(what)
        for what, name in chosen.items()
    ]

    def read(text: bytes) -> pl.DataFrame | None:
        try:
            frame = pl.read_ndjson(text, schema=schema)
        except pl.exceptions.PolarsError:
            return None
        return completed(frame.select(cells)) if len(frame) == text.count(b"\n") else None

    def parse(text: bytes) -> pl.DataFrame:
        cells = read(text)
        return _parse_flawed_json(text, read) if cells is None else cells

    return parse


def parquet_cells(frame: pl.DataFrame, chosen: dict[str, str]) -> pl.DataFrame:
    """The chosen columns of a frame as cells."""
    return completed(frame.select(pl.col(name).alias(what) for what, name in chosen.items()))


def split_header(line: bytes, separator: str, uri: str) -> tuple[list[str], str]:
    """Split the header of a file.

    Args:
        line: the first line.
        separator: between its names; empty for a tab or a comma.
        uri: of the file, for messages.

    Returns:
        The names, and the separator between them.

    Raises:
        UserError: if the line is not text, or seems to have another separator.
    """
    separator = separator or ("\t" if b"\t" in line else ",")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise UserError(f"{uri}: its first line is not text: is it in another format?") from None
    names = text.split("\t") if separator == "\t" else split_line(text, separator) or []
    others = [other for other in _OTHER_SEPARATORS if other in text]
    if len(names) == 1 and others:
        raise UserError(
            f"{uri}: its first line seems to be separated by {others[0]!r}: write the file with "
            f"commas (csv) or tabs (tsv)"
        )
    return names, separator


def split_line(line: str, separator: str) -> list[str] | None:
    """The cells of one line, with any text after a closing quote; None if it cannot be read."""
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:  # a cell of more than 128 kB, or a carriage return
        return None


def _parse_plain(text: bytes, layout: Delimited) -> pl.DataFrame:
    last, separator = layout.width - 1, layout.separator
    if text[: text.find(b"\n")].count(separator.encode()) != last:
        # Polars counts the columns in the first line: add one with all columns, and drop it.
        text = separator.encode() * last + b"\n" + text
        return _parse_plain(text, layout)[1:]
    frame = pl.read_csv(
        text,
        has_header=False,
        separator=separator,
        quote_char=None,
        columns=sorted({*layout.places.values(), last}),
        schema={
            str(place): pl.Float32 if place == layout.places.get("rating") else pl.String
            for place in range(layout.width)
        },
        ignore_errors=True,
        truncate_ragged_lines=True,
        encoding="utf8-lossy",
    )
    cells = [pl.col(str(place)).alias(what) for what, place in layout.places.items()]
    # A short line has no last cell. If no line is short, more separators mean a long line.
    none_short = frame[str(last)].null_count() == 0
    if none_short and text.count(separator.encode()) == last * len(frame):
        return completed(frame.select(cells))
    return completed(frame.select(*cells, _flaws(text, last, separator)))


def _flaws(text: bytes, separators: int, separator: str) -> pl.Series:
    """The flaw in the shape of each line, or null."""
    array = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(array == ord("\n"))
    before = np.searchsorted(np.flatnonzero(array == ord(separator)), ends)
    counts = np.diff(before, prepend=0)
    lengths = np.diff(ends, prepend=-1) - 1
    shapes = pl.DataFrame({"length": lengths, "separators": counts})
    return shapes.select(
        flaw=pl.when(pl.col("length") == 0)
        .then(pl.lit(BLANK))
        .when(pl.col("separators") != separators)
        .then(pl.lit(COLUMNS_FLAW))
    )["flaw"]


def _parse_flawed_json(text: bytes, read: Reader) -> pl.DataFrame:
    """The cells of lines that are not all JSON objects; `read` reads those that are."""
    lines = _lines(text)
    objects = _objects(lines)
    flaws = [
        None if entry else JSON_FLAW if line.strip() else BLANK
        for entry, line in zip(objects, lines, strict=True)
    ]
    cells = _read_apart([entry or "{}" for entry in objects], read)
    return cells.with_columns(flaw=pl.coalesce("flaw", pl.Series(flaws, dtype=pl.String)))


def _objects(lines: list[str]) -> list[str]:
    """The lines that are JSON objects, with null for Python's NaN; "" for the other lines."""
    constants: list[str] = []
    decoder = json.JSONDecoder(parse_constant=constants.append)

    def as_object(line: str) -> str:
        constants.clear()
        try:
            entry = decoder.decode(line)
            if not isinstance(entry, dict):
                return ""
            return json.dumps(entry) if constants else line
        except ValueError:
            return ""
        except RecursionError:  # polars may still read it
            return line

    return [as_object(line) for line in lines]


def _read_apart(objects: list[str], read: Reader) -> pl.DataFrame:
    """The cells of lines; parts that cannot be read are halved down to a single line."""
    cells = read("".join(f"{entry}\n" for entry in objects).encode())
    if cells is not None:
        return cells
    if len(objects) == 1:
        return _read_apart(["{}"], read).with_columns(flaw=pl.lit(JSON_FLAW))
    half = len(objects) // 2
    return pl.concat([_read_apart(objects[:half], read), _read_apart(objects[half:], read)])


def _lines(text: bytes) -> list[str]:
    return text.removesuffix(b"\n").decode(errors="replace").split("\n")


def completed(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame, with columns of nulls for the cells that the source does not have."""
    missing = [name for name in (*CELLS, "flaw") if name not in frame.columns]
    return frame.with_columns(pl.lit(None, pl.String).alias(name) for name in missing)
