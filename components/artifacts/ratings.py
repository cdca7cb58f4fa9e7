"""The `ratings` artifact: every rating of the source, in Parquet.

| file | columns |
|---|---|
| `ratings.parquet` | customer_id, product_id, star_rating, rated_at |
| `products.parquet` | product_id, product_title, product_category: one row for each product |
| `rejects.parquet` | object, line, reason, raw: the rows that are not ratings |

A table may also be a folder of that name with files `part-00000.parquet`, … in this order.

The details of the manifest are `settings` (of the ingest step), `source` (the URI in the settings),
`sources` (bucket, key, etag, version_id, bytes and sha256 of every object that was read),
`source_version`, `format` (the name of the ratings' format), `rows`, `outside_window` (the number
of ratings on days outside the window), `rejects` (the number of rows by reason), `scale` (the
lowest and the highest rating) and `resolution` (the precision of the times: day, second,
millisecond or microsecond).
"""

from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from components.artifacts.folder import RatedFolder
from components.artifacts.instants import INSTANT

KIND = "ratings"
SCHEMA_VERSION = 2

RATINGS = "ratings.parquet"
PRODUCTS = "products.parquet"
REJECTS = "rejects.parquet"

RATINGS_SCHEMA = pa.schema(
    {
        "customer_id": pa.string(),
        "product_id": pa.string(),
        "star_rating": pa.float32(),
        "rated_at": INSTANT,
    }
)
PRODUCTS_SCHEMA = pa.schema(
    {"product_id": pa.string(), "product_title": pa.string(), "product_category": pa.string()}
)
REJECTS_SCHEMA = pa.schema(
    {"object": pa.string(), "line": pa.int64(), "reason": pa.string(), "raw": pa.string()}
)

_ROWS_A_GROUP = 500_000


class RatingsFolder(RatedFolder):
    """A `ratings` artifact."""

    kind = KIND
    schema_version = SCHEMA_VERSION


class RatingsWriter:
    """Writes the files of a `ratings` artifact part by part, in bounded memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: list[pa.Table] = []
        # Customers have few ratings, so a dictionary of their ids would save nothing.
        self._ratings = pq.ParquetWriter(
            folder / RATINGS,
            RATINGS_SCHEMA,
            use_dictionary=["product_id", "star_rating", "rated_at"],
        )
        self._rejects = pq.ParquetWriter(folder / REJECTS, REJECTS_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._write_waiting()
        self._ratings.close()
        self._rejects.close()

    def add_ratings(self, table: pa.Table) -> None:
        """Add rows of `RATINGS_SCHEMA`."""
        self._waiting.append(table)
        if sum(map(len, self._waiting)) >= _ROWS_A_GROUP:
            self._write_waiting()

    def add_rejects(self, table: pa.Table) -> None:
        """Add rows of `REJECTS_SCHEMA`."""
        self._rejects.write_table(table)

    def write_products(self, table: pa.Table) -> None:
        """Write the catalogue, rows of `PRODUCTS_SCHEMA`."""
        pq.write_table(table, self._folder / PRODUCTS)

    def _write_waiting(self) -> None:
        if self._waiting:
            self._ratings.write_table(pa.concat_tables(self._waiting))
            self._waiting = []
