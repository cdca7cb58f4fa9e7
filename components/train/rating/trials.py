"""Trials: train a model snapshot by snapshot, stop early, and train the best one again."""

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

# The smallest gain, as a fraction of the loss, that resets the patience.
_LEAST_GAIN = 1e-3
# A trial is given up that is behind by such a fraction of the loss after some steps. One that is a
# little behind may learn slowly and end ahead.
_FIRST_STEPS = 3
_FAR_BEHIND = 1e-2
_OTHER = "check the stars for outliers, or set rating_model to another"
# Bounds the memory that predictions take.
_BLOCK_ROWS = 1 << 17

Predict = Callable[[Integers, Integers], Floats]
"""Stars, float32 [n], for n pairs of user and item indices."""


@dataclass(frozen=True, eq=False)
class Problem:
    """Ratings to train on.

    Attributes:
        ratings: the ratings.
        customers: how many customers there are.
        products: how many products there are.
        bounds: the lowest and the highest rating of the scale.
        start: factors to begin with, NaN for customers and products that have none; None for a
            cold start.
    """

    ratings: Ratings
    customers: int
    products: int
    bounds: tuple[float, float]
    start: RatingFactors | None = None


@dataclass(frozen=True)
class Snapshot:
    """A model after an epoch of SGD or a sweep of `bayes`; valid until the next one is asked for.

    Attributes:
        loss: mean squared error on the training ratings, in stars squared.
        export: gives the plain factors; takes time in proportion to the tables.
        predict: gives the model's own predictions.
        state: gives what training can be resumed from.
    """

    loss: float
    export: Callable[[], RatingFactors]
    predict: Predict
    state: Callable[[], State]


class RatingModel(Protocol):
    """A model with its hyperparameters."""

    @property
    def name(self) -> str:
        """The name of the model in the settings."""

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """What distinguishes it from other models of its name."""

    def sizes(self, customers: int, products: int) -> list[Size]:
        """The sizes of its largest arrays."""

    def train(self, problem: Problem, state: State | None = None) -> Iterator[Snapshot]:
        """Train without end, and return a snapshot after each epoch or sweep.

        Training is deterministic. Given the state of a snapshot, it resumes after that snapshot.
        """


@dataclass(frozen=True)
class Trial:
    """A model and its error on the validation ratings.

    Attributes:
        model: the model with its hyperparameters.
        mse: the validation error of its best step, in stars squared.
        steps: the number of that step, from 1.
        history: `step`, `train_mse` and `validation_mse` of each step.
        left_out: the reason, if the model was not tried; its error is infinite then.
    """

    model: RatingModel
    mse: float = math.inf
    steps: int = 0
    history: History = field(default_factory=list)
    left_out: str = ""

    @property
    def description(self) -> dict[str, Any]:
        """The trial as values that JSON can hold."""
        what = {"model": self.model.name, "hyperparameters": self.model.hyperparameters}
        if self.left_out:
            return what | {"left_out": self.left_out}
        return what | {"validation_mse": self.mse, "steps": self.steps}


@dataclass(frozen=True)
class Limits:
    """When a trial ends.

    Attributes:
        steps: the largest number of steps.
        patience: the number of steps without a gain of a thousandth after which to stop.
        incumbent: the best trial so far; one that is far behind it after as many steps is given
            up. None to let it run.
    """

    steps: int
    patience: int
    incumbent: Trial | None = None

    def reached(self, losses: Sequence[float]) -> bool:
        """Whether a trial with these validation losses is over."""
        if len(losses) >= self.steps or has_converged(losses, self.patience):
            return True
        if self.incumbent is None or len(losses) < _FIRST_STEPS:
            return False
        theirs = [entry["validation_mse"] for entry in self.incumbent.history]
        return min(losses) > min(theirs[: len(losses)], default=math.inf) * (1 + _FAR_BEHIND)


def mean_squared_error(predict: Predict, ratings: Ratings) -> float:
    """The mean squared error of predictions, in stars squared."""
    total = 0.0
    for start in range(0, len(ratings), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        errors = predict(ratings.users[rows], ratings.items[rows]) - ratings.stars[rows]
        total += float(np.square(errors).sum(dtype=np.float64))
    return total / len(ratings)


def run_trial(
    model: RatingModel,
    problem: Problem,
    validation: Ratings,
    limits: Limits,
    checkpoint: Checkpoint,
) -> Trial:
    """Train a model until its validation loss stops falling.

    Args:
        model: the model to try.
        problem: the ratings to train on.
        validation: the ratings to measure the loss on.
        limits: when to end.
        checkpoint: where to resume from, and where to write every step.

    Raises:
        UserError: if the loss is not a finite number.
    """
    history, state = checkpoint.read()
    snapshots = model.train(problem, state)
    losses = [entry["validation_mse"] for entry in history]
    while not limits.reached(losses):
        snapshot, number = next(snapshots), len(losses) + 1
        mse = mean_squared_error(snapshot.predict, validation)
        if not math.isfinite(mse):
            advice = "lower learning_rate" if "learning_rate" in model.hyperparameters else _OTHER
            raise UserError(
                f"the validation loss of {model.name} is {mse} after step {number}: {advice}"
            )
        figures = label(model), number, snapshot.loss, mse
        log.info("%s: step %d, MSE %.4f, on validation %.4f", *figures)
        losses.append(mse)
        history.append({"step": number, "train_mse": snapshot.loss, "validation_mse": mse})
        checkpoint.write(history, snapshot.state)
    return Trial(model, min(losses), losses.index(min(losses)) + 1, history)


def has_converged(losses: Sequence[float], patience: int) -> bool:
    """Whether the last `patience` losses are no real gain over the best one before."""
    best, last_gain = math.inf, 0
    for number, loss in enumerate(losses, start=1):
        if loss < best * (1 - _LEAST_GAIN):
            best, last_gain = loss, number
    return len(losses) - last_gain >= patience


def refit(trial: Trial, problem: Problem, checkpoint: Checkpoint) -> Snapshot:
    """Train the model of a trial on other ratings, for the number of steps that was best.

    Args:
        trial: the model, and its best number of steps.
        problem: the ratings to train on.
        checkpoint: where to resume from, and where to write every step.
    """
    history, state = checkpoint.read()
    snapshots = trial.model.train(problem, state)
    for number in range(len(history) + 1, trial.steps):
        snapshot = next(snapshots)
        history.append({"step": number, "train_mse": snapshot.loss})
        checkpoint.write(history, snapshot.state)
    return next(snapshots)


def label(model: RatingModel) -> str:
    """A model's name and hyperparameters in a few words."""
    values = (
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in model.hyperparameters.items()
    )
    return " ".join((model.name, *values))
