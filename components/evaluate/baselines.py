"""What any model has to beat: rating and ranking without machine learning."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, diags

from components.artifacts.model import Floats, Integers
from components.artifacts.splits import Ratings
from components.evaluate.metrics import Values
from components.evaluate.top_lists import best_in_order, best_unseen

# Rules come from the newest ratings of each customer: a long history says less and costs more.
_HISTORY = 50
# The strongest rules of each product are kept, as in item-based top-N (Deshpande, Karypis 2004).
_RULES = 200
_SWEEPS = 5
_SHRINKAGES = (1.0, 3.0, 10.0, 30.0, 100.0)


@dataclass(frozen=True)
class Biases:
    """Stars as `offset + users[u] + items[i]`.

    Attributes:
        offset: in stars. users: float64 [customers]. items: float64 [products].
    """

    offset: float
    users: Values
    items: Values

    def predict(self, users: Integers, items: Integers) -> Floats:
        """Stars, float32 [n], for n pairs of user and item indices."""
        stars: Floats = (self.offset + self.users[users] + self.items[items]).astype(np.float32)
        return stars


def global_mean(ratings: Ratings, customers: int, products: int) -> Biases:
    """Everyone gives everything the mean of all stars."""
    return Biases(_mean(ratings), np.zeros(customers), np.zeros(products))


def item_mean(ratings: Ratings, customers: int, products: int) -> Biases:
    """Everyone gives a product its mean; a product without ratings the mean of all."""
    offset = _mean(ratings)
    items = _shrunken(ratings.stars - offset, ratings.items, products, 0)
    return Biases(offset, np.zeros(customers), items)


def shrunken_bias(
    train: Ratings, validation: Ratings, customers: int, products: int, scale: tuple[float, float]
) -> Biases:
    """Biases of customers and products, each shrunken towards 0 (Koren 2009, section 2.1).

    How far is chosen on `validation`; then the biases are learned from both sets.
    """

    def error(shrinkages: tuple[float, float]) -> float:
        biases = _fit_biases(train, customers, products, shrinkages)
        stars = biases.predict(validation.users, validation.items).clip(*scale)
        return float(np.square(stars - validation.stars).sum())

    grid = [(user, item) for user in _SHRINKAGES for item in _SHRINKAGES]
    return _fit_biases(train.merged_with(validation), customers, products, min(grid, key=error))


def random_lists(seen: csr_matrix, seed: int) -> Integers:
    """Every unseen product is as likely as any other.

    All customers share one random order, and each begins at a random place of it.
    """
    customers, products = seen.shape
    generator = np.random.default_rng(seed)
    order = generator.permutation(products)
    return best_in_order(order, generator.integers(products, size=customers), seen)


def popular_lists(
    popularity: Iterable[npt.NDArray[np.int64]], seen: csr_matrix, ties: npt.NDArray[np.int64]
) -> Integers:
    """The most rated products; of equally popular ones those that the next count prefers."""
    order = np.lexsort((ties, *(-counts for counts in reversed(list(popularity)))))
    return best_in_order(order, np.zeros(seen.shape[0], dtype=np.int64), seen)


def counts_by_item(ratings: Ratings, products: int) -> npt.NDArray[np.int64]:
    """How often each product was rated, int64 [products]."""
    return np.bincount(ratings.items, minlength=products)


def counts_since(ratings: Ratings, days: int, products: int) -> npt.NDArray[np.int64]:
    """The same, of the latest `days` before the newest rating alone."""
    recent = ratings.days > ratings.days.max(initial=0) - days
    return np.bincount(ratings.items[recent], minlength=products)


def newest(histories: csr_matrix) -> csr_matrix:
    """The last ratings of every history."""
    ends = np.repeat(histories.indptr[1:], np.diff(histories.indptr))
    kept = np.arange(histories.nnz) >= ends - _HISTORY
    offsets = np.append(0, kept.cumsum())[histories.indptr]
    return csr_matrix((histories.data[kept], histories.indices[kept], offsets), histories.shape)


def rated_together(histories: csr_matrix) -> csr_matrix:
    """How many customers rated both, [products, products]; the diagonal holds each one's count."""
    together = (histories.T @ histories).tocsr()
    together.sort_indices()
    return together


def cooccurrence_lists(
    together: csr_matrix, histories: csr_matrix, seen: csr_matrix, ties: npt.NDArray[np.int64]
) -> Integers:
    """Bought together: the sum over the history of the confidence of a rule (Agrawal et al. 1993).

    confidence(j -> i) = customers with both / customers with j. Popularity orders what no rule
    reaches.

    Args:
        together: as `rated_together` gives it.
        histories: [customers, products], what the rules are applied to.
        seen: [customers, products], not to be recommended.
        ties: [products], a random order.
    """
    support = together.diagonal()
    confidence = _strongest(diags(1 / np.maximum(support, 1).astype(np.float32)) @ together)
    popularity = (support / max(1.0, support.max(initial=0)) * 1e-6).astype(np.float32)

    def scores(block: slice) -> Floats:
        table: Floats = (histories[block] @ confidence).toarray()
        table += popularity
        return table

    return best_unseen(scores, seen, ties)


def _strongest(rules: csr_matrix) -> csr_matrix:
    """The largest entries of each row."""
    kept = np.ones(rules.nnz, dtype=bool)
    for row in np.flatnonzero(np.diff(rules.indptr) > _RULES):
        entries = slice(rules.indptr[row], rules.indptr[row + 1])
        kept[entries][np.argpartition(rules.data[entries], -_RULES)[:-_RULES]] = False
    offsets = np.append(0, kept.cumsum())[rules.indptr]
    return csr_matrix((rules.data[kept], rules.indices[kept], offsets), rules.shape)


def _fit_biases(
    ratings: Ratings, customers: int, products: int, shrinkages: tuple[float, float]
) -> Biases:
    offset = _mean(ratings)
    users, items = np.zeros(customers), np.zeros(products)
    residuals = ratings.stars - offset
    for _ in range(_SWEEPS):
        items = _shrunken(residuals - users[ratings.users], ratings.items, products, shrinkages[1])
        users = _shrunken(residuals - items[ratings.items], ratings.users, customers, shrinkages[0])
    return Biases(offset, users, items)


def _shrunken(
    residuals: npt.NDArray[Any], groups: Integers, number: int, shrinkage: float
) -> Values:
    """Group means, as if `shrinkage` more ratings had a residual of 0."""
    counts = np.bincount(groups, minlength=number) + shrinkage
    sums = np.bincount(groups, residuals, number).astype(np.float64)
    means: Values = sums / np.where(counts > 0, counts, 1)
    return means


def _mean(ratings: Ratings) -> float:
    return float(ratings.stars.mean(dtype=np.float64))
