"""Small splits whose stars follow a planted taste, in the format that prepare writes."""

import json
from pathlib import Path

import mxnet as mx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.artifacts.folder import write_artifact
from components.artifacts.instants import INSTANT, RESOLUTIONS
from components.artifacts.splits import (
    CUSTOMERS,
    CUSTOMERS_SCHEMA,
    KIND,
    PRODUCTS,
    PRODUCTS_SCHEMA,
    RATINGS_SCHEMA,
    SCHEMA_VERSION,
    STATISTICS,
    TEST,
    TRAIN,
    VALIDATION,
    Ratings,
)
from components.train.rating.trials import Problem

USERS, ITEMS, EACH = 120, 60, 14
SCALE = (1.0, 5.0)
CPU = mx.cpu()


def planted(seed: int = 0, users: int = USERS, items: int = ITEMS, each: int = EACH) -> Ratings:
    """Everyone rates `each` products on days of their own; stars follow a taste and biases."""
    random = np.random.default_rng(seed)
    tastes, traits = random.normal(0, 0.8, (users, 2)), random.normal(0, 0.8, (items, 2))
    quality = random.normal(0, 0.5, items)
    user = np.arange(users).repeat(each)
    item = np.concatenate([random.permutation(items)[:each] for _ in range(users)])
    stars = 3.2 + (tastes[user] * traits[item]).sum(1) + quality[item]
    stars = (stars + random.normal(0, 0.3, len(stars))).clip(*SCALE)
    days = np.tile(np.arange(each), users) + 15_000
    return Ratings(
        user.astype(np.int32),
        item.astype(np.int32),
        stars.astype(np.float32),
        days.astype(np.int64) * RESOLUTIONS["day"],
    )


def held_out(ratings: Ratings, each: int = EACH) -> tuple[Ratings, Ratings, Ratings]:
    """The latest rating of everyone to test with, the one before to validate with, the rest."""
    place = np.arange(len(ratings)) % each
    masks = place < each - 2, place == each - 2, place == each - 1
    train, validation, test = map(ratings.where, masks)
    return train, validation, test


def problem(ratings: Ratings, users: int = USERS, items: int = ITEMS) -> Problem:
    return Problem(ratings, users, items, SCALE)


def write_splits(folder: Path, seed: int = 0, each: int = EACH) -> Path:
    """A splits artifact of planted ratings, the first so many of everyone."""
    rows = np.arange(USERS * EACH) % EACH < each
    return write_parts(folder, held_out(planted(seed).where(rows), each))


def write_parts(folder: Path, sets: tuple[Ratings, Ratings, Ratings]) -> Path:
    """A splits artifact of ratings to train, to validate and to test with."""
    parts = dict(zip((TRAIN, VALIDATION, TEST), sets, strict=True))
    with write_artifact(folder, KIND, SCHEMA_VERSION) as writer:
        for name, ratings in parts.items():
            instants = pa.array(ratings.instants).cast(INSTANT)
            columns = [ratings.users, ratings.items, ratings.stars, instants]
            pq.write_table(pa.table(columns, schema=RATINGS_SCHEMA), writer.path / name)
        customers = [[f"C{number:03}" for number in range(USERS)], [EACH] * USERS]
        pq.write_table(pa.table(customers, schema=CUSTOMERS_SCHEMA), writer.path / CUSTOMERS)
        numbers = range(ITEMS)
        products = [
            [f"P{number:03}" for number in numbers],
            [f"Title {number}" for number in numbers],
            ["Books" if number % 2 else "Toys" for number in numbers],
            np.bincount(np.concatenate([part.items for part in sets]), minlength=ITEMS),
        ]
        pq.write_table(pa.table(products, schema=PRODUCTS_SCHEMA), writer.path / PRODUCTS)
        (writer.path / STATISTICS).write_text(json.dumps({}))
        writer.details |= {"rows": {name: len(part) for name, part in parts.items()}}
        writer.details |= {
            "scale": SCALE,
            "source": "s3://shop/reviews.tsv.gz",
            "source_version": "1f" * 8,
        }
    return folder
