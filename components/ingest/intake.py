"""Write ratings, products and rejected rows to the artifact, and count them."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from components.artifacts.instants import RESOLUTIONS
from components.artifacts.ratings import RATINGS_SCHEMA, REJECTS_SCHEMA, RatingsWriter
from components.ingest.catalogue import Catalogue
from components.ingest.checks import Limits, check
from components.ingest.reading import Batch
from components.ingest.scale import MOST_STEPS
from components.ingest.times import exact_resolution

_RAW_CHARACTERS = 1000
EXAMPLES = 3


@dataclass
class Tally:
    """Counts of the rows read so far.

    Attributes:
        rows: the number of ratings kept.
        outside: the number of ratings on days outside the limits.
        rejects: the number of rows that are not ratings, by reason.
        examples: the first of these: the object's URI, the line and the reason.
        lowest: the lowest rating kept.
        highest: the highest rating kept.
        stars: the number of ratings kept, by value, if an end of the scale is not known. Counting
            stops once there are more values than a scale has.
        resolution: the coarsest unit of time that represents the time of every rating exactly.
        products: the number of products; set at the end.
        titled: the number of products with a title; set at the end.
    """

    rows: int = 0
    outside: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    examples: list[tuple[str, int, str]] = field(default_factory=list)
    lowest: float = float("inf")
    highest: float = float("-inf")
    stars: Counter[float] = field(default_factory=Counter)
    resolution: str = next(iter(RESOLUTIONS))
    products: int = 0
    titled: int = 0

    @property
    def total(self) -> int:
        """The number of rows read."""
        return self.rows + self.outside + self.rejects.total()

    @property
    def in_words(self) -> str:
        """The examples, as a person reads them."""
        return "; ".join(f"{uri} line {line}, {reason}" for uri, line, reason in self.examples)

    def count_products(self, products: pa.Table) -> None:
        """Count the products of the ratings kept, and those that have a title."""
        self.products = len(products)
        self.titled = pc.sum(pc.not_equal(products["product_title"], "")).as_py() or 0

    def add(self, later: "Tally", lines: int) -> None:
        """Add what was met in a later part of the ratings, whose products count apart.

        Args:
            later: its tally.
            lines: how many lines of its object are before it.
        """
        self.rows += later.rows
        self.outside += later.outside
        self.rejects.update(later.rejects)
        more = [(uri, lines + line, reason) for uri, line, reason in later.examples]
        self.examples = [*self.examples, *more][:EXAMPLES]
        self.lowest, self.highest = min(self.lowest, later.lowest), max(self.highest, later.highest)
        self.stars.update(later.stars)
        self.resolution = min(self.resolution, later.resolution, key=RESOLUTIONS.__getitem__)


class Intake:
    """Checks batches of rows, and writes them to the files of a `ratings` artifact.

    Attributes:
        tally: counts of the rows so far.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.tally = Tally()
        self._limits = limits
        self._writer = RatingsWriter(folder)
        self._catalogue = Catalogue()

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            products = self._catalogue.table()
            self.tally.count_products(products)
            self._writer.write_products(products)
        self._writer.__exit__(kind, error, trace)

    def take(self, batch: Batch, uri: str) -> None:
        """Add the rows of a batch of an object."""
        checked = check(batch.cells, self._limits)
        self.tally.outside += checked.outside
        if len(checked.ratings):
            self._keep(checked.ratings)
        if len(checked.rejects):
            self._reject(checked.rejects, batch, uri)

    def describe(self, products: pl.DataFrame) -> None:
        """Add titles and categories of products, after all ratings: see `Catalogue.describe`."""
        self._catalogue.describe(products)

    def _keep(self, ratings: pl.DataFrame) -> None:
        columns = ratings.select("customer", "product", "rating", "rated_at").to_arrow()
        self._writer.add_ratings(columns.rename_columns(RATINGS_SCHEMA.names).cast(RATINGS_SCHEMA))
        self._catalogue.add(ratings)
        stars = ratings["rating"].to_numpy()
        self.tally.rows += len(ratings)
        self.tally.lowest = min(self.tally.lowest, float(stars.min()))
        self.tally.highest = max(self.tally.highest, float(stars.max()))
        self.tally.resolution = exact_resolution(ratings["rated_at"], self.tally.resolution)
        declared = None not in (self._limits.lowest, self._limits.highest)
        if not declared and len(self.tally.stars) <= MOST_STEPS:
            self.tally.stars.update(dict(ratings["rating"].value_counts().iter_rows()))

    def _reject(self, rejects: pl.DataFrame, batch: Batch, uri: str) -> None:
        lines, raw = zip(*batch.origins(rejects["row"].to_list()), strict=True)
        table = rejects.select(
            object=pl.lit(uri),
            line=pl.Series(lines, dtype=pl.Int64),
            reason="reason",
            raw=pl.Series([one[:_RAW_CHARACTERS] for one in raw]),
        )
        self._writer.add_rejects(table.to_arrow().cast(REJECTS_SCHEMA))
        self.tally.rejects.update(rejects["reason"].to_list())
        some = table.head(EXAMPLES - len(self.tally.examples)).to_dicts()
        for row, rating in zip(some, rejects["rating"], strict=False):
            in_range = row["reason"] != self._limits.range_flaw
            reason = row["reason"] if in_range else self._limits.describe_outside(rating)
            self.tally.examples.append((row["object"], row["line"], reason))
