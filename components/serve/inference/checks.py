"""Checks of a model that was read from files, before the server answers from it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from components.artifacts.model import (
    Catalogue,
    Integers,
    Model,
    RankingFactors,
    RatingFactors,
)
from components.artifacts.precomputed import PRECOMPUTED, Precomputed
from components.artifacts.strings import StringTable
from components.errors import UserError


def check_model(model: Model, folder: Path) -> None:
    """Refuse a model with which the server would fail or give wrong answers.

    Raises:
        UserError: if a shape, an index or a value is wrong; it names the first one.
    """
    for name, table in _string_tables(model.catalogue):
        _check_strings(table, f"{folder}: {name}")
    for name, array, shape in _expected(model):
        if array.shape != shape:
            raise UserError(f"{folder}: {name} has shape {array.shape}, not {shape}: train again")
        if array.dtype != (dtype := _INTEGER_TYPES.get(name, np.float32)):
            raise UserError(f"{folder}: {name} is not of {np.dtype(dtype)}: train the model again")
        if array.dtype == np.float32 and not np.isfinite(array).all():
            raise UserError(f"{folder}: {name} holds NaN or infinity: train the model again")
    seen, products = model.seen, len(model.catalogue.products)
    if seen.offsets[0] != 0 or (np.diff(seen.offsets) < 0).any():
        raise UserError(f"{folder}: seen.offsets do not ascend from 0: train the model again")
    if (ranking := model.ranking) is not None and not (
        ranking.window[0] >= 1 and 0 < ranking.recency[0] <= 1
    ):
        raise UserError(f"{folder}: ranking has no window or no recency: train the model again")
    if ranking is not None and not ranking.stars_weight[0] >= 0:
        raise UserError(f"{folder}: ranking.stars_weight is below 0: train the model again")
    _check_range(seen.items, products, f"{folder}: seen.items")
    _check_range(
        model.catalogue.category, len(model.catalogue.categories), f"{folder}: catalogue.category"
    )


_INTEGER_TYPES = {
    "catalogue.category": np.int32,
    "seen.offsets": np.int64,
    "seen.items": np.int32,
    "ranking.window": np.int32,
}


def _string_tables(catalogue: Catalogue) -> Iterator[tuple[str, StringTable]]:
    for name in ("customers", "products", "titles", "categories"):
        yield f"catalogue.{name}", getattr(catalogue, name)


def _check_strings(table: StringTable, name: str) -> None:
    offsets = table.offsets
    if (
        len(offsets) == 0
        or offsets[0] != 0
        or offsets[-1] != len(table.blob)
        or (np.diff(offsets) < 0).any()
    ):
        raise UserError(f"{name} has wrong offsets: train the model again")
    try:
        table.to_list()
    except UnicodeDecodeError:
        raise UserError(f"{name} is not UTF-8: train the model again") from None


def check_precomputed(lists: Precomputed, model: Model, folder: Path) -> None:
    """Refuse lists that do not belong to the model.

    Args:
        lists: the lists computed ahead.
        model: the model of the same bundle.
        folder: the folder of the bundle, for messages.

    Raises:
        UserError: if a shape, an index or a value is wrong.
    """
    shape = (len(model.catalogue.customers), lists.length)
    if lists.items.shape != shape or lists.scores.shape != shape:
        raise UserError(
            f"{folder / PRECOMPUTED} does not have one list for each customer: deploy again"
        )
    _check_range(lists.items + 1, len(model.catalogue.products) + 1, f"{folder / PRECOMPUTED}")
    if not np.isfinite(lists.scores).all():
        raise UserError(f"{folder / PRECOMPUTED} holds NaN or infinity: deploy again")


def _expected(model: Model) -> Iterator[tuple[str, Any, tuple[int, ...]]]:
    """Name, array and required shape of every array."""
    customers, products = len(model.catalogue.customers), len(model.catalogue.products)
    yield from _named(
        model.catalogue,
        "catalogue",
        category=(products,),
        popularity=(products,),
        recent_popularity=(products,),
    )
    if len(model.catalogue.titles) != products:
        raise UserError("the model does not have one title for each product: train the model again")
    ratings = int(model.seen.offsets[-1])
    yield from _named(
        model.seen, "seen", offsets=(customers + 1,), items=(ratings,), stars=(ratings,)
    )
    if (rating := model.rating) is not None:
        yield from _rating_shapes(rating, customers, products)
    if (ranking := model.ranking) is not None:
        yield from _ranking_shapes(ranking, customers, products)


def _rating_shapes(
    rating: RatingFactors, customers: int, products: int
) -> Iterator[tuple[str, Any, tuple[int, ...]]]:
    width = rating.items.shape[-1]
    return _named(
        rating,
        "rating",
        users=(customers, width),
        items=(products, width),
        user_biases=(customers,),
        item_biases=(products,),
        offset=(1,),
        bounds=(2,),
    )


def _ranking_shapes(
    ranking: RankingFactors, customers: int, products: int
) -> Iterator[tuple[str, Any, tuple[int, ...]]]:
    width = ranking.items.shape[-1]
    return _named(
        ranking,
        "ranking",
        items=(products, width),
        item_biases=(products,),
        histories=(products, width),
        recency=(1,),
        window=(1,),
        users=(customers if len(ranking.users) else 0, width),
        stars_weight=(1,),
    )


def _named(
    group: object, prefix: str, **shapes: tuple[int, ...]
) -> Iterator[tuple[str, Any, tuple[int, ...]]]:
    for name, shape in shapes.items():
        yield f"{prefix}.{name}", getattr(group, name), shape


def _check_range(indices: Integers, count: int, name: str) -> None:
    if len(indices) and (indices.min() < 0 or indices.max() >= count):
        raise UserError(
            f"{name} refers to a row beyond its table of {count}: train the model again"
        )
