"""The ingest step on Spark: the ratings of `ingest`, row for row.

Each executor reads an object, or a piece of a large one that is cut at the ends of lines, by the
code that reads one on a single machine, and writes what it takes in as a part of the ratings. The
driver gets what is small: products, rejects and tallies.
"""

import logging
import pickle
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.artifacts.ratings import PRODUCTS, RATINGS, REJECTS, REJECTS_SCHEMA
from components.ingest.catalogue import Catalogue
from components.ingest.checks import Limits
from components.ingest.contents import Contents
from components.ingest.download import ObjectStream
from components.ingest.formats import Format
from components.ingest.intake import Intake, Tally
from components.ingest.lines import first_line, is_compressed
from components.ingest.objects import SourceObject, Storage
from components.ingest.parsing import QUOTED_SEPARATOR, split_header
from components.ingest.products import describe_products
from components.ingest.reading import read_batches
from components.spark import one_row, part, spark_session, spread

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PIECE_BYTES = 256 << 20
"""A larger object is cut, where its lines can be read apart."""

_HEAD_BYTES = 64 << 10
_HASHED_BYTES = 1 << 20

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Piece:
    """What one task reads.

    Attributes:
        source: the object; its `bytes` are where the piece ends.
        start: where it begins.
        layout: of its lines.
    """

    source: SourceObject
    start: int
    layout: Format


@dataclass(frozen=True)
class Found:
    """What a task met.

    Attributes:
        tally: of its rows.
        lines: how many it read.
        sha256: of its bytes, in hex.
        products: the `products` table of its ratings.
        rejects: the `rejects` table, lines counted from its own first one.
    """

    tally: Tally
    lines: int
    sha256: str
    products: pa.Table
    rejects: pa.Table


def read_source(
    storage: Storage, contents: Contents, limits: Limits, folder: Path
) -> tuple[Tally, list[dict[str, Any]]]:
    """Write the tables of a `ratings` artifact; what was met, and which bytes were read.

    Args:
        storage: where the source is.
        contents: what to read of it.
        limits: what a rating may be.
        folder: where to write; executors write there too.

    Raises:
        UserError: if an object cannot be read, or Spark cannot.
    """
    pieces = [piece for one in contents.ratings for piece in cut(storage, one, contents.layout)]
    tally, catalogue = Tally(), Catalogue()
    with spark_session("ingest") as spark:
        found = _take(spark, storage, pieces, limits, folder)
        hashes = _merge(pieces, found, tally, catalogue, folder)
        whole = _hash(spark, storage, [one for one in contents.ratings if len(hashes[one.uri]) > 1])
    sources = [
        {**asdict(one), "sha256": whole.get(one.uri) or hashes[one.uri][0]}
        for one in contents.ratings
    ]
    for source, layout in contents.products:
        sources.append(describe_products(storage, source, layout, catalogue.describe))
    products = catalogue.table()
    tally.count_products(products)
    pq.write_table(products, folder / PRODUCTS)
    return tally, sources


def cut(storage: Storage, source: SourceObject, layout: Format) -> list[Piece]:
    """The pieces of an object: one, unless it is large and each of its lines is a row.

    Args:
        storage: where the object is.
        source: the object.
        layout: its format.
    """
    places = [*range(PIECE_BYTES, source.bytes, PIECE_BYTES)]
    rest = _without_header(storage, source, layout) if places else None
    if rest is None:
        return [Piece(source, 0, layout)]
    ends = sorted({_line_end(storage, source, place) for place in places} | {source.bytes})
    return [
        Piece(replace(source, bytes=end), start, rest if start else layout)
        for start, end in pairwise([0, *ends])
    ]


def _without_header(storage: Storage, source: SourceObject, layout: Format) -> Format | None:
    """The layout of the lines after the first; None where lines cannot be read apart."""
    head = _read(storage, source, 0, _HEAD_BYTES)
    if layout.encoding == "parquet" or is_compressed(head):
        return None
    if layout.encoding == "json lines":
        return layout
    if not layout.header:
        line = first_line(head, source.uri)
        names, separator = split_header(line, layout.separator, source.uri)
        layout = replace(layout, header=tuple(names), separator=separator)
    return None if layout.separator == QUOTED_SEPARATOR else layout


def _line_end(storage: Storage, source: SourceObject, place: int) -> int:
    """The first place after a line's end, from a byte before `place` on."""
    size = _HEAD_BYTES
    while True:
        text = _read(storage, source, place - 1, size)
        if b"\n" in text:
            return place + text.index(b"\n")
        if place + size > source.bytes:
            return source.bytes
        size *= 8


def _read(storage: Storage, source: SourceObject, start: int, size: int) -> bytes:
    end = replace(source, bytes=min(source.bytes, start + size))
    with ObjectStream(storage, end, start) as stream:
        return stream.read()


def _take(
    spark: "SparkSession",
    storage: Storage,
    pieces: Sequence[Piece],
    limits: Limits,
    folder: Path,
) -> Iterator[Found]:
    """Have executors read the pieces and write their ratings; what they met, in order."""

    def take(task: tuple[int, Piece]) -> Iterable[pa.RecordBatch]:
        number, piece = task
        with TemporaryDirectory() as name:
            here = Path(name)
            # A header that the piece itself has.
            lines = int(piece.layout.encoding == "delimited" and not piece.layout.header)
            with (
                ObjectStream(storage, piece.source, piece.start) as stream,
                Intake(here, limits) as intake,
            ):
                for batch in read_batches(stream, piece.layout, piece.source.uri):
                    intake.take(batch, piece.source.uri)
                    lines += len(batch.cells)
                sha256 = stream.sha256
            with part(folder / RATINGS, number) as file:
                shutil.copy(here / RATINGS, file)
            products, rejects = (pq.read_table(here / table) for table in (PRODUCTS, REJECTS))
            found = Found(intake.tally, lines, sha256, products, rejects)
            yield one_row(found=pickle.dumps(found))

    rows = spread(spark, [*enumerate(pieces)], take, "found binary").toLocalIterator()
    return (pickle.loads(row[0]) for row in rows)


def _merge(
    pieces: Sequence[Piece],
    found: Iterable[Found],
    tally: Tally,
    catalogue: Catalogue,
    folder: Path,
) -> dict[str, list[str]]:
    """Put together what was met, and write the rejects; the hashes of the pieces by object."""
    hashes: dict[str, list[str]] = {}
    line = 0
    with pq.ParquetWriter(folder / REJECTS, REJECTS_SCHEMA) as rejects:
        for piece, one in zip(pieces, found, strict=True):
            line = line if piece.start else 0
            tally.add(one.tally, line)
            catalogue.add(
                pl.DataFrame(one.products.rename_columns(["product", "title", "category"]))
            )
            moved = pc.add(one.rejects["line"], line)
            rejects.write_table(one.rejects.set_column(1, "line", moved))
            line += one.lines
            hashes.setdefault(piece.source.uri, []).append(one.sha256)
    return hashes


def _hash(
    spark: "SparkSession", storage: Storage, sources: Sequence[SourceObject]
) -> dict[str, str]:
    """SHA-256 in hex by URI, of objects that were read in pieces."""

    def digest(source: SourceObject) -> Iterable[pa.RecordBatch]:
        with ObjectStream(storage, source) as stream:
            while stream.read(_HASHED_BYTES):
                pass
            yield one_row(uri=source.uri, sha256=stream.sha256)

    if not sources:
        return {}
    rows = spread(spark, sources, digest, "uri string, sha256 string").collect()
    return {row[0]: row[1] for row in rows}
