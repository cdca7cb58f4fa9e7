"""The report page: its sections, put into the template."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.artifacts.evaluation import (
    DISLIKED,
    LIKED_METRICS,
    LIST_METRICS,
    LOWER_IS_BETTER,
    RANKING_BASELINES,
    RANKING_METRICS,
    RATING_BASELINES,
    RATING_METRICS,
    Verdict,
)
from components.evaluate.inputs import Inputs
from components.evaluate.intervals import interval
from components.evaluate.metrics import calibration
from components.evaluate.report import plots
from components.evaluate.report.examples import examples
from components.evaluate.report.origin import funnel, head, settings_by_step
from components.evaluate.report.tables import (
    Table,
    label,
    number,
    slices_table,
    systems_table,
    titled,
)
from components.evaluate.results import EvaluationResults, weakest_slices
from components.evaluate.settings import CHAMPION, MODEL, EvaluateSettings
from components.pages.page import render_page

_RATING_SYSTEMS = (MODEL, CHAMPION, *reversed(RATING_BASELINES))
_RANKING_SYSTEMS = (MODEL, CHAMPION, *reversed(RANKING_BASELINES))
_RANKING_HEADLINES = ("ndcg_at_10", "recall_at_10", "map_at_10", "mrr_at_10")
_BASELINES = {"mse": "bias", "ndcg_at_10": "popularity"}


@dataclass(frozen=True)
class Plot:
    """A plot of the report.

    Attributes:
        title: what it shows.
        svg: the drawing.
        caption: how to read it.
    """

    title: str
    svg: str
    caption: str


def render(
    inputs: Inputs,
    results: EvaluationResults,
    verdict: Verdict,
    settings: EvaluateSettings,
    tested: int,
    run: str,
) -> str:
    """Render the page as HTML; text from data is escaped.

    Args:
        inputs: the artifacts.
        results: the metrics.
        verdict: the decision.
        settings: of the step.
        tested: the number of customers with test ratings, of whom `results` may be a sample.
        run: name and time of the run; empty where it has none.
    """
    return render_page(
        "components.evaluate.report",
        "page.html.jinja",
        verdict=verdict,
        number=number,
        head=head(inputs, run),
        funnel=list(funnel(inputs)),
        catalogue=_catalogue(inputs.statistics),
        tiles=_tiles(results, tested),
        tables=_tables(results, settings.confidence),
        confidence=f"{settings.confidence:.0%}",
        learned_by_champion=int((~results.test.held_out).sum()),
        comparisons=_comparisons(results, settings.confidence),
        learning=_learning(inputs.history),
        resources=_resources(inputs.measurements),
        calibration=_calibration(results),
        slices=_slices(results, settings),
        data=_data(inputs.statistics),
        lineage=_lineage(inputs),
        rejects=inputs.rejects,
        examples=examples(inputs, results, settings.seed),
        settings=settings_by_step(inputs, settings),
    )


def _tiles(results: EvaluationResults, tested: int) -> list[tuple[str, str, str]]:
    """The most important numbers: name, value and meaning."""
    tiles = []
    for metric, baseline in (("mse", "bias"), ("liked_ndcg_at_10", "popularity")):
        ours, theirs = results.of(MODEL, metric), results.of(baseline, metric)
        if ours and theirs and theirs.value:
            ratio = ours.value / theirs.value
            better = "better" if (ratio < 1) == (metric in LOWER_IS_BETTER) else "worse"
            words = f"{abs(ratio - 1):.0%} {better} than {baseline}"
            if ratio == 1:
                words = f"as {baseline}"
            elif ratio >= 2:
                words = f"{ratio:.1f} times that of {baseline}"
            tiles.append((label(metric), number(ours.value), words))
    if disliked := results.of(MODEL, DISLIKED):
        words = "of the places in lists are expected to get less than 3 of 5 stars"
        tiles.append((label(DISLIKED), f"{disliked.value:.1%}", words))
    if covered := results.of(MODEL, "coverage_at_10"):
        tiles.append(
            (label("coverage_at_10"), f"{covered.value:.0%}", "of the products kept are shown")
        )
    customers, rows = len(results.test.customers), len(results.test.ratings)
    sampled = f", drawn from {tested:,}" if customers < tested else ""
    tiles.append(("Test ratings", f"{rows:,}", f"of {customers:,} customers{sampled}"))
    return tiles


def _tables(results: EvaluationResults, confidence: float) -> list[tuple[str, Table, bool]]:
    """Title, table, and whether it is shown at first."""
    parts = [
        ("Stars predicted", _RATING_SYSTEMS, RATING_METRICS, True),
        ("Products ranked", _RANKING_SYSTEMS, _RANKING_HEADLINES, True),
        ("Products ranked, those that the customer liked", _RANKING_SYSTEMS, LIKED_METRICS, True),
        ("What the lists are like", _RANKING_SYSTEMS, LIST_METRICS, True),
        *(
            (f"Products ranked, first {cut}", _RANKING_SYSTEMS, _cut(cut), False)
            for cut in (5, 10, 20)
        ),
    ]
    tables = [
        (title, systems_table(results, systems, metrics, confidence), is_open)
        for title, systems, metrics, is_open in parts
    ]
    return [entry for entry in tables if entry[1].rows]


def _cut(cut: int) -> tuple[str, ...]:
    return tuple(metric for metric in RANKING_METRICS if metric.endswith(f"_at_{cut}"))


def _comparisons(results: EvaluationResults, confidence: float) -> list[Plot]:
    found = []
    for metric, systems in (("mse", _RATING_SYSTEMS), ("ndcg_at_10", _RANKING_SYSTEMS)):
        rows = {}
        for name in systems:
            measured = results.held_out(name, metric)
            if measured and measured.resamples is not None:
                spread = interval(measured.resamples, confidence)
                rows[name] = (measured.value, spread.low, spread.high)
        if rows:
            caption = f"With {confidence:.0%} intervals over customers."
            found.append(Plot(titled(metric), plots.intervals(rows, label(metric)), caption))
    return found


def _learning(history: Mapping[str, Any]) -> Plot | None:
    """The learning curves of all rating models that were tried."""
    trials = [trial for trial in history.get("rating", []) if trial["history"]]
    if not trials:
        return None
    kept, *others = sorted(trials, key=lambda trial: trial["validation_mse"])

    def points(trial: Mapping[str, Any], loss: str) -> plots.Points:
        return [(step["step"], step[loss]) for step in trial["history"]]

    svg = plots.learning_curves(
        points(kept, "train_mse"),
        points(kept, "validation_mse"),
        [points(trial, "validation_mse") for trial in others],
    )
    caption = (
        f"{kept['model']}, the best of {len(trials)} tried: its best step on validation is kept."
    )
    return Plot("Learning curves", svg, caption)


def _resources(measurements: Mapping[str, Any]) -> list[Plot]:
    """Memory and processors that training took over time."""
    samples = measurements.get("samples", [])
    found = []
    for title, unit, suffix in (("Memory", "MiB", "memory_mib"), ("Processors", "%", "percent")):
        names = [name for name in samples[0] if name.endswith(suffix)] if samples else []
        if names:
            lines = {
                "GPU" if name.startswith("gpu") else "CPU": [
                    (sample["seconds"], sample[name]) for sample in samples
                ]
                for name in names
            }
            peak = max(sample[name] for sample in samples for name in names)
            svg = plots.over_time(lines, unit)
            found.append(Plot(f"{title} in training", svg, f"At most {peak:,.0f} {unit}."))
    return found


def _calibration(results: EvaluationResults) -> Plot | None:
    stars = results.systems[MODEL].stars
    if stars is None:
        return None
    svg = plots.calibration(calibration(stars, results.test.ratings.stars))
    caption = "Below the line the model promises more stars than customers give."
    return Plot("Calibration", svg, caption)


def _slices(results: EvaluationResults, settings: EvaluateSettings) -> Mapping[str, Any]:
    metrics = {name: baseline for name, baseline in _BASELINES.items() if results.of(MODEL, name)}
    weakest = {
        metric: weakest_slices(results, MODEL, metric, settings.min_slice_rows)
        for metric in metrics
    }
    names = {name for found in weakest.values() for name in found}
    return {
        "weakest": {label(metric): ", ".join(found) for metric, found in weakest.items() if found},
        "table": slices_table(results, metrics, names),
    }


def _data(statistics: Mapping[str, Any]) -> list[Plot]:
    before, after = statistics["before"], statistics["after"]
    found = []
    for whose in ("customers", "products"):
        caption = f"{before[whose]['count']:,} {whose} before, {after[whose]['count']:,} after."
        svg = plots.long_tail(
            before[whose]["ratings_by_quantile"], after[whose]["ratings_by_quantile"], whose
        )
        found.append(Plot(f"Long tail of {whose}, before and after filtering", svg, caption))
    caption = f"{before['rows']:,} ratings before, {after['rows']:,} after."
    found.append(Plot("Stars given", plots.stars(before["stars"], after["stars"]), caption))
    return found


def _catalogue(statistics: Mapping[str, Any]) -> str:
    """The number of products to rank, of all products."""
    before, after = (statistics[when]["products"]["count"] for when in ("before", "after"))
    return f"{after:,} products kept of {before:,}"


def _lineage(inputs: Inputs) -> Mapping[str, Any]:
    details, statistics = inputs.ratings.details, inputs.statistics
    return {
        "sources": details["sources"],
        "removed": [rule for rule in statistics["removed"] if rule["rows"]],
        "resolution": details["resolution"],
        "split": inputs.splits.manifest.details["settings"]["split"],
        "ties": statistics["ties"],
    }
