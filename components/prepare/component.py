"""The prepare step as Kubeflow runs it."""

from __future__ import annotations

from pathlib import Path

from kfp import dsl

from components.prepare.settings import PrepareSettings


def prepare(
    settings: PrepareSettings,
    ratings: dsl.Input[dsl.Dataset],
    splits: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Filter out the long tail, number customers and products, and hold out ratings for testing.

    Args:
        settings: Which ratings to keep, and which to hold out.
        ratings: What was ingested.
        splits: Ratings to train, validate and test with.
        metrics: How many ratings, customers and products were kept.
    """
    from components.prepare.prepare import prepare

    statistics = prepare(settings, Path(ratings.path), Path(splits.path))
    for name, count in statistics["rows"].items():
        metrics.log_metric(f"{name}_ratings", count)
    metrics.log_metric("customers", statistics["after"]["customers"]["count"])
    metrics.log_metric("products", statistics["after"]["products"]["count"])
    for removed in statistics["removed"]:
        metrics.log_metric(
            f"removed by {removed['rule']}, round {removed['round']}", removed["rows"]
        )
