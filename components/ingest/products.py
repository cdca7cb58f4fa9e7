"""Read files of products, with the titles and categories of known data sets."""

import io
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import product
from typing import Any

import polars as pl

from components.ingest.checks import to_id
from components.ingest.download import ObjectStream
from components.ingest.formats import ITEM, JSON, PARQUET, TEXT, Columns, Encoding, Format
from components.ingest.objects import SourceObject, Storage
from components.ingest.reading import read_batches

log = logging.getLogger(__name__)


def _layout(
    encoding: Encoding, suffixes: tuple[str, ...], names: tuple[str, str, str], **more: Any
) -> Format:
    """A format whose columns of the id, the title and the category have these names."""
    columns = Columns("", names[0], "", "", names[1], names[2])
    return Format(encoding, suffixes, columns, required=("product", "title"), **more)


_OWN = ("product_id", "product_title", "product_category")
_MOVIELENS = ("movieId", "title", "genres")

PRODUCT_FORMATS = (
    # Amazon's metadata of 2023, of 2018 and earlier; some have a list of categories.
    *(
        _layout("json lines", JSON, (key, "title", category), known_by=(category,))
        for key, category in product(
            ("parent_asin", "asin"), ("main_category", "category", "categories")
        )
    ),
    _layout("delimited", TEXT, _MOVIELENS),
    _layout(
        "delimited",
        (".dat",),
        _MOVIELENS,
        separator="::",
        header=_MOVIELENS,
        record=r"\d+::.+ \(\d{4}\)::.*",
        legacy_encoding="latin-1",
    ),
    _layout(
        "delimited",
        (ITEM,),
        ("movieId", "title", ""),
        separator="|",
        header=("movieId", "title", *[""] * 22),
        record=r"\d+\|[^|]+(\|[^|]*){3}(\|[01]){19}",
        legacy_encoding="latin-1",
    ),
    *(
        _layout("delimited", (ITEM,), ("item_id:token", title, category), known_by=(category,))
        for title, category in (
            ("movie_title:token_seq", "class:token_seq"),
            ("movie_title:token_seq", "genre:token_seq"),
            ("title:token_seq", "categories:token_seq"),
        )
    ),
    _layout("delimited", TEXT, _OWN),
    _layout("json lines", JSON, _OWN),
    _layout("parquet", PARQUET, _OWN),
)
"""The formats of products, each recognised by its first line."""


def read_products(stream: io.RawIOBase, layout: Format, uri: str) -> Iterator[pl.DataFrame]:
    """Read the products of a file; rows that cannot be read are left out.

    Args:
        stream: the content of the file.
        layout: its format.
        uri: of the file, for messages.

    Returns:
        Data frames of product, title and category, strings; the first category of a list.

    Raises:
        UserError: as `read_batches` does.
    """
    for batch in read_batches(stream, layout, uri):
        category = pl.col("category").cast(pl.String)
        is_list = category.str.starts_with("[")
        products = batch.cells.with_columns(
            to_id(batch.cells["product"]),
            pl.col("title").cast(pl.String),
            pl.when(is_list).then(category.str.json_path_match("$[0]")).otherwise(category),
        )
        good = pl.col("flaw").is_null() & (pl.col("product") != "")
        yield products.filter(good).select("product", "title", "category")


def describe_products(
    storage: Storage,
    source: SourceObject,
    layout: Format,
    describe: Callable[[pl.DataFrame], None],
) -> dict[str, Any]:
    """Read an object of products, and return what it is, with the SHA-256 of its bytes.

    Args:
        storage: where it is.
        source: which it is.
        layout: its layout.
        describe: takes what `read_products` reads.
    """
    rows = 0
    with ObjectStream(storage, source) as stream:
        for products in read_products(stream, layout, source.uri):
            describe(products)
            rows += len(products)
        log.info("%s: titles of %d products", source.uri, rows)
        return {**asdict(source), "sha256": stream.sha256}
