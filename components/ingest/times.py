"""Convert dates and times in the formats of the sources to instants."""

from datetime import UTC, datetime

import polars as pl

from components.artifacts.instants import RESOLUTIONS

# Instants out of this range are mistakes, or mean that there is no date.
_FIRST, _BEYOND_LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2101, 1, 1, tzinfo=UTC)
_YEAR_10000 = 253_402_300_800_000_000  # in microseconds since 1970
_INSTANT = pl.Datetime("us", "UTC")

# ISO 8601 with and without seconds and zone; spaces have been replaced by "T".
_ISO_TIMES = (
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%dT%H:%M%#z",
)


def to_instants(column: pl.Series) -> pl.Series:
    """Convert a column to instants in microseconds, UTC; null outside of the years 1900 to 2100.

    Args:
        column: dates, timestamps, numbers as `_from_number` accepts them, or any of these as text.
            A time without a zone is in UTC.
    """
    if isinstance(column.dtype, pl.Date | pl.Datetime):
        instants = column.cast(_INSTANT)
    elif column.dtype.is_numeric():
        instants = _from_number(column)
    else:
        instants = _from_text(column.cast(pl.String, strict=False))
    meant = instants.is_between(_FIRST, _BEYOND_LAST, closed="left")
    return instants if meant.all() else instants.set(~meant, None)


def exact_resolution(instants: pl.Series, known: str) -> str:
    """The coarsest resolution that represents these instants and `known` exactly."""
    names, microseconds = list(RESOLUTIONS), instants.to_physical()
    candidates = names[names.index(known) :]
    return next(name for name in candidates if (microseconds % RESOLUTIONS[name] == 0).all())


def _from_text(text: pl.Series) -> pl.Series:
    instants = text.str.to_date("%Y-%m-%d", strict=False).cast(_INSTANT)
    for read in (_from_number, _from_iso_time):
        unread = instants.is_null().arg_true()
        if len(unread):
            instants = instants.scatter(unread, read(text.gather(unread)))
    return instants


def _from_iso_time(text: pl.Series) -> pl.Series:
    text = text.str.strip_suffix(" UTC").str.replace(" ", "T", literal=True)
    return pl.select(
        pl.coalesce(
            text.str.to_datetime(form, time_unit="us", strict=False).cast(_INSTANT)
            for form in _ISO_TIMES
        )
    ).to_series()


def _from_number(column: pl.Series) -> pl.Series:
    """Instants from dates of eight digits, or from times since 1970 in any unit up to seconds.

    Whole numbers are converted exactly, others with the precision of 64-bit floats.
    """
    number = column.cast(pl.Float64, strict=False)
    microseconds = _to_microseconds(number).round().cast(pl.Int64, strict=False)
    if column.dtype.is_integer() or column.dtype == pl.String:
        exact = _to_microseconds(column.cast(pl.Int64, strict=False))
        microseconds = exact.zip_with(exact.is_not_null(), microseconds)
    instants = microseconds.cast(_INSTANT)
    # As seconds since 1970 these numbers would be days of that year.
    digits = number.is_between(19000101, 21001231).fill_null(value=False)
    if not digits.any():
        return instants
    dates = number.cast(pl.Int64, strict=False).cast(pl.String).str.to_date("%Y%m%d", strict=False)
    return dates.cast(_INSTANT).zip_with(digits, instants)


def _to_microseconds(time: pl.Series) -> pl.Series:
    """Convert seconds, milliseconds, microseconds or nanoseconds since 1970 to microseconds.

    The unit is the first of these that gives a year before 10000. Nanoseconds are rounded down.
    """
    found = time // 1000
    for factor in (1, 1_000, 1_000_000):
        largest = _YEAR_10000 // factor
        found = (time * factor).zip_with(time.is_between(-largest, largest), found)
    return found
