"""Read the rows of an object as batches of cells, whatever its encoding."""

import io
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from components.errors import UserError
from components.ingest.formats import Format, choose_columns
from components.ingest.lines import read_blocks
from components.ingest.parsing import (
    Delimited,
    json_parser,
    parquet_cells,
    plain_cells,
    split_header,
)
from components.ingest.quoted import quoted_cells

_PARQUET_ROWS = 100_000

Origins = Callable[[list[int]], list[tuple[int, str]]]


@dataclass(frozen=True)
class Batch:
    """Rows that were read together.

    Attributes:
        cells: as `parsing` describes them.
        origins: returns, for the positions of some rows among the cells, the line of the object
            where each begins, counted from 1, and its original text.
    """

    cells: pl.DataFrame
    origins: Origins


def read_batches(stream: io.RawIOBase, layout: Format, uri: str) -> Iterator[Batch]:
    """Read the rows of a stream, in bounded memory.

    Args:
        stream: the content of the object.
        layout: its format.
        uri: of the object, for messages.

    Raises:
        UserError: if a required column is missing, or the object has another encoding.
    """
    if layout.encoding == "parquet":
        yield from _read_parquet(stream, layout, uri)
        return
    blocks = _read_ahead(_decoded(read_blocks(stream, uri), layout.legacy_encoding))
    if layout.encoding == "json lines":
        yield from _read_json(blocks, layout)
    elif layout.header:
        yield from _read_delimited(blocks, list(layout.header), layout, uri, line=1)
    elif first := next(blocks, b""):
        header, _, rest = first.partition(b"\n")
        names, separator = split_header(header, layout.separator, uri)
        layout = replace(layout, separator=separator)
        yield from _read_delimited(chain([rest], blocks), names, layout, uri, line=2)


def _decoded(blocks: Iterator[bytes], legacy_encoding: str) -> Iterator[bytes]:
    """Convert blocks in the legacy encoding, if there is one, to UTF-8."""
    for block in blocks:
        try:
            if legacy_encoding:
                block.decode()
        except UnicodeDecodeError:
            yield block.decode(legacy_encoding).encode()
        else:
            yield block


def _read_json(blocks: Iterator[bytes], layout: Format) -> Iterator[Batch]:
    parse = json_parser({what: name for what, name in vars(layout.columns).items() if name})
    line = 1
    for text in blocks:
        cells = parse(text)
        yield Batch(cells, _line_origins(text, line))
        line += len(cells)


def _read_delimited(
    blocks: Iterator[bytes], names: list[str], layout: Format, uri: str, line: int
) -> Iterator[Batch]:
    chosen = choose_columns(layout, names, uri)
    places = {what: names.index(name) for what, name in chosen.items()}
    table = Delimited(len(names), places, layout.separator)
    rest = b""
    for block in chain(blocks, [b""]):  # the empty block ends a record that is still open
        text = rest + block
        if table.has_quotes and b'"' in text:
            read = quoted_cells(text, table, more=bool(block))
            yield Batch(read.cells, _record_origins(text, read.starts, line))
            rest = read.rest
            line += int(read.starts[-1])
        elif text:
            cells = plain_cells(text, table)
            yield Batch(cells, _line_origins(text, line))
            line += len(cells)


def _read_ahead(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same blocks, each produced in a thread while the previous one is being used."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, blocks, b"")
        while block := coming.result():
            coming = pool.submit(next, blocks, b"")
            yield block


def _line_origins(text: bytes, first: int) -> Origins:
    def origins(rows: list[int]) -> list[tuple[int, str]]:
        lines = text.split(b"\n")
        return [(first + row, lines[row].decode(errors="replace")) for row in rows]

    return origins


def _record_origins(text: bytes, starts: npt.NDArray[np.int64], first: int) -> Origins:
    def origins(rows: list[int]) -> list[tuple[int, str]]:
        lines = text.split(b"\n")
        bounds = [(int(starts[row]), int(starts[row + 1])) for row in rows]
        raw = (b"\n".join(lines[start:end]).decode(errors="replace") for start, end in bounds)
        return [(first + start, one) for (start, _), one in zip(bounds, raw, strict=True)]

    return origins


def _read_parquet(stream: io.RawIOBase, layout: Format, uri: str) -> Iterator[Batch]:
    # Reading Parquet begins at its end, so it needs a copy on disk.
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(stream, copy, 1 << 20)
        try:
            file = pq.ParquetFile(copy)
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(
                f"{uri} is not a complete Parquet file ({error}): upload it again"
            ) from None
        chosen = choose_columns(layout, file.schema_arrow.names, uri)
        line = 1
        for rows in file.iter_batches(_PARQUET_ROWS, columns=sorted(set(chosen.values()))):
            frame = pl.DataFrame(rows)
            yield Batch(parquet_cells(frame, chosen), _row_origins(frame, line))
            line += len(frame)


def _row_origins(frame: pl.DataFrame, first: int) -> Origins:
    def origins(rows: list[int]) -> list[tuple[int, str]]:
        found = frame[rows].to_dicts()
        return [
            (first + row, json.dumps(one, default=str))
            for row, one in zip(rows, found, strict=True)
        ]

    return origins
