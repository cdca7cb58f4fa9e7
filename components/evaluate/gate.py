"""The gate: checks declared as data, each answered with its figure, threshold and a sentence."""

from dataclasses import dataclass

import numpy as np

from components.artifacts.evaluation import LOWER_IS_BETTER, Check
from components.artifacts.model import Model
from components.evaluate.figures import Figures, Scope
from components.evaluate.intervals import Interval, interval
from components.evaluate.settings import CHAMPION, CheckSettings, EvaluateSettings
from components.evaluate.slices import is_outcome

MODEL = "model"

_EVERY_SLICE = "*"
# A bootstrap of fewer customers than this is narrower than what it should tell.
_LEAST_CUSTOMERS = 30
_WORDS = {
    "better": "better than",
    "not_worse": "no worse than",
    "not_fallen": "not fallen below",
    "at_least": "at least",
    "at_most": "at most",
}
_RATING = (
    CheckSettings(metric="mse", comparison="not_worse", rival="bias", margin=0.02),
    CheckSettings(metric="mse", comparison="not_worse", rival=CHAMPION, margin=0.02),
    CheckSettings(metric="mse", comparison="not_fallen", rival=CHAMPION, margin=0.1, slice="*"),
)
_RANKING = (
    CheckSettings(metric="ndcg_at_10", comparison="better", rival="popularity"),
    CheckSettings(metric="ndcg_at_10", comparison="not_worse", rival=CHAMPION, margin=0.1),
    CheckSettings(
        metric="ndcg_at_10", comparison="not_fallen", rival=CHAMPION, margin=0.2, slice="*"
    ),
)


@dataclass(frozen=True)
class _Gain:
    """How a model's figure compares with a rival's; `value` is above 0 where it is better."""

    model: float
    rival: float
    value: float
    spread: Interval
    margin: float


def with_checks(settings: EvaluateSettings, model: Model) -> EvaluateSettings:
    """The settings with the built-in checks for the objectives of the model, where none are set."""
    built_in = (*(_RATING if model.rating else ()), *(_RANKING if model.ranking else ()))
    return settings.model_copy(update={"gate": settings.gate or built_in})


def judge(figures: Figures, settings: EvaluateSettings) -> list[Check]:
    """Whether there is enough evidence, and an answer to every check of `settings.gate`.

    Checks against the champion are left out where there is none.
    """
    has_champion = CHAMPION in figures.systems
    return [
        _enough_evidence(figures, settings.min_test_rows),
        *(
            _judge_slices(check, figures, settings)
            if check.slice == _EVERY_SLICE
            else _judge(check, figures, settings)
            for check in settings.gate
            if check.rival != CHAMPION or has_champion
        ),
    ]


def _enough_evidence(figures: Figures, least: int) -> Check:
    rows = len(figures.test.ratings)
    lack = _lack(rows, len(figures.test.customers), least)
    reason = lack or f"{rows:,} test ratings are enough to judge by, {least:,} are needed."
    return Check("enough test ratings", not lack, float(rows), float(least), reason)


def _judge_slices(check: CheckSettings, figures: Figures, settings: EvaluateSettings) -> Check:
    """One answer for all slices but those by outcome.

    It has the figures of the first slice that failed, and the reasons of all.
    """
    slices = [name for name in figures.test.slices if not is_outcome(name)]
    judged = [name for name in slices if not _too_few(check, name, figures, settings)]
    if check.comparison == "not_fallen" and judged:
        # Of many slices of equal models some seem to fall by chance (Bonferroni's correction). A
        # check that asks for evidence in every slice needs none: it errs on the safe side.
        alone = 1 - (1 - settings.confidence) / len(judged)
        settings = settings.model_copy(update={"confidence": alone})
    answers = {
        name: _judge(check.model_copy(update={"slice": name}), figures, settings) for name in judged
    }
    failed = [answer for answer in answers.values() if not answer.passed]
    small = len(slices) - len(answers)
    compared = (
        f"{len(failed) or 'none'} of {len(answers)} slices failed, "
        f"{small} {'was' if small == 1 else 'were'} too small to judge."
    )
    if not failed:
        return Check(_name(check), True, None, None, f"{check.metric}: {compared}")
    reasons = " ".join(answer.reason for answer in failed)
    first = failed[0]
    return Check(_name(check), False, first.figure, first.threshold, f"{compared} {reasons}")


