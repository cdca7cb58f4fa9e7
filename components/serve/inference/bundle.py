"""A bundle: a model as the server holds it, opened only if every byte and value is valid."""

from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from components.artifacts.model import (
    FACTORS,
    Floats,
    Integers,
    Model,
    Rater,
    open_model,
)
from components.artifacts.precomputed import PRECOMPUTED, Precomputed, load_precomputed
from components.artifacts.tensors import Rows
from components.artifacts.top_n import Ranker
from components.errors import UserError
from components.serve.inference.checks import check_model, check_precomputed
from components.serve.inference.lookup import Lookup
from components.serve.inference.scoring import Scorer


class Product(msgspec.Struct):
    """A product as clients see it; the category is empty if the source had none."""

    product_id: str
    title: str
    category: str


class Bundle:
    """One model, ready to answer from.

    Attributes:
        folder: the folder of the bundle, without links.
        version: the first digits of the manifest's digest, so that other bytes are another version.
        model: the arrays, mapped into memory. Arrays with a row per customer are read through
            `scorer`, `history`, `liked`, `vector` and `rater`, so that a worker's memory does not
            grow with them.
        ranker: finds the best products for a customer; None if the model does not rank.
        scorer: predicts stars; None if the model does not.
        customers: finds the index of a customer by id.
        items: finds the index of a product by id.
        product_fragments: for each item, the JSON between the score before it in a list and its
            own score. To join fragments and scores takes a third of the time of encoding the
            products of every answer.
        precomputed: lists computed ahead, if the bundle has them.
    """

    def __init__(
        self, folder: Path, version: str, model: Model, precomputed: Precomputed | None
    ) -> None:
        """Prepare what answers are computed from.

        Args:
            folder: the folder of the bundle.
            version: its version.
            model: what `folder` holds.
            precomputed: lists computed ahead, if `folder` holds them.
        """
        self.folder = folder
        self.version = version
        self.model = model
        self.precomputed = precomputed
        self.ranker = Ranker(model.ranking, model.rating) if model.ranking is not None else None
        self.scorer = None
        if model.rating is not None:
            self.scorer = Scorer(model.rating, Rows(folder / FACTORS, "rating.users"))
        self._seen = Rows(folder / FACTORS, "seen.items")
        self._stars = Rows(folder / FACTORS, "seen.stars")
        self._user_vectors = None
        if model.ranking is not None and len(model.ranking.users):
            self._user_vectors = Rows(folder / FACTORS, "ranking.users")
        catalogue = model.catalogue
        self.customers, self.items = Lookup(catalogue.customers), Lookup(catalogue.products)
        names = catalogue.categories.to_list()
        categories = (names[number] for number in catalogue.category.tolist())
        self.product_fragments = [
            b'},%b,"score":' % msgspec.json.encode(Product(*fields))[:-1]
            for fields in zip(catalogue.products, catalogue.titles, categories, strict=True)
        ]

    @classmethod
    def open(cls, folder: Path) -> "Bundle":
        """Open a bundle, after a check of every byte and every value.

        Raises:
            UserError: if the folder is damaged or cannot be read, or an array has a wrong shape or
                wrong values.
        """
        folder = folder.resolve()
        try:
            return cls._open(folder)
        except OSError as error:
            raise UserError(f"{error.filename} cannot be read: {error.strerror}") from None
        except (IndexError, TypeError) as error:  # a check came upon too few dimensions
            raise UserError(f"{folder} has an array of a wrong shape: {error}") from None

    @classmethod
    def _open(cls, folder: Path) -> "Bundle":
        model, manifest = open_model(folder)
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
        """Open a bundle that `open` has just checked, without another check."""
        has_lists = (folder / PRECOMPUTED).exists()
        precomputed = load_precomputed(folder) if has_lists else None
        return cls(folder, version, Model.load(folder), precomputed)

    def history(self, user: int) -> Integers:
        """The items that a customer rated, oldest first: int32 [n]."""
        begin, end = self.model.seen.offsets[user : user + 2].tolist()
        return self._seen.between(begin, end)

    def liked(self, user: int) -> npt.NDArray[np.bool_]:
        """Whether a customer rated the items of `history` no lower than their mean: bool [n]."""
        begin, end = self.model.seen.offsets[user : user + 2].tolist()
        stars = self._stars.between(begin, end).astype(np.float64)
        return np.asarray(stars >= stars.sum() / max(1, len(stars)))

    def vector(self, user: int, history: Integers) -> Floats:
        """The customer's vector in the ranking, as `RankingFactors.customer_vector` gives it."""
        if self._user_vectors is not None:
            vector: Floats = self._user_vectors.row(user)
            return vector
        assert self.ranker is not None
        return self.ranker.factors.vector(history)

    def rater(self, user: int) -> Rater | None:
        """How a customer rates, as `Model.rater` gives it."""
        return self.scorer.rater(user) if self.scorer and self._stars_count else None

    @cached_property
    def _stars_count(self) -> bool:
        ranking = self.model.ranking
        return ranking is not None and bool(ranking.stars_weight[0])

    @cached_property
    def popular(self) -> Integers:
        """Item indices, int32 [products], in descending order of number of ratings."""
        return np.argsort(-self.model.catalogue.popularity, kind="stable").astype(np.int32)

    @cached_property
    def category_numbers(self) -> dict[str, int]:
        """The number of each category, by its name."""
        names = self.model.catalogue.categories.to_list()
        return {name: number for number, name in enumerate(names)}
