"""Expected stars count in lists as much as it takes, and no more than helps."""

from collections.abc import Callable
from dataclasses import replace

import mxnet as mx
import numpy as np
import pytest

from components.artifacts.model import RatingFactors, blend
from components.artifacts.splits import Splits
from components.train.ranking.selection import fit_ranking
from components.train.ranking.settings import RankingSettings
from tests.evaluate.worlds import TASTES, make_rating, make_sets
from tests.train.ranking.test_selection import CUSTOMERS, PRODUCTS, make_splits  # noqa: F401


@pytest.fixture
def tastes() -> RatingFactors:
    """Expects 4.5 stars for products of a customer's taste, and 2.5 for all others."""
    one_hot = np.eye(TASTES, dtype=np.float32)
    users, items = (one_hot[np.arange(count) % TASTES] for count in (CUSTOMERS, PRODUCTS))
    return make_rating(users, items)


@pytest.fixture
def splits(make_splits: Callable[..., Splits]) -> Splits:  # noqa: F811
    return make_splits(make_sets(CUSTOMERS, PRODUCTS, 0))


def disliked(splits: Splits, rating: RatingFactors, max_disliked: float) -> tuple[float, float]:
    """The share of the places of lists by popularity, and what training says it is."""
    settings = RankingSettings(ranking_model="popularity", max_disliked=max_disliked)
    factors, chosen, _ = fit_ranking(splits, settings, mx.cpu(), rating)
    users = np.unique(splits.validation.users)
    scores = factors.scores(np.zeros((len(users), 0), np.float32))
    scores = blend(scores, users, factors, rating)
    train = splits.train
    for row, user in enumerate(users):
        scores[row, train.items[train.users == user]] = -np.inf
    first = np.argsort(-scores, axis=1)[:, :10]
    low = np.take_along_axis(rating.table(users), first, axis=1) < 3
    return float(low.mean()), chosen["blend"]["disliked_at_10"]


def test_disliked_products_take_no_more_places_than_they_may(
    splits: Splits, tastes: RatingFactors
) -> None:
    share, said = disliked(splits, tastes, 0.02)
    assert share <= 0.02
    assert said <= 0.02


def test_what_already_suffices_is_weighted_by_what_customers_like(
    splits: Splits, tastes: RatingFactors
) -> None:
    settings = RankingSettings(ranking_model="popularity", max_disliked=0.99)
    _, chosen, _ = fit_ranking(splits, settings, mx.cpu(), tastes)
    without = replace(tastes, users=np.zeros_like(tastes.users))
    _, other, _ = fit_ranking(splits, settings, mx.cpu(), without)
    assert chosen["blend"]["stars_weight"] > 0
    assert chosen["blend"]["liked_ndcg_at_50"] > other["blend"]["liked_ndcg_at_50"] + 0.1


def test_where_everything_is_disliked_the_least_share_is_taken(
    splits: Splits, tastes: RatingFactors
) -> None:
    hopeless = replace(tastes, offset=np.array([-9], np.float32))
    assert disliked(splits, hopeless, 0.02) == (1, 1)


def test_without_expected_stars_lists_are_ordered_by_rank_alone(splits: Splits) -> None:
    factors, chosen, _ = fit_ranking(splits, RankingSettings(ranking_model="popularity"), mx.cpu())
    assert factors.stars_weight[0] == 0
    assert "blend" not in chosen
