"""The metrics, each a short function with its formula and its source.

Ranking metrics take every test rating as relevant, whatever its stars, and are means over the
customers who have one.
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
    """Test ratings in groups of the same predicted star, the lowest first.

    Attributes:
        predicted: mean predicted stars of a group. given: mean stars given. counts: its size.
    """

    predicted: list[float]
    given: list[float]
    counts: list[int]


def calibration(predicted: Floats, given: Floats) -> Calibration:
    """How far what customers give is from what is predicted, by the predicted star, rounded."""
    groups, places = np.unique(np.rint(predicted), return_inverse=True)
    counts = np.bincount(places, minlength=len(groups))
    promised, kept = (np.bincount(places, values) / counts for values in (predicted, given))
    return Calibration(promised.tolist(), kept.tolist(), counts.tolist())


@dataclass(frozen=True)
class Placements:
    """Where the test ratings stand in their customers' lists.

    Attributes:
        rows: int64 [n], the customer of each test rating, from 0.
        places: int32 [n], 0 for the head of the list; at or past its end where not listed.
        customers: how many customers there are.
    """

    rows: npt.NDArray[np.int64]
    places: Integers
    customers: int

    @property
    def relevant(self) -> Values:
        """How many test ratings each customer has."""
        return self.total(np.ones(len(self.rows)))

    def total(self, values: npt.ArrayLike) -> Values:
        """The sum of one value a test rating, by customer."""
        weights = np.asarray(values, dtype=np.float64)
        return np.bincount(self.rows, weights, self.customers).astype(np.float64)

    def hits(self, cut: int) -> Values:
        """How many test ratings are among the first `cut` of each list."""
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
    """Average precision, MAP in the mean, as trec_eval's map_cut has it.

    The sum over hits of (hits up to there) / (place + 1), divided by the number of test ratings.
    """
    order = np.lexsort((placements.places, placements.rows))
    places = placements.places[order]
    firsts = np.searchsorted(placements.rows[order], placements.rows[order])
    precision = (np.arange(len(order)) - firsts + 1) / (places + 1.0)
    ordered = Placements(placements.rows[order], places, placements.customers)
    return _ratio(ordered.total(np.where(places < cut, precision, 0)), placements.relevant)


def reciprocal_rank(placements: Placements, cut: int) -> Values:
    """1 / (place of the first hit + 1), or 0 without one; MRR in the mean (Voorhees 1999)."""
    ranks = np.zeros(placements.customers)
    values = np.where(placements.places < cut, 1 / (placements.places + 1.0), 0)
    np.maximum.at(ranks, placements.rows, values)
    return ranks


def hit_rate(placements: Placements, cut: int) -> Values:
    """1 where any test rating is among the first `cut`, or 0."""
    return (placements.hits(cut) > 0).astype(np.float64)


RANKING: dict[str, Callable[[Placements, int], Values]] = {
    "ndcg": ndcg,
    "recall": recall,
    "map": average_precision,
    "mrr": reciprocal_rank,
    "hit_rate": hit_rate,
}


def coverage(lists: Integers, products: int) -> float:
    """The share of the catalogue that stands in any list (Ge et al. 2010)."""
    return len(np.unique(lists[lists >= 0])) / products


def gini(lists: Integers, products: int) -> float:
    """How unequally lists are spread over products, from 0 to 1 (Fleder and Hosanagar 2009).

    sum_i (2i - n - 1) x_i / (n sum_i x_i) over the counts x in ascending order, i from 1.
    """
    counts = np.sort(np.bincount(lists[lists >= 0], minlength=products))
    if not counts.any():
        return float("nan")
    ranks = 2 * np.arange(1, products + 1) - products - 1
    return float((ranks * counts).sum() / (products * counts.sum()))


def novelty(lists: Integers, popularity: npt.NDArray[np.int64], customers: int) -> Values:
    """Mean self-information of a list's products, -log2(share of customers who rated it).

    In bits (Zhou et al. 2010); a product without ratings counts as one with a single rating.
    """
    bits = np.log2(customers) - np.log2(np.maximum(popularity, 1))
    return _mean_listed(np.where(lists >= 0, bits[lists], 0), lists)


def intra_list_similarity(lists: Integers, together: csr_matrix) -> Values:
    """Mean over a list's pairs of products of their cosine similarity (Ziegler et al. 2005).

    The cosine is that of the products' columns of who rated them, so it is the same whatever
    model made the list: n_ij / sqrt(n_i n_j).

    Args:
        lists: int32 [customers, length].
        together: symmetric [products, products], customers who rated both; with its diagonal.
    """
    first, second = np.triu_indices(lists.shape[1], k=1)
    left, right = lists[:, first], lists[:, second]
    listed = (left >= 0) & (right >= 0)
    i, j = left[listed], right[listed]
    lengths = np.sqrt(np.maximum(together.diagonal(), 1))
    cosines = np.zeros(listed.shape)
    cosines[listed] = np.asarray(together[i, j]).ravel() / (lengths[i] * lengths[j])
    return _ratio(cosines.sum(axis=1), listed.sum(axis=1).astype(np.float64))


def _mean_listed(values: Values, lists: Integers) -> Values:
    return _ratio(values.sum(axis=1), (lists >= 0).sum(axis=1).astype(np.float64))


def _ratio(numerator: Values, denominator: Values) -> Values:
    """Their quotient, 0 where there is nothing to divide by."""
    quotient: Values = numerator / np.where(denominator > 0, denominator, 1)
    return quotient
