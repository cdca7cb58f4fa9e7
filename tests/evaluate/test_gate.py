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
from components.evaluate.figures import Background, Figures, JudgedRows, System
from components.evaluate.gate import judge, with_checks
from components.evaluate.intervals import Bootstrap
from components.evaluate.settings import CheckSettings, EvaluateSettings
from components.evaluate.slices import Mask
from tests.evaluate.worlds import make_model, make_sets, to_ratings

ROWS = 400
NOISE = np.random.default_rng(0).normal(0, 0.5, ROWS)


def figures_of(
    errors: Mapping[str, Any],
    slices: Mapping[str, Mask] | None = None,
    fresh: Mask | None = None,
    rows: int = ROWS,
) -> Figures:
    """Figures of systems whose predictions are off by these stars; one row a customer."""
    ones = np.ones(rows)
    test = to_ratings([np.arange(rows), np.zeros(rows), 3 * ones, ones])
    systems = {
        name: System(stars=(3 + ones * error).astype(np.float32)) for name, error in errors.items()
    }
    everything = np.ones(rows, dtype=bool)
    return Figures(
        JudgedRows(test, slices or {}, everything if fresh is None else fresh),
        systems,
        Background(np.ones(1, int), csr_matrix((1, 1)), rows),
        Bootstrap(rows, 500, 0),
    )


def answer(figures: Figures, **check: Any) -> Check:
    _, found = judged(figures, CheckSettings(metric="mse", **check))
    return found


def judged(figures: Figures, check: CheckSettings) -> list[Check]:
    return judge(figures, EvaluateSettings(gate=(check,)))


def test_better_is_beyond_doubt() -> None:
    check = answer(
        figures_of({"model": NOISE, "bias": NOISE * 2}), comparison="better", rival="bias"
    )
    assert check.passed
    assert check.name == "mse better than bias"
    assert check.figure == pytest.approx(np.square(NOISE).mean())
    assert check.threshold == pytest.approx(np.square(2 * NOISE).mean())
    assert "is better by" in check.reason


def test_a_tie_is_not_better_but_no_worse() -> None:
    tie = figures_of({"model": NOISE, "bias": NOISE})
    better = answer(tie, comparison="better", rival="bias")
    assert not better.passed
    assert "is a tie" in better.reason
    assert answer(tie, comparison="not_worse", rival="bias").passed
    assert answer(tie, comparison="not_fallen", rival="bias").passed


def test_a_small_gain_of_few_customers_is_not_enough_evidence() -> None:
    ours = NOISE[:120]
    theirs = ours[::-1] * 1.05
    check = answer(
        figures_of({"model": ours, "bias": theirs}, rows=120), comparison="better", rival="bias"
    )
    assert not check.passed
    assert check.reason.endswith("not enough evidence.")


@pytest.mark.parametrize(("loss", "passed"), [(1.01, True), (1.2, False)])
def test_no_worse_allows_for_the_margin(loss: float, passed: bool) -> None:
    figures = figures_of({"model": NOISE * np.sqrt(loss), "bias": NOISE})
    check = answer(figures, comparison="not_worse", rival="bias", margin=0.05)
    assert check.passed is passed
    assert "margin" in check.reason


def test_a_margin_asks_for_more_than_better() -> None:
    figures = figures_of({"model": NOISE * 0.95, "bias": NOISE})
    assert answer(figures, comparison="better", rival="bias").passed
    assert not answer(figures, comparison="better", rival="bias", margin=0.2).passed


def test_a_fall_by_chance_passes_and_one_beyond_the_margin_does_not() -> None:
    generator = np.random.default_rng(2)
    chance = {"model": generator.normal(0, 1.06, 120), "bias": generator.normal(0, 1, 120)}
    assert answer(
        figures_of(chance, rows=120), comparison="not_fallen", rival="bias", margin=0.01
    ).passed
    fallen = figures_of({"model": NOISE * 1.5, "bias": NOISE})
    assert not answer(fallen, comparison="not_fallen", rival="bias", margin=0.1).passed


@pytest.mark.parametrize("comparison", ["better", "not_worse", "not_fallen"])
def test_a_figure_that_is_no_number_never_passes(comparison: str) -> None:
    figures = figures_of({"model": np.nan, "bias": NOISE})
    check = answer(figures, comparison=comparison, rival="bias")
    assert not check.passed
    assert "could not be computed" in check.reason


@pytest.mark.parametrize(
    ("comparison", "threshold", "passed"),
    [("at_most", 1.0, True), ("at_most", 0.1, False), ("at_least", 0.1, True)],
)
def test_a_threshold_is_a_number(comparison: str, threshold: float, passed: bool) -> None:
    figures = figures_of({"model": 0.5})
    check = answer(figures, comparison=comparison, threshold=threshold)
    assert (check.passed, check.figure, check.threshold) == (passed, 0.25, threshold)
    assert not answer(figures_of({"model": np.nan}), comparison="at_most", threshold=9).passed


def test_a_metric_that_the_model_does_not_have_fails() -> None:
    check = CheckSettings(metric="ndcg_at_10", comparison="at_least", threshold=0.1)
    _, found = judged(figures_of({"model": 0}), check)
    assert not found.passed


def test_few_test_ratings_are_a_reason_of_their_own() -> None:
    better = CheckSettings(metric="mse", comparison="better", rival="bias")
    for rows, enough in ((100, True), (99, False)):
        evidence, check = judged(figures_of({"model": 0.0, "bias": 1.0}, rows=rows), better)
        assert evidence.passed is enough
        assert check.passed is enough
        assert ("Not enough evidence: 99 test ratings" in check.reason) is not enough


