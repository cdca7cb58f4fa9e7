"""How the files of known data sets are laid out, each under a name."""

from dataclasses import dataclass
from typing import Literal

from components.errors import UserError
from components.ingest.settings import IngestSettings

Encoding = Literal["delimited", "json lines", "parquet"]

_TEXT = (".tsv", ".tsv.gz", ".csv", ".csv.gz")
_JSON = (".json", ".json.gz", ".jsonl", ".jsonl.gz")


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
    """The layout of a source's files.

    Attributes:
        encoding: how rows are written.
        suffixes: what the names of such files end with.
        columns: where to find what.
        required: the columns that a file must have; of the others, those it has are read.
        scale: the lowest and the highest rating, None where the data tells.
        separator: between the columns of a line; empty: a tab or a comma, as the first line has.
        header: the names of the columns where the first line does not tell them.
    """

    encoding: Encoding
    suffixes: tuple[str, ...]
    columns: Columns
    required: tuple[str, ...] = ()
    scale: tuple[float | None, float | None] = (None, None)
    separator: str = ""
    header: tuple[str, ...] = ()


_STARS = (1.0, 5.0)
_AMAZON_2018 = Columns("reviewerID", "asin", "overall", "unixReviewTime")
_AMAZON_2023 = Columns("user_id", "parent_asin", "rating", "timestamp")
_MOVIELENS = Columns("userId", "movieId", "rating", "timestamp")
_OWN = Columns(title="product_title", category="product_category")

FORMATS = {
    "amazon": Format("delimited", _TEXT, _OWN, scale=_STARS),
    "amazon_2018": Format("json lines", _JSON, _AMAZON_2018, scale=_STARS),
    "amazon_2018_csv": Format(
        "delimited",
        _TEXT,
        _AMAZON_2018,
        scale=_STARS,
        separator=",",
        header=("asin", "reviewerID", "overall", "unixReviewTime"),
    ),
    "amazon_2023": Format("json lines", _JSON, _AMAZON_2023, scale=_STARS),
    "amazon_2023_csv": Format("delimited", _TEXT, _AMAZON_2023, scale=_STARS),
    "movielens": Format("delimited", _TEXT, _MOVIELENS, scale=(0.5, 5.0)),
    "movielens_1m": Format(
        "delimited",
        (".dat",),
        _MOVIELENS,
        scale=_STARS,
        separator="::",
        header=("userId", "movieId", "rating", "timestamp"),
    ),
    "movielens_100k": Format(
        "delimited",
        (".data",),
        _MOVIELENS,
        scale=_STARS,
        separator="\t",
        header=("userId", "movieId", "rating", "timestamp"),
    ),
    "csv": Format("delimited", _TEXT, _OWN),
    "jsonl": Format("json lines", _JSON, _OWN),
    "parquet": Format("parquet", (".parquet",), _OWN),
}


def format_of(settings: IngestSettings) -> Format:
    """The named format, with the columns and the scale that a person gave in place of its own."""
    preset = FORMATS[settings.format]
    given = {
        "customer": settings.customer_column,
        "product": settings.product_column,
        "rating": settings.rating_column,
        "date": settings.date_column,
        "title": settings.title_column,
        "category": settings.category_column,
    }
    named = {what: name for what, name in given.items() if name}
    columns = Columns(**{**vars(preset.columns), **named})
    lowest, highest = preset.scale
    return Format(
        preset.encoding,
        preset.suffixes,
        columns,
        required=("customer", "product", "rating", "date", *named),
        scale=(
            lowest if settings.min_rating is None else settings.min_rating,
            highest if settings.max_rating is None else settings.max_rating,
        ),
        separator=preset.separator,
        header=preset.header,
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
        need = "every rating needs a date, so " if what == "date" else ""
        raise UserError(
            f"{uri}: no column {getattr(layout.columns, what)!r} for the {what} among {there}: "
            f"{need}set {what}_column, or another format"
        )
    return chosen
