"""The prepare step on Spark: the splits of `prepare`, row for row.

Spark deduplicates, filters, counts and sorts. Its executors split: each has all ratings of some
customers, and of the random numbers that order ratings of one instant those that `split` draws for
the same rows.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from components.artifacts import ratings as ratings_format
from components.artifacts import splits
from components.artifacts.instants import INSTANT
from components.errors import UserError
from components.prepare.filtering import Duplicates, Removal, Size
from components.prepare.settings import PrepareSettings
from components.prepare.splitting import (
    HELD_OUT,
    NAMES,
    ORDER,
    count_new,
    count_parts,
    count_ties,
    cut_time,
    divide,
    split_by_customer,
    split_by_time,
)
from components.prepare.statistics import Counts, summarize
from components.spark import (
    Batches,
    one_row,
    part_number,
    parts_of,
    read_table,
    spark_session,
    spread,
    whole,
    write_part,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Instants are microseconds since 1970, and numbers to Spark.
_RATINGS = "customer_id string, product_id string, star_rating float, rated_at long"
_PRODUCTS = "product_id string, product_title string, product_category string"
_CUSTOMER, _PRODUCT = "customer_id", "product_id"


def prepare_tables(settings: PrepareSettings, ratings: Path, folder: Path) -> dict[str, Any]:
    """Write the tables of a `splits` artifact, each in parts, and return its statistics.

    Args:
        settings: which ratings to keep, and which to hold out.
        ratings: of the `ratings` artifact; executors read there.
        folder: executors write there.

    Raises:
        UserError: if too few ratings are left to split them.
    """
    with spark_session("prepare") as spark:
        everything = read_table(
            spark, ratings / ratings_format.RATINGS, _RATINGS, _with_numbers
        ).persist()
        single = _deduplicate(everything, settings.deduplicate).persist()
        kept, removals = _keep_active(single, settings)
        if not kept.take(1):
            raise _too_few(single, settings)
        before, after = _describe(everything), _describe(kept)
        products = read_table(spark, ratings / ratings_format.PRODUCTS, _PRODUCTS)
        numbered = _number(spark, kept, products, folder)
        found = _split(numbered, _cut(kept, settings), settings, folder)
        if not all(found["rows"].values()):
            raise _too_few(single, settings)
        removed = Removal.between("deduplicate", 1, _size(everything), _size(single))
        removed_by = [asdict(one) for one in (removed, *removals)]
        return {"before": before, "after": after, "removed": removed_by, **found}


def _too_few(single: "DataFrame", settings: PrepareSettings) -> UserError:
    return UserError(
        f"too few of the {single.count()} ratings are left to train, validate and test with: lower "
        f"min_customer_ratings={settings.min_customer_ratings} or "
        f"min_product_ratings={settings.min_product_ratings}, or ingest more ratings"
    )


def _with_numbers(ratings: pa.Table) -> pa.Table:
    return ratings.set_column(3, "rated_at", ratings["rated_at"].cast(pa.int64()))


def _deduplicate(ratings: "DataFrame", rule: Duplicates) -> "DataFrame":
    """One rating for every pair; of one instant, the higher rating counts as the later."""
    from pyspark.sql import functions as F  # noqa: N812 - its usual name

    rating = F.struct("rated_at", "star_rating")
    one = F.min(rating) if rule == "first" else F.max(rating)
    stars = F.avg("star_rating").cast("float") if rule == "mean" else one["star_rating"]
    return ratings.groupBy(_CUSTOMER, _PRODUCT).agg(
        stars.alias("star_rating"), one["rated_at"].alias("rated_at")
    )


def _keep_active(
    ratings: "DataFrame", settings: PrepareSettings
) -> tuple["DataFrame", list[Removal]]:
    """The ratings of customers and products that have enough of them, as `keep_active`."""
    removals: list[Removal] = []
    size = _size(ratings)
    while True:
        active = _with_enough(ratings, _CUSTOMER, settings.min_customer_ratings)
        popular = _with_enough(ratings, _PRODUCT, settings.min_product_ratings)
        without_customers = ratings.join(active, _CUSTOMER, "left_semi")
        without_both = without_customers.join(popular, _PRODUCT, "left_semi").persist()
        sizes = (size, _size(without_customers), _size(without_both))
        removals += Removal.of_round(len(removals) // 2 + 1, *sizes)
        if not settings.fixpoint or sizes[-1].rows in (size.rows, 0):
            return without_both, removals
        ratings, size = without_both, sizes[-1]


def _with_enough(ratings: "DataFrame", column: str, minimum: int) -> "DataFrame":
    return ratings.groupBy(column).count().where(f"count >= {minimum}").select(column)


def _size(ratings: "DataFrame") -> Size:
    [row] = ratings.selectExpr(
        "count(*)", f"count(distinct {_CUSTOMER})", f"count(distinct {_PRODUCT})"
    ).collect()
    return Size(*row)


def _describe(ratings: "DataFrame") -> dict[str, Any]:
    """Figures about ratings, as `describe`."""
    stars = {row[0]: row[1] for row in ratings.groupBy("star_rating").count().collect()}
    [days] = ratings.selectExpr("min(rated_at)", "max(rated_at)").collect()
    first, last = (datetime.fromtimestamp(instant // 10**6, UTC).date() for instant in days)
    customers, products = (_counts(ratings, column) for column in (_CUSTOMER, _PRODUCT))
    return summarize(customers, products, stars, (first, last))


def _counts(ratings: "DataFrame", column: str) -> Counts:
    """How many ratings each customer or product has, in any order; few numbers cross the wire."""
    found = ratings.groupBy(column).count().groupBy("count").agg({"*": "count"}).toArrow()
    return np.repeat(*(values.to_numpy() for values in found.columns))


def _number(
    spark: "SparkSession", kept: "DataFrame", products: "DataFrame", folder: Path
) -> "DataFrame":
    """Number the ids in the order of their code points, and write customers and products.

    Returns:
        user, item (int), star_rating, rated_at, and `before`: how many ratings the customers before
        this one have, all together.
    """
    customers = kept.groupBy(_CUSTOMER).agg({"*": "count"})
    customers = customers.toDF(_CUSTOMER, "ratings").orderBy(_CUSTOMER)
    counted = kept.groupBy(_PRODUCT).agg({"*": "count"}).toDF(_PRODUCT, "ratings")
    products = counted.join(products, _PRODUCT, "left").orderBy(_PRODUCT)
    users = _write_ids(spark, customers, folder / splits.CUSTOMERS, splits.CUSTOMERS_SCHEMA)
    items = _write_ids(spark, products, folder / splits.PRODUCTS, splits.PRODUCTS_SCHEMA)
    return (
        kept.join(users.withColumnRenamed("id", _CUSTOMER), _CUSTOMER)
        .withColumnRenamed("number", "user")
        .join(items.withColumnRenamed("id", _PRODUCT).drop("before"), _PRODUCT)
        .withColumnRenamed("number", "item")
        .select("user", "item", "star_rating", "rated_at", "before")
    )


def _write_ids(
    spark: "SparkSession", ordered: "DataFrame", folder: Path, schema: pa.Schema
) -> "DataFrame":
    """Write a table in the order of its ids, and number them: id, number, before."""

    def write(batches: Batches) -> Batches:
        if table := whole(batches):
            write_part(folder, part_number(), table.select(schema.names).cast(schema))
            yield one_row(
                part=part_number(), rows=len(table), ratings=pc.sum(table["ratings"]).as_py()
            )

    written = ordered.mapInArrow(write, "part long, rows long, ratings long").collect()
    written.sort()
    rows, ratings = (accumulate([0, *(row[column] for row in written)]) for column in (1, 2))
    tasks = list(zip(parts_of(folder), rows, ratings, strict=False))

    def number(task: tuple[Path, int, int]) -> Iterable[pa.RecordBatch]:
        file, first, before = task
        found = pl.read_parquet(file, glob=False)
        numbers = pl.int_range(first, first + len(found), dtype=pl.Int32, eager=True)
        ends = found["ratings"].cast(pl.Int64).cum_sum()
        columns = [found[:, 0].to_arrow().cast(pa.string()), numbers.to_arrow()]
        befores = (before + ends - found["ratings"]).to_arrow()
        table = pa.table([*columns, befores], names=["id", "number", "before"])
        return cast("list[pa.RecordBatch]", table.to_batches())

    return spread(spark, tasks, number, "id string, number int, before long")


def _cut(kept: "DataFrame", settings: PrepareSettings) -> tuple[int, int] | None:
    """Where to cut a temporal split; None for the others."""
    if settings.split != "temporal":
        return None
    counts = kept.groupBy("rated_at").count().orderBy("rated_at").toArrow()
    instants, rows = (column.to_numpy() for column in counts.columns)
    return cut_time(instants, rows, settings.test_fraction)


def _split(
    numbered: "DataFrame",
    cuts: tuple[int, int] | None,
    settings: PrepareSettings,
    folder: Path,
) -> dict[str, dict[str, int]]:
    """Write train, validation and test, and count what is in them.

    Returns:
        `rows`, `new_customers` and `ties`, as the statistics have them.
    """

    def write(batches: Batches) -> Batches:
        table = whole(batches)
        if table is None:
            return
        rows = table.set_column(3, "rated_at", table["rated_at"].cast(INSTANT))
        ratings = pl.DataFrame(rows.select(splits.RATINGS_SCHEMA.names))
        first = table["before"][0].as_py()
        parts = (
            split_by_time(ratings, cuts) if cuts else split_by_customer(ratings, settings, first)
        )
        for name, rows in divide(ratings, parts).items():
            write_part(folder / name, part_number(), rows)
        found = {"rows": count_parts(parts), "new_customers": count_new(ratings, parts)}
        yield one_row(counts=json.dumps(found | {"ties": count_ties(ratings, parts)}))

    ordered = numbered.repartitionByRange("user").sortWithinPartitions(*ORDER)
    counted = [json.loads(row[0]) for row in ordered.mapInArrow(write, "counts string").collect()]
    names = {"rows": NAMES, "new_customers": HELD_OUT, "ties": HELD_OUT}
    return {
        what: {name: sum(one[what][name] for one in counted) for name in parts}
        for what, parts in names.items()
    }
