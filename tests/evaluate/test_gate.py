"""The gate says yes, no, or that there is not enough evidence, and why."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.sparse import csr_matrix

from components.artifacts.evaluation import Check
from components.artifacts.model import Model
from components.evaluate.gate import run_checks, with_checks
from components.evaluate.intervals import Bootstrap
from components.evaluate.results import EvaluationResults, HistoryStatistics, ScoredRows, System
from components.evaluate.settings import CheckSettings, EvaluateSettings
from components.evaluate.slices import Mask
from components.evaluate.top_lists import LENGTH
from tests.evaluate.worlds import make_model, make_sets, to_ratings

ROWS = 400
NOISE = np.random.default_rng(0).normal(0, 0.5, ROWS)


def results_of(
    errors: Mapping[str, Any],
    slices: Mapping[str, Mask] | None = None,
    held_out: Mask | None = None,
    rows: int = ROWS,
) -> EvaluationResults:
    """Figures of systems whose predictions are off by these stars; one row a customer."""
    ones = np.ones(rows)
    test = to_ratings([np.arange(rows), np.zeros(rows), 3 * ones, ones])
    systems = {
        name: System(stars=(3 + ones * error).astype(np.float32)) for name, error in errors.items()
    }
    everything = np.ones(rows, dtype=bool)
    return EvaluationResults(
        ScoredRows(test, slices or {}, everything if held_out is None else held_out, everything),
        systems,
        HistoryStatistics(np.ones(1, int), csr_matrix((1, 1)), rows),
        Bootstrap(rows, 500, 0),
    )


def answer(results: EvaluationResults, **check: Any) -> Check:
    _, found = checked(results, CheckSettings(metric="mse", **check))
    return found


def checked(results: EvaluationResults, check: CheckSettings) -> list[Check]:
    return run_checks(results, EvaluateSettings(gate=(check,)))


def test_a_metric_of_liked_ratings_needs_enough_of_them() -> None:
    lists = np.zeros((ROWS, LENGTH), np.int32)
    results = EvaluationResults(
        ScoredRows(
            to_ratings([np.arange(ROWS), np.zeros(ROWS), np.full(ROWS, 3), np.ones(ROWS)]),
            slices={},
            held_out=np.ones(ROWS, bool),
            liked=np.arange(ROWS) < 60,
        ),
        {"model": System(lists=lists)},
        HistoryStatistics(np.ones(1, int), csr_matrix((1, 1)), ROWS),
        Bootstrap(ROWS, 500, 0),
    )
    for metric, passed in (("ndcg_at_10", True), ("liked_ndcg_at_10", False)):
        check = CheckSettings(metric=metric, comparison="at_least", threshold=0.5)
        assert checked(results, check)[-1].passed is passed
    assert "60 test ratings, 100 are needed" in checked(results, check)[-1].reason


def test_better_is_beyond_doubt() -> None:
    check = answer(
        results_of({"model": NOISE, "bias": NOISE * 2}), comparison="better", baseline="bias"
    )
    assert check.passed
    assert check.name == "mse better than bias"
    assert check.figure == pytest.approx(np.square(NOISE).mean())
    assert check.threshold == pytest.approx(np.square(2 * NOISE).mean())
    assert "is better by" in check.reason


def test_a_tie_is_not_better_but_no_worse() -> None:
    tie = results_of({"model": NOISE, "bias": NOISE})
    better = answer(tie, comparison="better", baseline="bias")
    assert not better.passed
    assert "is a tie" in better.reason
    assert answer(tie, comparison="not_worse", baseline="bias").passed
    assert answer(tie, comparison="not_fallen", baseline="bias").passed


def test_a_small_gain_of_few_customers_is_not_enough_evidence() -> None:
    ours = NOISE[:120]
    theirs = ours[::-1] * 1.05
    check = answer(
        results_of({"model": ours, "bias": theirs}, rows=120), comparison="better", baseline="bias"
    )
    assert not check.passed
    assert check.reason.endswith("not enough evidence.")


@pytest.mark.parametrize(("loss", "passed"), [(1.01, True), (1.2, False)])
def test_no_worse_allows_for_the_margin(loss: float, passed: bool) -> None:
    results = results_of({"model": NOISE * np.sqrt(loss), "bias": NOISE})
    check = answer(results, comparison="not_worse", baseline="bias", margin=0.05)
    assert check.passed is passed
    assert "margin" in check.reason


def test_a_margin_asks_for_more_than_better() -> None:
    results = results_of({"model": NOISE * 0.95, "bias": NOISE})
    assert answer(results, comparison="better", baseline="bias").passed
    assert not answer(results, comparison="better", baseline="bias", margin=0.2).passed


def test_a_fall_by_chance_passes_and_one_beyond_the_margin_does_not() -> None:
    generator = np.random.default_rng(2)
    chance = {"model": generator.normal(0, 1.06, 120), "bias": generator.normal(0, 1, 120)}
    assert answer(
        results_of(chance, rows=120), comparison="not_fallen", baseline="bias", margin=0.01
    ).passed
    fallen = results_of({"model": NOISE * 1.5, "bias": NOISE})
    assert not answer(fallen, comparison="not_fallen", baseline="bias", margin=0.1).passed


@pytest.mark.parametrize("comparison", ["better", "not_worse", "not_fallen"])
def test_a_figure_that_is_no_number_never_passes(comparison: str) -> None:
    results = results_of({"model": np.nan, "bias": NOISE})
    check = answer(results, comparison=comparison, baseline="bias")
    assert not check.passed
    assert "could not be computed" in check.reason


@pytest.mark.parametrize(
    ("comparison", "threshold", "passed"),
    [("at_most", 1.0, True), ("at_most", 0.1, False), ("at_least", 0.1, True)],
)
def test_a_threshold_is_a_number(comparison: str, threshold: float, passed: bool) -> None:
    results = results_of({"model": 0.5})
    check = answer(results, comparison=comparison, threshold=threshold)
    assert (check.passed, check.figure, check.threshold) == (passed, 0.25, threshold)
    assert not answer(results_of({"model": np.nan}), comparison="at_most", threshold=9).passed


def test_a_metric_that_the_model_does_not_have_fails() -> None:
    check = CheckSettings(metric="ndcg_at_10", comparison="at_least", threshold=0.1)
    _, found = checked(results_of({"model": 0}), check)
    assert not found.passed


def test_few_test_ratings_are_a_reason_of_their_own() -> None:
    better = CheckSettings(metric="mse", comparison="better", baseline="bias")
    for rows, enough in ((100, True), (99, False)):
        evidence, check = checked(results_of({"model": 0.0, "bias": 1.0}, rows=rows), better)
        assert evidence.passed is enough
        assert check.passed is enough
        assert ("Not enough evidence: 99 test ratings" in check.reason) is not enough


def test_many_ratings_of_few_customers_are_not_enough_evidence() -> None:
    users = np.arange(ROWS) % 7
    test = to_ratings([users, np.arange(ROWS), np.full(ROWS, 3), np.ones(ROWS)])
    results = EvaluationResults(
        ScoredRows(test, {}, np.ones(ROWS, dtype=bool), np.ones(ROWS, dtype=bool)),
        {"model": System(stars=np.full(ROWS, 3, np.float32))},
        HistoryStatistics(np.ones(ROWS, int), csr_matrix((1, 1)), ROWS),
        Bootstrap(7, 500, 0),
    )
    evidence, check = checked(
        results, CheckSettings(metric="mse", comparison="at_most", threshold=1)
    )
    assert not evidence.passed
    assert not check.passed
    assert evidence.reason == "Not enough evidence: 7 customers, 30 are needed."


def test_no_champion_no_check() -> None:
    check = CheckSettings(metric="mse", comparison="not_worse", baseline="champion")
    assert [found.name for found in checked(results_of({"model": 0}), check)] == [
        "enough test ratings"
    ]


def test_the_champion_is_compared_on_rows_that_it_did_not_learn_from() -> None:
    learned = np.arange(ROWS) < 200
    champion = np.where(learned, 0.0, 2.0)
    check = answer(
        results_of({"model": NOISE, "champion": champion}, held_out=~learned),
        comparison="better",
        baseline="champion",
    )
    assert check.passed
    assert check.threshold == 4.0
    assert check.figure == pytest.approx(np.square(NOISE[200:]).mean())


SLICES = {"first": np.arange(ROWS) < 100, "last": np.arange(ROWS) >= 100}


def test_a_slice_that_falls_against_the_champion_fails_though_the_mean_is_better() -> None:
    model = NOISE * np.where(SLICES["first"], 1.4, 0.5)
    results = results_of({"model": model, "champion": NOISE}, SLICES)
    assert answer(results, comparison="better", baseline="champion").passed
    check = answer(results, comparison="not_fallen", baseline="champion", margin=0.1, slice="*")
    assert not check.passed
    assert check.reason.startswith("1 of 2 slices failed, 0 were too small to judge.")
    assert "in first" in check.reason
    assert check.name == "mse not fallen below champion in every slice"


def test_equal_models_seldom_seem_to_fall_in_one_of_many_slices() -> None:
    rows, check = 20 * 100, {"comparison": "not_fallen", "baseline": "champion"}
    slices = {f"slice {n}": np.arange(rows) // 100 == n for n in range(20)}
    alarms = {"alone": 0, "together": 0}
    for seed in range(30):
        random = np.random.default_rng(seed)
        errors = {name: random.normal(0, 0.5, rows) for name in ("model", "champion")}
        results = results_of(errors, slices, rows=rows)
        alone = [answer(results, slice=name, **check).passed for name in slices]
        alarms["alone"] += not all(alone)
        alarms["together"] += not answer(results, slice="*", **check).passed
    assert alarms["alone"] >= 10
    assert alarms["together"] <= 4


def test_slices_by_the_stars_given_are_judged_by_name_alone() -> None:
    by_stars = {f"stars: {place}": mask for place, mask in enumerate(SLICES.values())}
    model = NOISE * np.where(by_stars["stars: 0"], 1.4, 0.5)
    results = results_of({"model": model, "champion": NOISE}, by_stars)
    fallen = {"comparison": "not_fallen", "baseline": "champion"}
    assert answer(results, **fallen, slice="*").reason == (
        "mse: none of 0 slices failed, 0 were too small to judge."
    )
    assert not answer(results, **fallen, slice="stars: 0").passed


def test_a_slice_too_small_to_judge_is_told() -> None:
    tiny = {"tiny": np.arange(ROWS) < 10, **SLICES}
    results = results_of({"model": NOISE, "champion": NOISE}, tiny)
    check = answer(results, comparison="not_fallen", baseline="champion", slice="*")
    assert check.passed
    assert "none of 2 slices failed, 1 was too small to judge" in check.reason


def test_one_slice_may_be_named() -> None:
    results = results_of({"model": np.where(SLICES["first"], 2.0, 0.0)}, SLICES)
    assert not answer(results, comparison="at_most", threshold=1, slice="first").passed
    assert answer(results, comparison="at_most", threshold=1, slice="last").passed
    unknown = answer(results, comparison="at_most", threshold=1, slice="middle")
    assert not unknown.passed
    assert unknown.reason == "No slice is called 'middle': first, last."


def test_built_in_checks_are_those_of_the_objectives_and_give_way_to_others() -> None:
    def metrics(model: Model) -> set[str]:
        return {check.metric for check in with_checks(EvaluateSettings(), model).gate}

    model = make_model(make_sets(8, 12, 0), 8, 12)
    assert metrics(model) == {"mse", "liked_ndcg_at_10"}
    assert metrics(replace(model, ranking=None)) == {"mse"}
    assert metrics(replace(model, rating=None)) == {"liked_ndcg_at_10"}
    own = CheckSettings(metric="mae", comparison="at_most", threshold=1)
    assert with_checks(EvaluateSettings(gate=(own,)), model).gate == (own,)


@pytest.mark.parametrize(
    ("check", "problem"),
    [
        ({"metric": "accuracy", "comparison": "at_least", "threshold": 1}, "no metric 'accuracy'"),
        ({"metric": "mse", "comparison": "at_least"}, "needs a threshold"),
        ({"metric": "mse", "comparison": "better"}, "a baseline"),
        ({"metric": "mse", "comparison": "better", "baseline": "nobody"}, "a baseline"),
        ({"metric": "mse", "comparison": "above", "threshold": 1}, "Input should be"),
        ({"metric": "mse", "comparison": "better", "baseline": "bias", "margin": -1}, "margin"),
    ],
)
def test_a_check_that_makes_no_sense_is_refused(check: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        CheckSettings.model_validate(check)
