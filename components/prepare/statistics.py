"""Statistics of the ratings before and after filtering: long tail, density, stars and dates."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Counts = npt.NDArray[np.int64]

# The quantiles that the AWS notebook shows of the long tail.
QUANTILES = (
    *(0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.1, 0.25, 0.5),
    *(0.75, 0.9, 0.95, 0.96, 0.97, 0.98, 0.99, 1),
)


def compute_statistics(ratings: pl.DataFrame) -> dict[str, Any]:
    """Compute statistics of ratings.

    Args:
        ratings: user and item (int32), star_rating, rated_at; at least one row.

    Returns:
        As `summarize` gives them.
    """
    instant = pl.col("rated_at")
    first, last = ratings.select(first=instant.min().dt.date(), last=instant.max().dt.date()).row(0)
    return summarize(
        _counts(ratings["user"]),
        _counts(ratings["item"]),
        dict(ratings["star_rating"].value_counts().rows()),
        (first, last),
    )


def summarize(
    customers: Counts, products: Counts, stars: Mapping[float, int], days: tuple[date, date]
) -> dict[str, Any]:
    """Figures about ratings that were counted.

    Args:
        customers: how many ratings each customer has, in any order.
        products: likewise each product.
        stars: how many ratings there are of each value.
        days: the first and the last day.

    Returns:
        rows; customers and products, each with `count` and `ratings_by_quantile`; `density`, the
        fraction of all pairs that are rated; `stars`, the number of ratings of each value;
        `first_day` and `last_day` in ISO 8601.
    """
    rows = int(customers.sum())
    first, last = days
    return {
        "rows": rows,
        "customers": _long_tail(customers),
        "products": _long_tail(products),
        "density": rows / (len(customers) * len(products)),
        "stars": {f"{star:g}": count for star, count in sorted(stars.items())},
        "first_day": str(first),
        "last_day": str(last),
    }


def _counts(numbers: pl.Series) -> Counts:
    counts = np.bincount(numbers.to_numpy())
    present: Counts = counts[counts > 0]
    return present


def _long_tail(counts: Counts) -> dict[str, Any]:
    values = np.quantile(counts, QUANTILES)
    quantiles = {f"{q:g}": float(value) for q, value in zip(QUANTILES, values, strict=True)}
    return {"count": len(counts), "ratings_by_quantile": quantiles}
