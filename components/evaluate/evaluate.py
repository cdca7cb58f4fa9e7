"""The evaluation step: measure, decide, and write the report and the verdict."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from components.artifacts import evaluation
from components.artifacts.evaluation import BASELINES, METRICS, Verdict, write_verdict
from components.artifacts.folder import write_artifact
from components.artifacts.splits import liked
from components.evaluate.champion import AlignedModel, align
from components.evaluate.data import EvaluationData
from components.evaluate.gate import with_checks
from components.evaluate.inputs import Inputs, open_inputs
from components.evaluate.intervals import Bootstrap, interval
from components.evaluate.metrics import calibration
from components.evaluate.report import render
from components.evaluate.results import EvaluationResults, Scope, ScoredRows, weakest_slices
from components.evaluate.settings import CHAMPION, MODEL, EvaluateSettings
from components.evaluate.slices import slices_of
from components.evaluate.systems import run_systems
from components.evaluate.verdict import reach_verdict
from components.pages.page import write_page

_HEADLINES = ("mse", "ndcg_at_10")

logger = logging.getLogger(__name__)


def evaluate(
    settings: EvaluateSettings,
    *,
    ratings: Path,
    splits: Path,
    model: Path,
    report: Path,
    verdict: Path,
    run: str = "",
) -> tuple[Verdict, dict[str, float]]:
    """Measure a model on the test ratings and decide whether it may be deployed.

    Args:
        settings: how to measure, and what the model must reach.
        ratings: the `ratings` artifact that the splits were made from.
        splits: the `splits` artifact that the model was trained on.
        model: the `model` artifact.
        report: where to write the HTML page.
        verdict: where to write the `verdict` artifact.
        run: name and time of the run, for the head of the report.

    Returns:
        The verdict, and the model's metrics by name.

    Raises:
        UserError: if an input is damaged or does not belong to the others.
    """
    inputs = open_inputs(ratings, splits, model, settings.champion)
    data = EvaluationData.of(inputs.splits)
    tested = len(data.tested)
    sample = data.sampled(settings.max_test_customers, settings.seed)
    counts = len(sample.test), len(sample.tested), tested
    logger.info("scoring %d test ratings of %d customers, of whom there are %d", *counts)
    champion = _aligned_champion(inputs)
    results = _measure(sample, inputs, champion, settings)
    decision = reach_verdict(data, inputs, champion, results, settings)
    page = render(inputs, results, decision, settings, tested, run)
    summary = _summary(results, with_checks(settings, inputs.model), tested)
    with write_artifact(
        verdict, evaluation.KIND, evaluation.SCHEMA_VERSION, inputs.made_from
    ) as writer:
        write_verdict(writer, decision, summary)
    write_page(report, page)
    return decision, results.metrics(MODEL)


def _aligned_champion(inputs: Inputs) -> AlignedModel | None:
    if inputs.champion is None:
        return None
    customers, products = inputs.splits.customers, inputs.splits.products
    return align(
        inputs.champion, customers["customer_id"].to_pylist(), products["product_id"].to_pylist()
    )


def _measure(
    data: EvaluationData,
    inputs: Inputs,
    champion: AlignedModel | None,
    settings: EvaluateSettings,
) -> EvaluationResults:
    systems, statistics = run_systems(data, inputs.model, champion, settings)
    categories = inputs.splits.products["product_category"].fill_null("").to_pylist()
    everything = np.ones(len(data.test), dtype=bool)
    test = ScoredRows(
        ratings=data.test,
        slices=slices_of(data.test, data.history, data.products, np.array(categories, object)),
        held_out=champion.held_out(data.test) if champion else everything,
        liked=liked(data.test, data.history, settings.liked_stars),
    )
    bootstrap = Bootstrap(len(test.customers), settings.resamples, settings.seed)
    return EvaluationResults(test, systems, statistics, bootstrap)


def _summary(results: EvaluationResults, settings: EvaluateSettings, tested: int) -> dict[str, Any]:
    """The content of `evaluation.json`."""
    baselines = {name: results.metrics(name) for name in BASELINES if name in results.systems}
    has_champion = CHAMPION in results.systems
    stars = results.systems[MODEL].stars
    calibrated = None if stars is None else calibration(stars, results.test.ratings.stars)
    return {
        "metrics": results.metrics(MODEL),
        "intervals": _intervals(results, settings),
        "baselines": baselines,
        "champion": results.metrics(CHAMPION) if has_champion else None,
        "calibration": calibrated and asdict(calibrated),
        "weakest_slices": {
            metric: weakest_slices(results, MODEL, metric, settings.min_slice_rows)
            for metric in _HEADLINES
        },
        "slices": {name: _slice(results, name) for name in results.test.slices},
        "test_customers": {"judged": len(results.test.customers), "all": tested},
        "settings": settings.model_dump(mode="json", include=set(EvaluateSettings.model_fields)),
    }


def _intervals(
    results: EvaluationResults, settings: EvaluateSettings
) -> Mapping[str, tuple[float, float]]:
    intervals = {}
    for metric in METRICS:
        measured = results.of(MODEL, metric)
        if measured and measured.resamples is not None:
            spread = interval(measured.resamples, settings.confidence)
            intervals[metric] = (spread.low, spread.high)
    return intervals


def _slice(results: EvaluationResults, name: str) -> dict[str, Any]:
    """The number of ratings in a slice, and the headline metrics of every system in it."""
    tables = {
        system: {
            metric: measured.value
            for metric in _HEADLINES
            if (measured := results.held_out(system, metric, name))
        }
        for system in results.systems
    }
    return {"rows": int(results.test.within(Scope(name)).sum()), **tables}
