"""The ingest step as Kubeflow components: `resolve`, and `ingest` of what it resolved."""

from kfp import dsl

from components import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def resolve(
    source: str,
    source_version: str = "",
    format: str = "auto",  # noqa: A002 - the setting's name
    products_source: str = "",
    requester_pays: bool = False,
    anonymous: bool = False,
    mirror_to: str = "",
) -> str:
    """Tell which version of the source there is, so that ingest is repeated when it changes.

    Must not be cached.

    Args:
        source: s3://bucket/key of the ratings, or s3://bucket/prefix/ for all objects under it.
        source_version: Version to insist on, as told by an earlier run; empty for whatever is
            there.
        format: Layout of the files, such as amazon, movielens, csv, jsonl or parquet; auto to
            find it by their first lines.
        products_source: s3:// URI of the products' titles and categories; empty for none.
        requester_pays: Agree to pay for reading a requester-pays bucket.
        anonymous: Read a public bucket without credentials.
        mirror_to: s3://bucket/prefix of your own that may hold a copy; empty for none.

    Returns:
        The version, a digest over the ETags and version ids of all objects.
    """
    from components.ingest.settings import SourceSettings
    from components.ingest.source import resolve
    from components.step import step

    with step("resolve"):
        return resolve(
            SourceSettings.model_validate(
                {
                    "source": source,
                    "source_version": source_version,
                    "format": format,
                    "products_source": products_source,
                    "requester_pays": requester_pays,
                    "anonymous": anonymous,
                    "mirror_to": mirror_to,
                }
            )
        )


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def ingest(
    source: str,
    ratings: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
    source_version: str = "",
    format: str = "auto",  # noqa: A002 - the setting's name
    products_source: str = "",
    requester_pays: bool = False,
    anonymous: bool = False,
    mirror_to: str = "",
    customer_column: str = "",
    product_column: str = "",
    rating_column: str = "",
    date_column: str = "",
    title_column: str = "",
    category_column: str = "",
    min_rating: str = "",
    max_rating: str = "",
    since: str = "",
    until: str = "",
    run_date: str = "",
    window_days: int = 0,
    max_rejected_fraction: float = 0.01,
) -> None:
    """Read star ratings from S3, whatever their format.

    Args:
        source: s3://bucket/key of the ratings, or s3://bucket/prefix/ for all objects under it.
        ratings: Every rating, the products, and the rows that could not be read.
        metrics: Rows read, and rows rejected by reason.
        source_version: Version of the source, from the resolve step; a source that has changed
            since is refused. Empty for whatever is there.
        format: Layout of the files: auto (found by their first lines), amazon (15 columns, tabs),
            amazon_2018 or amazon_2023 (JSON Lines), amazon_2018_csv, amazon_2023_csv, movielens
            (ratings.csv), movielens_1m (ratings.dat), movielens_100k (u.data), recbole (.inter),
            csv (commas or tabs), jsonl, parquet.
        products_source: s3:// URI of the products' titles and categories; empty for none.
        requester_pays: Agree to pay for reading a requester-pays bucket.
        anonymous: Read a public bucket without credentials.
        mirror_to: s3://bucket/prefix of your own to copy the objects to before reading them
            there; empty for no copy.
        customer_column: Column of the customer's id; empty for the format's own.
        product_column: Column of the product's id; empty for the format's own.
        rating_column: Column of the rating; empty for the format's own.
        date_column: Column of the date, of date and time, or of seconds or smaller units since
            1970; empty for the format's own.
        title_column: Column of the product's title; empty for the format's own.
        category_column: Column of the product's category; empty for the format's own.
        min_rating: Lowest rating of the scale; empty for the format's own, or else what is found.
        max_rating: Highest rating of the scale; likewise.
        since: First day to take, in UTC, such as 2014-01-01; empty for no limit.
        until: Last day to take, in UTC; empty for no limit.
        run_date: Day of the run, which ends the window of window_days; a schedule fills it in.
        window_days: Take only this many days up to the run date; 0 for every day.
        max_rejected_fraction: A larger part of rows that cannot be read is an error.
    """
    from pathlib import Path

    from components.ingest.ingest import ingest
    from components.ingest.settings import IngestSettings
    from components.step import step

    with step("ingest"):
        settings = IngestSettings.model_validate(
            {
                "source": source,
                "source_version": source_version,
                "format": format,
                "products_source": products_source,
                "requester_pays": requester_pays,
                "anonymous": anonymous,
                "mirror_to": mirror_to,
                "customer_column": customer_column,
                "product_column": product_column,
                "rating_column": rating_column,
                "date_column": date_column,
                "title_column": title_column,
                "category_column": category_column,
                "min_rating": min_rating,
                "max_rating": max_rating,
                "since": since,
                "until": until,
                "run_date": run_date,
                "window_days": window_days,
                "max_rejected_fraction": max_rejected_fraction,
            }
        )
        details = ingest(settings, Path(ratings.path))
    metrics.log_metric("ratings", details["rows"])
    metrics.log_metric("ratings_outside_window", details["outside_window"])
    for reason, count in details["rejects"].items():
        metrics.log_metric(f"rejected: {reason}", count)
