"""Number the ids of customers and products."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from components.artifacts.ratings import RATINGS


@dataclass(frozen=True)
class Numbered:
    """Ratings with numbers in place of ids.

    Attributes:
        ratings: user, item (int32), star_rating (float32), rated_at.
        customers: the id of each user number.
        products: the id of each item number.
    """

    ratings: pl.DataFrame
    customers: pl.Series
    products: pl.Series


def read_numbered(folder: Path) -> Numbered:
    """Read the ratings of a `ratings` artifact, and number the ids in an undefined order."""
    # One column at a time, because the ids take more memory than everything else.
    customers, users = _number(_read(folder, "customer_id").to_series())
    products, items = _number(_read(folder, "product_id").to_series())
    others = _read(folder, "star_rating", "rated_at")
    return Numbered(
        others.select(users.alias("user"), items.alias("item"), pl.all()), customers, products
    )


def _read(folder: Path, *columns: str) -> pl.DataFrame:
    return pl.read_parquet(folder / RATINGS, columns=list(columns), glob=False)


def renumber(numbered: Numbered) -> Numbered:
    """Number the ids that still occur without gaps, in the order of their code points."""
    customers, users = _renumber(numbered.customers, numbered.ratings["user"])
    products, items = _renumber(numbered.products, numbered.ratings["item"])
    return Numbered(numbered.ratings.with_columns(users, items), customers, products)


def _number(ids: pl.Series) -> tuple[pl.Series, pl.Series]:
    """The distinct ids, and for each row the position of its id among them."""
    # Hashes are sorted several times faster than strings. The comparison finds collisions.
    distinct, numbers = _number_by(ids.hash(), ids)
    if (distinct.gather(numbers) == ids).all():
        return distinct, numbers
    return _number_by(ids, ids)


def _number_by(keys: pl.Series, ids: pl.Series) -> tuple[pl.Series, pl.Series]:
    numbers = keys.rank("dense").cast(pl.Int32) - 1
    some_row = np.empty(int(numbers.max()) + 1, np.int64)  # type: ignore[arg-type]
    some_row[numbers.to_numpy()] = np.arange(len(ids))
    return ids.gather(some_row), numbers


def _renumber(ids: pl.Series, numbers: pl.Series) -> tuple[pl.Series, pl.Series]:
    present = numbers.unique()
    kept = pl.DataFrame({"id": ids.gather(present), "old": present}).sort("id")
    new = pl.zeros(len(ids), pl.Int32, eager=True)
    new = new.scatter(kept["old"], pl.int_range(len(kept), dtype=pl.Int32, eager=True))
    return kept["id"], new.gather(numbers).alias(numbers.name)
