"""The training step as Kubeflow runs it, and one trial of a search for its settings.

The functions import MXNet themselves, so that a failure of its import is a one-line error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kfp import dsl

from components.train.settings import TrainSettings


def train(
    settings: TrainSettings,
    splits: dsl.Input[dsl.Dataset],
    model: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Learn to predict stars and to rank products.

    Args:
        settings: What to learn, where, and how.
        splits: Ratings to train on and to validate with.
        model: The model, in plain arrays.
        metrics: Metrics on the validation ratings.
    """
    from components.artifacts.model import model_facts
    from components.train.train import train

    for name, figure in train(settings, Path(splits.path), Path(model.path)).items():
        metrics.log_metric(name, figure)
    model.metadata.update(model_facts(Path(model.path)))


def trial(
    settings: TrainSettings, splits: dsl.Input[dsl.Dataset], proposal: dict[str, Any]
) -> dict[str, Any]:
    """Train with settings that a search proposed, and return their validation metrics.

    Args:
        settings: Shared by all trials; those of the proposal take precedence.
        splits: Ratings to train on and to validate with.
        proposal: The trial; its parameters are settings of the training step.

    Returns:
        The proposal with its settings and metrics, or with the error that it raised.
    """
    from components.train.trial import run_trial

    return run_trial(proposal, settings.model_dump(), Path(splits.path))
