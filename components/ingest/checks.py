"""Cells into ratings: which rows are ratings, which are none and why, which are not wanted."""

import math
from dataclasses import dataclass
from datetime import date

import polars as pl

from components.ingest.parsing import BLANK, REPLACEMENT

ID_FLAW = "empty id"
DECODE_FLAW = "id is not UTF-8"
RATING_FLAW = "rating is no number"
DATE_FLAW = "bad date"

REMEDIES = {
    DECODE_FLAW: "convert the file to UTF-8",
    RATING_FLAW: "check rating_column",
    DATE_FLAW: "check date_column; dates are read as 2015-08-31, 20150831, or seconds, "
    "milliseconds, microseconds or nanoseconds since 1970",
}
"""What to do about a flaw that many rows have."""

_DAYS = date(1900, 1, 1), date(2100, 12, 31)  # any other is a mistake or stands for none
_YEAR_10000 = 253_402_300_800  # in seconds since 1970


@dataclass(frozen=True)
class Limits:
    """What a rating may be, and which days are wanted; None for no limit."""

    lowest: float | None
    highest: float | None
    first_day: date | None
    last_day: date | None

    @property
    def range_flaw(self) -> str:
        """Why a number is no rating."""
        return f"rating is {self._outside}"

    def describe_outside(self, rating: float) -> str:
        """Why this number is no rating."""
        return f"{rating:g} is {self._outside}"

    @property
    def _outside(self) -> str:
        lowest = -math.inf if self.lowest is None else self.lowest
        highest = math.inf if self.highest is None else self.highest
        return f"outside {lowest:g} to {highest:g}"


@dataclass(frozen=True)
class Checked:
    """Rows of cells, told apart.

    Attributes:
        ratings: customer, product (strings), rating (float32), date, title, category (strings).
        rejects: row (the place among the cells, from 0), reason, and rating (null for none).
        outside: the number of good rows whose day is not wanted.
    """

    ratings: pl.DataFrame
    rejects: pl.DataFrame
    outside: int


def check(cells: pl.DataFrame, limits: Limits) -> Checked:
    """Tell ratings from rows that are none."""
    typed = cells.with_columns(
        _to_id(cells["customer"]),
        _to_id(cells["product"]),
        pl.col("rating").cast(pl.Float32, strict=False),
        date=_to_date(cells["date"]),
    )
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
    """The first thing that is wrong with a row, or null."""
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
        .when(pl.col("date").is_null())
        .then(pl.lit(DATE_FLAW))
    )


def _to_id(column: pl.Series) -> pl.Series:
    """Text, that of a whole number without a point.

    Where one id is missing, pandas makes floats of all, and NaN of the one.
    """
    if column.dtype.is_float():
        return column.fill_nan(None).cast(pl.String).str.strip_suffix(".0")
    return column.cast(pl.String)


def _to_date(column: pl.Series) -> pl.Series:
    """Days, from dates, timestamps, or numbers as `_from_number` takes them; or else null."""
    if column.dtype.is_temporal():
        days = column.cast(pl.Date)
    elif column.dtype.is_numeric():
        days = _from_number(column)
    else:
        text = column.cast(pl.String, strict=False)
        days = text.str.slice(0, len("2015-08-31")).str.to_date("%Y-%m-%d", strict=False)
        if days.null_count():
            days = days.zip_with(days.is_not_null(), _from_number(text))
    meant = days.is_between(*_DAYS)
    return days if meant.all() else days.set(~meant, None)


def _from_number(column: pl.Series) -> pl.Series:
    """Days, from a date's eight digits, or from a time since 1970 in seconds or a part of them.

    Parts are milliseconds, microseconds, nanoseconds: the first that means a year before 10000.
    """
    number = _round_down(column)
    seconds = number
    for _ in ("milliseconds", "microseconds", "nanoseconds"):
        seconds = seconds.zip_with(seconds.abs() < _YEAR_10000, seconds // 1000)
    days = (seconds // 86_400).cast(pl.Int32, strict=False).cast(pl.Date)
    # As seconds, these are a few weeks of 1970.
    digits = number.is_between(19000101, 21001231).fill_null(value=False)
    if not digits.any():
        return days
    return days.zip_with(~digits, number.cast(pl.String).str.to_date("%Y%m%d", strict=False))


def _round_down(column: pl.Series) -> pl.Series:
    """Whole numbers of 64 bits, exact where they are written as such, or else null."""
    if column.dtype.is_integer():
        return column.cast(pl.Int64, strict=False)
    floors = column.cast(pl.Float64, strict=False).floor().cast(pl.Int64, strict=False)
    if column.dtype.is_numeric():
        return floors
    whole = column.cast(pl.Int64, strict=False)
    return whole.zip_with(whole.is_not_null(), floors)


def _in_window(ratings: pl.DataFrame, limits: Limits) -> pl.DataFrame:
    if limits.first_day:
        ratings = ratings.filter(pl.col("date") >= limits.first_day)
    if limits.last_day:
        ratings = ratings.filter(pl.col("date") <= limits.last_day)
    return ratings
