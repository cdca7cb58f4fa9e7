"""Align the deployed model with new splits, to measure it on the same test ratings."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.artifacts.model import Floats, Model, RankingFactors, RatingFactors, Seen
from components.artifacts.splits import Ratings


@dataclass(frozen=True)
class AlignedModel:
    """A model whose rows are the customers and products of other splits.

    Attributes:
        rating: the factors of the model; vectors and biases of unknown ids are 0.
        ranking: likewise; unknown products are never listed.
        known: the customers whom the model knows, bool [customers].
        learned: user * products + item of each rating that it was trained on, sorted int64.
        products: the number of products.
    """

    rating: RatingFactors | None
    ranking: RankingFactors | None
    known: npt.NDArray[np.bool_]
    learned: npt.NDArray[np.int64]
    products: int

    def held_out(self, ratings: Ratings) -> npt.NDArray[np.bool_]:
        """The mask of the ratings that the model was not trained on, bool [n]."""
        pairs = ratings.users.astype(np.int64) * self.products + ratings.items
        return ~np.isin(pairs, self.learned)


def align(model: Model, customers: Sequence[str], products: Sequence[str]) -> AlignedModel | None:
    """Align a model with customers and products.

    Args:
        model: the model.
        customers: ids by user index.
        products: ids by item index.

    Returns:
        The aligned model; None if it knows none of the products.
    """
    users = model.catalogue.customers.places(customers)
    items = model.catalogue.products.places(products)
    if not (items >= 0).any():
        return None
    return AlignedModel(
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
        stars_weight=factors.stars_weight,
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
    """The new index of each index of the model, or -1."""
    inverse = np.full(max(size, int(places.max(initial=-1)) + 1), -1, dtype=np.int64)
    known = np.flatnonzero(places >= 0)
    inverse[places[known]] = known
    return inverse
