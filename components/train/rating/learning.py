"""Learn step by step, stop in time, keep the best: the part of learning that no framework owns."""

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

import numpy as np

from components.artifacts.model import Floats, Integers, RatingFactors
from components.artifacts.splits import Ratings
from components.errors import UserError

log = logging.getLogger(__name__)

# A smaller gain, as a fraction of the loss, is not worth waiting for.
_LEAST_GAIN = 1e-3


@dataclass(frozen=True)
class Problem:
    """Ratings to learn from.

    Attributes:
        ratings: what is known.
        customers: how many there are. products: how many there are.
        bounds: the lowest and the highest rating of the scale.
    """

    ratings: Ratings
    customers: int
    products: int
    bounds: tuple[float, float]


@dataclass(frozen=True)
class Step:
    """Where learning stands after an epoch or a sweep.

    Attributes:
        loss: mean squared error of training, in stars squared.
        factors: the model so far, as it is exported.
        predict: stars of users and items, float32 [n], by the model itself.
    """

    loss: float
    factors: RatingFactors
    predict: Callable[[Integers, Integers], Floats]


class RatingModel(Protocol):
    """A model with its hyperparameters."""

    @property
    def name(self) -> str:
        """As the user knows it."""

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """What tells it from others of its name."""

    def learn(self, problem: Problem) -> Iterator[Step]:
        """Learn without end, an epoch or sweep a step; the same steps every time."""


@dataclass(frozen=True)
class Trial:
    """A model judged on the validation ratings.

    Attributes:
        model: what was tried.
        mse: of its best step, on the validation ratings. steps: the number of that step.
        history: by step, `step`, `train_mse` and `validation_mse`.
    """

    model: RatingModel
    mse: float
    steps: int
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def description(self) -> dict[str, Any]:
        """The trial in plain values."""
        return {
            "model": self.model.name,
            "hyperparameters": self.model.hyperparameters,
            "validation_mse": self.mse,
            "steps": self.steps,
        }


def mean_squared_error(factors: RatingFactors, ratings: Ratings) -> float:
    """Of the predicted stars, in stars squared."""
    errors = factors.predict(ratings.users, ratings.items) - ratings.stars
    return float(np.mean(np.square(errors), dtype=np.float64))


def try_model(
    model: RatingModel, problem: Problem, validation: Ratings, steps: int, patience: int
) -> Trial:
    """Learn until the validation loss has not fallen in earnest for `patience` steps.

    Args:
        model: what to try.
        problem: the ratings to learn from.
        validation: the ratings to judge by.
        steps: how many at most.
        patience: how many steps to wait for a gain of a thousandth.

    Raises:
        UserError: if the loss is no longer a number.
    """
    history: list[dict[str, float]] = []
    best, best_number, awaited, last_gain = math.inf, 0, math.inf, 0
    for number, step in enumerate(islice(model.learn(problem), steps), start=1):
        mse = mean_squared_error(step.factors, validation)
        if not math.isfinite(mse):
            raise UserError(
                f"the validation loss of {model.name} is {mse} after step {number}: "
                f"lower learning_rate"
            )
        history.append({"step": number, "train_mse": step.loss, "validation_mse": mse})
        if mse < best:
            best, best_number = mse, number
        if mse < awaited * (1 - _LEAST_GAIN):
            awaited, last_gain = mse, number
        elif number - last_gain >= patience:
            break
    return Trial(model, best, best_number, history)


def learn_again(trial: Trial, problem: Problem) -> Step:
    """Learn as many steps as were best, from all that is known."""
    *_, last = islice(trial.model.learn(problem), trial.steps)
    return last
