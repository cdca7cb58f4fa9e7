"""The gate: checks of the model's metrics, declared as data and each answered with a reason."""

from dataclasses import dataclass

import numpy as np

from components.artifacts.evaluation import LOWER_IS_BETTER, Check
from components.artifacts.model import Model
from components.evaluate.intervals import Interval, interval
from components.evaluate.results import EvaluationResults, Scope
from components.evaluate.settings import CHAMPION, MODEL, CheckSettings, EvaluateSettings
from components.evaluate.slices import is_outcome

_EVERY_SLICE = "*"
# With fewer customers, bootstrap intervals are too narrow.
_MIN_CUSTOMERS = 30
_WORDS = {
    "better": "better than",
    "not_worse": "no worse than",
    "not_fallen": "not fallen below",
    "at_least": "at least",
    "at_most": "at most",
}
_RATING = (
    CheckSettings(metric="mse", comparison="not_worse", baseline="bias", margin=0.02),
    CheckSettings(metric="mse", comparison="not_worse", baseline=CHAMPION, margin=0.02),
    CheckSettings(metric="mse", comparison="not_fallen", baseline=CHAMPION, margin=0.1, slice="*"),
)
_RANKING = (
    CheckSettings(metric="liked_ndcg_at_10", comparison="better", baseline="popularity"),
    CheckSettings(metric="liked_ndcg_at_10", comparison="not_worse", baseline=CHAMPION, margin=0.1),
    CheckSettings(
        metric="liked_ndcg_at_10", comparison="not_fallen", baseline=CHAMPION, margin=0.2, slice="*"
    ),
)


@dataclass(frozen=True)
class _Gain:
    """How much better the model is than a baseline by one metric.

    Attributes:
        model: the metric of the model.
        baseline: the metric of the baseline.
        value: the difference, above 0 if the model is better.
        spread: the confidence interval of the difference.
        margin: the difference that the check allows or asks for.
    """

    model: float
    baseline: float
    value: float
    spread: Interval
    margin: float


def with_checks(settings: EvaluateSettings, model: Model) -> EvaluateSettings:
    """The settings, with the built-in checks for the model's objectives if they have no checks."""
    built_in = (*(_RATING if model.rating else ()), *(_RANKING if model.ranking else ()))
    return settings.model_copy(update={"gate": settings.gate or built_in})


def run_checks(results: EvaluationResults, settings: EvaluateSettings) -> list[Check]:
    """Check that there are enough test ratings, then run every check of `settings.gate`.

    Comparisons with the champion are left out if there is none.
    """
    has_champion = CHAMPION in results.systems
    return [
        _enough_evidence(results, settings.min_test_rows),
        *(
            _check_slices(check, results, settings)
            if check.slice == _EVERY_SLICE
            else _check(check, results, settings)
            for check in settings.gate
            if check.baseline != CHAMPION or has_champion
        ),
    ]


def _enough_evidence(results: EvaluationResults, min_rows: int) -> Check:
    rows = len(results.test.ratings)
    shortage = _shortage(rows, len(results.test.customers), min_rows)
    reason = shortage or f"{rows:,} test ratings are enough to judge by, {min_rows:,} are needed."
    return Check("enough test ratings", not shortage, float(rows), float(min_rows), reason)


