"""One rating a pair, and no customer or product with too few: what is left out, and by which rule.

Ratings are a data frame with the columns user, item (int32), star_rating (float32) and review_date
(date); users and items are numbered from 0, with or without gaps.
"""

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

Duplicates = Literal["latest", "mean", "first"]

_PAIR = ("user", "item")
# Of one day, the higher rating counts as the later: the order of the rows must not matter.
_OLDEST_FIRST = (*_PAIR, "review_date", "star_rating")


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
        rule: latest or first by date; or the mean, on the latest day.
    """
    repeated = _repeated(ratings)
    pairs = ratings.filter(repeated).sort(_OLDEST_FIRST).group_by(_PAIR, maintain_order=True)
    if rule == "mean":
        one = pairs.agg(pl.col("star_rating").mean(), pl.col("review_date").last())
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
        fixpoint: repeat until all that remain have enough. Otherwise both are counted once, on
            the ratings as they are given.

    Returns:
        The ratings kept, and what each rule removed in each round.
    """
    removals: list[Removal] = []
    for count in itertools.count(1):
        by_customer = _enough(ratings, "user", min_customer)
        kept = ratings.filter(by_customer)
        removals.append(Removal.between("min_customer_ratings", count, ratings, kept))
        by_product = _enough(kept if fixpoint else ratings, "item", min_product)
        left = kept.filter(by_product if fixpoint else by_product.filter(by_customer))
        removals.append(Removal.between("min_product_ratings", count, kept, left))
        if not fixpoint or len(left) == len(ratings):
            return left, removals
        ratings = left
    raise AssertionError("the loop has no end of its own")


def _enough(ratings: pl.DataFrame, column: str, minimum: int) -> pl.Series:
    """Which rows are of a customer or product with so many ratings."""
    numbers = ratings[column].to_numpy()
    return pl.Series((np.bincount(numbers) >= minimum)[numbers], dtype=pl.Boolean)


def _distinct(ratings: pl.DataFrame, column: str) -> int:
    return int(np.count_nonzero(np.bincount(ratings[column].to_numpy())))
