"""The rows of an object as batches of cells, whatever its encoding."""

import io
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from components.errors import UserError
from components.ingest.formats import Format, choose_columns
from components.ingest.lines import read_blocks
from components.ingest.parsing import (
    Parser,
    delimited_parser,
    json_parser,
    parquet_cells,
    split_header,
)

_PARQUET_ROWS = 100_000


@dataclass(frozen=True)
class Batch:
    """Rows that were read together.

    Attributes:
        cells: as `parsing` describes them.
        first_line: the number of the first row's line in the object, counted from 1.
        raw: gives the source's own words for some rows, by their places among the cells.
    """

    cells: pl.DataFrame
    first_line: int
    raw: Callable[[list[int]], list[str]]


def read_batches(stream: io.RawIOBase, layout: Format, uri: str) -> Iterator[Batch]:
    """The rows of a stream, in bounded memory.

    Raises:
        UserError: if a required column is missing or the object is not so encoded.
    """
    if layout.encoding == "parquet":
        yield from _read_parquet(stream, layout, uri)
        return
    blocks = _read_ahead(read_blocks(stream, uri))
    line = 1
    if layout.encoding == "json lines":
        parse = json_parser({what: name for what, name in vars(layout.columns).items() if name})
    elif layout.header:
        parse = _parser(list(layout.header), layout.separator, layout, uri)
    else:
        first = next(blocks, b"")
        if not first:
            return
        header, _, rest = first.partition(b"\n")
        parse = _parser(*split_header(header, layout.separator, uri), layout, uri)
        blocks, line = chain([rest], blocks), 2
    for text in blocks:
        cells = parse(text)
        yield Batch(cells, line, _raw_lines(text))
        line += len(cells)


def _parser(names: list[str], separator: str, layout: Format, uri: str) -> Parser:
    return delimited_parser(names, choose_columns(layout, names, uri), separator)


def _read_ahead(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same blocks, each made while the one before is being used."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, blocks, b"")
        while block := coming.result():
            coming = pool.submit(next, blocks, b"")
            yield block


def _raw_lines(text: bytes) -> Callable[[list[int]], list[str]]:
    def raw(rows: list[int]) -> list[str]:
        lines = text.split(b"\n")
        return [lines[row].decode(errors="replace") for row in rows]

    return raw


def _read_parquet(stream: io.RawIOBase, layout: Format, uri: str) -> Iterator[Batch]:
    # Parquet is read from its end; a copy on disk spares asking for the same ranges again.
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(stream, copy, 1 << 20)
        try:
            file = pq.ParquetFile(copy)
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(f"{uri} is no whole Parquet file ({error}): upload it again") from None
        chosen = choose_columns(layout, file.schema_arrow.names, uri)
        line = 1
        for rows in file.iter_batches(_PARQUET_ROWS, columns=sorted(set(chosen.values()))):
            frame = pl.DataFrame(rows)
            yield Batch(parquet_cells(frame, chosen), line, _raw_records(frame))
            line += len(frame)


def _raw_records(frame: pl.DataFrame) -> Callable[[list[int]], list[str]]:
    return lambda rows: [json.dumps(row, default=str) for row in frame[rows].to_dicts()]
