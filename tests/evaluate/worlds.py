"""Artifacts made from arrays: a small world whose customers have a taste."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.artifacts import model as model_format
from components.artifacts import ratings as ratings_format
from components.artifacts import splits as splits_format
from components.artifacts.folder import Manifest, read_manifest, write_artifact
from components.artifacts.instants import INSTANT, RESOLUTIONS
from components.artifacts.model import (
    Catalogue,
    Floats,
    Integers,
    Model,
    RankingFactors,
    RatingFactors,
    Seen,
    write_model,
)
from components.artifacts.ratings import RatingsFolder
from components.artifacts.splits import Ratings, Splits
from components.artifacts.strings import StringTable

TASTES = 4
LOSSES = [
    {"step": 1, "train_mse": 1.2, "validation_mse": 1.4},
    {"step": 2, "train_mse": 0.9, "validation_mse": 1.3},
]
SAMPLES = [
    {"seconds": 0.25, "cpu_percent": 100, "memory_mib": 300.0},
    {"seconds": 0.5, "cpu_percent": 180, "memory_mib": 350.0},
]
HISTORY = {"rating": [{"model": "bayes", "validation_mse": 1.3, "history": LOSSES}]}


@dataclass(frozen=True)
class World:
    """Folders of the artifacts, and what went into them."""

    ratings: Path
    splits: Path
    model: Path
    trained: Model


def make_world(
    folder: Path,
    customers: int = 240,
    products: int = 60,
    *,
    seed: int = 0,
    constant_stars: bool = False,
    **changes: Any,
) -> World:
    """Write ratings, splits and a model that knows every customer's taste.

    `changes` replace the model's parts.
    """
    sets: Sequence[Ratings] = make_sets(customers, products, seed)
    if constant_stars:
        sets = [replace(rows, stars=np.full_like(rows.stars, 4)) for rows in sets]
    ratings = write_ratings(folder / "ratings")
    splits = write_splits(folder / "splits", ratings, sets, customers, products)
    trained = replace(make_model(sets, customers, products), **changes)
    model = write_trained(folder / "model", trained, splits)
    return World(ratings, splits, model, trained)


def make_sets(customers: int, products: int, seed: int) -> tuple[Ratings, Ratings, Ratings]:
    """Each customer rates 8 products, mostly of their taste and higher: 6, then 1, then 1."""
    generator = np.random.default_rng(seed)
    rows = []
    for user in range(customers):
        weights = np.where(np.arange(products) % TASTES == user % TASTES, 8.0, 1.0)
        items = generator.choice(products, size=8, replace=False, p=weights / weights.sum())
        liked = items % TASTES == user % TASTES
        stars = np.clip(np.rint(2.5 + 2 * liked + generator.normal(0, 0.7, 8)), 1, 5)
        days = 18000 + np.sort(generator.integers(0, 900, 8))
        rows.append(np.stack([np.full(8, user), items, stars, days]))
    table = np.stack(rows)
    return tuple(  # type: ignore[return-value]
        to_ratings(table[:, :, cut].transpose(1, 0, 2).reshape(4, -1))
        for cut in (slice(6), slice(6, 7), slice(7, 8))
    )


def to_ratings(columns: Sequence[Any]) -> Ratings:
    """Ratings of users, items, stars and days since 1970 in the common order."""
    users, items, stars, days = (np.asarray(column) for column in columns)
    order = np.lexsort((items, days, users))
    return Ratings(
        users[order].astype(np.int32),
        items[order].astype(np.int32),
        stars[order].astype(np.float32),
        days[order].astype(np.int64) * RESOLUTIONS["day"],
    )


def make_model(sets: Sequence[Ratings], customers: int, products: int) -> Model:
    """A model whose vectors are the customers' and the products' tastes."""
    users = np.eye(TASTES, dtype=np.float32)[np.arange(customers) % TASTES]
    items = np.eye(TASTES, dtype=np.float32)[np.arange(products) % TASTES]
    train, validation, test = sets
    everything = train.merged_with(validation).merged_with(test)
    return Model(
        make_catalogue(customers, products, everything),
        make_seen(everything, test, customers),
        make_rating(users, items),
        RankingFactors(
            items=items,
            item_biases=np.zeros(products, np.float32),
            histories=items,
            recency=np.array([0.9], np.float32),
            window=np.array([50], np.int32),
            users=np.zeros((0, TASTES), np.float32),
        ),
    )


def make_rating(users: Floats, items: Floats) -> RatingFactors:
    """Two stars more for a product of a customer's taste."""
    return RatingFactors(
        users=2 * users,
        items=items,
        user_biases=np.zeros(len(users), np.float32),
        item_biases=np.zeros(len(items), np.float32),
        offset=np.array([2.5], np.float32),
        bounds=np.array([1, 5], np.float32),
    )


def make_catalogue(customers: int, products: int, everything: Ratings) -> Catalogue:
    """Ids that sort as their indices do."""
    popularity = np.bincount(everything.items, minlength=products).astype(np.float32)
    return Catalogue(
        customers=StringTable.of(customer_ids(customers)),
        products=StringTable.of(product_ids(products)),
        titles=StringTable.of(titles(products)),
        categories=StringTable.of([category(taste) for taste in range(TASTES)]),
        category=(np.arange(products) % TASTES).astype(np.int32),
        popularity=popularity,
        recent_popularity=popularity,
    )


