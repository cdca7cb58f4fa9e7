"""The formats of the ratings, by name."""

from dataclasses import dataclass, replace
from typing import Literal

from components.errors import UserError
from components.ingest.settings import IngestSettings

Encoding = Literal["delimited", "json lines", "parquet"]

TEXT = (".tsv", ".tsv.gz", ".csv", ".csv.gz")
JSON = (".json", ".json.gz", ".jsonl", ".jsonl.gz")
PARQUET = (".parquet",)
ITEM = ".item"


@dataclass(frozen=True)
class Columns:
    """The names of the columns in a source, by their content; empty for a missing column.

    Attributes:
        customer: the id of the customer.
        product: the id of the product.
        rating: the stars.
        date: the date or time of the rating, as `times` reads it.
        title: the title of the product.
        category: the category of the product.
    """

    customer: str = "customer_id"
    product: str = "product_id"
    rating: str = "star_rating"
    date: str = "review_date"
    title: str = ""
    category: str = ""


@dataclass(frozen=True)
class Format:
    """The format of a file.

    Attributes:
        encoding: how rows are written.
        suffixes: the ends of the names of such files.
        columns: the names of the columns.
        required: the fields of `columns` that a file must have; others are read if present.
        known_by: more columns that a file must have to be recognised.
        scale: the lowest and the highest rating; None if only the data tells.
        separator: between the columns of a line; empty for a tab or a comma, whichever the first
            line has.
        header: the names of the columns, if the file has no header.
        record: a regular expression that the first line must match, if the file has no header.
        legacy_encoding: of text that is not UTF-8; if empty, undecodable bytes are replaced.
    """

    encoding: Encoding
    suffixes: tuple[str, ...]
    columns: Columns
    required: tuple[str, ...] = ("customer", "product", "rating", "date")
    known_by: tuple[str, ...] = ()
    scale: tuple[float | None, float | None] = (None, None)
    separator: str = ""
    header: tuple[str, ...] = ()
    record: str = ""
    legacy_encoding: str = ""

    @property
    def needed(self) -> tuple[str, ...]:
        """The names of the columns that a file must have to be recognised."""
        named = (getattr(self.columns, what) for what in self.required)
        return tuple(dict.fromkeys((*named, *self.known_by)))


_STARS = (1.0, 5.0)
_SECONDS = r"\d{9,10}"
_AMAZON_2018 = Columns("reviewerID", "asin", "overall", "unixReviewTime")
_AMAZON_2023 = Columns("user_id", "parent_asin", "rating", "timestamp")
_MOVIELENS = Columns("userId", "movieId", "rating", "timestamp")
_RECBOLE = Columns("user_id:token", "item_id:token", "rating:float", "timestamp:float")
_OWN = Columns(title="product_title", category="product_category")

FORMATS = {
    "amazon": Format("delimited", TEXT, _OWN, known_by=("marketplace", "review_id"), scale=_STARS),
    "amazon_2018": Format(
        "json lines", JSON, _AMAZON_2018, known_by=("reviewerID", "asin"), scale=_STARS
    ),
    "amazon_2018_csv": Format(
        "delimited",
        TEXT,
        _AMAZON_2018,
        scale=_STARS,
        separator=",",
        header=("asin", "reviewerID", "overall", "unixReviewTime"),
        record=rf"(B[0-9A-Z]{{9}}|\d{{9}}[\dX]),A[0-9A-Z]{{9,20}},[1-5](\.0)?,{_SECONDS}",
    ),
    "amazon_2023": Format(
        "json lines", JSON, _AMAZON_2023, known_by=("user_id", "parent_asin"), scale=_STARS
    ),
    "amazon_2023_csv": Format(
        "delimited", TEXT, _AMAZON_2023, known_by=("user_id", "parent_asin"), scale=_STARS
    ),
    "movielens": Format(
        "delimited", TEXT, _MOVIELENS, known_by=("userId", "movieId"), scale=(0.5, 5.0)
    ),
    # The lowest rating is 1 in MovieLens 1M, and 0.5 in MovieLens 10M.
    "movielens_1m": Format(
        "delimited",
        (".dat",),
        _MOVIELENS,
        scale=(None, 5.0),
        separator="::",
        header=("userId", "movieId", "rating", "timestamp"),
        record=rf"\d+::\d{{1,6}}::[0-5](\.5)?::{_SECONDS}",
    ),
    # Its films have the numbers of IMDb, of seven digits or more.
    "movietweetings": Format(
        "delimited",
        (".dat",),
        _MOVIELENS,
        scale=(0.0, 10.0),
        separator="::",
        header=("userId", "movieId", "rating", "timestamp"),
        record=rf"\d+::\d{{7,}}::(\d|10)::{_SECONDS}",
    ),
    "movielens_100k": Format(
        "delimited",
        (".data",),
        _MOVIELENS,
        scale=_STARS,
        separator="\t",
        header=("userId", "movieId", "rating", "timestamp"),
        record=rf"\d+\t\d+\t[1-5]\t{_SECONDS}",
    ),
    "recbole": Format(
        "delimited", (".inter",), _RECBOLE, known_by=("user_id:token", "item_id:token")
    ),
    # Formats without columns that identify them come last.
    "csv": Format("delimited", TEXT, _OWN),
    "jsonl": Format("json lines", JSON, _OWN),
    "parquet": Format("parquet", PARQUET, _OWN),
}
"""The formats of ratings; the first that a file fits is taken."""

AUTO = "auto"
"""Recognise the format by the first line of each file."""


def suffixes_of(name: str) -> tuple[str, ...]:
    """The ends of the names of a format's files; for `AUTO` of all ratings and products."""
    if name != AUTO:
        return FORMATS[name].suffixes
    found = [suffix for layout in FORMATS.values() for suffix in layout.suffixes]
    return tuple(dict.fromkeys([*found, ITEM]))


def format_of(name: str, settings: IngestSettings) -> Format:
    """The named format, with the columns and the scale that the user has set."""
    preset = FORMATS[name]
    given = {
        "customer": settings.customer_column,
        "product": settings.product_column,
        "rating": settings.rating_column,
        "date": settings.date_column,
        "title": settings.title_column,
        "category": settings.category_column,
    }
    named = {what: name for what, name in given.items() if name}
    lowest, highest = preset.scale
    return replace(
        preset,
        columns=replace(preset.columns, **named),
        required=tuple(dict.fromkeys((*preset.required, *named))),
        scale=(
            lowest if settings.min_rating is None else settings.min_rating,
            highest if settings.max_rating is None else settings.max_rating,
        ),
    )


def choose_columns(layout: Format, names: list[str], uri: str) -> dict[str, str]:
    """Choose the columns to read.

    Args:
        layout: the format of the file.
        names: the columns that the file has.
        uri: of the file, for messages.

    Returns:
        The names of the columns by their content, the fields of `Columns`.

    Raises:
        UserError: if a required column is missing.
    """
    chosen = {what: name for what, name in vars(layout.columns).items() if name in names and name}
    missing = [what for what in layout.required if what not in chosen]
    if missing:
        what = missing[0]
        there = ", ".join(map(repr, names[:20]))
        advice = f"set {what}_column" if layout.columns.customer else "rename the column"
        if layout.columns.customer and layout.encoding != "parquet":
            advice += ", or format=auto, which leaves out files without ratings"
        need = "every rating needs a date, so " if what == "date" else ""
        raise UserError(
            f"{uri}: no column {getattr(layout.columns, what)!r} for the {what} among {there}: "
            f"{need}{advice}"
        )
    return chosen
