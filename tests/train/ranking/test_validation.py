"""Candidates are judged as the evaluation judges: whole catalogue, seen left out, ties random."""

import math

import mxnet as mx
import numpy as np
import pytest

from components.artifacts.model import RankingFactors
from components.artifacts.splits import Ratings
from components.train.histories.histories import Histories
from components.train.histories.training_set import TrainingSet
from components.train.ranking import validation as validation_module
from components.train.ranking.popularity import Popularity
from components.train.ranking.ridge import Ridge
from components.train.ranking.validation import Validation
from tests.train.ranking.data import CUSTOMERS, PRODUCTS, lists, make_ratings


@pytest.fixture
def validation() -> Validation:
    ratings = make_ratings()
    last = np.append(np.diff(ratings.users) > 0, True)
    data = TrainingSet(Histories.of(ratings.where(~last), CUSTOMERS, PRODUCTS, 0), 6, 0, mx.cpu())
    return Validation.of(data, ratings.where(last))


def slow_ndcg(validation: Validation, factors: RankingFactors, cut: int) -> float:
    gains = []
    histories = lists(validation.data.histories)
    for user, target in zip(validation.users, validation.items, strict=True):
        history = np.array(histories[user], dtype=np.int32)
        scores = factors.scores(factors.customer_vector(user, history)[None])[0]
        order = np.lexsort((validation.ties, -scores))
        place = 1 + [item for item in order if item not in histories[user]].index(target)
        gains.append(1 / math.log2(place + 1) if place <= cut else 0)
    return float(np.mean(gains))


@pytest.mark.parametrize("block", [1 << 23, 3 * PRODUCTS])
def test_ndcg_is_that_of_a_slow_reading(
    validation: Validation, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation_module, "_BLOCK_SCORES", block)
    monkeypatch.setattr(validation_module, "_CUTS", (3, 50))
    for factors in (
        Ridge(validation.data).fit(6, 0.8, 30.0),
        Popularity(validation.data).fit(0),
        Popularity(validation.data).fit(7),
    ):
        assert validation.measure(factors) == {
            "ndcg_at_3": pytest.approx(slow_ndcg(validation, factors, 3)),
            "ndcg_at_50": pytest.approx(slow_ndcg(validation, factors, 50)),
        }


def test_a_large_validation_set_is_sampled(
    validation: Validation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation_module, "_MOST_SCORES", 5 * PRODUCTS)
    monkeypatch.setattr(validation_module, "_SMALLEST_SAMPLE", 1)
    pairs = set(zip(validation.users.tolist(), validation.items.tolist(), strict=True))
    held_out = Ratings(
        validation.users,
        validation.items,
        np.ones(len(validation.users), np.float32),
        np.ones(len(validation.users), np.int64),
    )
    sample = Validation.of(validation.data, held_out)
    assert len(sample.users) == 5
    assert set(zip(sample.users.tolist(), sample.items.tolist(), strict=True)) <= pairs
