"""The baselines that a model must beat: simple predictions of stars and simple rankings."""

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

# The newest ratings of each customer that are counted: older ones tell less, at more cost.
_HISTORY = 50
# The strongest rules of each product are kept, as in item-based top-N (Deshpande, Karypis 2004).
_RULES = 200
_SWEEPS = 5
_SHRINKAGES = (1.0, 3.0, 10.0, 30.0, 100.0)


@dataclass(frozen=True)
class Biases:
    """Predicts stars as `offset + users[u] + items[i]`.

    Attributes:
        offset: in stars.
        users: the biases of customers, in stars, float64 [customers].
        items: the biases of products, in stars, float64 [products].
    """

    offset: float
    users: Values
    items: Values

    def predict(self, users: Integers, items: Integers) -> Floats:
        """Stars, float32 [n], for n pairs of user and item indices."""
        stars: Floats = (self.offset + self.users[users] + self.items[items]).astype(np.float32)
        return stars


def global_mean(ratings: Ratings, customers: int, products: int) -> Biases:
    """Predict the mean of all stars.

    Args:
        ratings: the ratings to learn from.
        customers: the number of customers.
        products: the number of products.
    """
    return Biases(_mean(ratings), np.zeros(customers), np.zeros(products))


def item_mean(ratings: Ratings, customers: int, products: int) -> Biases:
    """Predict the mean of the product; for a product without ratings the mean of all.

    Args:
        ratings: the ratings to learn from.
        customers: the number of customers.
        products: the number of products.
    """
    offset = _mean(ratings)
    items = _shrunken(ratings.stars - offset, ratings.items, products, 0)
    return Biases(offset, np.zeros(customers), items)


def shrunken_bias(
    train: Ratings, validation: Ratings, customers: int, products: int, scale: tuple[float, float]
) -> Biases:
    """Biases of customers and products, shrunken towards 0 (Koren 2009, section 2.1).

    The amount of shrinkage is chosen on `validation`; the biases are then learned from both sets.

    Args:
        train: the ratings to learn from.
        validation: the ratings to choose by.
        customers: the number of customers.
        products: the number of products.
        scale: the lowest and the highest rating.
    """

    def error(shrinkages: tuple[float, float]) -> float:
        biases = _fit_biases(train, customers, products, shrinkages)
        stars = biases.predict(validation.users, validation.items).clip(*scale)
        return float(np.square(stars - validation.stars).sum())

    grid = [(user, item) for user in _SHRINKAGES for item in _SHRINKAGES]
    return _fit_biases(train.merged_with(validation), customers, products, min(grid, key=error))


def random_lists(seen: csr_matrix, seed: int) -> Integers:
    """Lists where every unseen product is equally likely.

    All customers share one random order of the products; each starts at a random place in it.
    """
    customers, products = seen.shape
    generator = np.random.default_rng(seed)
    order = generator.permutation(products)
    return best_in_order(order, generator.integers(products, size=customers), seen)


def popular_lists(
    popularity: Iterable[npt.NDArray[np.int64]], seen: csr_matrix, ties: npt.NDArray[np.int64]
) -> Integers:
    """Lists of the most rated products.

    Args:
        popularity: numbers of ratings, int64 [products]; the second decides ties of the first, and
            so on.
        seen: the ratings to leave out, [customers, products].
        ties: decides the last ties, ascending, int64 [products].
    """
    order = np.lexsort((ties, *(-counts for counts in reversed(list(popularity)))))
    return best_in_order(order, np.zeros(seen.shape[0], dtype=np.int64), seen)


def counts_by_item(ratings: Ratings, products: int) -> npt.NDArray[np.int64]:
    """The number of ratings of each product, int64 [products]."""
    return np.bincount(ratings.items, minlength=products)


def counts_since(ratings: Ratings, days: int, products: int) -> npt.NDArray[np.int64]:
    """The number of recent ratings of each product, int64 [products].

    Args:
        ratings: the ratings to count.
        days: how many days before the newest rating to count.
        products: the number of products.
    """
    recent = ratings.days > ratings.days.max(initial=0) - days
    return np.bincount(ratings.items[recent], minlength=products)


def newest(histories: csr_matrix) -> csr_matrix:
    """The last 50 ratings of each history, in the same form."""
    ends = np.repeat(histories.indptr[1:], np.diff(histories.indptr))
    kept = np.arange(histories.nnz) >= ends - _HISTORY
    offsets = np.append(0, kept.cumsum())[histories.indptr]
    return csr_matrix((histories.data[kept], histories.indices[kept], offsets), histories.shape)


def count_cooccurrences(histories: csr_matrix) -> csr_matrix:
    """The number of customers who rated both products, sparse [products, products].

    The diagonal holds the number of customers who rated each product.
    """
    counts = (histories.T @ histories).tocsr()
    counts.sort_indices()
    return counts


def cooccurrence_lists(
    cooccurrences: csr_matrix, histories: csr_matrix, seen: csr_matrix, ties: npt.NDArray[np.int64]
) -> Integers:
    """Lists by association rules: customers who rated this also rated that (Agrawal et al. 1993).

    The score of product i is the sum over the products j of the history of confidence(j -> i), the
    number of customers who rated both over the number who rated j. Popularity orders the products
    that have no rule.

    Args:
        cooccurrences: as `count_cooccurrences` returns them.
        histories: the ratings to apply the rules to, [customers, products].
        seen: the ratings to leave out, [customers, products].
        ties: decides ties, ascending, int64 [products].
    """
    support = cooccurrences.diagonal()
    confidence = _strongest(diags(1 / np.maximum(support, 1).astype(np.float32)) @ cooccurrences)
    popularity = (support / max(1.0, support.max(initial=0)) * 1e-6).astype(np.float32)

    def scores(block: slice) -> Floats:
        table: Floats = (histories[block] @ confidence).toarray()
        table += popularity
        return table

    return best_unseen(scores, seen, ties)


def _strongest(rules: csr_matrix) -> csr_matrix:
    """The rules with the largest confidence in each row."""
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
    """Means by group, as if each group had `shrinkage` more ratings with a residual of 0."""
    counts = np.bincount(groups, minlength=number) + shrinkage
    sums = np.bincount(groups, residuals, number).astype(np.float64)
    means: Values = sums / np.where(counts > 0, counts, 1)
    return means


def _mean(ratings: Ratings) -> float:
    return float(ratings.stars.mean(dtype=np.float64))
