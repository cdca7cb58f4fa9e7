"""Convert cells to ratings, with a reason for each row that is not a rating."""

from dataclasses import dataclass
from datetime import date

import polars as pl

from components.ingest.parsing import BLANK, REPLACEMENT
from components.ingest.times import to_instants

ID_FLAW = "empty id"
DECODE_FLAW = "id is not UTF-8"
RATING_FLAW = "rating is no number"
DATE_FLAW = "bad date"

REMEDIES = {
    DECODE_FLAW: "convert the file to UTF-8",
    RATING_FLAW: "check rating_column",
    DATE_FLAW: "check date_column; dates are read as 2015-08-31, 2015-08-31T12:30:05Z, 20150831, "
    "or seconds, milliseconds, microseconds or nanoseconds since 1970",
}
"""What a user can do if many rows have a flaw."""


@dataclass(frozen=True)
class Limits:
    """The range of a rating and the range of days to take; None for no limit."""

    lowest: float | None
    highest: float | None
    first_day: date | None
    last_day: date | None

    @property
    def range_flaw(self) -> str:
        """The reason for rejecting any number out of range."""
        return f"rating is {self._outside}"

    def describe_outside(self, rating: float) -> str:
        """The reason for rejecting this number."""
        return f"{rating:g} is {self._outside}"

    @property
    def _outside(self) -> str:
        if self.lowest is None:
            return "out of range" if self.highest is None else f"above {self.highest:g}"
        if self.highest is None:
            return f"below {self.lowest:g}"
        return f"outside {self.lowest:g} to {self.highest:g}"


@dataclass(frozen=True)
class Checked:
    """Ratings, and rows that are not ratings.

    Attributes:
        ratings: customer, product (strings), rating (float32), rated_at (microseconds, UTC), title,
            category (strings).
        rejects: row (the position among the cells, from 0), reason, and rating (null if it is not
            a number).
        outside: the number of ratings on days outside the limits.
    """

    ratings: pl.DataFrame
    rejects: pl.DataFrame
    outside: int


def check(cells: pl.DataFrame, limits: Limits) -> Checked:
    """Separate ratings from rows that are not ratings or are on days outside the limits."""
    typed = cells.with_columns(
        to_id(cells["customer"]),
        to_id(cells["product"]),
        pl.col("rating").cast(pl.Float32, strict=False),
        rated_at=to_instants(cells["date"]),
    ).drop("date")
    typed = typed.with_columns(flaw=pl.coalesce("flaw", _flaw(limits)))
    good = typed
    if typed["flaw"].null_count() < len(typed):
        good = typed.filter(pl.col("flaw").is_null())
    wanted = _in_window(good, limits)
    rejects = (
        typed.select("rating", reason="flaw")
        .with_row_index("row")
        .filter(pl.col("reason").is_not_null() & (pl.col("reason") != BLANK))
    )
    return Checked(wanted.drop("flaw"), rejects, len(good) - len(wanted))


def _flaw(limits: Limits) -> pl.Expr:
    """The first flaw of a row, or null."""
    ids = pl.col("customer"), pl.col("product")
    empty = pl.any_horizontal(one.fill_null("").str.len_bytes() == 0 for one in ids)
    undecodable = pl.any_horizontal(one.str.contains(REPLACEMENT, literal=True) for one in ids)
    rating = pl.col("rating")
    in_range = pl.lit(value=True)
    if limits.lowest is not None:
        in_range &= rating >= limits.lowest
    if limits.highest is not None:
        in_range &= rating <= limits.highest
    return (
        pl.when(empty)
        .then(pl.lit(ID_FLAW))
        .when(undecodable)
        .then(pl.lit(DECODE_FLAW))
        .when(~rating.is_finite().fill_null(value=False))
        .then(pl.lit(RATING_FLAW))
        .when(~in_range)
        .then(pl.lit(limits.range_flaw))
        .when(pl.col("rated_at").is_null())
        .then(pl.lit(DATE_FLAW))
    )


def to_id(column: pl.Series) -> pl.Series:
    """Convert ids to text, floats without their ".0".

    If an id is missing in a column of integers, pandas writes the column as floats with a NaN.
    """
    if column.dtype.is_float():
        return column.fill_nan(None).cast(pl.String).str.strip_suffix(".0")
    return column.cast(pl.String)


def _in_window(ratings: pl.DataFrame, limits: Limits) -> pl.DataFrame:
    if limits.first_day:
        ratings = ratings.filter(pl.col("rated_at").dt.date() >= limits.first_day)
    if limits.last_day:
        ratings = ratings.filter(pl.col("rated_at").dt.date() <= limits.last_day)
    return ratings
