"""Exact top-N lists, for one customer at a time or for many in one matrix product."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from components.artifacts.model import (
    Floats,
    Integers,
    RankingFactors,
    Rater,
    RatingFactors,
    products_of_rows,
)

Ranked = tuple[Integers, Floats]
"""Item indices, best first, and their scores."""

# Fewer vectors than this are multiplied faster one by one in OpenBLAS, two of them five times.
_FEW = 16
# Where expected stars count, so many times as many products as are wanted are looked at first.
_POOL = 16
# Where that is not enough, so many times as many.
_GROWTH = 4
# The largest scores of so many groups give a lower bound; more groups give a closer one.
_GROUPS = 1024


class Ranker:
    """Finds the products with the best scores by the factors of a model.

    The result does not depend on how many customers are computed at once, although the rounding of
    a matrix product does: all products that may be among the best within the rounding error of
    float32 are scored again in float64. Equal scores are in order of index.
    """

    def __init__(self, factors: RankingFactors, rating: RatingFactors | None) -> None:
        """Find lists by the factors of a model.

        Args:
            factors: order the products.
            rating: expects stars, which then count by `factors.stars_weight`; None without them.
        """
        self.factors = factors
        self._rating = rating
        self.norms: Floats = np.linalg.norm(factors.items, axis=1)
        self._longest = float(self.norms.max(initial=0))
        self._largest_bias = float(np.abs(factors.item_biases).max(initial=0))

    def best(
        self,
        vectors: Floats,
        left_out: Sequence[npt.NDArray[np.generic]],
        counts: Sequence[int],
        raters: Sequence[Rater | None],
    ) -> list[Ranked]:
        """The best products for each vector.

        Args:
            vectors: float32 [n, k].
            left_out: the items not to recommend to each: indices, or a mask of all items.
            counts: the number of products to find for each vector; fewer if fewer are left.
            raters: how each rates; None for lists without expected stars.
        """
        table = self._scores(vectors)
        ranked = []
        asked = zip(vectors, table, left_out, counts, raters, strict=True)
        for vector, scores, without, count, rater in asked:
            scores[without] = -np.inf
            if rater is not None:
                ranked.append(self._blended(vector, scores, count, rater))
                continue
            items = candidates(scores, count, self._rounding(vector))
            ranked.append(self._in_order(vector, items, count))
        return ranked

    def similar(self, item: int, count: int) -> Ranked:
        """The other items whose vectors have the largest cosine with that of this item."""
        lengths = np.maximum(self.norms, np.finfo(np.float32).tiny)
        cosines = self.factors.items @ (self.factors.items[item] / lengths[item]) / lengths
        cosines[item] = -np.inf
        items = candidates(cosines, count, 0)
        order = np.argsort(-cosines[items], kind="stable")[:count]
        return items[order], cosines[items[order]]

    def _scores(self, vectors: Floats) -> Floats:
        table = np.empty((len(vectors), len(self.factors.items)), np.float32)
        if len(vectors) < _FEW:
            for vector, row in zip(vectors, table, strict=True):
                np.dot(self.factors.items, vector, out=row)
        else:
            np.dot(vectors, self.factors.items.T, out=table)
        table += self.factors.item_biases
        return table

    def _rounding(self, vector: Floats) -> float:
        """The largest difference between computed scores that are equal (Higham 2002, 3.1)."""
        magnitude = float(np.linalg.norm(vector)) * self._longest + self._largest_bias
        return (len(vector) + 2) * float(np.finfo(np.float32).eps) * magnitude

    def _blended(self, vector: Floats, scores: Floats, count: int, rater: Rater) -> Ranked:
        """The best products where expected stars count.

        These only lower a score. So once the last score of the list reaches the bound of the pool,
        no product outside of the pool can be in the list.

        Args:
            vector: of the customer, float32 [k].
            scores: float32 [products], without expected stars.
            count: the number of products to find.
            rater: how the customer rates.
        """
        margin, pool = self._rounding(vector), _POOL * count
        while True:
            bound = float(lower_bounds(scores, pool))
            items = _at_least(scores, bound - margin)
            best, blended = self._in_order(vector, items, count, rater)
            if bound == -np.inf or (len(best) == count and blended[-1] >= bound):
                return best, blended
            pool *= _GROWTH

    def _in_order(
        self, vector: Floats, items: Integers, count: int, rater: Rater | None = None
    ) -> Ranked:
        """The first of some items by their scores in float64.

        Args:
            vector: of the customer, float32 [k].
            items: item indices, ascending.
            count: how many to return at most.
            rater: how the customer rates; None to leave expected stars out.
        """
        scores = products_of_rows(self.factors.items, items, vector)
        scores += self.factors.item_biases[items]
        if rater is not None and self._rating is not None:
            weight = float(self.factors.stars_weight[0])
            scores -= weight * self._rating.penalties(rater, items)
        rounded = scores.astype(np.float32)
        first = candidates(rounded, count, 0)
        order = first[np.argsort(-rounded[first], kind="stable")][:count]
        return items[order], rounded[order]


def candidates(scores: Floats, count: int, margin: float) -> Integers:
    """The indices, ascending, of the largest scores and of those at most `margin` below them.

    Args:
        scores: float32 [n]; minus infinity for items to leave out.
        count: how many of the largest scores are needed.
        margin: how much smaller the other scores may be.
    """
    return _at_least(scores, float(lower_bounds(scores, count)) - margin)


def _at_least(scores: Floats, bound: float) -> Integers:
    """The indices, ascending, of the finite scores that reach a bound."""
    lowest = float(np.finfo(np.float32).min)
    return np.flatnonzero(scores >= np.float32(max(bound, lowest))).astype(np.int32)


def lower_bounds(scores: Floats, count: int) -> Floats:
    """For each row a value that at least `count` scores reach, or minus infinity.

    Args:
        scores: float32 [..., n].
        count: the number of scores.

    Returns:
        float32 [...].
    """
    *rows, width = scores.shape
    if count >= width:
        return np.full(rows, -np.inf, np.float32)
    if width >= 2 * _GROUPS and count <= _GROUPS // 4:
        whole = width // _GROUPS * _GROUPS
        scores = scores[..., :whole].reshape(*rows, -1, _GROUPS).max(axis=-2)
    bounds: Floats = np.partition(scores, -count, axis=-1)[..., -count]
    return bounds
