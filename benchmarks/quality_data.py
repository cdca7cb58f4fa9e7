"""One split of ratings, and the metrics, for every model of the quality benchmark alike.

Needs NumPy alone: the peers' environment has nothing of this project installed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

# Lists are chosen by a longer cut than they are judged by: it is less at the mercy of chance.
CHOICE_CUT = 50
CUT = 10
_BLOCK = 1024
_PARTS = ("train", "validation", "test")
_COLUMNS = ("users", "items", "stars", "days", "liked")

Array = npt.NDArray[Any]
Scores = Callable[[Array], Array]
"""Scores [n, products], larger is better, for n users; the caller may overwrite them."""
Predict = Callable[[Array, Array], Array]
"""Stars [n] for n pairs of users and items."""


@dataclass(frozen=True, eq=False)
class Part:
    """Ratings as parallel arrays in order of user, then time, then chance.

    `liked` is whether they are no lower than the mean of the customer's ratings in earlier parts.
    """

    users: Array
    items: Array
    stars: Array
    days: Array
    liked: Array

    def merged_with(self, later: "Part") -> "Part":
        both = [np.concatenate([getattr(self, name), getattr(later, name)]) for name in _COLUMNS]
        order = np.lexsort((np.repeat([0, 1], [len(self.users), len(later.users)]), both[0]))
        return Part(*(column[order] for column in both))


@dataclass(frozen=True, eq=False)
class Task:
    """Learn from `known`, then predict `held_out`; what is known is not recommended again."""

    known: Part
    held_out: Part
    customers: int
    products: int
    scale: tuple[float, float]

    def rating_metrics(self, predict: Predict) -> dict[str, float]:
        """The mean squared error in stars, and its standard error over the ratings."""
        stars = np.clip(predict(self.held_out.users, self.held_out.items), *self.scale)
        errors = np.square(stars - self.held_out.stars)
        return {"mse": float(errors.mean()), "standard_error": _standard_error(errors)}

    def places(self, scores: Scores) -> Array:
        """Place of each held-out item, from 0, among all products that its customer had not.

        Equal scores are in a random order that is the same for every model.
        """
        ties = np.random.default_rng(12345).permutation(self.products)
        offsets = np.searchsorted(self.known.users, np.arange(self.customers + 1))
        found = []
        for start in range(0, len(self.held_out.users), _BLOCK):
            users = self.held_out.users[start : start + _BLOCK]
            items = self.held_out.items[start : start + _BLOCK]
            table = np.array(scores(users), dtype=np.float64)
            if not np.isfinite(table).all():
                raise ValueError("a model gave scores that are not finite")
            for row, user in enumerate(users):
                table[row, self.known.items[offsets[user] : offsets[user + 1]]] = -np.inf
            target = table[np.arange(len(users)), items][:, None]
            before = ties < ties[items][:, None]
            found.append((table > target).sum(1) + ((table == target) & before).sum(1))
        return np.concatenate(found)

    def ranking_metrics(self, scores: Scores) -> dict[str, float]:
        """NDCG and recall at 10, the standard error of the first, and NDCG at 50 to choose by.

        Those named `liked_…` are over the liked ratings alone.
        """
        places, liked = self.places(scores), self.held_out.liked
        hits, gains = places < CUT, _gains(places, CUT)
        return {
            "ndcg10": float(gains.mean()),
            "ndcg50": float(_gains(places, CHOICE_CUT).mean()),
            "recall10": float(hits.mean()),
            "standard_error": _standard_error(gains),
            "liked_ndcg10": float(gains[liked].mean()),
            "liked_recall10": float(hits[liked].mean()),
            "liked_standard_error": _standard_error(gains[liked]),
        }


def _standard_error(values: Array) -> float:
    return float(values.std() / len(values) ** 0.5)


def _gains(places: Array, cut: int) -> Array:
    return np.where(places < cut, 1 / np.log2(places + 2), 0)


@dataclass(frozen=True, eq=False)
class Data:
    """Ratings held out for one seed."""

    parts: dict[str, Part]
    customers: int
    products: int
    scale: tuple[float, float]

    @property
    def validation(self) -> Task:
        """To choose settings by."""
        return self._task(self.parts["train"], "validation")

    @property
    def test(self) -> Task:
        """To judge by, with the validation ratings known."""
        return self._task(self.parts["train"].merged_with(self.parts["validation"]), "test")

    def _task(self, known: Part, name: str) -> Task:
        return Task(known, self.parts[name], self.customers, self.products, self.scale)

    def save(self, path: Path) -> None:
        arrays = {
            f"{part}_{column}": getattr(self.parts[part], column)
            for part in _PARTS
            for column in _COLUMNS
        }
        shape = np.array([self.customers, self.products])
        np.savez(path, shape=shape, scale=np.array(self.scale), **arrays)

    @classmethod
    def load(cls, path: Path) -> "Data":
        arrays = np.load(path)
        parts = {part: Part(*(arrays[f"{part}_{name}"] for name in _COLUMNS)) for part in _PARTS}
        customers, products = arrays["shape"].tolist()
        lowest, highest = arrays["scale"].tolist()
        return cls(parts, customers, products, (lowest, highest))
