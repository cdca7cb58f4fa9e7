"""A search proposes settings that the training step takes, and gets better as it is told."""

import json
from collections import defaultdict
from typing import Any

import pytest

from components.errors import UserError
from components.train.settings import TrainSettings
from components.tune.settings import TuneSettings
from components.tune.study import Proposal, Result, best_of, next_batch, propose, value_of


def run(objective: str, batches: int, measure: Any, seed: int = 0) -> list[Result]:
    """Search as the pipeline does: results go through JSON, whole numbers become floats."""
    results: list[Result] = []
    for _ in range(batches):
        for proposal in propose(objective, results, 4, seed):
            sent = json.loads(json.dumps(proposal), parse_int=float)
            results.append(sent | measure(TrainSettings(**proposal["parameters"])))
    return results


def prefers_short_memory(settings: TrainSettings) -> dict[str, Any]:
    figure = 1 - abs(settings.ranking_recency - 0.6) - 0.3 * (settings.ranking_model == "als")
    return {"settings": settings.model_dump(), "figures": {"validation_ndcg_at_50": figure}}


@pytest.mark.parametrize("objective", ["rating", "ranking"])
def test_every_proposal_is_valid_for_the_training_step(objective: str) -> None:
    for proposal in propose(objective, [], 40, seed=1):
        settings = TrainSettings(**proposal["parameters"])
        assert settings.model_dump().items() >= proposal["parameters"].items()


def test_no_width_is_proposed_that_als_would_not_learn() -> None:
    tried = [proposal["parameters"] for proposal in propose("ranking", [], 60, seed=2)]
    widths = defaultdict(list)
    for parameters in filter(None, tried):
        widths[parameters["ranking_model"]].append(parameters["ranking_dimensions"])
    assert max(widths["als"]) <= 32
    assert max(widths["ridge"]) > 128


def test_the_settings_as_they_come_are_tried_first_and_win_unless_something_is_better() -> None:
    def only_the_defaults_are_good(settings: TrainSettings) -> dict[str, Any]:
        figure = 1.0 if settings == TrainSettings() else 0.5
        return {"settings": settings.model_dump(), "figures": {"validation_ndcg_at_50": figure}}

    results = run("ranking", 3, only_the_defaults_are_good)
    best = best_of("ranking", results)
    assert best["number"] == 0
    assert TrainSettings(**best["settings"]) == TrainSettings()
    assert all(result["parameters"] for result in results[1:])


def test_later_batches_are_better_than_the_first() -> None:
    results = run("ranking", 8, prefers_short_memory)
    values = [value_of("ranking", result) or 0 for result in results]
    assert [result["number"] for result in results] == list(range(32))
    assert sum(values[-8:]) / 8 > sum(values[:8]) / 8 + 0.05
    assert value_of("ranking", best_of("ranking", results)) == max(values) > 0.9


def test_the_same_seed_proposes_the_same() -> None:
    first, second = (run("ranking", 3, prefers_short_memory, seed=3) for _ in range(2))
    assert first == second != run("ranking", 3, prefers_short_memory, seed=4)


def test_a_smaller_error_is_better() -> None:
    results = run("rating", 1, lambda _: {"figures": {"validation_mse": 1.0}})
    results[2]["figures"]["validation_mse"] = 0.5
    assert best_of("rating", results)["number"] == 2


def test_failed_trials_are_passed_over() -> None:
    results = run("rating", 2, lambda _: {"error": "the loss is no number"})
    with pytest.raises(UserError, match="no trial succeeded: the loss is no number"):
        best_of("rating", results)
    results[5]["figures"] = {"validation_mse": float("nan")}
    results[6]["figures"] = {"validation_mse": 2.0}
    assert best_of("rating", results)["number"] == 6
    assert len(propose("rating", results, 3, 0)) == 3


def told(settings: TuneSettings, batches: int, minutes_each: float) -> list[list[Proposal]]:
    """Batches that are asked for one after the other, each after the one before it has run."""
    results: list[Result] = []
    asked = []
    for number in range(batches):
        asked.append(next_batch(settings, results, seed=0, now=1e9 + 60 * number * minutes_each))
        results += [proposal | {"figures": {}} for proposal in asked[-1] if proposal]
    return asked


@pytest.mark.parametrize(("trials", "batch"), [(1, 4), (4, 4), (7, 3), (12, 4), (5, 1)])
def test_the_rounds_of_a_search_hold_its_trials_and_no_more(trials: int, batch: int) -> None:
    settings = TuneSettings(trials=trials, batch=batch)
    *rounds, after = told(settings, settings.rounds + 1, minutes_each=1000)
    numbers = [proposal["number"] for proposals in rounds for proposal in proposals]
    assert numbers == list(range(trials))
    assert max(map(len, rounds)) <= batch
    assert after == [{}]


def test_no_batch_starts_once_the_minutes_are_over() -> None:
    settings = TuneSettings(trials=100, batch=2, minutes=30)
    asked = told(settings, 5, minutes_each=14)
    assert [bool(proposals[0]) for proposals in asked] == [True, True, True, False, False]
    assert asked[-1] == [{}]
