"""Recommendations computed ahead for every customer, beside a model in a bundle folder.

`precomputed.safetensors` holds the arrays of `Precomputed`. The server looks them up instead of
computing the same lists from the model.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.artifacts.model import Floats, Integers, Model, RankingFactors
from components.artifacts.tensors import map_tensors, write_tensors
from components.artifacts.top_n import Ranked, Ranker
from components.errors import UserError

PRECOMPUTED = "precomputed.safetensors"

# The number of customers in one matrix product; the scores take tens of megabytes.
_BLOCK = 128


@dataclass(frozen=True)
class Precomputed:
    """The best products of every customer.

    Attributes:
        items: int32 [customers, n], item indices, best first; -1 where no product is left.
        scores: float32 [customers, n]; 0 where no product is left.
    """

    items: Integers
    scores: Floats

    @property
    def length(self) -> int:
        """The length of the lists."""
        return self.items.shape[1]

    def of(self, user: int, start: int, stop: int) -> tuple[list[int], list[float]]:
        """A part of the list of a customer: item indices and their scores.

        Args:
            user: the customer.
            start: the first place, from 0.
            stop: the place after the last; the list may end before it.
        """
        items: list[int] = self.items[user, start:stop].tolist()
        scores: list[float] = self.scores[user, start:stop].tolist()
        if items and items[-1] < 0:
            kept = items.index(-1)
            return items[:kept], scores[:kept]
        return items, scores


def precompute(model: Model, length: int) -> Precomputed:
    """Compute the `length` best unseen products of every customer.

    Raises:
        UserError: if the model was trained without a ranking.
    """
    if model.ranking is None:
        raise UserError("precompute_top_n needs a ranking: add ranking to the objectives, or set 0")
    customers = len(model.catalogue.customers)
    items = np.full((customers, length), -1, dtype=np.int32)
    scores = np.zeros((customers, length), dtype=np.float32)
    for user, (best, values) in enumerate(best_of_everyone(model, model.ranking, length)):
        items[user, : len(best)], scores[user, : len(best)] = best, values
    return Precomputed(items, scores)


def best_of_everyone(model: Model, ranking: RankingFactors, length: int) -> Iterator[Ranked]:
    """The `length` best unseen products of each customer, in order; some customers at a time.

    Args:
        model: has the customers, and what they rated.
        ranking: of the model.
        length: of a list; it is shorter where fewer products are left.
    """
    ranker, customers = Ranker(ranking, model.rating), len(model.catalogue.customers)
    for start in range(0, customers, _BLOCK):
        users = range(start, min(start + _BLOCK, customers))
        seen = [model.seen.of(user)[0] for user in users]
        vectors = [
            ranking.customer_vector(user, history)
            for user, history in zip(users, seen, strict=True)
        ]
        raters = [model.rater(user) for user in users]
        yield from ranker.best(np.stack(vectors), seen, [length] * len(users), raters)


def write_precomputed(folder: Path, precomputed: Precomputed) -> None:
    """Write the lists into a bundle folder under construction."""
    arrays = {"items": precomputed.items, "scores": precomputed.scores}
    write_tensors(arrays, folder / PRECOMPUTED)


def load_precomputed(folder: Path) -> Precomputed:
    """Map the lists of a bundle folder into memory, read-only.

    Raises:
        UserError: if the file is damaged.
    """
    arrays = map_tensors(folder / PRECOMPUTED)
    try:
        return Precomputed(arrays["items"], arrays["scores"])
    except KeyError as error:
        raise UserError(f"{folder / PRECOMPUTED} has no array {error}: deploy again") from None
