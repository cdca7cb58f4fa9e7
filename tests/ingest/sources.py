"""Files of ratings, and the slow, obvious way to read them."""

import gzip
import io
import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from components.errors import UserError
from components.ingest.checks import DATE_FLAW, DECODE_FLAW, ID_FLAW, RATING_FLAW, Limits, check
from components.ingest.detection import describe_unknown, find_format, head_of
from components.ingest.formats import AUTO, FORMATS, Format, format_of
from components.ingest.parsing import COLUMNS_FLAW
from components.ingest.reading import read_batches
from components.ingest.settings import IngestSettings
from pipelines.local.sample_data import COLUMNS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

HEADER = "\t".join(COLUMNS)


@dataclass(frozen=True)
class Read:
    """Ratings as (customer, product, stars, instant), and rejects as (line number, reason)."""

    ratings: list[tuple[str, str, float, datetime]]
    rejects: list[tuple[int, str]]


def amazon_line(
    customer: str = "10",
    product: str = "B1",
    stars: str = "5",
    day: str = "2015-08-31",
    *,
    title: str = "A Lamp",
    body: str = "It shines.",
) -> str:
    """One line of the 15 columns, without its end."""
    fields = ["US", customer, "R1", product, "1", title, "Lights", stars]
    return "\t".join([*fields, "0", "0", "N", "Y", "Five Stars", body, day])


def amazon_file(*lines: str) -> bytes:
    """A TSV.gz with the header and these lines."""
    return gzip.compress("".join(f"{line}\n" for line in (HEADER, *lines)).encode())


def parquet(**columns: Any) -> bytes:
    """A Parquet file of these columns."""
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer)
    return buffer.getvalue()


def put(s3: "S3Client", bucket: str, key: str, body: bytes) -> str:
    """Upload an object and return its URI."""
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    return f"s3://{bucket}/{key}"


def settings(source: str = "s3://shop/key", **changes: Any) -> IngestSettings:
    return IngestSettings.model_validate({"source": source, **changes})


class Stream(io.BytesIO, io.RawIOBase):
    """Bytes as a raw stream."""


def cells_of(content: bytes, layout: Format) -> Iterator[pl.DataFrame]:
    """The cells of each batch."""
    for batch in read_batches(Stream(content), layout, "s3://shop/key"):
        yield batch.cells


def layout_of(content: bytes, **changes: Any) -> Format:
    """The layout that is set, or else found."""
    given = settings(**changes)
    formats = {name: format_of(name, given) for name in FORMATS}
    name: str = given.format
    if name == AUTO:
        head = head_of(content, "s3://shop/key")
        name = find_format(head, formats) or ""
        if not name:
            raise UserError(describe_unknown(head, formats, "s3://shop/key"))
    return formats[name]


def read(content: bytes, **changes: Any) -> Read:
    """What ingest takes from a file."""
    layout = layout_of(content, **changes)
    found = Read([], [])
    for batch in read_batches(Stream(content), layout, "s3://shop/key"):
        checked = check(batch.cells, Limits(*layout.scale, None, None))
        columns = checked.ratings.select("customer", "product", "rating", "rated_at")
        found.ratings.extend(columns.rows())
        rows, reasons = checked.rejects["row"].to_list(), checked.rejects["reason"]
        lines = [line for line, _ in batch.origins(rows)]
        found.rejects.extend(zip(lines, reasons, strict=True))
    return found


def read_slowly(content: bytes, separator: str, names: list[str]) -> Read:
    """The reference: a line at a time, with Python's own means."""
    found = Read([], [])
    for number, raw in enumerate(content.split(b"\n"), start=1):
        line = raw.removesuffix(b"\r")
        if number == 1 or not line:
            continue
        cells = line.decode(errors="replace").split(separator)
        if len(cells) != len(names):
            found.rejects.append((number, COLUMNS_FLAW))
            continue
        row = dict(zip(names, cells, strict=True))
        stars, instant = _number(row["star_rating"]), _instant(row["review_date"])
        ids = row["customer_id"], row["product_id"]
        if "" in ids:
            found.rejects.append((number, ID_FLAW))
        elif any("\N{REPLACEMENT CHARACTER}" in one for one in ids):
            found.rejects.append((number, DECODE_FLAW))
        elif stars is None or not math.isfinite(stars):
            found.rejects.append((number, RATING_FLAW))
        elif not 1 <= stars <= 5:
            found.rejects.append((number, "rating is outside 1 to 5"))
        elif instant is None:
            found.rejects.append((number, DATE_FLAW))
        else:
            found.ratings.append((*ids, stars, instant))
    return found


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _instant(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text) if text[4:5] == "-" else _from_number(text)
    except (ValueError, OverflowError):
        return None
    instant = time if time.tzinfo else time.replace(tzinfo=UTC)
    return instant if 1900 <= instant.year <= 2100 else None


def _from_number(text: str) -> datetime:
    number = int(text) if text.lstrip("-").isdigit() else float(text)
    if 19000101 <= number <= 21001231:
        return datetime.strptime(f"{number:.0f}", "%Y%m%d")
    for microseconds in (number * 1_000_000, number * 1000, number, number // 1000):
        with suppress(OverflowError):  # no year of four digits
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    raise ValueError(text)


@contextmanager
def small_blocks(size: int) -> Iterator[None]:
    """Read a few lines at a time, so that small files have many boundaries."""
    from components.ingest import lines

    before = lines.BLOCK_BYTES
    lines.BLOCK_BYTES = size
    try:
        yield
    finally:
        lines.BLOCK_BYTES = before
