"""The metrics, with their formulas and sources.

Ranking metrics take every test rating as relevant, whatever its stars; those named `liked_…` take
the ratings that the customer liked (`components.artifacts.splits.liked`). They return a value for
each customer, float64 [customers]; the metric is the mean over the customers who have a relevant
test rating.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from components.artifacts.model import Floats, Integers

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """Test ratings grouped by predicted stars, rounded; the lowest group first.

    Attributes:
        predicted: the mean of the predicted stars, by group.
        given: the mean of the stars given, by group.
        counts: the number of ratings, by group.
    """

    predicted: list[float]
    given: list[float]
    counts: list[int]


def calibration(predicted: Floats, given: Floats) -> Calibration:
    """Compare predicted stars with the stars given, float32 [n] each, by group."""
    groups, places = np.unique(np.rint(predicted), return_inverse=True)
    counts = np.bincount(places, minlength=len(groups))
    promised, kept = (np.bincount(places, values) / counts for values in (predicted, given))
    return Calibration(promised.tolist(), kept.tolist(), counts.tolist())


@dataclass(frozen=True)
class Placements:
    """The places of the test ratings in the lists of their customers.

    Attributes:
        rows: the customer of each test rating, from 0, int64 [n].
        places: the place in the list, from 0, int32 [n]; the length of the list or more for an item
            that is not listed.
        customers: the number of customers.
    """

    rows: npt.NDArray[np.int64]
    places: Integers
    customers: int

    @property
    def relevant(self) -> Values:
        """The number of test ratings of each customer, float64 [customers]."""
        return self.total(np.ones(len(self.rows)))

    def total(self, values: npt.ArrayLike) -> Values:
        """The sum by customer, float64 [customers], of one value for each test rating."""
        weights = np.asarray(values, dtype=np.float64)
        return np.bincount(self.rows, weights, self.customers).astype(np.float64)

    def hits(self, cut: int) -> Values:
        """The number of test ratings among the first `cut` of each list, float64 [customers]."""
        return self.total(self.places < cut)


def ndcg(placements: Placements, cut: int) -> Values:
    """Normalized discounted cumulative gain, gains 0 and 1 (Järvelin and Kekäläinen 2002).

    DCG / IDCG with DCG = sum over hits of 1 / log2(place + 2), and IDCG that of a perfect list.
    """
    discounts = 1 / np.log2(np.arange(cut) + 2)
    gains = np.append(discounts, 0)[np.minimum(placements.places, cut)]
    ideal = np.append(0, discounts.cumsum())
    best = ideal[np.minimum(placements.relevant, cut).astype(np.int64)]
    return _ratio(placements.total(gains), best)


def recall(placements: Placements, cut: int) -> Values:
    """The share of a customer's test ratings that are among the first `cut`."""
    return _ratio(placements.hits(cut), placements.relevant)


def average_precision(placements: Placements, cut: int) -> Values:
    """Average precision, as `map_cut` of trec_eval; its mean over customers is MAP.

    The sum over hits of (hits up to that place) / (place + 1), divided by the test ratings.
    """
    order = np.lexsort((placements.places, placements.rows))
    places = placements.places[order]
    firsts = np.searchsorted(placements.rows[order], placements.rows[order])
    precision = (np.arange(len(order)) - firsts + 1) / (places + 1.0)
    ordered = Placements(placements.rows[order], places, placements.customers)
    return _ratio(ordered.total(np.where(places < cut, precision, 0)), placements.relevant)


def reciprocal_rank(placements: Placements, cut: int) -> Values:
    """1 / (place of the first hit + 1), or 0 without a hit; its mean is MRR (Voorhees 1999)."""
    ranks = np.zeros(placements.customers)
    values = np.where(placements.places < cut, 1 / (placements.places + 1.0), 0)
    np.maximum.at(ranks, placements.rows, values)
    return ranks


def hit_rate(placements: Placements, cut: int) -> Values:
    """1 if any test rating is among the first `cut`, otherwise 0."""
    return (placements.hits(cut) > 0).astype(np.float64)


RANKING: dict[str, Callable[[Placements, int], Values]] = {
    "ndcg": ndcg,
    "recall": recall,
    "map": average_precision,
    "mrr": reciprocal_rank,
    "hit_rate": hit_rate,
}


def coverage(lists: Integers, products: int) -> float:
    """The share of the products that are in any of the lists (Ge et al. 2010)."""
    return len(np.unique(lists[lists >= 0])) / products


def gini(lists: Integers, products: int) -> float:
    """The Gini coefficient of how often products are listed (Fleder and Hosanagar 2009).

    0 if all are listed equally often, near 1 if a few fill all lists; NaN if nothing is listed.
    sum_i (2i - n - 1) x_i / (n sum_i x_i) over the counts x in ascending order, i from 1.
    """
    counts = np.sort(np.bincount(lists[lists >= 0], minlength=products))
    if not counts.any():
        return float("nan")
    ranks = 2 * np.arange(1, products + 1) - products - 1
    return float((ranks * counts).sum() / (products * counts.sum()))


def novelty(lists: Integers, popularity: npt.NDArray[np.int64], customers: int) -> Values:
    """Mean self-information of the products in a list, in bits (Zhou et al. 2010).

    -log2(share of customers who rated the product). A product without ratings counts as one with a
    single rating.

    Args:
        lists: item indices, int32 [customers, length]; -1 for none.
        popularity: the number of ratings of each product, int64 [products].
        customers: the number of customers with ratings.
    """
    bits = np.log2(customers) - np.log2(np.maximum(popularity, 1))
    return _mean_listed(np.where(lists >= 0, bits[lists], 0), lists)


def intra_list_similarity(lists: Integers, cooccurrences: csr_matrix) -> Values:
    """Mean cosine similarity over the pairs of products in a list (Ziegler et al. 2005).

    n_ij / sqrt(n_i n_j), where n_ij is the number of customers who rated both products. It does not
    depend on the model that made the list.

    Args:
        lists: item indices, int32 [customers, length]; -1 for none.
        cooccurrences: the n_ij, symmetric [products, products], with the n_i on the diagonal.
    """
    first, second = np.triu_indices(lists.shape[1], k=1)
    left, right = lists[:, first], lists[:, second]
    listed = (left >= 0) & (right >= 0)
    i, j = left[listed], right[listed]
    lengths = np.sqrt(np.maximum(cooccurrences.diagonal(), 1))
    cosines = np.zeros(listed.shape)
    cosines[listed] = np.asarray(cooccurrences[i, j]).ravel() / (lengths[i] * lengths[j])
    return _ratio(cosines.sum(axis=1), listed.sum(axis=1).astype(np.float64))


def share_listed(marked: npt.NDArray[np.bool_], lists: Integers) -> Values:
    """The share of the places of each list that are marked, of those that hold a product.

    Args:
        marked: bool [customers, length].
        lists: item indices, int32 [customers, length]; -1 for none.
    """
    return _mean_listed((marked & (lists >= 0)).astype(np.float64), lists)


def _mean_listed(values: Values, lists: Integers) -> Values:
    return _ratio(values.sum(axis=1), (lists >= 0).sum(axis=1).astype(np.float64))


def _ratio(numerator: Values, denominator: Values) -> Values:
    """The quotient, 0 where the denominator is 0."""
    quotient: Values = numerator / np.where(denominator > 0, denominator, 1)
    return quotient
