"""The `model` artifact: a trained model as arrays that any program can read.

| file | content |
|---|---|
| `factors.safetensors` | the arrays of `Model`, named like its attributes: `rating.users` … |
| `model.json` | model names, hyperparameters, seed, versions, validation figures, and `source`, \
the URI of the ratings |
| `history.json` | losses by epoch or sweep |
| `measurements.json` | time, memory and processors that training took; not in the digest |

After training, each side of a network depends on a single id. So every customer and every product
becomes one vector, a rating is a dot product, and the best products for a customer are one
matrix-vector product. Serving needs NumPy only.
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from components import images
from components.artifacts.folder import MANIFEST, ArtifactWriter, Manifest, read_manifest
from components.artifacts.strings import StringTable
from components.artifacts.tensors import map_tensors, write_tensors
from components.errors import UserError

KIND = "model"
SCHEMA_VERSION = 2
READABLE_VERSIONS = (1, SCHEMA_VERSION)
"""A deployed model outlives releases: version 1 has no `stars_weight`, which is 0 then."""

FACTORS = "factors.safetensors"
DESCRIPTION = "model.json"
HISTORY = "history.json"

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]
_BLOCK_ROWS = 4096

Group = TypeVar("Group", "Catalogue", "Seen", "RatingFactors", "RankingFactors")


class Rater(NamedTuple):
    """How a customer rates: their vector, float32 [k], and bias in `RatingFactors`."""

    vector: Floats
    bias: float


@dataclass(frozen=True)
class RatingFactors:
    """Predicts stars: `offset + user_bias + item_bias + users · items`, clipped to `bounds`.

    Attributes:
        users: float32 [customers, k].
        items: float32 [products, k].
        user_biases: float32 [customers].
        item_biases: float32 [products].
        offset: float32 [1], in stars.
        bounds: float32 [2], the lowest and the highest rating of the scale.
    """

    users: Floats
    items: Floats
    user_biases: Floats
    item_biases: Floats
    offset: Floats
    bounds: Floats

    def predict(self, users: Integers, items: Integers) -> Floats:
        """Stars, float32 [n], for n pairs of user and item indices."""
        # For a pair or two these calls take half the time of indexing and of clip().
        stars = np.einsum("nk,nk->n", self.users.take(users, 0), self.items.take(items, 0))
        stars += self.user_biases.take(users)
        stars += self.item_biases.take(items)
        stars += self.offset
        lowest, highest = self.bounds
        clipped: Floats = np.minimum(np.maximum(stars, lowest), highest)
        return clipped

    @property
    def disliked_below(self) -> float:
        """Three fifths of the top of the scale, such as 3 of 5 stars."""
        return 0.6 * float(self.bounds[1])

    def rater(self, user: int) -> Rater:
        """How a customer rates."""
        return Rater(self.users[user], float(self.user_biases[user]))

    def table(self, users: Integers) -> Floats:
        """Stars, float32 [n, products], for n users and every item."""
        stars = self.users[users] @ self.items.T
        stars += self.user_biases[users][:, None]
        stars += self.item_biases + self.offset
        lowest, highest = self.bounds
        clipped: Floats = np.minimum(np.maximum(stars, lowest, out=stars), highest, out=stars)
        return clipped

    def penalty(self, stars: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """How much stars count against a product in lists: ((top - stars) / width)^3, from 0 to 1.

        The power makes it grow most where customers dislike a product.
        """
        lowest, highest = self.bounds
        missing = (highest - stars) / ((highest - lowest) or 1)
        return np.asarray(missing * missing * missing)

    def penalties(self, rater: Rater, items: Integers) -> npt.NDArray[np.float64]:
        """The same for the stars that a customer is expected to give items, float64 [n]."""
        stars = products_of_rows(self.items, items, rater.vector)
        stars += self.item_biases.take(items) + (rater.bias + float(self.offset[0]))
        return self.penalty(np.clip(stars, *self.bounds))


@dataclass(frozen=True)
class RankingFactors:
    """Orders products: `vector · items + item_biases`, larger is better.

    In lists for a customer whose stars are predicted, `stars_weight` times
    `RatingFactors.penalty` is taken from it: products that they would dislike come later.

    The vector of a customer is `users[user]` if the model learned one. Otherwise, and for customers
    who were not in training, it is the sum of `recency**age * histories[item]` over the newest
    `window` items of a history; the newest item has age 0.

    The models of the training step give these factors:

    | model | users | histories | items | item_biases |
    |---|---|---|---|---|
    | ridge, autoencoder | none | embedding, scaled | regression's solution | 0 |
    | als | learned | solution of the average customer's equations | learned | 0 |
    | popularity | k = 0 | k = 0 | k = 0 | numbers of ratings |

    Attributes:
        items: float32 [products, k].
        item_biases: float32 [products].
        histories: float32 [products, k], what an item in a history adds to the vector.
        recency: float32 [1], in (0, 1].
        window: int32 [1], at least 1.
        users: float32 [customers, k], or [0, k] if all vectors come from histories.
        stars_weight: float32 [1], at least 0.
    """

    items: Floats
    item_biases: Floats
    histories: Floats
    recency: Floats
    window: Integers
    users: Floats
    stars_weight: Floats = field(default_factory=lambda: np.zeros(1, np.float32))

    def vector(self, history: Integers) -> Floats:
        """The vector, float32 [k], of a customer with these items, oldest first."""
        newest, weights = self._weighted(history)
        vector: Floats = weights @ self.histories[newest]
        return vector

    def contributions(self, history: Integers, items: Integers) -> Floats:
        """What each rating of a history adds to the scores of items.

        Their sum is the score of an item, less its bias, for the vector of this history. Where a
        customer's vector was learned it is near that vector, not the same.

        Args:
            history: item indices, oldest first, int32 [m].
            items: the items that are scored, int32 [n].

        Returns:
            float32 [n, m].
        """
        newest, weights = self._weighted(history)
        added: Floats = np.zeros((len(items), len(history)), np.float32)
        vectors = self.histories.take(newest, 0) * weights[:, None]
        added[:, ::-1][:, : len(newest)] = self.items.take(items, 0) @ vectors.T
        return added

    def _weighted(self, history: Integers) -> tuple[Integers, Floats]:
        """The newest `window` items of a history, the newest first, and their weights."""
        newest = history[::-1][: int(self.window[0])]
        weights: Floats = self.recency[0] ** np.arange(len(newest), dtype=np.float32)
        return newest, weights

    def scores(self, vectors: Floats) -> Floats:
        """Scores without expected stars, float32 [n, products], for vectors [n, k]."""
        return vectors @ self.items.T + self.item_biases

    def customer_vector(self, user: int, history: Integers) -> Floats:
        """The vector, float32 [k], of a customer of the model who has these items, oldest first."""
        return self.users[user] if len(self.users) else self.vector(history)


def weigh_histories(
    items: Integers, starts: Offsets, ends: Offsets, recency: float, window: int
) -> tuple[npt.NDArray[np.float64], Integers, Offsets]:
    """The weights `recency**age` of items from each start to its end; the last item has age 0.

    Args:
        items: the items of all customers, oldest first, int32 [ratings].
        starts: the first item of each row, int64 [n].
        ends: the item after the last of each row, int64 [n].
        recency: in (0, 1].
        window: the number of newest items that have a weight.

    Returns:
        The rows in compressed form: weights, items, and offsets [n + 1].
    """
    lengths = np.minimum(ends - starts, window)
    offsets = np.append(0, lengths.cumsum())
    ages = np.arange(offsets[-1]) - offsets[:-1].repeat(lengths)
    return recency**ages, items[ends.repeat(lengths) - 1 - ages], offsets


@dataclass(frozen=True)
class Catalogue:
    """The customers and products that the indices mean.

    Attributes:
        customers: ids, ascending.
        products: ids, ascending.
        titles: of the products.
        categories: the names of all categories.
        category: int32 [products], indices of `categories`.
        popularity: float32 [products], numbers of ratings in all splits.
        recent_popularity: float32 [products], numbers of ratings in the last days of all splits.
    """

    customers: StringTable
    products: StringTable
    titles: StringTable
    categories: StringTable
    category: Integers
    popularity: Floats
    recent_popularity: Floats


@dataclass(frozen=True)
class Seen:
    """The ratings of each customer in all splits, oldest first.

    Attributes:
        offsets: int64 [customers + 1], where the rows of each customer begin.
        items: int32 [ratings].
        stars: float32 [ratings].
        held_out: int32, the rows that the model was not trained on: those of the test split. A
            later evaluation does not score this model on the other rows.
    """

    offsets: Offsets
    items: Integers
    stars: Floats
    held_out: Integers = field(default_factory=lambda: np.zeros(0, np.int32))

    def of(self, user: int) -> tuple[Integers, Floats]:
        """A customer's items, oldest first, and the stars they gave."""
        rows = slice(self.offsets[user], self.offsets[user + 1])
        return self.items[rows], self.stars[rows]


