"""Learning stops in time, keeps the best, and says when it has failed."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from components.artifacts.model import RatingFactors
from components.errors import UserError
from components.train.checkpoints import Checkpoint, State
from components.train.rating.trials import Limits, Problem, Snapshot, refit, run_trial
from components.train.sizes import Size
from tests.train.worlds import held_out, planted, problem

NOWHERE = Checkpoint()
TRAIN, VALIDATION, _ = held_out(planted())


@dataclass(frozen=True)
class Scripted:
    """Predicts the same stars for every pair, others after every step."""

    stars: tuple[float, ...]
    taken: list[int] = field(default_factory=list)
    hyperparameters: dict[str, Any] = field(default_factory=dict)

    name = "scripted"

    def sizes(self, customers: int, products: int) -> list[Size]:
        return [Size("customers", customers, 1), Size("products", products, 1)]

    def train(self, problem: Problem, state: State | None = None) -> Iterator[Snapshot]:
        done = 0 if state is None else int(state["done"][0])
        for number, stars in enumerate(self.stars[done:], start=done + 1):
            self.taken.append(number)
            factors = RatingFactors(
                users=np.zeros((problem.customers, 1), np.float32),
                items=np.zeros((problem.products, 1), np.float32),
                user_biases=np.zeros(problem.customers, np.float32),
                item_biases=np.zeros(problem.products, np.float32),
                offset=np.array([stars], np.float32),
                bounds=np.array([-9, 9], np.float32),
            )
            state = {"done": np.array([number], np.int32)}
            yield Snapshot(0.0, partial(replace, factors), factors.predict, partial(dict, state))


def mean() -> float:
    return float(VALIDATION.stars.mean())


def test_the_step_with_the_least_validation_error_is_kept() -> None:
    model = Scripted((mean() - 2, mean() - 1, mean(), mean() + 1, mean() + 2))
    trial = run_trial(model, problem(TRAIN), VALIDATION, Limits(5, 5), NOWHERE)
    assert trial.steps == 3
    assert trial.mse == pytest.approx(VALIDATION.stars.var(), rel=1e-4)
    assert refit(trial, problem(TRAIN), NOWHERE).export().offset[0] == np.float32(mean())


def test_learning_ends_when_nothing_is_gained_for_long() -> None:
    model = Scripted((mean(), mean() + 1, mean() + 1, mean() + 1, mean() + 1))
    trial = run_trial(model, problem(TRAIN), VALIDATION, Limits(5, 2), NOWHERE)
    assert model.taken == [1, 2, 3]
    assert [entry["step"] for entry in trial.history] == [1, 2, 3]


def test_a_gain_below_a_thousandth_does_not_prolong_learning() -> None:
    steps = tuple(mean() + 0.1 - 1e-6 * number for number in range(5))
    model = Scripted(steps)
    trial = run_trial(model, problem(TRAIN), VALIDATION, Limits(5, 2), NOWHERE)
    assert len(model.taken) == 3
    assert trial.steps == 3


def test_a_trial_behind_the_incumbent_is_given_up_and_one_ahead_is_not() -> None:
    errors = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
    best = run_trial(
        Scripted(tuple(mean() + error for error in errors)),
        problem(TRAIN),
        VALIDATION,
        Limits(6, 2),
        NOWHERE,
    )
    for change, steps in ((0.05, 3), (-0.05, 6)):
        model = Scripted(tuple(mean() + error + change for error in errors))
        run_trial(model, problem(TRAIN), VALIDATION, Limits(6, 2, best), NOWHERE)
        assert len(model.taken) == steps


@pytest.mark.parametrize(
    ("hyperparameters", "remedy"),
    [({"learning_rate": 1.0}, "lower learning_rate"), ({}, "check the stars for outliers, or set")],
)
def test_a_loss_that_is_no_number_names_the_step_and_a_remedy_that_the_model_has(
    hyperparameters: dict[str, float], remedy: str
) -> None:
    model = Scripted((mean(), float("nan")), hyperparameters=hyperparameters)
    with pytest.raises(UserError, match=f"scripted is nan after step 2: {remedy}"):
        run_trial(model, problem(TRAIN), VALIDATION, Limits(5, 2), NOWHERE)
