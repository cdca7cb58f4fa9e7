"""Keep one rating for each pair, and leave out customers and products with too few ratings.

Ratings are a data frame with the columns user, item (int32), star_rating (float32) and rated_at
(microseconds, UTC); users and items are numbered from 0, with or without gaps.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import polars as pl

Duplicates = Literal["latest", "mean", "first"]

_PAIR = ("user", "item")
# The higher of two ratings at the same instant counts as the later one, so that the result does
# not depend on the order of the rows.
_OLDEST_FIRST = (*_PAIR, "rated_at", "star_rating")


class Size(NamedTuple):
    """How many ratings there are, of how many customers and products."""

    rows: int
    customers: int
    products: int

    @classmethod
    def of(cls, ratings: pl.DataFrame) -> "Size":
        """The size of a data frame of ratings."""
        return cls(len(ratings), *(_distinct(ratings, name) for name in _PAIR))


@dataclass(frozen=True)
class Removal:
    """The numbers that one rule removed in one round.

    Attributes:
        rule: the name of the setting.
        round: counted from 1.
        rows: the number of ratings.
        customers: the number of customers.
        products: the number of products.
    """

    rule: str
    round: int
    rows: int
    customers: int
    products: int

    @classmethod
    def between(cls, rule: str, count: int, before: Size, after: Size) -> "Removal":
        """Count what a rule removed.

        Args:
            rule: the name of the setting.
            count: the round, from 1.
            before: the size before the rule.
            after: the size after it.
        """
        return cls(rule, count, *(more - less for more, less in zip(before, after, strict=True)))

    @classmethod
    def of_round(
        cls, count: int, before: Size, without_customers: Size, without_both: Size
    ) -> list["Removal"]:
        """Count what the two rules of a round removed.

        Args:
            count: the round, from 1.
            before: the size before the round.
            without_customers: the size after the rule for customers.
            without_both: the size after both rules.
        """
        return [
            cls.between("min_customer_ratings", count, before, without_customers),
            cls.between("min_product_ratings", count, without_customers, without_both),
        ]


def deduplicate(ratings: pl.DataFrame, rule: Duplicates) -> pl.DataFrame:
    """Keep one rating for each pair of customer and product; the order of the rows is undefined.

    Args:
        ratings: in any order.
        rule: keep the latest rating, the first, or the mean at the latest instant.
    """
    repeated = _repeated(ratings)
    pairs = ratings.filter(repeated).sort(_OLDEST_FIRST).group_by(_PAIR, maintain_order=True)
    if rule == "mean":
        one = pairs.agg(pl.col("star_rating").mean(), pl.col("rated_at").last())
    else:
        one = pairs.first() if rule == "first" else pairs.last()
    return pl.concat([ratings.filter(~repeated), one.select(ratings.columns)])


def _repeated(ratings: pl.DataFrame) -> pl.Series:
    """The mask of the rows whose pair has several ratings."""
    pairs = ratings["user"].cast(pl.Int64) * 2**32 + ratings["item"]
    ordered = pairs.sort()
    several = ordered.filter(ordered == ordered.shift()).unique()
    return pairs.is_in(several.implode())


def keep_active(
    ratings: pl.DataFrame, min_customer: int, min_product: int, *, fixpoint: bool
) -> tuple[pl.DataFrame, list[Removal]]:
    """Keep the ratings of customers and products that have enough ratings.

    Args:
        ratings: one for each pair.
        min_customer: the number of ratings that a customer needs.
        min_product: the number of ratings that a product needs.
        fixpoint: whether to repeat until all remaining customers and products have enough. Each
            round counts customers and products on the same ratings.

    Returns:
        The remaining ratings, and what each rule removed in each round.
    """
    removals: list[Removal] = []
    size = Size.of(ratings)
    while True:
        active = _has_enough(ratings, "user", min_customer)
        popular = _has_enough(ratings, "item", min_product)
        without_both = ratings.filter(active & popular)
        sizes = (size, Size.of(ratings.filter(active)), Size.of(without_both))
        removals += Removal.of_round(len(removals) // 2 + 1, *sizes)
        if not fixpoint or len(without_both) == len(ratings):
            return without_both, removals
        ratings, size = without_both, sizes[-1]


def _has_enough(ratings: pl.DataFrame, column: str, minimum: int) -> pl.Series:
    """The mask of the rows whose customer or product has at least `minimum` ratings."""
    numbers = ratings[column].to_numpy()
    return pl.Series((np.bincount(numbers) >= minimum)[numbers], dtype=pl.Boolean)


def _distinct(ratings: pl.DataFrame, column: str) -> int:
    return int(np.count_nonzero(np.bincount(ratings[column].to_numpy())))
