"""The products met so far, each once."""

import polars as pl
import pyarrow as pa

from components.artifacts.ratings import PRODUCTS_SCHEMA

_ROWS_AT_ONCE = 250_000


class Catalogue:
    """Collects titles and categories, the first of each product, in memory that they bound."""

    def __init__(self) -> None:
        self._waiting: list[pl.DataFrame] = []
        self._found = pl.DataFrame(
            schema=dict.fromkeys(("product", "title", "category"), pl.String)
        )

    def add(self, ratings: pl.DataFrame) -> None:
        """Take up the products of checked rows."""
        self._waiting.append(_firsts(ratings.select("product", "title", "category")))
        if sum(map(len, self._waiting)) >= _ROWS_AT_ONCE:
            self._take_up()

    def table(self) -> pa.Table:
        """One row a product, of `PRODUCTS_SCHEMA`, in order of the id."""
        self._take_up()
        ordered = self._found.sort("product").with_columns(
            pl.col("title", "category").fill_null("")
        )
        return ordered.to_arrow().rename_columns(PRODUCTS_SCHEMA.names).cast(PRODUCTS_SCHEMA)

    def _take_up(self) -> None:
        if not self._waiting:
            return
        met = pl.concat(self._waiting).join(
            self._found, on="product", how="anti", maintain_order="left"
        )
        self._waiting = []
        # By way of Arrow, since strings of polars keep the whole block alive that they came from.
        new = pl.DataFrame(_firsts(met).to_arrow())
        self._found = pl.concat([self._found, new])


def _firsts(products: pl.DataFrame) -> pl.DataFrame:
    strings = products.cast(pl.String)
    return strings.unique("product", keep="first")
