"""The evaluation step: measure, judge, and write the report and the verdict."""

import logging
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from components.artifacts import evaluation
from components.artifacts.bundles import open_current
from components.artifacts.evaluation import BASELINES, METRICS, Check, Verdict, write_verdict
from components.artifacts.folder import write_artifact
from components.artifacts.splits import Ratings, Splits
from components.errors import UserError
from components.evaluate import leakage
from components.evaluate.champion import align
from components.evaluate.contest import Field, contestants
from components.evaluate.figures import Figures, JudgedRows, Scope, weakest_slices
from components.evaluate.gate import MODEL, checks_for, judge
from components.evaluate.inputs import Inputs, open_inputs
from components.evaluate.intervals import Bootstrap, interval
from components.evaluate.metrics import calibration
from components.evaluate.report import render
from components.evaluate.settings import CHAMPION, EvaluateSettings
from components.evaluate.slices import slices_of

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
) -> tuple[Verdict, dict[str, float]]:
    """Measure a model on the test ratings and say whether it may be deployed.

    Args:
        settings: how to measure and what to demand.
        ratings: the `ratings` artifact that the splits were made from.
        splits: the `splits` artifact that the model was trained on.
        model: the `model` artifact.
        report: where to write the HTML page.
        verdict: where to write the `verdict` artifact.

    Returns:
        the verdict, and the model's metrics by name.

    Raises:
        UserError: if an input is damaged or does not belong to the others.
    """
    with tempfile.TemporaryDirectory(prefix="alsolike-champion-") as work:
        deployed = open_current(settings.champion, Path(work)) if settings.champion else None
        # The champion's arrays are mapped into memory: they outlive the folder.
        inputs = open_inputs(ratings, splits, model, deployed)
    own_gate = bool(settings.gate)
    settings = settings.model_copy(update={"gate": checks_for(settings, inputs.model)})
    field = _field(inputs.splits)
    judged = field.drawn(settings.max_test_customers, settings.seed)
    logger.info(
        "scoring %d test ratings of %d customers, of whom there are %d",
        *(len(judged.test), len(judged.tested), len(field.tested)),
    )
    figures = _figures(judged, inputs, settings)
    checks = (*_alarms(field, inputs), *judge(figures, settings))
    answer = Verdict(checks, tuple(_notes(figures, inputs, own_gate)))
    _tell(answer)
    page = render(inputs, figures, answer, settings, len(field.tested))
    with write_artifact(
        verdict, evaluation.KIND, evaluation.SCHEMA_VERSION, inputs.made_from
    ) as writer:
        write_verdict(writer, answer, _evaluation(figures, settings, len(field.tested)))
    _write_whole(report, page)
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


def _alarms(field: Field, inputs: Inputs) -> list[Check]:
    splits = inputs.splits
    sets = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    known = {"train": field.train, "validation": field.validation, "test": field.test}
    alarms = [
        leakage.out_of_range(sets, field.customers, field.products),
        leakage.in_two_sets(known, field.products),
        leakage.unfinite(inputs.model),
    ]
    # A split at random mixes the dates, as its user has asked for.
    if splits.manifest.details["split"] != "random":
        alarms.append(leakage.older_than_history(field.test, field.history, field.customers))
    if "probes" in inputs.description:
        alarms.append(leakage.disagreeing_export(inputs.model, inputs.description["probes"]))
    return alarms


def _notes(figures: Figures, inputs: Inputs, own_gate: bool) -> Iterator[str]:
    """What was not checked, though one might think so."""
    if own_gate:
        yield "The checks of the gate that was given stand in place of the built-in ones."
    if inputs.champion and CHAMPION not in figures.systems:
        yield (
            "The deployed model was no rival, for it knows none of these products or predicts "
            "something else: deploying replaces it unmatched."
        )


def _tell(verdict: Verdict) -> None:
    for check in verdict.checks:
        logger.info("%s %s", "passed:" if check.passed else "FAILED:", check.reason)
    for note in verdict.notes:
        logger.warning("%s", note)


def _figures(field: Field, inputs: Inputs, settings: EvaluateSettings) -> Figures:
    customers = inputs.splits.customers["customer_id"].to_pylist()
    products = inputs.splits.products
    champion = (
        align(inputs.champion, customers, products["product_id"].to_pylist())
        if inputs.champion
        else None
    )
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
        "settings": settings.model_dump(mode="json"),
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


def _write_whole(file: Path, text: str) -> None:
    """Write a file under a temporary name first, so that it is never seen in part."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.rename(file)
