"""Figures of systems over the rows in scope."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from components.evaluate.intervals import Bootstrap
from components.evaluate.results import (
    ALL,
    EvaluationResults,
    HistoryStatistics,
    Scope,
    ScoredRows,
    System,
    weakest_slices,
)
from components.evaluate.top_lists import LENGTH
from tests.evaluate.worlds import to_ratings

# Customer 4 has two test ratings, customer 7 one.
TEST = to_ratings([[4, 4, 7], [0, 1, 2], [5, 3, 1], [1, 2, 1]])
SLICES = {"late": np.array([False, True, False]), "early": np.array([True, False, True])}


@pytest.fixture
def results() -> EvaluationResults:
    lists = np.full((2, LENGTH), -1, np.int32)
    lists[0, :2] = [1, 3]
    lists[1, :1] = [2]
    model = System(stars=np.array([4, 3, 3], np.float32), lists=lists)
    champion = System(stars=np.array([5, 5, 5], np.float32))
    return EvaluationResults(
        ScoredRows(TEST, SLICES, np.array([True, False, True]), np.array([True, False, True])),
        {"model": model, "champion": champion},
        HistoryStatistics(np.array([4, 2, 1, 1]), csr_matrix(np.eye(4)), 4),
        Bootstrap(2, 100, 0),
    )


def value(results: EvaluationResults, system: str, metric: str, scope: Scope = ALL) -> float:
    measured = results.of(system, metric, scope)
    assert measured
    return measured.value


def test_stars_are_averaged_over_ratings(results: EvaluationResults) -> None:
    assert value(results, "model", "mse") == pytest.approx((1 + 0 + 4) / 3)
    assert value(results, "model", "rmse") == pytest.approx(np.sqrt(5 / 3))
    assert value(results, "model", "mae") == 1
    assert value(results, "model", "mse", Scope("late")) == 0


def test_rankings_are_averaged_over_customers(results: EvaluationResults) -> None:
    assert value(results, "model", "recall_at_5") == pytest.approx((1 / 2 + 1) / 2)
    assert value(results, "model", "recall_at_5", Scope("late")) == 1
    assert value(results, "model", "recall_at_5", Scope("early")) == pytest.approx(1 / 2)


def test_liked_metrics_are_of_the_liked_ratings_alone(results: EvaluationResults) -> None:
    # Of the three test ratings the second is not liked, which is one of two of the first customer.
    assert value(results, "model", "liked_recall_at_10") == pytest.approx(1 / 2)
    assert value(results, "model", "recall_at_10") == pytest.approx(3 / 4)
    measured = results.of("model", "liked_ndcg_at_10")
    assert measured is not None
    assert measured.resamples is not None


def test_lists_are_those_of_the_customers_in_scope(results: EvaluationResults) -> None:
    assert value(results, "model", "coverage_at_10") == 0.75
    assert value(results, "model", "coverage_at_10", Scope("late")) == 0.5
    assert value(results, "model", "novelty_at_10") == pytest.approx(((1 + 2) / 2 + 2) / 2)


def test_the_champion_is_fairly_measured_on_what_it_did_not_learn(
    results: EvaluationResults,
) -> None:
    assert results.metrics("champion")["mse"] == pytest.approx((0 + 16) / 2)
    assert value(results, "champion", "mse") == pytest.approx((0 + 4 + 16) / 3)


def test_what_a_system_cannot_answer_is_none(results: EvaluationResults) -> None:
    assert results.of("champion", "ndcg_at_10") is None
    assert results.of("nobody", "mse") is None


def test_the_weakest_slices_are_worse_than_the_whole_and_large_enough(
    results: EvaluationResults,
) -> None:
    assert weakest_slices(results, "model", "mse", 1) == ["early"]
    assert weakest_slices(results, "model", "recall_at_5", 1) == ["early"]
    assert weakest_slices(results, "model", "mse", 3) == []
