"""Choose the model that predicts stars: try models on validation, train the best one again."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import mxnet as mx
import numpy as np

from components.artifacts.model import RatingFactors
from components.artifacts.splits import Ratings, Splits
from components.errors import UserError
from components.train.checkpoints import Checkpoints
from components.train.rating.bayes import Bayes
from components.train.rating.sgd import SgdModel
from components.train.rating.trials import (
    Limits,
    Problem,
    RatingModel,
    Snapshot,
    Trial,
    label,
    refit,
    run_trial,
)
from components.train.rating.warm_start import Start
from components.train.settings import RatingSettings
from components.train.sizes import BAYES_RANK, BAYES_SIGNALS

log = logging.getLogger(__name__)

# The search of `bayes` varies one setting after the other, each with the best values so far. The
# noise is relative to the error of the biases alone.
_RANKS = (4, 8, BAYES_RANK)
_NOISES = (0.8, 0.6, 1.2)
_PROBES = 20
# An error below this fraction of the variance of the stars is only rounding.
_ROUNDING = 1e-6

Attempt = Callable[[RatingModel, Trial | None], Trial]
"""Tries a model, and gives it up where it is behind a trial, if one is given."""


@dataclass(frozen=True)
class FittedRating:
    """The model that was chosen on the validation ratings.

    Attributes:
        factors: learned from the training and the validation ratings.
        description: the model, its hyperparameters, its validation error, and `probes`.
        history: the description of every trial with its `history`, in the order tried.
        fit_without_validation: trains the same model on the training ratings alone.
    """

    factors: RatingFactors
    description: dict[str, Any]
    history: list[dict[str, Any]]
    fit_without_validation: Callable[[], RatingFactors]


def fit_rating(
    splits: Splits,
    settings: RatingSettings,
    devices: tuple[mx.Context, ...],
    checkpoints: Checkpoints,
    start: Start,
) -> FittedRating:
    """Choose a model on the validation ratings, then train it on them too.

    Args:
        splits: the ratings to train on and to choose by.
        settings: which models to try, and with what.
        devices: where to compute; mf and mlp use all of them, bayes the first.
        checkpoints: where to resume from, and where to write every step.
        start: the factors to begin with, and the validation ratings that they did not learn from.

    Raises:
        UserError: if there are no validation ratings, a loss is not a number, or every model that
            is asked for needs a larger array than MXNet can hold.
    """
    if not len(start.judged):
        raise UserError(
            "no validation ratings to choose a model by: prepare with lower minimum counts or "
            "another split"
        )
    problem = Problem(
        splits.train, len(splits.customers), len(splits.products), splits.scale, start.factors
    )
    attempt = _attempts(problem, start.judged, settings, checkpoints)
    trials = list(_trials(attempt, problem, settings, devices))
    best = _best_of(trials, settings)
    log.info("rating: %s is best, validation MSE %.4f", best.model.name, best.mse)
    known = splits.train.merged_with(splits.validation)
    final = refit(best, replace(problem, ratings=known), checkpoints.of("final"))
    return FittedRating(
        final.export(),
        best.description | {"probes": _probes(final, splits.validation)},
        [trial.description | {"history": trial.history} for trial in trials],
        lambda: refit(best, problem, checkpoints.of("unvalidated")).export(),
    )


def _attempts(
    problem: Problem, validation: Ratings, settings: RatingSettings, checkpoints: Checkpoints
) -> Attempt:
    """What tries a model, unless it needs a larger array than MXNet can hold.

    Args:
        problem: the ratings to train on.
        validation: the ratings to measure the loss on.
        settings: limit the steps.
        checkpoints: of every trial.
    """

    def attempt(model: RatingModel, incumbent: Trial | None) -> Trial:
        for size in model.sizes(problem.customers, problem.products):
            if size.excess:
                log.warning("rating: %s is left out: %s", label(model), size.excess)
                return Trial(model, left_out=size.excess)
        checkpoint = checkpoints.of("trial", model.name, model.hyperparameters)
        limits = Limits(settings.epochs, settings.patience, incumbent)
        return run_trial(model, problem, validation, limits, checkpoint)

    return attempt


def _best_of(trials: list[Trial], settings: RatingSettings) -> Trial:
    best = min(trials, key=lambda trial: trial.mse)
    if best.left_out:
        raise UserError(
            f"rating_model={settings.rating_model}: {best.left_out}: lower "
            f"num_embeddings={settings.num_embeddings}, set rating_model=auto or prepare with "
            f"higher minimum counts"
        )
    return best


def _probes(snapshot: Snapshot, ratings: Ratings) -> dict[str, list[Any]]:
    """The model's own predictions for some pairs, with which its export is checked."""
    users, items = ratings.users[:_PROBES], ratings.items[:_PROBES]
    stars = snapshot.predict(users, items)
    return {"users": users.tolist(), "items": items.tolist(), "stars": stars.tolist()}


def _trials(
    attempt: Attempt, problem: Problem, settings: RatingSettings, devices: tuple[mx.Context, ...]
) -> Iterator[Trial]:
    names = ["bayes", "mf"] if settings.rating_model == "auto" else [settings.rating_model]
    for name in names:
        if name == "bayes":
            tried = list(_bayes_trials(attempt, problem, settings.seed, devices[0]))
        else:
            tried = [attempt(_gradient_model(name, settings, devices), None)]
        best = min(tried, key=lambda trial: trial.mse)
        if not best.left_out:
            log.info(
                "rating: %s reaches MSE %.4f on validation after %d steps",
                name,
                best.mse,
                best.steps,
            )
        yield from tried


def _bayes_trials(
    attempt: Attempt, problem: Problem, seed: int, device: mx.Context
) -> Iterator[Trial]:
    """Try the biases alone first, because their error estimates the noise; then vary the rest.

    If all ratings are equal, as in implicit feedback, the biases explain everything.
    """
    spread = float(np.var(problem.ratings.stars, dtype=np.float64)) or 1.0
    best: Trial = attempt(Bayes(0, 1 / spread, True, seed, device), None)
    yield best
    error = best.mse
    if error < _ROUNDING * spread:
        return
    start = Bayes(_RANKS[0], 1 / (_NOISES[0] * error), True, seed, device, BAYES_SIGNALS)
    changes: list[list[dict[str, Any]]] = [
        [{"rank": rank} for rank in _RANKS],
        [{"precision": 1 / (noise * error)} for noise in _NOISES[1:]],
        [{"counts": False}, {"signals": 0}],
    ]
    for alternatives in changes:
        base = best.model if best.model.hyperparameters["rank"] else start
        # The biases alone learn in fewer steps: no model is compared with them step by step.
        incumbent = best if best.model.hyperparameters["rank"] else None
        for change in alternatives:
            trial = attempt(replace(base, **change), incumbent)  # type: ignore[type-var]
            best = min(best, trial, key=lambda trial: trial.mse)
            yield trial


def _gradient_model(
    name: Any, settings: RatingSettings, devices: tuple[mx.Context, ...]
) -> SgdModel:
    return SgdModel(
        name=name,
        width=settings.num_embeddings,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        dropout=settings.dropout,
        weight_decay=settings.weight_decay,
        seed=settings.seed,
        devices=devices,
    )
