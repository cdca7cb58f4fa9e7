"""The catalogue: every product of the ratings once, with its title and category."""

import polars as pl
import pyarrow as pa

from components.artifacts.ratings import PRODUCTS_SCHEMA

_ROWS_AT_ONCE = 250_000
_COLUMNS = ("product", "title", "category")


class Catalogue:
    """Collects products; the first title and category of each counts.

    Memory is proportional to the number of products, not of ratings.
    """

    def __init__(self) -> None:
        self._waiting: list[pl.DataFrame] = []
        self._found = pl.DataFrame(schema=dict.fromkeys(_COLUMNS, pl.String))
        self._described = [self._found]

    def add(self, ratings: pl.DataFrame) -> None:
        """Add the products of checked rows."""
        self._waiting.append(_firsts(ratings.select(_COLUMNS)))
        if sum(map(len, self._waiting)) >= _ROWS_AT_ONCE:
            self._take_up()

    def describe(self, products: pl.DataFrame) -> None:
        """Add titles and categories of products that have ratings; earlier ones take precedence.

        Args:
            products: product, title and category, strings.
        """
        self._take_up()
        known = products.join(self._found, on="product", how="semi")
        self._described.append(pl.DataFrame(_firsts(known).to_arrow()))

    def table(self) -> pa.Table:
        """The catalogue, one row of `PRODUCTS_SCHEMA` for each product, in order of the id."""
        self._take_up()
        described = _firsts(pl.concat(self._described))
        ordered = (
            self._found.update(described, on="product")
            .sort("product")
            .with_columns(pl.col("title", "category").fill_null(""))
        )
        return ordered.to_arrow().rename_columns(PRODUCTS_SCHEMA.names).cast(PRODUCTS_SCHEMA)

    def _take_up(self) -> None:
        if not self._waiting:
            return
        met = pl.concat(self._waiting).join(
            self._found, on="product", how="anti", maintain_order="left"
        )
        self._waiting = []
        # A copy by way of Arrow: strings of polars keep the whole block that they are from alive.
        new = pl.DataFrame(_firsts(met).to_arrow())
        self._found = pl.concat([self._found, new])


def _firsts(products: pl.DataFrame) -> pl.DataFrame:
    strings = products.cast(pl.String)
    return strings.unique("product", keep="first")
