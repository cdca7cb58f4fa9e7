"""Ids into numbers."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from components.artifacts.ratings import RATINGS


@dataclass(frozen=True)
class Numbered:
    """Ratings whose ids are numbers.

    Attributes:
        ratings: user, item (int32), star_rating (float32), review_date (date).
        customers: the customer id of each user number. products: likewise.
    """

    ratings: pl.DataFrame
    customers: pl.Series
    products: pl.Series


def read_numbered(folder: Path) -> Numbered:
    """Read a `ratings` artifact's ratings, numbered in some order."""
    ratings = pl.read_parquet(folder / RATINGS)
    customers, users = _number(ratings["customer_id"])
    products, items = _number(ratings["product_id"])
    return Numbered(
        ratings.select(
            user=users, item=items, star_rating="star_rating", review_date="review_date"
        ),
        customers,
        products,
    )


def renumber(numbered: Numbered) -> Numbered:
    """Number the ids that occur in the order of their code points, without gaps."""
    customers, users = _renumber(numbered.customers, numbered.ratings["user"])
    products, items = _renumber(numbered.products, numbered.ratings["item"])
    return Numbered(numbered.ratings.with_columns(users, items), customers, products)


def _number(ids: pl.Series) -> tuple[pl.Series, pl.Series]:
    numbers = ids.rank("dense").cast(pl.Int32) - 1
    return ids.unique().sort(), numbers


def _renumber(ids: pl.Series, numbers: pl.Series) -> tuple[pl.Series, pl.Series]:
    present = numbers.unique()
    kept = pl.DataFrame({"id": ids.gather(present), "old": present}).sort("id")
    new = pl.zeros(len(ids), pl.Int32, eager=True)
    new = new.scatter(kept["old"], pl.int_range(len(kept), dtype=pl.Int32, eager=True))
    return kept["id"], new.gather(numbers).alias(numbers.name)
