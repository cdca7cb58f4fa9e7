"""The evaluation step: measure, judge, and write the report and the verdict."""

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from components.artifacts import evaluation
from components.artifacts.bundles import open_current
from components.artifacts.evaluation import BASELINES, METRICS, Verdict, write_verdict
from components.artifacts.folder import write_artifact
from components.artifacts.splits import Ratings, Splits
from components.errors import UserError
from components.evaluate import leakage
from components.evaluate.champion import Aligned, align
from components.evaluate.contest import Field, contestants
from components.evaluate.figures import Figures, JudgedRows, Scope, weakest_slices
from components.evaluate.gate import MODEL, with_checks
from components.evaluate.inputs import Inputs, open_inputs
from components.evaluate.intervals import Bootstrap, interval
from components.evaluate.metrics import calibration
from components.evaluate.report import render
from components.evaluate.settings import CHAMPION, EvaluateSettings
from components.evaluate.slices import slices_of
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
    """Measure a model on the test ratings and say whether it may be deployed.

    Args:
        settings: how to measure and what to demand.
        ratings: the `ratings` artifact that the splits were made from.
        splits: the `splits` artifact that the model was trained on.
        model: the `model` artifact.
        report: where to write the HTML page.
        verdict: where to write the `verdict` artifact.
        run: name and time of the run, for the report's head.

    Returns:
        the verdict, and the model's metrics by name.

    Raises:
        UserError: if an input is damaged or does not belong to the others.
    """
    with tempfile.TemporaryDirectory(prefix="alsolike-champion-") as work:
        deployed = open_current(settings.champion, Path(work)) if settings.champion else None
        # The champion's arrays are mapped into memory: they outlive the folder.
        inputs = open_inputs(ratings, splits, model, deployed)
    field = _field(inputs.splits)
    judged = field.drawn(settings.max_test_customers, settings.seed)
    logger.info(
        "scoring %d test ratings of %d customers, of whom there are %d",
        *(len(judged.test), len(judged.tested), len(field.tested)),
    )
    champion = _aligned_champion(inputs)
    figures = _figures(judged, inputs, champion, settings)
    answer = reach_verdict(field, inputs, champion, figures, settings)
    page = render(inputs, figures, answer, settings, len(field.tested), run)
    with write_artifact(
        verdict, evaluation.KIND, evaluation.SCHEMA_VERSION, inputs.made_from
    ) as writer:
        write_verdict(
            writer,
            answer,
            _evaluation(figures, with_checks(settings, inputs.model), len(field.tested)),
        )
    write_page(report, page)
    return answer, figures.table(MODEL)


def _field(splits: Splits) -> Field:
    """The ratings whose ids the tables know; the others are for the alarms."""
    size = len(splits.customers), len(splits.products)

    def known(ratings: Ratings) -> Ratings:
        return ratings.where(leakage.within(ratings, *size))

    train, validation, test = map(known, (splits.train, splits.validation, splits.test))
    if not len(test):
        raise UserError(f"{splits.path} has no test ratings of known ids: run prepare again")
    return Field(train, validation, test, *size, splits.scale)


def _aligned_champion(inputs: Inputs) -> Aligned | None:
    if inputs.champion is None:
        return None
    customers, products = inputs.splits.customers, inputs.splits.products
    return align(
        inputs.champion, customers["customer_id"].to_pylist(), products["product_id"].to_pylist()
    )


def _figures(
    field: Field, inputs: Inputs, champion: Aligned | None, settings: EvaluateSettings
) -> Figures:
    products = inputs.splits.products
    systems, background = contestants(field, inputs.model, champion, settings)
    categories = np.array(products["product_category"].fill_null("").to_pylist(), dtype=object)
    everything = np.ones(len(field.test), dtype=bool)
    rows = JudgedRows(
        ratings=field.test,
        slices=slices_of(field.test, field.history, field.products, categories),
        fresh=champion.unlearned(field.test) if champion else everything,
    )
    bootstrap = Bootstrap(len(rows.customers), settings.resamples, settings.seed)
    return Figures(rows, systems, background, bootstrap)


def _evaluation(figures: Figures, settings: EvaluateSettings, tested: int) -> dict[str, Any]:
    baselines = {name: figures.table(name) for name in BASELINES if name in figures.systems}
    has_champion = CHAMPION in figures.systems
    stars = figures.systems[MODEL].stars
    calibrated = None if stars is None else calibration(stars, figures.test.ratings.stars)
    return {
        "metrics": figures.table(MODEL),
        "intervals": _intervals(figures, settings),
        "baselines": baselines,
        "champion": figures.table(CHAMPION) if has_champion else None,
        "calibration": calibrated and asdict(calibrated),
        "weakest_slices": {
            metric: weakest_slices(figures, MODEL, metric, settings.min_slice_rows)
            for metric in _HEADLINES
        },
        "slices": {name: _slice(figures, name) for name in figures.test.slices},
        "test_customers": {"judged": len(figures.test.customers), "all": tested},
        "settings": settings.model_dump(mode="json", include=set(EvaluateSettings.model_fields)),
    }


def _intervals(figures: Figures, settings: EvaluateSettings) -> Mapping[str, tuple[float, float]]:
    intervals = {}
    for metric in METRICS:
        figure = figures.of(MODEL, metric)
        if figure and figure.draws is not None:
            spread = interval(figure.draws, settings.confidence)
            intervals[metric] = (spread.low, spread.high)
    return intervals


def _slice(figures: Figures, name: str) -> dict[str, Any]:
    """The headline metrics of every system in one slice."""
    tables = {
        system: {
            metric: figure.value
            for metric in _HEADLINES
            if (figure := figures.fair(system, metric, name))
        }
        for system in figures.systems
    }
    return {"rows": int(figures.test.within(Scope(name)).sum()), **tables}