def test_many_ratings_of_few_customers_are_not_enough_evidence() -> None:
    users = np.arange(ROWS) % 7
    test = to_ratings([users, np.arange(ROWS), np.full(ROWS, 3), np.ones(ROWS)])
    figures = Figures(
        JudgedRows(test, {}, np.ones(ROWS, dtype=bool)),
        {"model": System(stars=np.full(ROWS, 3, np.float32))},
        Background(np.ones(ROWS, int), csr_matrix((1, 1)), ROWS),
        Bootstrap(7, 500, 0),
    )
    evidence, check = judged(
        figures, CheckSettings(metric="mse", comparison="at_most", threshold=1)
    )
    assert not evidence.passed
    assert not check.passed
    assert evidence.reason == "Not enough evidence: 7 customers, 30 are needed."


def test_no_champion_no_check() -> None:
    check = CheckSettings(metric="mse", comparison="not_worse", rival="champion")
    assert [found.name for found in judged(figures_of({"model": 0}), check)] == [
        "enough test ratings"
    ]


def test_the_champion_is_compared_on_rows_that_it_did_not_learn_from() -> None:
    learned = np.arange(ROWS) < 200
    champion = np.where(learned, 0.0, 2.0)
    check = answer(
        figures_of({"model": NOISE, "champion": champion}, fresh=~learned),
        comparison="better",
        rival="champion",
    )
    assert check.passed
    assert check.threshold == 4.0
    assert check.figure == pytest.approx(np.square(NOISE[200:]).mean())


SLICES = {"first": np.arange(ROWS) < 100, "last": np.arange(ROWS) >= 100}


def test_a_slice_that_falls_against_the_champion_fails_though_the_mean_is_better() -> None:
    model = NOISE * np.where(SLICES["first"], 1.4, 0.5)
    figures = figures_of({"model": model, "champion": NOISE}, SLICES)
    assert answer(figures, comparison="better", rival="champion").passed
    check = answer(figures, comparison="not_fallen", rival="champion", margin=0.1, slice="*")
    assert not check.passed
    assert check.reason.startswith("1 of 2 slices failed, 0 were too small to judge.")
    assert "in first" in check.reason
    assert check.name == "mse not fallen below champion in every slice"


def test_equal_models_seldom_seem_to_fall_in_one_of_many_slices() -> None:
    rows, check = 20 * 100, {"comparison": "not_fallen", "rival": "champion"}
    slices = {f"slice {n}": np.arange(rows) // 100 == n for n in range(20)}
    alarms = {"alone": 0, "together": 0}
    for seed in range(30):
        random = np.random.default_rng(seed)
        errors = {name: random.normal(0, 0.5, rows) for name in ("model", "champion")}
        figures = figures_of(errors, slices, rows=rows)
        alone = [answer(figures, slice=name, **check).passed for name in slices]
        alarms["alone"] += not all(alone)
        alarms["together"] += not answer(figures, slice="*", **check).passed
    assert alarms["alone"] >= 10
    assert alarms["together"] <= 4


def test_slices_by_the_stars_given_are_judged_by_name_alone() -> None:
    by_stars = {f"stars: {place}": mask for place, mask in enumerate(SLICES.values())}
    model = NOISE * np.where(by_stars["stars: 0"], 1.4, 0.5)
    figures = figures_of({"model": model, "champion": NOISE}, by_stars)
    fallen = {"comparison": "not_fallen", "rival": "champion"}
    assert answer(figures, **fallen, slice="*").reason == (
        "mse: none of 0 slices failed, 0 were too small to judge."
    )
    assert not answer(figures, **fallen, slice="stars: 0").passed


def test_a_slice_too_small_to_judge_is_told() -> None:
    tiny = {"tiny": np.arange(ROWS) < 10, **SLICES}
    figures = figures_of({"model": NOISE, "champion": NOISE}, tiny)
    check = answer(figures, comparison="not_fallen", rival="champion", slice="*")
    assert check.passed
    assert "none of 2 slices failed, 1 was too small to judge" in check.reason


def test_one_slice_may_be_named() -> None:
    figures = figures_of({"model": np.where(SLICES["first"], 2.0, 0.0)}, SLICES)
    assert not answer(figures, comparison="at_most", threshold=1, slice="first").passed
    assert answer(figures, comparison="at_most", threshold=1, slice="last").passed
    unknown = answer(figures, comparison="at_most", threshold=1, slice="middle")
    assert not unknown.passed
    assert unknown.reason == "No slice is called 'middle': first, last."


def test_built_in_checks_are_those_of_the_objectives_and_give_way_to_others() -> None:
    def metrics(model: Model) -> set[str]:
        return {check.metric for check in with_checks(EvaluateSettings(), model).gate}

    model = make_model(make_sets(8, 12, 0), 8, 12)
    assert metrics(model) == {"mse", "ndcg_at_10"}
    assert metrics(replace(model, ranking=None)) == {"mse"}
    assert metrics(replace(model, rating=None)) == {"ndcg_at_10"}
    own = CheckSettings(metric="mae", comparison="at_most", threshold=1)
    assert with_checks(EvaluateSettings(gate=(own,)), model).gate == (own,)


@pytest.mark.parametrize(
    ("check", "problem"),
    [
        ({"metric": "accuracy", "comparison": "at_least", "threshold": 1}, "no metric 'accuracy'"),
        ({"metric": "mse", "comparison": "at_least"}, "needs a threshold"),
        ({"metric": "mse", "comparison": "better"}, "a rival"),
        ({"metric": "mse", "comparison": "better", "rival": "nobody"}, "a rival"),
        ({"metric": "mse", "comparison": "above", "threshold": 1}, "Input should be"),
        ({"metric": "mse", "comparison": "better", "rival": "bias", "margin": -1}, "margin"),
    ],
)
def test_a_check_that_makes_no_sense_is_refused(check: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        CheckSettings.model_validate(check)