def make_seen(everything: Ratings, test: Ratings, customers: int) -> Seen:
    """All ratings, the test's held out."""
    pairs = set(zip(test.users.tolist(), test.items.tolist(), strict=True))
    rows = zip(everything.users.tolist(), everything.items.tolist(), strict=True)
    held_out = [row for row, pair in enumerate(rows) if pair in pairs]
    offsets = np.searchsorted(everything.users, np.arange(customers + 1)).astype(np.int64)
    return Seen(offsets, everything.items, everything.stars, np.array(held_out, np.int32))


def write_ratings(path: Path, rows: int = 2000) -> Path:
    """A ratings artifact without rows, for its lineage."""
    with write_artifact(path, ratings_format.KIND, ratings_format.SCHEMA_VERSION) as writer:
        for name, schema in (
            (ratings_format.RATINGS, ratings_format.RATINGS_SCHEMA),
            (ratings_format.PRODUCTS, ratings_format.PRODUCTS_SCHEMA),
            (ratings_format.REJECTS, ratings_format.REJECTS_SCHEMA),
        ):
            pq.write_table(schema.empty_table(), writer.path / name)
        source = {
            "bucket": "shop",
            "key": "reviews.tsv.gz",
            "etag": "abc",
            "bytes": 12345,
            "version_id": "",
        }
        writer.details |= {
            "settings": {"format": "amazon", "max_rejected_fraction": 0.01},
            "source_version": "0123abcd",
            "source": "s3://shop/reviews.tsv.gz",
            "sources": [source],
            "rows": rows,
            "outside_window": 0,
            "rejects": {"wrong number of columns": 3},
            "scale": [1.0, 5.0],
            "resolution": "day",
        }
    return path


def write_splits(
    path: Path, ratings: Path, sets: Sequence[Ratings], customers: int, products: int
) -> Path:
    """A splits artifact of these three sets, made from a ratings artifact."""
    version = splits_format.SCHEMA_VERSION
    made_from = {ratings_format.KIND: RatingsFolder.open(ratings).manifest}
    with write_artifact(path, splits_format.KIND, version, made_from) as writer:
        names = (splits_format.TRAIN, splits_format.VALIDATION, splits_format.TEST)
        for name, rows in zip(names, sets, strict=True):
            columns = [rows.users, rows.items, rows.stars, pa.array(rows.instants).cast(INSTANT)]
            table = pa.table(columns, schema=splits_format.RATINGS_SCHEMA)
            pq.write_table(table, writer.path / name)
        pq.write_table(customer_table(customers), writer.path / splits_format.CUSTOMERS)
        pq.write_table(product_table(products), writer.path / splits_format.PRODUCTS)
        (writer.path / splits_format.STATISTICS).write_text(json.dumps(make_statistics(sets)))
        rows_by_name = zip(("train", "validation", "test"), map(len, sets), strict=True)
        writer.details |= {"rows": dict(rows_by_name), "scale": [1.0, 5.0]}
        writer.details["settings"] = {
            "split": "last",
            "min_customer_ratings": 5,
            "min_product_ratings": 10,
        }
        writer.details |= {"source": "s3://shop/reviews.tsv.gz", "source_version": "1f" * 8}
    return path


def make_statistics(sets: Sequence[Ratings]) -> dict[str, Any]:
    """What the preparation would say, had it removed a tenth."""
    tail = {"count": 200, "ratings_by_quantile": {"0": 1.0, "0.5": 8.0, "1": 90.0}}
    part = {
        "rows": sum(map(len, sets)),
        "customers": tail,
        "products": tail,
        "stars": {"1": 100, "5": 900},
        "first_day": "2019-04-14",
        "last_day": "2021-09-30",
    }
    rule = {"rule": "min_customer_ratings", "round": 1, "rows": 40, "customers": 9, "products": 0}
    rows = dict(zip(("train", "validation", "test"), map(len, sets), strict=True))
    ties = {"validation": 5, "test": 7}
    return {"before": part, "after": part, "removed": [rule], "rows": rows, "ties": ties}


def customer_table(customers: int) -> pa.Table:
    counts = np.full(customers, 8, np.int32)
    return pa.table([customer_ids(customers), counts], schema=splits_format.CUSTOMERS_SCHEMA)


def product_table(products: int) -> pa.Table:
    categories = [category(item % TASTES) for item in range(products)]
    columns = [product_ids(products), titles(products), categories, np.ones(products, np.int32)]
    return pa.table(columns, schema=splits_format.PRODUCTS_SCHEMA)


def customer_ids(customers: int) -> list[str]:
    return [f"C{user:05}" for user in range(customers)]


def product_ids(products: int) -> list[str]:
    return [f"P{item:05}" for item in range(products)]


def titles(products: int) -> list[str]:
    return [f"Product {item} of taste {item % TASTES}" for item in range(products)]


def category(taste: int) -> str:
    return f"Category {'ABCD'[taste]}"


def write_trained(
    path: Path, model: Model, splits: Path, description: dict[str, Any] | None = None
) -> Path:
    """A model artifact that was trained on these splits."""
    made_from: dict[str, Manifest] = {
        splits_format.KIND: read_manifest(splits, splits_format.KIND, splits_format.SCHEMA_VERSION)
    }
    version = model_format.SCHEMA_VERSION
    with write_artifact(path, model_format.KIND, version, made_from) as writer:
        write_model(writer, model, description or {}, HISTORY)
        writer.measurements |= {"samples": SAMPLES}
    return path


def open_sets(splits: Path) -> tuple[Ratings, Ratings, Ratings]:
    """Train, validation and test of a splits artifact."""
    opened = Splits.open(splits)
    return opened.train, opened.validation, opened.test


def everyone(model: Model) -> Integers:
    """All user indices."""
    return np.arange(len(model.catalogue.customers), dtype=np.int32)
