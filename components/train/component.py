"""The training step as Kubeflow runs it, and one trial of a search for its settings.

The functions import MXNet, which says in one line if it does not start.
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
        splits: Ratings to learn from and to choose by.
        model: What was learned, in plain arrays.
        metrics: Figures on the validation ratings.
    """
    from components.artifacts.model import describe_origin
    from components.train.train import train

    figures = train(settings, Path(splits.path), Path(model.path))
    for name, figure in figures.items():
        metrics.log_metric(name, figure)
    model.metadata.update(describe_origin(Path(model.path)) | figures)


def trial(
    settings: TrainSettings, splits: dsl.Input[dsl.Dataset], proposal: dict[str, Any]
) -> dict[str, Any]:
    """Train with settings that a search proposed, and tell what they reach on validation.

    Args:
        settings: Of all trials; the proposal's take precedence.
        splits: Ratings to learn from and to choose by.
        proposal: The trial, whose parameters are settings of the training step.

    Returns:
        The proposal, with its settings and its figures, or with the error that it met.
    """
    from components.train.trial import run_trial

    return run_trial(proposal, settings.model_dump(), Path(splits.path))
