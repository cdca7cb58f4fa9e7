"""Learn step by step, stop in time, keep the best: the part of learning that no framework owns."""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from components.artifacts.model import Floats, Integers, RatingFactors
from components.artifacts.splits import Ratings
from components.errors import UserError
from components.train.checkpoints import Checkpoint, History, State
from components.train.sizes import Size

log = logging.getLogger(__name__)

# A smaller gain, as a fraction of the loss, is not worth waiting for.
_LEAST_GAIN = 1e-3
_OTHER = "check the stars for outliers, or set rating_model to another"
# Bounds the memory that predictions take.
_BLOCK_ROWS = 1 << 17

Predict = Callable[[Integers, Integers], Floats]
"""Stars, float32 [n], for n pairs of user and item indices."""


@dataclass(frozen=True, eq=False)
class Problem:
    """Ratings to learn from.

    Attributes:
        ratings: what is known.
        customers: how many there are. products: how many there are.
        bounds: the lowest and the highest rating of the scale.
        start: factors to begin with, NaN for customers and products that have none; None to
            begin afresh.
    """

    ratings: Ratings
    customers: int
    products: int
    bounds: tuple[float, float]
    start: RatingFactors | None = None


@dataclass(frozen=True)
class Step:
    """Where learning stands after an epoch or a sweep; to be asked before the next one is taken.

    Attributes:
        loss: mean squared error of training, in stars squared.
        export: makes plain factors of the model so far; the larger the tables, the longer.
        predict: stars of users and items, float32 [n], by the model itself.
        state: makes what to go on from.
    """

    loss: float
    export: Callable[[], RatingFactors]
    predict: Predict
    state: Callable[[], State]


class RatingModel(Protocol):
    """A model with its hyperparameters."""

    @property
    def name(self) -> str:
        """As the user knows it."""

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """What tells it from others of its name."""

    def sizes(self, customers: int, products: int) -> list[Size]:
        """Its largest arrays."""

    def learn(self, problem: Problem, state: State | None = None) -> Iterator[Step]:
        """Learn without end, an epoch or sweep a step; the same steps every time.

        Given the state after a step, the first step is the one that followed it.
        """


@dataclass(frozen=True)
class Trial:
    """A model judged on the validation ratings.

    Attributes:
        model: what was tried.
        mse: of its best step, on the validation ratings. steps: the number of that step.
        history: by step, `step`, `train_mse` and `validation_mse`.
        left_out: why it was not tried at all, if so; its error is infinite then.
    """

    model: RatingModel
    mse: float = math.inf
    steps: int = 0
    history: History = field(default_factory=list)
    left_out: str = ""

    @property
    def description(self) -> dict[str, Any]:
        """The trial in plain values."""
        what = {"model": self.model.name, "hyperparameters": self.model.hyperparameters}
        if self.left_out:
            return what | {"left_out": self.left_out}
        return what | {"validation_mse": self.mse, "steps": self.steps}


def mean_squared_error(predict: Predict, ratings: Ratings) -> float:
    """Of the predicted stars, in stars squared."""
    total = 0.0
    for start in range(0, len(ratings), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        errors = predict(ratings.users[rows], ratings.items[rows]) - ratings.stars[rows]
        total += float(np.square(errors).sum(dtype=np.float64))
    return total / len(ratings)


def try_model(
    model: RatingModel,
    problem: Problem,
    validation: Ratings,
    steps: int,
    patience: int,
    checkpoint: Checkpoint,
) -> Trial:
    """Learn until the validation loss has not fallen in earnest for `patience` steps.

    Args:
        model: what to try.
        problem: the ratings to learn from.
        validation: the ratings to judge by.
        steps: how many at most.
        patience: how many steps to wait for a gain of a thousandth.
        checkpoint: what to go on from, and where to keep every step.

    Raises:
        UserError: if the loss is no longer a number.
    """
    history, state = checkpoint.read()
    learning = model.learn(problem, state)
    losses = [entry["validation_mse"] for entry in history]
    while len(losses) < steps and not is_over(losses, patience):
        step, number = next(learning), len(losses) + 1
        mse = mean_squared_error(step.predict, validation)
        if not math.isfinite(mse):
            advice = "lower learning_rate" if "learning_rate" in model.hyperparameters else _OTHER
            raise UserError(
                f"the validation loss of {model.name} is {mse} after step {number}: {advice}"
            )
        log.info("%s: step %d, MSE %.4f, on validation %.4f", title(model), number, step.loss, mse)
        losses.append(mse)
        history.append({"step": number, "train_mse": step.loss, "validation_mse": mse})
        checkpoint.write(history, step.state)
    return Trial(model, min(losses), losses.index(min(losses)) + 1, history)


def is_over(losses: Sequence[float], patience: int) -> bool:
    """Whether the last `patience` losses brought no gain in earnest over those before."""
    awaited, last_gain = math.inf, 0
    for number, loss in enumerate(losses, start=1):
        if loss < awaited * (1 - _LEAST_GAIN):
            awaited, last_gain = loss, number
    return len(losses) - last_gain >= patience


def learn_again(trial: Trial, problem: Problem, checkpoint: Checkpoint) -> Step:
    """Learn as many steps as were best, from all that is known."""
    history, state = checkpoint.read()
    learning = trial.model.learn(problem, state)
    for number in range(len(history) + 1, trial.steps):
        step = next(learning)
        history.append({"step": number, "train_mse": step.loss})
        checkpoint.write(history, step.state)
    return next(learning)


def title(model: RatingModel) -> str:
    """A model's name and hyperparameters in a few words."""
    values = (
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in model.hyperparameters.items()
    )
    return " ".join((model.name, *values))
