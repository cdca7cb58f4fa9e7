"""The evaluation step as Kubeflow runs it."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

from kfp import dsl

from components.evaluate.settings import EvaluateSettings


# A plain return value: kfp.local resolves no other output in a condition.
def evaluate(
    settings: EvaluateSettings,
    ratings: dsl.Input[dsl.Dataset],
    splits: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    report: dsl.Output[dsl.HTML],
    verdict: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    run: str = "",
) -> bool:
    """Measure the model against baselines and the deployed model, and decide on its deployment.

    Args:
        settings: How to measure, and what the model must reach.
        ratings: The ratings that were ingested.
        splits: The ratings that the model was trained on, and the test ratings.
        model: The model to evaluate.
        report: The HTML page for people.
        verdict: Every check with its value and threshold, and every metric.
        metrics: The model's metrics.
        run: Name of the run, for the report.

    Returns:
        Whether the model may be deployed.
    """
    from components.evaluate.evaluate import evaluate

    answer, measured = evaluate(
        settings,
        ratings=Path(ratings.path),
        splits=Path(splits.path),
        model=Path(model.path),
        report=Path(report.path),
        verdict=Path(verdict.path),
        run=f"{run}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    )
    for name, value in measured.items():
        if math.isfinite(value):
            metrics.log_metric(name, value)
    return answer.passed
