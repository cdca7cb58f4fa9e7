"""One rating a pair, and no customer or product with too few: what is left out, and by which rule.

Ratings are a data frame with the columns user, item (int32), star_rating (float32) and rated_at
(microseconds, UTC); users and items are numbered from 0, with or without gaps.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

Duplicates = Literal["latest", "mean", "first"]

_PAIR = ("user", "item")
# Of one instant, the higher rating counts as the later: the order of the rows must not matter.
_OLDEST_FIRST = (*_PAIR, "rated_at", "star_rating")


@dataclass(frozen=True)
class Removal:
    """What one rule removed in one round.

    Attributes:
        rule: the setting that asked for it. round: the round, counted from 1.
        rows: how many ratings. customers: how many customers. products: how many products.
    """

    rule: str
    round: int
    rows: int
    customers: int
    products: int

    @classmethod
    def between(cls, rule: str, count: int, before: pl.DataFrame, after: pl.DataFrame) -> "Removal":
        """What a rule removed, by the ratings before it and after it."""
        customers, products = (_distinct(before, name) - _distinct(after, name) for name in _PAIR)
        return cls(rule, count, len(before) - len(after), customers, products)


def deduplicate(ratings: pl.DataFrame, rule: Duplicates) -> pl.DataFrame:
    """One rating for every pair of customer and product, in no particular order.

    Args:
        ratings: of any order.
        rule: latest or first; or the mean, at the latest instant.
    """
    repeated = _repeated(ratings)
    pairs = ratings.filter(repeated).sort(_OLDEST_FIRST).group_by(_PAIR, maintain_order=True)
    if rule == "mean":
        one = pairs.agg(pl.col("star_rating").mean(), pl.col("rated_at").last())
    else:
        one = pairs.first() if rule == "first" else pairs.last()
    return pl.concat([ratings.filter(~repeated), one.select(ratings.columns)])


def _repeated(ratings: pl.DataFrame) -> pl.Series:
    """Which rows are of a pair that has several."""
    pairs = ratings["user"].cast(pl.Int64) * 2**32 + ratings["item"]
    ordered = pairs.sort()
    several = ordered.filter(ordered == ordered.shift()).unique()
    return pairs.is_in(several.implode())


def keep_active(
    ratings: pl.DataFrame, min_customer: int, min_product: int, *, fixpoint: bool
) -> tuple[pl.DataFrame, list[Removal]]:
    """The ratings of customers and products that have enough of them.

    Args:
        ratings: one a pair.
        min_customer: how many a customer needs.
        min_product: how many a product needs.
        fixpoint: repeat until all that remain have enough; otherwise filter once. Every round
            counts customers and products on the same ratings.

    Returns:
        The ratings kept, and what each rule removed in each round.
    """
    removals: list[Removal] = []
    while True:
        count = len(removals) // 2 + 1
        active = _has_enough(ratings, "user", min_customer)
        popular = _has_enough(ratings, "item", min_product)
        without_customers, without_both = ratings.filter(active), ratings.filter(active & popular)
        removals += [
            Removal.between("min_customer_ratings", count, ratings, without_customers),
            Removal.between("min_product_ratings", count, without_customers, without_both),
        ]
        if not fixpoint or len(without_both) == len(ratings):
            return without_both, removals
        ratings = without_both


def _has_enough(ratings: pl.DataFrame, column: str, minimum: int) -> pl.Series:
    """Which rows are of a customer or product with so many ratings."""
    numbers = ratings[column].to_numpy()
    return pl.Series((np.bincount(numbers) >= minimum)[numbers], dtype=pl.Boolean)


def _distinct(ratings: pl.DataFrame, column: str) -> int:
    return int(np.count_nonzero(np.bincount(ratings[column].to_numpy())))
