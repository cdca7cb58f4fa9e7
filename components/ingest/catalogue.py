"""The products met so far, each once."""

import polars as pl
import pyarrow as pa

from components.artifacts.ratings import PRODUCTS_SCHEMA


class Catalogue:
    """Collects titles and categories, the first of each product, in memory that it bounds."""

    def __init__(self) -> None:
        self._parts: list[pl.DataFrame] = []
        self._known = 0

    def add(self, ratings: pl.DataFrame) -> None:
        """Take up the products of checked rows."""
        self._parts.append(_firsts(ratings.select("product", "title", "category")))
        # Merging whenever the parts have doubled costs the same for every row, however many.
        if sum(map(len, self._parts)) > 2 * self._known + 100_000:
            self._merge()

    def table(self) -> pa.Table:
        """One row a product, of `PRODUCTS_SCHEMA`, in order of the id."""
        self._merge()
        filled = (
            self._parts[0]
            .sort("product")
            .with_columns(pl.col("title", "category").cast(pl.String).fill_null(""))
        )
        return filled.to_arrow().rename_columns(PRODUCTS_SCHEMA.names).cast(PRODUCTS_SCHEMA)

    def _merge(self) -> None:
        merged = _firsts(pl.concat(self._parts))
        self._parts, self._known = [merged], len(merged)


def _firsts(products: pl.DataFrame) -> pl.DataFrame:
    return products.unique("product", keep="first")