@dataclass(frozen=True)
class Model:
    """Everything that evaluation and serving need; an objective that was not trained is None."""

    catalogue: Catalogue
    seen: Seen
    rating: RatingFactors | None
    ranking: RankingFactors | None

    def rater(self, user: int) -> Rater | None:
        """How a customer rates, if expected stars count in lists."""
        if self.rating is None or self.ranking is None or not self.ranking.stars_weight[0]:
            return None
        return self.rating.rater(user)

    @classmethod
    def load(cls, folder: Path) -> "Model":
        """Map the arrays of a model into memory, read-only; pages are read on first use.

        Raises:
            UserError: if the file does not have the arrays of this version of the format.
        """
        arrays = map_tensors(folder / FACTORS)
        try:
            return cls(
                catalogue=_gather(Catalogue, "catalogue", arrays),
                seen=_gather(Seen, "seen", arrays),
                rating=_gather_if_any(RatingFactors, "rating", arrays),
                ranking=_gather_if_any(RankingFactors, "ranking", arrays),
            )
        except KeyError as error:
            raise UserError(
                f"{folder / FACTORS} has no array {error}: train the model again"
            ) from None


def products_of_rows(rows: Floats, indices: Integers, vector: Floats) -> npt.NDArray[np.float64]:
    """The products of some rows with a vector, computed in float64, [n].

    Args:
        rows: float32 [rows, k].
        indices: of the n rows.
        vector: float32 [k].
    """
    products, exact = np.empty(len(indices)), vector.astype(np.float64)
    # Copies of all rows would take a multiple of their memory.
    for start in range(0, len(indices), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        products[block] = rows[indices[block]].astype(np.float64) @ exact
    return products


def blend(
    scores: Floats, users: Integers, ranking: RankingFactors, rating: RatingFactors | None
) -> Floats:
    """The scores by which lists are ordered, float32 [n, products].

    Args:
        scores: `RankingFactors.scores` of n users.
        users: the users, int32 [n].
        ranking: has the weight of expected stars.
        rating: expects them; None if stars are not predicted.
    """
    weight = ranking.stars_weight[0]
    if rating is None or not weight:
        return scores
    blended: Floats = scores - weight * rating.penalty(rating.table(users))
    return blended


def open_model(folder: Path) -> tuple[Model, Manifest]:
    """Load a model whose files agree with its manifest.

    Raises:
        UserError: if the folder is damaged, of another kind, or of another version.
    """
    manifest = read_manifest(folder, KIND, *READABLE_VERSIONS)
    if FACTORS not in manifest.files:
        raise UserError(f"{folder / MANIFEST} does not vouch for {FACTORS}: train or deploy again")
    return Model.load(folder), manifest


def write_model(
    writer: ArtifactWriter, model: Model, description: Mapping[str, Any], history: Any
) -> None:
    """Write the files of a model into an artifact under construction.

    Args:
        writer: of the artifact.
        model: the arrays.
        description: the content of `model.json`.
        history: the content of `history.json`.
    """
    write_tensors(_scatter(model, ""), writer.path / FACTORS)
    _write_json(writer.path / DESCRIPTION, description)
    _write_json(writer.path / HISTORY, history)


def model_names(description: Mapping[str, Any]) -> dict[str, str]:
    """The name of the chosen model by objective, such as `bayes` for `rating`.

    Args:
        description: the content of `model.json`.
    """
    return {
        objective: description[objective]["model"]
        for objective in ("rating", "ranking")
        if objective in description
    }


def validation_figures(description: Mapping[str, Any]) -> dict[str, float]:
    """The validation metrics by which the models were chosen, by name.

    Args:
        description: the content of `model.json`.
    """
    figures = {}
    if "rating" in description:
        figures["validation_mse"] = float(description["rating"]["validation_mse"])
    if "ranking" in description:
        for name in ("ndcg_at_10", "ndcg_at_50"):
            figures[f"validation_{name}"] = float(description["ranking"][name])
    return figures


def model_facts(folder: Path) -> dict[str, str | float]:
    """The origin of a model: code, ratings, the chosen model by objective, and its metrics.

    Kubeflow shows these facts in its list of artifacts. Unknown facts are left out.
    """
    description = json.loads((folder / DESCRIPTION).read_text())
    ratings = {name: description.get(name, "") for name in ("source", "source_version")}
    code = {"alsolike": images.VERSION, "revision": images.revision()}
    chosen = {f"{objective}_model": name for objective, name in model_names(description).items()}
    known = {name: fact for name, fact in (code | ratings | chosen).items() if fact}
    return known | validation_figures(description)


def _scatter(value: Any, prefix: str) -> dict[str, npt.NDArray[Any]]:
    """All arrays in a dataclass and those within it, by dotted name."""
    if value is None:
        return {}
    if isinstance(value, np.ndarray):
        return {prefix: np.ascontiguousarray(value)}
    arrays: dict[str, npt.NDArray[Any]] = {}
    for attribute in fields(value):
        name = f"{prefix}.{attribute.name}" if prefix else attribute.name
        arrays |= _scatter(getattr(value, attribute.name), name)
    return arrays


def _gather(kind: type[Group], prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Group:
    """Build a dataclass of arrays and string tables from arrays by dotted name.

    A field keeps its default if an earlier version of the format has no such array.
    """

    def value(name: str) -> Any:
        if f"{name}.blob" in arrays:
            return StringTable(arrays[f"{name}.blob"], arrays[f"{name}.offsets"])
        return arrays[name]

    names = [
        attribute.name
        for attribute in fields(kind)
        if attribute.default_factory is MISSING or f"{prefix}.{attribute.name}" in arrays
    ]
    return kind(**{name: value(f"{prefix}.{name}") for name in names})


def _gather_if_any(
    kind: type[Group], prefix: str, arrays: Mapping[str, npt.NDArray[Any]]
) -> Group | None:
    present = any(name.startswith(f"{prefix}.") for name in arrays)
    return _gather(kind, prefix, arrays) if present else None


def _write_json(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")
