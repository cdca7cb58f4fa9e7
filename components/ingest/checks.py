"""Cells into ratings: which rows are ratings, which are none and why, which are not wanted."""

from dataclasses import dataclass
from datetime import date

import polars as pl

from components.ingest.parsing import BLANK, REPLACEMENT

ID_FLAW = "empty id"
DECODE_FLAW = "id is not UTF-8"
RATING_FLAW = "rating is no number in range"
DATE_FLAW = "bad date"

_MILLISECONDS_FROM = 100_000_000_000  # as seconds, a day in the year 5138


@dataclass(frozen=True)
class Limits:
    """What a rating may be, and which days are wanted; None for no limit."""

    lowest: float | None
    highest: float | None
    first_day: date | None
    last_day: date | None


@dataclass(frozen=True)
class Checked:
    """Rows of cells, told apart.

    Attributes:
        ratings: customer, product (strings), rating (float32), date, title, category (strings).
        rejects: row (the place among the cells, from 0) and reason.
        outside: the number of good rows whose day is not wanted.
    """

    ratings: pl.DataFrame
    rejects: pl.DataFrame
    outside: int


def check(cells: pl.DataFrame, limits: Limits) -> Checked:
    """Tell ratings from rows that are none."""
    typed = cells.with_columns(
        pl.col("customer", "product").cast(pl.String),
        pl.col("rating").cast(pl.Float32, strict=False),
        date=_to_date(cells["date"]),
    )
    typed = typed.with_columns(flaw=pl.coalesce("flaw", _flaw(limits)))
    good = typed
    if typed["flaw"].null_count() < len(typed):
        good = typed.filter(pl.col("flaw").is_null())
    wanted = _in_window(good, limits)
    rejects = (
        typed.select(reason="flaw")
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
    in_range = rating.is_finite()
    if limits.lowest is not None:
        in_range &= rating >= limits.lowest
    if limits.highest is not None:
        in_range &= rating <= limits.highest
    return (
        pl.when(empty)
        .then(pl.lit(ID_FLAW))
        .when(undecodable)
        .then(pl.lit(DECODE_FLAW))
        .when(~in_range.fill_null(value=False))
        .then(pl.lit(RATING_FLAW))
        .when(pl.col("date").is_null())
        .then(pl.lit(DATE_FLAW))
    )


def _to_date(column: pl.Series) -> pl.Series:
    """Days, from dates, timestamps, or numbers as `_from_number` takes them; or else null."""
    if column.dtype.is_temporal():
        return column.cast(pl.Date)
    if column.dtype.is_numeric():
        return _from_number(column)
    days = column.str.slice(0, len("2015-08-31")).str.to_date("%Y-%m-%d", strict=False)
    if days.null_count() == 0:
        return days
    return days.zip_with(days.is_not_null(), _from_number(column))


def _from_number(column: pl.Series) -> pl.Series:
    """Days, from seconds or milliseconds since 1970, or from a date's eight digits."""
    number = column.cast(pl.Float64, strict=False)
    number = number.set(number.is_infinite() | number.is_nan(), None)
    seconds = number.zip_with(number.abs() < _MILLISECONDS_FROM, number / 1000)
    days = (seconds / 86_400).floor().cast(pl.Int32, strict=False).cast(pl.Date)
    # As seconds, these are a few weeks of 1970.
    digits = number.is_between(19000101, 21001231).fill_null(value=False)
    if not digits.any():
        return days
    written = number.cast(pl.Int64, strict=False).cast(pl.String)
    return days.zip_with(~digits, written.str.to_date("%Y%m%d", strict=False))


def _in_window(ratings: pl.DataFrame, limits: Limits) -> pl.DataFrame:
    if limits.first_day:
        ratings = ratings.filter(pl.col("date") >= limits.first_day)
    if limits.last_day:
        ratings = ratings.filter(pl.col("date") <= limits.last_day)
    return ratings
