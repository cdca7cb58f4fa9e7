"""The search as Kubeflow runs it: propose trials, collect their results, choose the best."""

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
    """Propose the next trials, given the results of all earlier ones.

    Args:
        settings: What to tune, and how much the search may take.
        told: Results of all trials so far.
        seed: Seed of the search.

    Returns:
        The trials to run; a single empty one when the budget is used up.
    """
    from components.tune.study import next_batch

    return next_batch(settings, told, seed, time.time())


def tell(
    results: list[dict[str, Any]],
    told: list[dict[str, Any]] = [],  # noqa: B006
) -> list[dict[str, Any]]:
    """Add the results of a batch to the earlier ones.

    Args:
        results: Results of the batch; empty ones are left out.
        told: Results of all earlier trials.

    Returns:
        The results of all trials.
    """
    return told + [result for result in results if result]


def conclude(
    settings: TuneSettings, report: dsl.Output[dsl.HTML], told: list[dict[str, Any]]
) -> dict[str, Any]:
    """Choose the best trial, and write the page of all trials.

    Args:
        settings: What was tuned.
        report: The page with a table and plots of the trials.
        told: Results of all trials.

    Returns:
        The settings of the best trial.
    """
    from components.tune.page import render
    from components.tune.study import best_of

    Path(report.path).write_text(render(settings.objective, told))
    best: dict[str, Any] = best_of(settings.objective, told)["settings"]
    return best
