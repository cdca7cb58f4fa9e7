"""The verdict: the answer of every check that applies, and notes on what was not checked."""

import logging
from collections.abc import Iterable, Iterator

from components.artifacts.evaluation import Check, Verdict
from components.evaluate import leakage
from components.evaluate.champion import Aligned
from components.evaluate.contest import Field
from components.evaluate.degeneracy import degeneracies
from components.evaluate.figures import Figures
from components.evaluate.gate import judge, with_checks
from components.evaluate.inputs import Inputs
from components.evaluate.settings import CHAMPION, EvaluateSettings

logger = logging.getLogger(__name__)


def reach_verdict(
    field: Field,
    inputs: Inputs,
    champion: Aligned | None,
    figures: Figures,
    settings: EvaluateSettings,
) -> Verdict:
    """Answer the alarms, the checks for degenerate data and the gate's checks, and log them.

    Args:
        field: all ratings of known ids.
        inputs: the artifacts.
        champion: the deployed model, or None where there is none that shares products.
        figures: what was measured.
        settings: of the step.
    """
    degenerate = list(degeneracies(field, figures))
    allowed = [check for check in degenerate if not check.passed and check.name in settings.allow]
    checks = (
        *_alarms(field, inputs),
        *(check for check in degenerate if check not in allowed),
        *_same_catalogue(inputs, champion, settings),
        *judge(figures, with_checks(settings, inputs.model)),
    )
    verdict = Verdict(checks, tuple(_notes(inputs, champion, figures, settings, allowed)))
    _log(verdict)
    return verdict


def _alarms(field: Field, inputs: Inputs) -> Iterator[Check]:
    splits = inputs.splits
    sets = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    known = {"train": field.train, "validation": field.validation, "test": field.test}
    yield leakage.out_of_range(sets, field.customers, field.products)
    yield leakage.in_two_sets(known, field.products)
    yield leakage.unfinite(inputs.model)
    # A split at random mixes the dates, as its user has asked for.
    if splits.manifest.details["settings"]["split"] != "random":
        yield leakage.older_than_history(field.test, field.history, field.customers)
    if "probes" in inputs.description:
        yield leakage.disagreeing_export(inputs.model, inputs.description["probes"])


def _same_catalogue(
    inputs: Inputs, champion: Aligned | None, settings: EvaluateSettings
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
    champion: Aligned | None,
    figures: Figures,
    settings: EvaluateSettings,
    allowed: Iterable[Check],
) -> Iterator[str]:
    """What was not checked, though one might think so."""
    if settings.gate:
        yield "The checks of the gate that was given stand in place of the built-in ones."
    for check in allowed:
        yield f"{check.reason} This was allowed ({check.name})."
    if inputs.champion and champion is None and settings.replace_catalogue:
        yield "The deployed model knows none of these products, so it was not compared."
    if champion and CHAMPION not in figures.systems:
        yield "The deployed model has another objective, so it was not compared."


def _log(verdict: Verdict) -> None:
    for check in verdict.checks:
        logger.info("%s %s", "passed:" if check.passed else "FAILED:", check.reason)
    for note in verdict.notes:
        logger.warning("%s", note)