def _judge(check: CheckSettings, figures: Figures, settings: EvaluateSettings) -> Check:
    name = _name(check)
    if check.slice is not None and check.slice not in figures.test.slices:
        known = ", ".join(figures.test.slices)
        return Check(name, False, None, None, f"No slice is called {check.slice!r}: {known}.")
    if lack := _too_few(check, check.slice, figures, settings):
        return Check(name, False, None, None, f"{name}: {lack}")
    if check.rival is None:
        return _judge_threshold(check, figures)
    gain = _gain(check, figures, settings.confidence)
    if gain is None:
        reason = f"{name}: the model or {check.rival} has no such figure."
        return Check(name, False, None, None, reason)
    return _judge_gain(check, gain, settings.confidence)


def _judge_threshold(check: CheckSettings, figures: Figures) -> Check:
    name, threshold = _name(check), check.threshold
    figure = figures.of(MODEL, check.metric, Scope(check.slice))
    if figure is None or threshold is None or np.isnan(figure.value):
        return Check(name, False, None, threshold, f"{name}: the figure could not be computed.")
    at_least = check.comparison == "at_least"
    passed = figure.value >= threshold if at_least else figure.value <= threshold
    verb = "reaches" if passed else "misses"
    reason = f"{check.metric} {figure.value:.4g} {verb} the threshold {threshold:.4g}{_of(check)}."
    return Check(name, passed, figure.value, threshold, reason)


def _judge_gain(check: CheckSettings, gain: _Gain, confidence: float) -> Check:
    low, high, margin = gain.spread.low, gain.spread.high, gain.margin
    match check.comparison:
        case "better":
            passed, refuted = low > margin, high <= margin
        case "not_worse":
            passed, refuted = low >= -margin, high < -margin
        case _:
            refuted = gain.value < -margin and high < 0
            passed = bool(np.isfinite(gain.value)) and not refuted
    reason = _sentence(check, gain, passed, refuted, confidence)
    return Check(_name(check), passed, gain.model, gain.rival, reason)


def _gain(check: CheckSettings, figures: Figures, confidence: float) -> _Gain | None:
    rival_name = check.rival or ""
    scope = Scope(check.slice, fresh=rival_name == CHAMPION)
    model = figures.of(MODEL, check.metric, scope)
    rival = figures.of(rival_name, check.metric, scope)
    if model is None or rival is None:
        return None
    sign = -1 if check.metric in LOWER_IS_BETTER else 1
    value = sign * (model.value - rival.value) + 0.0  # never a negative zero
    if model.draws is None or rival.draws is None:
        spread = Interval(value, value)
    else:
        spread = interval(sign * (model.draws - rival.draws) + 0.0, confidence)
    return _Gain(model.value, rival.value, value, spread, check.margin * abs(rival.value))


def _sentence(
    check: CheckSettings, gain: _Gain, passed: bool, refuted: bool, confidence: float
) -> str:
    if not np.isfinite([gain.model, gain.rival]).all():
        return f"{_name(check)}: the figure could not be computed."
    relation = "better" if gain.value > 0 else "worse" if gain.value < 0 else "equal"
    by = f"{relation} by {abs(gain.value):.3g}" if gain.value else "a tie"
    ours, theirs = f"{check.metric} {gain.model:.4g}", f"{check.rival} {gain.rival:.4g}"
    low, high = gain.spread.low, gain.spread.high
    compared = (
        f"{ours} against {theirs}{_of(check)} is {by} "
        f"({100 * confidence:.3g}% interval of the gain {low:.3g} to {high:.3g}"
        f"{f', margin {gain.margin:.3g}' if check.margin else ''})"
    )
    if passed or refuted:
        return f"{compared}."
    return f"{compared}: not enough evidence."


def _name(check: CheckSettings) -> str:
    where = " in every slice" if check.slice == _EVERY_SLICE else _of(check)
    if check.rival is None:
        return f"{check.metric} {_WORDS[check.comparison]} {check.threshold:g}{where}"
    return f"{check.metric} {_WORDS[check.comparison]} {check.rival}{where}"


def _of(check: CheckSettings) -> str:
    return f" in {check.slice}" if check.slice else ""


def _too_few(
    check: CheckSettings, name: str | None, figures: Figures, settings: EvaluateSettings
) -> str:
    """What is lacking to answer a check of a slice or of all; nothing where it suffices."""
    mask = figures.test.within(Scope(name, fresh=check.rival == CHAMPION))
    customers = len(np.unique(figures.test.owners[mask]))
    least = settings.min_slice_rows if name else settings.min_test_rows
    return _lack(int(mask.sum()), customers, least)


def _lack(rows: int, customers: int, least: int) -> str:
    if rows < least:
        return f"Not enough evidence: {rows:,} test ratings, {least:,} are needed."
    if customers < _LEAST_CUSTOMERS:
        return f"Not enough evidence: {customers} customers, {_LEAST_CUSTOMERS} are needed."
    return ""
