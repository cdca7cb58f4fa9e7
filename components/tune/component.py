"""The search as Kubeflow runs it: what to try next, and what came out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from kfp import dsl

from components.tune.settings import TuneSettings


def ask(
    settings: TuneSettings,
    told: list[dict[str, Any]] = [],  # noqa: B006 - KFP reads the default, nothing changes it
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Propose the next trials from the results of all before.

    Args:
        settings: What to tune, and how much the search may take.
        told: Results of all trials so far.
        seed: Seed of the search.

    Returns:
        The trials to run; one that is empty once the budget is used.
    """
    from components.tune.study import next_batch

    return next_batch(settings, told, seed, time.time())


def tell(
    results: list[dict[str, Any]],
    told: list[dict[str, Any]] = [],  # noqa: B006
) -> list[dict[str, Any]]:
    """Add the results of a batch to those before.

    Args:
        results: Of the trials of the batch; empty ones tell nothing.
        told: Results of all trials before.

    Returns:
        The results of all trials.
    """
    return told + [result for result in results if result]


def conclude(
    settings: TuneSettings, report: dsl.Output[dsl.HTML], told: list[dict[str, Any]]
) -> dict[str, Any]:
    """Name the best trial's settings and draw all trials.

    Args:
        settings: What was tuned.
        report: The page with the table and the plot of the trials.
        told: Results of all trials.

    Returns:
        The settings of the training step.
    """
    from components.tune.page import render
    from components.tune.study import best_of

    Path(report.path).write_text(render(settings.objective, told))
    best: dict[str, Any] = best_of(settings.objective, told)["settings"]
    return best
