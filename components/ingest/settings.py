"""The settings of the ingest step."""

import re
from datetime import date, datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator

from components.engine import EngineSettings

Format = Literal[
    "auto",
    "amazon",
    "amazon_2018",
    "amazon_2018_csv",
    "amazon_2023",
    "amazon_2023_csv",
    "movielens",
    "movielens_1m",
    "movietweetings",
    "movielens_100k",
    "recbole",
    "csv",
    "jsonl",
    "parquet",
]


def _is_s3_uri(uri: str) -> str:
    if uri and not re.fullmatch(r"s3://[^/]+(/.*)?", uri):
        raise ValueError(
            "expected s3://bucket/key, or s3://bucket/prefix/ for all objects under it"
        )
    return uri


def _to_day(text: object) -> object:
    """Read a date of ISO 8601, with or without a time, or in Kubeflow's [[ScheduledTime]] form."""
    if not isinstance(text, str) or not text:
        return text or None
    if re.fullmatch(r"\d{14}", text):
        return datetime.strptime(text, "%Y%m%d%H%M%S").date()
    try:
        return datetime.fromisoformat(text).date()
    except ValueError:
        raise ValueError("expected a date such as 2015-08-31") from None


def _to_number(text: object) -> object:
    """Read an empty text as None, because Kubeflow's local runner needs a value."""
    return None if text == "" else text


S3Uri = Annotated[str, AfterValidator(_is_s3_uri)]
Day = Annotated[date | None, BeforeValidator(_to_day)]
Stars = Annotated[float | None, BeforeValidator(_to_number)]


class SourceSettings(BaseModel, frozen=True, extra="forbid"):
    """Which objects to read, and how to reach them.

    Credentials, region, endpoint and addressing style come from boto3's ordinary configuration.
    """

    source: S3Uri = Field(
        min_length=1,
        description="s3://bucket/key of the ratings, or s3://bucket/prefix/ for every object "
        "under it with a file name of the format.",
    )
    source_version: str = Field(
        default="",
        description="Version of the source to read, as returned by the resolve step; objects that "
        "have changed since are refused. Empty: the current version.",
    )
    format: Format = Field(
        default="auto",
        description="Format of the files. auto: recognised by the first line of each file; files "
        "without ratings are left out. Or amazon (15 columns, tabs), amazon_2018 and "
        "amazon_2023 (JSON Lines), amazon_2018_csv, amazon_2023_csv, movielens (ratings.csv), "
        "movielens_1m and movietweetings (ratings.dat), movielens_100k (u.data), recbole "
        "(.inter), or with columns of your own: csv (commas, with quotes as in RFC 4180, or tabs, "
        "without), jsonl, parquet.",
    )
    products_source: S3Uri = Field(
        default="",
        description="s3://bucket/key or s3://bucket/prefix/ of products with their titles and "
        "categories: movies.csv, movies.dat or u.item of MovieLens, RecBole's .item, the metadata "
        "of the Amazon reviews in JSON Lines, or CSV, JSON Lines or Parquet with the columns "
        "product_id, product_title and product_category. If format is auto, such files in the "
        "source are found without this parameter. Empty: none.",
    )
    requester_pays: bool = Field(
        default=False, description="Agree to pay for reading a requester-pays bucket."
    )
    anonymous: bool = Field(default=False, description="Read a public bucket without credentials.")
    mirror_to: S3Uri = Field(
        default="",
        description="Your own s3://bucket/prefix to copy the objects to, under their version, and "
        "to read them from: a run with that source_version can then be repeated even if the "
        "source is gone. Empty: no copy.",
    )

    @model_validator(mode="after")
    def _can_write_the_mirror(self) -> Self:
        if self.anonymous and self.mirror_to:
            raise ValueError("mirror_to needs credentials to write with: leave anonymous out")
        return self


class IngestSettings(EngineSettings, SourceSettings, frozen=True, extra="forbid"):
    """Which ratings to take from the source."""

    customer_column: str = Field(
        default="", description="Column of the customer's id; empty: the format's own."
    )
    product_column: str = Field(
        default="", description="Column of the product's id; empty: the format's own."
    )
    rating_column: str = Field(
        default="", description="Column of the rating; empty: the format's own."
    )
    date_column: str = Field(
        default="",
        description="Column of the date (2015-08-31 or 20150831), of the date and time of day "
        "(2015-08-31T12:30:05Z; without a zone it is UTC), or of seconds, milliseconds, "
        "microseconds or nanoseconds since 1970; dates before 1900 or after 2100 are rejected. "
        "Empty: the format's own.",
    )
    title_column: str = Field(
        default="",
        description="Column of the product's title; empty: the format's own, if it has one.",
    )
    category_column: str = Field(
        default="",
        description="Column of the product's category; empty: the format's own, if it has one.",
    )
    min_rating: Stars = Field(
        default=None,
        description="Lowest rating of the scale, lower ones are rejected; empty: the format's own, "
        "or the lowest rating in the data.",
    )
    max_rating: Stars = Field(
        default=None,
        description="Highest rating of the scale, higher ones are rejected; empty: the format's "
        "own, or the highest rating in the data.",
    )
    since: Day = Field(default=None, description="First day to take, in UTC, such as 2014-01-01.")
    until: Day = Field(default=None, description="Last day to take, in UTC, such as 2015-08-31.")
    run_date: Day = Field(
        default=None,
        description="Day of the run, the last day of the window of window_days; schedules set it.",
    )
    window_days: int = Field(
        default=0,
        ge=0,
        description="Take only this many days up to run_date; 0: all days.",
    )
    max_rejected_fraction: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Largest fraction of rows that may be rejected; more are an error.",
    )

    @model_validator(mode="after")
    def _scale_is_clear(self) -> Self:
        lowest, highest = self.min_rating, self.max_rating
        if lowest is not None and highest is not None and lowest > highest:
            raise ValueError("min_rating is greater than max_rating: exchange them")
        return self

    @model_validator(mode="after")
    def _window_is_clear(self) -> Self:
        if self.window_days and (self.since or self.until):
            raise ValueError("window_days excludes since and until: set one or the other")
        if self.window_days and not self.run_date:
            raise ValueError("window_days needs run_date, the day on which the window ends")
        if self.since and self.until and self.since > self.until:
            raise ValueError("since is later than until: exchange them")
        return self

    @property
    def first_day(self) -> date | None:
        """The first day to take, or None for no limit."""
        if self.window_days and self.run_date:
            return self.run_date - timedelta(days=self.window_days - 1)
        return self.since

    @property
    def last_day(self) -> date | None:
        """The last day to take, or None for no limit."""
        return self.run_date if self.window_days else self.until
