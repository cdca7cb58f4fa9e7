"""The deployed model, brought to today's indices so that it is scored on today's test rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.artifacts.model import Floats, Model, RankingFactors, RatingFactors, Seen
from components.artifacts.splits import Ratings


@dataclass(frozen=True)
class Aligned:
    """A model whose rows stand for the customers and the products of other splits.

    Attributes:
        rating: as the model's; an id it does not know has a vector and a bias of 0.
        ranking: likewise; a product it does not know is never listed.
        known: bool [customers], whom the model learned about.
        learned: int64, sorted: user * products + item of every rating it learned from.
        products: how many products there are.
    """

    rating: RatingFactors | None
    ranking: RankingFactors | None
    known: npt.NDArray[np.bool_]
    learned: npt.NDArray[np.int64]
    products: int

    def unlearned(self, ratings: Ratings) -> npt.NDArray[np.bool_]:
        """Which of these ratings the model did not learn from."""
        pairs = ratings.users.astype(np.int64) * self.products + ratings.items
        return ~np.isin(pairs, self.learned)


def align(model: Model, customers: Sequence[str], products: Sequence[str]) -> Aligned | None:
    """Bring a model to the indices of these customers and products.

    Returns:
        None for a model of another catalogue, which knows none of the products.
    """
    users = model.catalogue.customers.places(customers)
    items = model.catalogue.products.places(products)
    if not (items >= 0).any():
        return None
    return Aligned(
        rating=_align_rating(model.rating, users, items) if model.rating else None,
        ranking=_align_ranking(model.ranking, users, items) if model.ranking else None,
        known=users >= 0,
        learned=_learned(model.seen, users, items),
        products=len(products),
    )


def _align_rating(
    factors: RatingFactors, users: npt.NDArray[np.int64], items: npt.NDArray[np.int64]
) -> RatingFactors:
    return RatingFactors(
        users=_take(factors.users, users),
        items=_take(factors.items, items),
        user_biases=_take(factors.user_biases, users),
        item_biases=_take(factors.item_biases, items),
        offset=factors.offset,
        bounds=factors.bounds,
    )


def _align_ranking(
    factors: RankingFactors, users: npt.NDArray[np.int64], items: npt.NDArray[np.int64]
) -> RankingFactors:
    return RankingFactors(
        items=_take(factors.items, items),
        item_biases=_take(factors.item_biases, items, missing=-np.inf),
        histories=_take(factors.histories, items),
        recency=factors.recency,
        window=factors.window,
        users=_take(factors.users, users) if len(factors.users) else factors.users,
    )


def _take(rows: Floats, places: npt.NDArray[np.int64], missing: float = 0.0) -> Floats:
    taken: Floats = np.full((len(places), *rows.shape[1:]), missing, dtype=np.float32)
    taken[places >= 0] = rows[places[places >= 0]]
    return taken


def _learned(
    seen: Seen, users: npt.NDArray[np.int64], items: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    learned = np.ones(len(seen.items), dtype=bool)
    learned[seen.held_out] = False
    owners = np.repeat(np.arange(len(seen.offsets) - 1), np.diff(seen.offsets))
    user = _inverse(users, len(seen.offsets) - 1)[owners[learned]]
    item = _inverse(items, int(seen.items.max(initial=-1)) + 1)[seen.items[learned]]
    both = (user >= 0) & (item >= 0)
    return np.sort(user[both] * len(items) + item[both])


def _inverse(places: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """For each index of the model its index here, or -1."""
    inverse = np.full(max(size, int(places.max(initial=-1)) + 1), -1, dtype=np.int64)
    known = np.flatnonzero(places >= 0)
    inverse[places[known]] = known
    return inverse
