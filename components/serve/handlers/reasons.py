"""Why products are recommended: the liked products that add most to their scores."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from components.artifacts.model import Floats, Integers
from components.serve.inference.bundle import Bundle

MOST_REASONS = 3
# A product times a thousand ratings is a fraction of a millisecond.
MOST_EXPLAINED = 100


class Taste(NamedTuple):
    """What someone rated.

    Attributes:
        history: item indices, oldest first, int32 [n].
        liked: whether they liked each item, bool [n].
    """

    history: Integers
    liked: npt.NDArray[np.bool_]

    @classmethod
    def of_all(cls, liked: Integers) -> "Taste":
        """Of someone who liked all of these items, oldest first."""
        return cls(liked, np.ones(len(liked), dtype=bool))


class Reasons(NamedTuple):
    """Liked items for each of n items, those first that add most to its score.

    Attributes:
        liked: item indices, int32 [n, m], m at most `MOST_REASONS`.
        added: what they add to the score, descending, float32 [n, m].
        counts: how many of them add anything, for each item.
    """

    liked: Integers
    added: Floats
    counts: list[int]


def reasons(bundle: Bundle, taste: Taste, items: list[int]) -> Reasons:
    """The liked items that add most to the scores of items.

    Args:
        bundle: that has ranked the items.
        taste: of whom the items are for.
        items: item indices.
    """
    assert bundle.ranker is not None
    table = bundle.ranker.factors.contributions(taste.history, np.array(items, dtype=np.int32))
    added = table[:, taste.liked]
    order = added.argsort(axis=1, kind="stable")[:, : -MOST_REASONS - 1 : -1]
    largest = added[np.arange(len(items))[:, None], order]
    counts = (largest > 0).sum(axis=1).tolist()
    return Reasons(taste.history[taste.liked][order], largest, counts)
