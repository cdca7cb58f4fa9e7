"""Try models of the stars on the validation ratings and learn the best again from all."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import mxnet as mx
import numpy as np

from components.artifacts.model import RatingFactors
from components.artifacts.splits import Ratings, Splits
from components.errors import UserError
from components.train.checkpoints import Checkpoints
from components.train.rating.bayes import Bayes
from components.train.rating.gradient import GradientModel
from components.train.rating.learning import (
    Problem,
    RatingModel,
    Step,
    Trial,
    learn_again,
    title,
    try_model,
)
from components.train.rating.warm_start import Start
from components.train.settings import RatingSettings

log = logging.getLogger(__name__)

# What bayes tries, one after the other, each with the best of the others. A noise of 1 is as
# large as the error of the biases.
_RANKS = (4, 8, 16)
_NOISES = (0.8, 0.6, 1.2)
_SIGNALS = 16
_PROBES = 20
# Of the variance of the stars: what is less is of rounding.
_NOTHING_LEFT = 1e-6

Attempt = Callable[[RatingModel], Trial]


def fit_rating(
    splits: Splits,
    settings: RatingSettings,
    devices: tuple[mx.Context, ...],
    checkpoints: Checkpoints,
    start: Start,
) -> tuple[RatingFactors, dict[str, Any], list[dict[str, Any]]]:
    """Choose on the validation ratings, then learn from them too.

    Args:
        splits: ratings to learn from and to choose by.
        settings: what to try.
        devices: where to compute; mf and mlp use all of them, bayes the first.
        checkpoints: what to go on from, and where to keep every step.
        start: factors to begin with, and what to judge by.

    Returns:
        The factors; the chosen model with its hyperparameters and its error on the validation
        ratings; and the same of every trial with its history, in the order tried.

    Raises:
        UserError: if there are no validation ratings, a loss is no longer a number, or every
            model that is asked for needs a larger array than MXNet has.
    """
    if not len(start.judged):
        raise UserError(
            "no validation ratings to choose a model by: prepare with lower minimum counts or "
            "another split"
        )
    problem = Problem(
        splits.train, len(splits.customers), len(splits.products), splits.scale, start.factors
    )

    def attempt(model: RatingModel) -> Trial:
        for size in model.sizes(problem.customers, problem.products):
            if size.excess:
                log.warning("rating: %s is left out: %s", title(model), size.excess)
                return Trial(model, left_out=size.excess)
        checkpoint = checkpoints.of("trial", model.name, model.hyperparameters)
        steps, patience = settings.epochs, settings.patience
        return try_model(model, problem, start.judged, steps, patience, checkpoint)

    trials = list(_trials(attempt, problem, settings, devices))
    best = _best_of(trials, settings)
    log.info("rating: %s is best, validation MSE %.4f", best.model.name, best.mse)
    known = splits.train.merged_with(splits.validation)
    final = learn_again(best, replace(problem, ratings=known), checkpoints.of("final"))
    description = best.description | {"probes": _probes(final, splits.validation)}
    history = [trial.description | {"history": trial.history} for trial in trials]
    return final.export(), description, history


def _best_of(trials: list[Trial], settings: RatingSettings) -> Trial:
    best = min(trials, key=lambda trial: trial.mse)
    if best.left_out:
        raise UserError(
            f"rating_model={settings.rating_model}: {best.left_out}: lower "
            f"num_embeddings={settings.num_embeddings}, set rating_model=auto or prepare with "
            f"higher minimum counts"
        )
    return best


def _probes(step: Step, ratings: Ratings) -> dict[str, list[Any]]:
    """What the model itself predicts for some pairs, to check its export by."""
    users, items = ratings.users[:_PROBES], ratings.items[:_PROBES]
    stars = step.predict(users, items)
    return {"users": users.tolist(), "items": items.tolist(), "stars": stars.tolist()}


def _trials(
    attempt: Attempt, problem: Problem, settings: RatingSettings, devices: tuple[mx.Context, ...]
) -> Iterator[Trial]:
    names = ["bayes", "mf"] if settings.rating_model == "auto" else [settings.rating_model]
    for name in names:
        if name == "bayes":
            tried = list(_bayes_trials(attempt, problem, settings.seed, devices[0]))
        else:
            tried = [attempt(_gradient_model(name, settings, devices))]
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
    """The biases alone first, which tell how large the noise may be; then ranks and noises.

    Where all ratings are equal, as of implicit feedback, the biases leave nothing to explain.
    """
    spread = float(np.var(problem.ratings.stars, dtype=np.float64)) or 1.0
    best: Trial = attempt(Bayes(0, 1 / spread, True, seed, device))
    yield best
    error = best.mse
    if error < _NOTHING_LEFT * spread:
        return
    start = Bayes(_RANKS[0], 1 / (_NOISES[0] * error), True, seed, device, _SIGNALS)
    changes: list[list[dict[str, Any]]] = [
        [{"rank": rank} for rank in _RANKS],
        [{"precision": 1 / (noise * error)} for noise in _NOISES[1:]],
        [{"counts": False}, {"signals": 0}],
    ]
    for alternatives in changes:
        base = best.model if best.model.hyperparameters["rank"] else start
        for change in alternatives:
            trial = attempt(replace(base, **change))  # type: ignore[type-var]
            best = min(best, trial, key=lambda trial: trial.mse)
            yield trial


def _gradient_model(
    name: Any, settings: RatingSettings, devices: tuple[mx.Context, ...]
) -> GradientModel:
    return GradientModel(
        name=name,
        width=settings.num_embeddings,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        dropout=settings.dropout,
        weight_decay=settings.weight_decay,
        seed=settings.seed,
        devices=devices,
    )