def _check_slices(
    check: CheckSettings, results: EvaluationResults, settings: EvaluateSettings
) -> Check:
    """Run a check on every slice except those by the stars given, with one answer for all.

    The answer has the metric of the first slice that failed, and the reasons of all that failed.
    """
    slices = [name for name in results.test.slices if not is_outcome(name)]
    checked = [name for name in slices if not _too_few(check, name, results, settings)]
    if check.comparison == "not_fallen" and checked:
        # If models are equal, some of many slices seem worse by chance (Bonferroni correction). The
        # other comparisons need evidence in every slice and so err on the safe side without it.
        alone = 1 - (1 - settings.confidence) / len(checked)
        settings = settings.model_copy(update={"confidence": alone})
    answers = {
        name: _check(check.model_copy(update={"slice": name}), results, settings)
        for name in checked
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


def _check(check: CheckSettings, results: EvaluationResults, settings: EvaluateSettings) -> Check:
    name = _name(check)
    if check.slice is not None and check.slice not in results.test.slices:
        known = ", ".join(results.test.slices)
        return Check(name, False, None, None, f"No slice is called {check.slice!r}: {known}.")
    if shortage := _too_few(check, check.slice, results, settings):
        return Check(name, False, None, None, f"{name}: {shortage}")
    if check.baseline is None:
        return _check_threshold(check, results)
    gain = _gain(check, results, settings.confidence)
    if gain is None:
        reason = f"{name}: the model or {check.baseline} has no such figure."
        return Check(name, False, None, None, reason)
    return _check_gain(check, gain, settings.confidence)


def _check_threshold(check: CheckSettings, results: EvaluationResults) -> Check:
    name, threshold = _name(check), check.threshold
    measured = results.of(MODEL, check.metric, Scope(check.slice))
    if measured is None or threshold is None or np.isnan(measured.value):
        return Check(name, False, None, threshold, f"{name}: the figure could not be computed.")
    at_least = check.comparison == "at_least"
    passed = measured.value >= threshold if at_least else measured.value <= threshold
    verb = "reaches" if passed else "misses"
    reason = (
        f"{check.metric} {measured.value:.4g} {verb} the threshold {threshold:.4g}{_of(check)}."
    )
    return Check(name, passed, measured.value, threshold, reason)


def _check_gain(check: CheckSettings, gain: _Gain, confidence: float) -> Check:
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
    return Check(_name(check), passed, gain.model, gain.baseline, reason)


def _gain(check: CheckSettings, results: EvaluationResults, confidence: float) -> _Gain | None:
    baseline_name = check.baseline or ""
    scope = Scope(check.slice, held_out=baseline_name == CHAMPION)
    model = results.of(MODEL, check.metric, scope)
    baseline = results.of(baseline_name, check.metric, scope)
    if model is None or baseline is None:
        return None
    sign = -1 if check.metric in LOWER_IS_BETTER else 1
    value = sign * (model.value - baseline.value) + 0.0  # never a negative zero
    if model.resamples is None or baseline.resamples is None:
        spread = Interval(value, value)
    else:
        spread = interval(sign * (model.resamples - baseline.resamples) + 0.0, confidence)
    return _Gain(model.value, baseline.value, value, spread, check.margin * abs(baseline.value))


def _sentence(
    check: CheckSettings, gain: _Gain, passed: bool, refuted: bool, confidence: float
) -> str:
    if not np.isfinite([gain.model, gain.baseline]).all():
        return f"{_name(check)}: the figure could not be computed."
    relation = "better" if gain.value > 0 else "worse" if gain.value < 0 else "equal"
    by = f"{relation} by {abs(gain.value):.3g}" if gain.value else "a tie"
    ours, theirs = f"{check.metric} {gain.model:.4g}", f"{check.baseline} {gain.baseline:.4g}"
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
    if check.baseline is None:
        return f"{check.metric} {_WORDS[check.comparison]} {check.threshold:g}{where}"
    return f"{check.metric} {_WORDS[check.comparison]} {check.baseline}{where}"


def _of(check: CheckSettings) -> str:
    return f" in {check.slice}" if check.slice else ""


def _too_few(
    check: CheckSettings, name: str | None, results: EvaluationResults, settings: EvaluateSettings
) -> str:
    """Why there are too few test ratings, in a slice or in all, for a check; "" if enough."""
    scope = Scope(name, held_out=check.baseline == CHAMPION)
    mask = results.test.judged(check.metric, scope)
    customers = len(np.unique(results.test.owners[mask]))
    min_rows = settings.min_slice_rows if name else settings.min_test_rows
    return _shortage(int(mask.sum()), customers, min_rows)


def _shortage(rows: int, customers: int, min_rows: int) -> str:
    if rows < min_rows:
        return f"Not enough evidence: {rows:,} test ratings, {min_rows:,} are needed."
    if customers < _MIN_CUSTOMERS:
        return f"Not enough evidence: {customers} customers, {_MIN_CUSTOMERS} are needed."
    return ""
