"""How the files of known data sets are laid out, each under a name."""

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
    """The source's columns, by what they hold; an empty name stands for none.

    Attributes:
        customer: the customer's id. product: the product's. rating: the stars.
        date: when it was rated, a date or a time as `times` reads them.
        title: the product's title. category: the product's category.
    """

    customer: str = "customer_id"
    product: str = "product_id"
    rating: str = "star_rating"
    date: str = "review_date"
    title: str = ""
    category: str = ""


@dataclass(frozen=True)
class Format:
    """The layout of files.

    Attributes:
        encoding: how rows are written.
        suffixes: what the names of such files end with.
        columns: where to find what.
        required: what a file must have columns for; of the others, those it has are read.
        known_by: further columns by which such a file is known.
        scale: the lowest and the highest rating, None where the data tells.
        separator: between the columns of a line; empty: a tab or a comma, as the first line has.
        header: the names of the columns where the first line does not tell them.
        record: a regular expression of the first line where it is a row.
        legacy_encoding: of text that is not UTF-8; empty: what cannot be decoded is replaced.
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
        """The names of the columns that a file must have to be known as one of these."""
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
    # Of 10 million ratings, the lowest is a half.
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
    # Those with names of one's own come last: the others have columns that they are known by.
    "csv": Format("delimited", TEXT, _OWN),
    "jsonl": Format("json lines", JSON, _OWN),
    "parquet": Format("parquet", PARQUET, _OWN),
}
"""The layouts of ratings."""

AUTO = "auto"
"""Stands for whichever of them a file is certainly of."""


def suffixes_of(name: str) -> tuple[str, ...]:
    """What the names of the files of a format end with; of any ratings and products for `AUTO`."""
    if name != AUTO:
        return FORMATS[name].suffixes
    found = [suffix for layout in FORMATS.values() for suffix in layout.suffixes]
    return tuple(dict.fromkeys([*found, ITEM]))


def format_of(name: str, settings: IngestSettings) -> Format:
    """The named format, with the columns and the scale that a person gave in place of its own."""
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
    """The columns to read of those that a file has: their names by what they hold.

    Raises:
        UserError: if a required column is not there.
    """
    chosen = {what: name for what, name in vars(layout.columns).items() if name in names and name}
    missing = [what for what in layout.required if what not in chosen]
    if missing:
        what = missing[0]
        there = ", ".join(map(repr, names[:20]))
        advice = f"set {what}_column" if layout.columns.customer else "name it so"
        if layout.columns.customer and layout.encoding != "parquet":
            advice += ", or format=auto, which leaves files without ratings out"
        need = "every rating needs a date, so " if what == "date" else ""
        raise UserError(
            f"{uri}: no column {getattr(layout.columns, what)!r} for the {what} among {there}: "
            f"{need}{advice}"
        )
    return chosen
