"""How much expected stars count in lists, found on the validation ratings.

Customers rate what they dislike, too: a ranking that predicts well what they rate next recommends
such products. `components.artifacts.model.blend` moves them down. The weight is the one with which
lists rank best what customers liked, of those with which few places are disliked. That costs NDCG
over all ratings, where a hit is a hit whatever its stars.
"""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from components.artifacts.model import Floats, RankingFactors, RatingFactors
from components.artifacts.splits import Splits, liked
from components.train.ranking.validation import Validation

log = logging.getLogger(__name__)

_SHOWN = 10
_CUT = 50
# Weights to try, as multiples of the median distance from a customer's first score to that at _CUT.
_WEIGHTS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
# How many weights to try between the largest of these that is too small and the next one.
_BETWEEN = 5
_BLOCK_SCORES = 1 << 21


@dataclass(frozen=True)
class Blend:
    """Lists with one weight of expected stars, on the validation ratings.

    Attributes:
        stars_weight: the weight, on the scale of the scores.
        disliked_at_10: the share of the first ten places that are expected to get less than 3 of 5
            stars.
        liked_ndcg_at_50: over the ratings that their customers liked.
    """

    stars_weight: float
    disliked_at_10: float
    liked_ndcg_at_50: float


def fit_blend(
    rating: RatingFactors,
    ranking: RankingFactors,
    validation: Validation,
    splits: Splits,
    max_disliked: float,
) -> Blend:
    """Choose the weight of expected stars with which lists hold most of what customers liked.

    Args:
        rating: learned from the training ratings alone.
        ranking: likewise.
        validation: the validation ratings to judge by.
        splits: what they are of.
        max_disliked: the largest share of disliked places; where no weight reaches it, the one with
            the smallest share is chosen.
    """
    judged = liked(splits.validation, splits.train)[validation.rows]
    judged |= not judged.any()

    def measured(weights: npt.NDArray[np.float64]) -> list[Blend]:
        return _blends(rating, ranking, validation, judged, weights)

    blends = measured(_typical_spread(ranking, validation) * np.array(_WEIGHTS))
    enough = [blend.disliked_at_10 <= max_disliked for blend in blends]
    if any(enough) and not enough[0]:
        first = enough.index(True)
        low, high = (blends[place].stars_weight for place in (first - 1, first))
        between = measured(np.linspace(low, high, _BETWEEN + 2)[1:-1])
        blends = [*blends[:first], *between, *blends[first:]]
    allowed = [blend for blend in blends if blend.disliked_at_10 <= max_disliked]
    best = max(
        allowed or [min(blends, key=lambda blend: blend.disliked_at_10)],
        key=lambda blend: blend.liked_ndcg_at_50,
    )
    for blend in blends:
        log.info(
            "lists: weight %.3g of expected stars: %.1f%% of ten places disliked, NDCG@50 of what "
            "is liked %.4f%s",
            blend.stars_weight,
            100 * blend.disliked_at_10,
            blend.liked_ndcg_at_50,
            ", chosen" if blend is best else "",
        )
    return best


def _typical_spread(ranking: RankingFactors, validation: Validation) -> float:
    """How far a customer's largest score is above that at the cut, the median of a block."""
    scores = validation.scores(ranking, validation.blocks(_BLOCK_SCORES)[0])
    cut = min(_CUT, scores.shape[1])
    largest = -np.partition(-scores, cut - 1, axis=1)[:, :cut]
    return float(np.median(largest.max(axis=1) - largest.min(axis=1)))


def _blends(
    rating: RatingFactors,
    ranking: RankingFactors,
    validation: Validation,
    judged: npt.NDArray[np.bool_],
    weights: npt.NDArray[np.float64],
) -> list[Blend]:
    """Lists with each weight.

    Args:
        rating: learned from the training ratings alone.
        ranking: likewise.
        validation: the customers and products to judge by.
        judged: which of them count in NDCG, bool [n].
        weights: on the scale of the scores.
    """
    gains: list[list[Any]] = [[] for _ in weights]
    disliked: list[list[Any]] = [[] for _ in weights]
    for block in validation.blocks(_BLOCK_SCORES):
        scores, stars = validation.scores(ranking, block), rating.table(validation.users[block])
        penalty, low = rating.penalty(stars), stars < rating.disliked_below
        for number, weight in enumerate(weights):
            blended = scores - np.float32(weight) * penalty
            places = validation.places(blended, block)
            gains[number].append(np.where(places <= _CUT, 1 / np.log2(places + 1.0), 0))
            disliked[number].append(_share_of_first(blended, low))
    return [
        Blend(
            float(weight),
            float(np.concatenate(shares).mean()),
            float(np.concatenate(own)[judged].mean()),
        )
        for weight, shares, own in zip(weights, disliked, gains, strict=True)
    ]


def _share_of_first(scores: Floats, marked: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """The share of marked columns among the largest finite scores of each row, float64 [rows]."""
    count = min(_SHOWN, scores.shape[1])
    first = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    listed = np.isfinite(np.take_along_axis(scores, first, axis=1))
    hits = np.take_along_axis(marked, first, axis=1) & listed
    return np.asarray(hits.sum(axis=1) / np.maximum(listed.sum(axis=1), 1))
