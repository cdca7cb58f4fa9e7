"""The verdict: the answers of all checks that apply, and notes on what was not checked."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace

from components.artifacts.evaluation import Check, Verdict
from components.evaluate import leakage
from components.evaluate.champion import AlignedModel
from components.evaluate.data import EvaluationData
from components.evaluate.degeneracy import degeneracies
from components.evaluate.gate import run_checks, with_checks
from components.evaluate.inputs import Inputs
from components.evaluate.results import EvaluationResults
from components.evaluate.settings import CHAMPION, EvaluateSettings

logger = logging.getLogger(__name__)


def reach_verdict(
    data: EvaluationData,
    inputs: Inputs,
    champion: AlignedModel | None,
    results: EvaluationResults,
    settings: EvaluateSettings,
) -> Verdict:
    """Run the leakage checks, the checks for degenerate data and the gate, and log the answers.

    Args:
        data: all ratings of known ids.
        inputs: the artifacts.
        champion: the deployed model; None if there is none, or none that knows the products.
        results: the metrics.
        settings: of the step.
    """
    degenerate = list(degeneracies(data, results))
    allowed = [check for check in degenerate if not check.passed and check.name in settings.allow]
    checks = (
        *_leakage_checks(data, inputs),
        *(_with_way_out(check) for check in degenerate if check not in allowed),
        *_same_catalogue(inputs, champion, settings),
        *run_checks(results, with_checks(settings, inputs.model)),
    )
    verdict = Verdict(checks, tuple(_notes(inputs, champion, results, settings, allowed)))
    _log(verdict)
    return verdict


def _leakage_checks(data: EvaluationData, inputs: Inputs) -> Iterator[Check]:
    splits = inputs.splits
    sets = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    known = {"train": data.train, "validation": data.validation, "test": data.test}
    yield leakage.out_of_range(sets, data.customers, data.products)
    yield leakage.in_two_sets(known, data.products)
    yield leakage.unfinite(inputs.model)
    # A random split mixes the dates on purpose.
    if splits.manifest.details["settings"]["split"] != "random":
        yield leakage.older_than_history(data.test, data.history, data.customers)
    if "probes" in inputs.description:
        yield leakage.disagreeing_export(inputs.model, inputs.description["probes"])


def _with_way_out(check: Check) -> Check:
    if check.passed:
        return check
    return replace(check, reason=f"{check.reason} Set allow=[{check.name}] to accept it.")


def _same_catalogue(
    inputs: Inputs, champion: AlignedModel | None, settings: EvaluateSettings
) -> Iterator[Check]:
    if inputs.champion is None or settings.replace_catalogue:
        return
    reason = (
        "The deployed model knows products of this catalogue."
        if champion
        else "The deployed model knows none of these products, so they cannot be compared: "
        "set replace_catalogue=true to replace it all the same."
    )
    yield Check("same catalogue as the deployed model", champion is not None, None, None, reason)


def _notes(
    inputs: Inputs,
    champion: AlignedModel | None,
    results: EvaluationResults,
    settings: EvaluateSettings,
    allowed: Iterable[Check],
) -> Iterator[str]:
    """What was not checked, although a reader may expect it."""
    if settings.gate:
        yield "The checks of the gate that was given stand in place of the built-in ones."
    for check in allowed:
        yield f"{check.reason} This was allowed ({check.name})."
    if inputs.champion and champion is None and settings.replace_catalogue:
        yield "The deployed model knows none of these products, so it was not compared."
    if champion and CHAMPION not in results.systems:
        yield "The deployed model has another objective, so it was not compared."


def _log(verdict: Verdict) -> None:
    for check in verdict.checks:
        logger.info("%s %s", "passed:" if check.passed else "FAILED:", check.reason)
    for note in verdict.notes:
        logger.warning("%s", note)
