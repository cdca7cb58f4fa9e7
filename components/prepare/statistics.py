"""Statistics of the ratings before and after filtering: long tail, density, stars and dates."""

from typing import Any

import numpy as np
import polars as pl

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
        rows; customers and products, each with `count` and `ratings_by_quantile`; `density`, the
        fraction of all pairs that are rated; `stars`, the number of ratings of each value;
        `first_day` and `last_day` in ISO 8601.
    """
    customers, products = _long_tail(ratings["user"]), _long_tail(ratings["item"])
    stars = ratings["star_rating"].value_counts().sort("star_rating")
    instant = pl.col("rated_at")
    first, last = ratings.select(first=instant.min().dt.date(), last=instant.max().dt.date()).row(0)
    return {
        "rows": len(ratings),
        "customers": customers,
        "products": products,
        "density": len(ratings) / (customers["count"] * products["count"]),
        "stars": {f"{star:g}": count for star, count in stars.rows()},
        "first_day": str(first),
        "last_day": str(last),
    }


def _long_tail(numbers: pl.Series) -> dict[str, Any]:
    counts = np.bincount(numbers.to_numpy())
    counts = counts[counts > 0]
    values = np.quantile(counts, QUANTILES)
    quantiles = {f"{q:g}": float(value) for q, value in zip(QUANTILES, values, strict=True)}
    return {"count": len(counts), "ratings_by_quantile": quantiles}
