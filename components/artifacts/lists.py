"""Recommendations for every customer as one Parquet file.

| column | |
|---|---|
| `customer_id` | every customer of the model, ids ascending |
| `rank` | the place in the customer's list, from 1 |
| `product_id` | a product that the customer has not rated |
| `score` | as `/recommend` gives it; larger is better |
| `predicted_stars` | on the scale of the source; null if the model does not predict stars |
"""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.artifacts.model import Model
from components.artifacts.precomputed import best_of_everyone
from components.artifacts.scratch import scratch_folder
from components.artifacts.top_n import Ranked
from components.errors import UserError

SCHEMA = pa.schema(
    {
        "customer_id": pa.string(),
        "rank": pa.int32(),
        "product_id": pa.string(),
        "score": pa.float32(),
        "predicted_stars": pa.float32(),
    }
)

# Bounds the memory, and is the largest row group.
_ROWS_A_GROUP = 200_000


def write_lists(model: Model, length: int, file: Path) -> int:
    """Write the `length` best unseen products of every customer, and return the number of rows.

    The file gets its name when it is whole; one of that name is replaced. The memory does not grow
    with the number of customers.

    Args:
        model: whose lists to write.
        length: the most products of a customer, at least 1.
        file: where to write them.

    Raises:
        UserError: if the model was trained without a ranking.
    """
    if model.ranking is None:
        raise UserError("the model does not rank products: train with ranking in objectives")
    products = pa.array(model.catalogue.products.to_list())
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = first = 0
    with scratch_folder(f".{file.name}.partial-", file.parent) as folder:
        partial = folder / file.name
        with pq.ParquetWriter(partial, SCHEMA) as writer:
            everyone = best_of_everyone(model, model.ranking, length)
            customers = max(1, _ROWS_A_GROUP // length)
            while lists := [*islice(everyone, customers)]:
                table = _table(model, products, first, lists)
                writer.write_table(table)
                first, rows = first + len(lists), rows + len(table)
        partial.replace(file)
    return rows


def _table(model: Model, products: pa.Array, first: int, lists: Sequence[Ranked]) -> pa.Table:
    """The rows of customers who follow one another.

    Args:
        model: whose customers they are.
        products: the ids of the products.
        first: the index of the first customer.
        lists: their products and scores.
    """
    counts = [len(items) for items, _ in lists]
    items, scores = (np.concatenate(column) for column in zip(*lists, strict=True))
    places = np.repeat(np.arange(len(lists)), counts)
    ids = pa.array([model.catalogue.customers[first + place] for place in range(len(lists))])
    starts = np.cumsum([0, *counts[:-1]])
    ranks = np.arange(len(items)) - starts[places] + 1
    stars = None
    if model.rating is not None:
        stars = model.rating.predict((first + places).astype(np.int32), items)
    columns = [
        ids.take(pa.array(places)),
        pa.array(ranks, pa.int32()),
        products.take(pa.array(items)),
        pa.array(scores),
        pa.nulls(len(items), pa.float32()) if stars is None else pa.array(stars),
    ]
    return pa.table(columns, schema=SCHEMA)
