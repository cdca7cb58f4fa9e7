"""Rows of text or Parquet into cells: one row a line, flawed lines marked and not dropped.

Cells are a data frame with the columns customer, product, rating, date, title and category, as
strings or as the source's own types, and `flaw`: null, or why the line is none.
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
BLANK = "blank line"  # holds nothing that could be lost

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"  # stands for what could not be decoded

_OTHER_SEPARATORS = ("::", ";", "|")
_UNIT_SEPARATOR = "\x1f"

CELLS = ("customer", "product", "rating", "date", "title", "category")

Parser = Callable[[bytes], pl.DataFrame]
Reader = Callable[[bytes], pl.DataFrame | None]
"""Gives the cells of a text, or None where some line of it cannot be read."""


@dataclass(frozen=True)
class Delimited:
    """Lines of cells.

    Attributes:
        width: how many cells a line has.
        places: those to read, by what they hold.
        separator: what stands between cells.
    """

    width: int
    places: dict[str, int]
    separator: str

    @property
    def has_quotes(self) -> bool:
        """Whether a cell may stand in double quotes; with tabs, they are part of the text."""
        return self.separator == ","


def plain_cells(text: bytes, layout: Delimited) -> pl.DataFrame:
    """The cells of lines without quotes, one row a line."""
    if len(layout.separator) > 1:  # polars takes one character
        text = text.replace(layout.separator.encode(), _UNIT_SEPARATOR.encode())
        layout = replace(layout, separator=_UNIT_SEPARATOR)
    return _parse_plain(text, layout)


def json_parser(chosen: dict[str, str]) -> Parser:
    """A parser of JSON Lines, of whose keys it reads the chosen ones.

    A value that is no string becomes the text that it has in JSON, 1 for 1.0: the same in every
    block, whatever other lines there are in it.
    """
    schema = dict.fromkeys(chosen.values(), pl.String)
    # Polars reads an escape of half a character as NUL.
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
    """The names in a first line, and the separator between them.

    Raises:
        UserError: if the line is no text, or has another separator.
    """
    separator = separator or ("\t" if b"\t" in line else ",")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise UserError(f"{uri}: its first line is no text: is it in another format?") from None
    names = text.split("\t") if separator == "\t" else split_line(text, separator) or []
    others = [other for other in _OTHER_SEPARATORS if other in text]
    if len(names) == 1 and others:
        raise UserError(
            f"{uri}: columns are separated by commas (csv) or tabs (tsv), but those of its first "
            f"line seem to be by {others[0]!r}: write it with commas or tabs"
        )
    return names, separator


def split_line(line: str, separator: str) -> list[str] | None:
    """The cells of one line, whatever stands after a closing quote; None if it cannot be read."""
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:  # a cell of more than 128 kB, or a carriage return
        return None


def _parse_plain(text: bytes, layout: Delimited) -> pl.DataFrame:
    last, separator = layout.width - 1, layout.separator
    if text[: text.find(b"\n")].count(separator.encode()) != last:
        # Polars takes the columns from the first line: give it a whole one to skip.
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
    # A short line has no last cell; if none is short, the number of separators tells of long ones.
    none_short = frame[str(last)].null_count() == 0
    if none_short and text.count(separator.encode()) == last * len(frame):
        return completed(frame.select(cells))
    return completed(frame.select(*cells, _flaws(text, last, separator)))


def _flaws(text: bytes, separators: int, separator: str) -> pl.Series:
    """What is wrong with the shape of each line."""
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
    """Cells of lines that are not all objects; those that are, as `read` has them."""
    lines = _lines(text)
    objects = _objects(lines)
    flaws = [
        None if entry else JSON_FLAW if line.strip() else BLANK
        for entry, line in zip(objects, lines, strict=True)
    ]
    cells = _read_apart([entry or "{}" for entry in objects], read)
    return cells.with_columns(flaw=pl.coalesce("flaw", pl.Series(flaws, dtype=pl.String)))


def _objects(lines: list[str]) -> list[str]:
    """The lines that are JSON objects, null in them for the NaN that Python writes, or else ""."""
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
        except RecursionError:  # others go deeper than Python
            return line

    return [as_object(line) for line in lines]


def _read_apart(objects: list[str], read: Reader) -> pl.DataFrame:
    """Cells of lines, read in ever smaller parts until one that cannot be read is alone."""
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
    """The frame with empty columns for what the source does not have."""
    missing = [name for name in (*CELLS, "flaw") if name not in frame.columns]
    return frame.with_columns(pl.lit(None, pl.String).alias(name) for name in missing)
