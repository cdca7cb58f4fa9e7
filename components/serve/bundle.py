"""A bundle: a model as the server holds it, opened only when everything in it is sound."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from components.artifacts.model import (
    FACTORS,
    Catalogue,
    Floats,
    Integers,
    Model,
    RankingFactors,
    RatingFactors,
    open_model,
)
from components.artifacts.precomputed import PRECOMPUTED, Precomputed, load_precomputed
from components.artifacts.strings import StringTable
from components.artifacts.tensors import Rows
from components.artifacts.top_n import Ranker
from components.errors import UserError
from components.serve.lookup import Lookup
from components.serve.scoring import Scorer


class Product(msgspec.Struct):
    """A product as clients see it; the category is empty where the source had none."""

    product_id: str
    title: str
    category: str


class Bundle:
    """One model, ready to answer from.

    Attributes:
        folder: where it lies, links resolved.
        version: the first digits of the manifest's digest: other bytes, other version.
        model: the arrays, mapped into memory. What has a row a customer is read through `scorer`,
            `history` and `vector` instead, so that a worker's memory does not grow with them.
        ranker: finds a customer's best products, or None where the model does not rank.
        scorer: predicts stars, or None where the model does not.
        customers: finds user indices by customer id. items: item indices by product id.
        products: the JSON of each item in a list, from the end of the one before it to where its
            own score is to follow. To join such pieces and scores takes a third of the time of
            encoding products again for every answer.
        precomputed: lists computed ahead, if the bundle has any.
    """

    def __init__(
        self, folder: Path, version: str, model: Model, precomputed: Precomputed | None
    ) -> None:
        self.folder = folder
        self.version = version
        self.model = model
        self.precomputed = precomputed
        self.ranker = Ranker(model.ranking) if model.ranking is not None else None
        self.scorer = None
        if model.rating is not None:
            self.scorer = Scorer(model.rating, Rows(folder / FACTORS, "rating.users"))
        self._seen = Rows(folder / FACTORS, "seen.items")
        self._learned = Rows(folder / FACTORS, "ranking.users") if _has_learned(model) else None
        catalogue = model.catalogue
        self.customers, self.items = Lookup(catalogue.customers), Lookup(catalogue.products)
        names = catalogue.categories.to_list()
        categories = (names[number] for number in catalogue.category.tolist())
        self.products = [
            b'},%b,"score":' % msgspec.json.encode(Product(*shown))[:-1]
            for shown in zip(catalogue.products, catalogue.titles, categories, strict=True)
        ]

    @classmethod
    def open(cls, folder: Path) -> "Bundle":
        """Open a bundle after checking every byte and every value of it.

        Raises:
            UserError: if the folder is damaged or may not be read, or an array's shape or values
                are not sound.
        """
        folder = folder.resolve()
        try:
            model, manifest = open_model(folder)
        except OSError as error:
            raise UserError(f"{error.filename} cannot be read: {error.strerror}") from None
        check_model(model, folder)
        precomputed = None
        if (folder / PRECOMPUTED).exists():
            if PRECOMPUTED not in manifest.files:
                raise UserError(f"{folder / PRECOMPUTED} is not in the manifest: deploy again")
            precomputed = load_precomputed(folder)
            check_precomputed(precomputed, model, folder)
        return cls(folder, manifest.digest[:12], model, precomputed)

    @classmethod
    def reopen(cls, folder: Path, version: str) -> "Bundle":
        """Open a bundle that was found sound a moment ago, without checking it again."""
        has_lists = (folder / PRECOMPUTED).exists()
        precomputed = load_precomputed(folder) if has_lists else None
        return cls(folder, version, Model.load(folder), precomputed)

    def history(self, user: int) -> Integers:
        """What a customer rated, oldest first: item indices, int32 [n]."""
        begin, end = self.model.seen.offsets[user : user + 2].tolist()
        return self._seen.between(begin, end)

    def vector(self, user: int, history: Integers) -> Floats:
        """What `RankingFactors.customer_vector` gives for a model that ranks."""
        if self._learned is not None:
            vector: Floats = self._learned.between(user, user + 1)[0]
            return vector
        assert self.ranker is not None
        return self.ranker.factors.vector(history)

    @cached_property
    def popular(self) -> Integers:
        """Item indices, int32 [products], by number of ratings, most first."""
        return np.argsort(-self.model.catalogue.popularity, kind="stable").astype(np.int32)

    @cached_property
    def numbers_of_categories(self) -> dict[str, int]:
        """Category numbers by name."""
        names = self.model.catalogue.categories.to_list()
        return {name: number for number, name in enumerate(names)}


def _has_learned(model: Model) -> bool:
    """Whether customers have vectors of their own."""
    return model.ranking is not None and len(model.ranking.users) > 0


def check_model(model: Model, folder: Path) -> None:
    """Refuse a model that would crash the server or answer with nonsense.

    Raises:
        UserError: if a shape, an index or a value is wrong; the first such is named.
    """
    for name, table in _string_tables(model.catalogue):
        _check_strings(table, f"{folder}: {name}")
    for name, array, shape in _expected(model):
        if array.shape != shape:
            raise UserError(f"{folder}: {name} has shape {array.shape}, not {shape}: train again")
        if array.dtype != (dtype := _INTEGERS.get(name, np.float32)):
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
    _check_range(seen.items, products, f"{folder}: seen.items")
    _check_range(
        model.catalogue.category, len(model.catalogue.categories), f"{folder}: catalogue.category"
    )


_INTEGERS = {
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
        raise UserError(f"{name} has no sound offsets: train the model again")


def check_precomputed(lists: Precomputed, model: Model, folder: Path) -> None:
    """Refuse lists that are not of this model.

    Raises:
        UserError: if a shape, an index or a value is wrong.
    """
    shape = (len(model.catalogue.customers), lists.length)
    if lists.items.shape != shape or lists.scores.shape != shape:
        raise UserError(f"{folder / PRECOMPUTED} has not one list a customer: deploy again")
    _check_range(lists.items + 1, len(model.catalogue.products) + 1, f"{folder / PRECOMPUTED}")
    if not np.isfinite(lists.scores).all():
        raise UserError(f"{folder / PRECOMPUTED} holds NaN or infinity: deploy again")


def _expected(model: Model) -> Iterator[tuple[str, Any, tuple[int, ...]]]:
    """Every array by name, with the shape that it must have."""
    customers, products = len(model.catalogue.customers), len(model.catalogue.products)
    yield from _named(
        model.catalogue,
        "catalogue",
        category=(products,),
        popularity=(products,),
        recent_popularity=(products,),
    )
    if len(model.catalogue.titles) != products:
        raise UserError("the model has not one title a product: train the model again")
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
    )


def _named(
    group: object, prefix: str, **shapes: tuple[int, ...]
) -> Iterator[tuple[str, Any, tuple[int, ...]]]:
    for name, shape in shapes.items():
        yield f"{prefix}.{name}", getattr(group, name), shape


def _check_range(indices: Integers, count: int, name: str) -> None:
    if len(indices) and (indices.min() < 0 or indices.max() >= count):
        raise UserError(f"{name} points outside its table of {count}: train the model again")
