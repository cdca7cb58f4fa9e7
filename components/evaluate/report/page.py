"""The page itself: its sections gathered and put into the template."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.artifacts.evaluation import (
    LIST_METRICS,
    LOWER_IS_BETTER,
    RANKING_BASELINES,
    RANKING_METRICS,
    RATING_BASELINES,
    RATING_METRICS,
    Verdict,
)
from components.evaluate.figures import Figures, weakest_slices
from components.evaluate.gate import MODEL
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
from components.evaluate.settings import CHAMPION, EvaluateSettings
from components.pages.page import render_page

_RATING_SYSTEMS = (MODEL, CHAMPION, *reversed(RATING_BASELINES))
_RANKING_SYSTEMS = (MODEL, CHAMPION, *reversed(RANKING_BASELINES))
_RANKING_HEADLINES = ("ndcg_at_10", "recall_at_10", "map_at_10", "mrr_at_10")
_RIVALS = {"mse": "bias", "ndcg_at_10": "popularity"}


@dataclass(frozen=True)
class Plot:
    """A drawing, what it shows and how to read it."""

    title: str
    svg: str
    caption: str


def render(
    inputs: Inputs,
    figures: Figures,
    verdict: Verdict,
    settings: EvaluateSettings,
    tested: int,
    run: str,
) -> str:
    """The page as HTML; whatever comes from data is escaped.

    Args:
        inputs: the artifacts.
        figures: what was measured.
        verdict: what came of it.
        settings: of the step.
        tested: how many customers have test ratings, those who were not drawn included.
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
        tiles=_tiles(figures, tested),
        tables=_tables(figures, settings.confidence),
        confidence=f"{settings.confidence:.0%}",
        learned_by_champion=int((~figures.test.fresh).sum()),
        comparisons=_comparisons(figures, settings.confidence),
        learning=_learning(inputs.history),
        resources=_resources(inputs.measurements),
        calibration=_calibration(figures),
        slices=_slices(figures, settings),
        data=_data(inputs.statistics),
        lineage=_lineage(inputs),
        rejects=inputs.rejects,
        examples=examples(inputs, figures, settings.seed),
        settings=settings_by_step(inputs, settings),
    )


def _tiles(figures: Figures, tested: int) -> list[tuple[str, str, str]]:
    """The few figures to remember: a name, a value and what it means."""
    tiles = []
    for metric, rival in _RIVALS.items():
        ours, theirs = figures.of(MODEL, metric), figures.of(rival, metric)
        if ours and theirs and theirs.value:
            ratio = ours.value / theirs.value
            better = "better" if (ratio < 1) == (metric in LOWER_IS_BETTER) else "worse"
            words = f"{abs(ratio - 1):.0%} {better} than {rival}"
            if ratio == 1:
                words = f"as {rival}"
            elif ratio >= 2:
                words = f"{ratio:.1f} times that of {rival}"
            tiles.append((label(metric), number(ours.value), words))
    if covered := figures.of(MODEL, "coverage_at_10"):
        tiles.append(
            (label("coverage_at_10"), f"{covered.value:.0%}", "of the products kept are shown")
        )
    customers, rows = len(figures.test.customers), len(figures.test.ratings)
    drawn = f", drawn from {tested:,}" if customers < tested else ""
    tiles.append(("Test ratings", f"{rows:,}", f"of {customers:,} customers{drawn}"))
    return tiles


def _tables(figures: Figures, confidence: float) -> list[tuple[str, Table, bool]]:
    """Title, table and whether it stands open."""
    parts = [
        ("Stars predicted", _RATING_SYSTEMS, RATING_METRICS, True),
        ("Products ranked", _RANKING_SYSTEMS, _RANKING_HEADLINES, True),
        ("What the lists are like", _RANKING_SYSTEMS, LIST_METRICS, True),
        *(
            (f"Products ranked, first {cut}", _RANKING_SYSTEMS, _cut(cut), False)
            for cut in (5, 10, 20)
        ),
    ]
    tables = [
        (title, systems_table(figures, systems, metrics, confidence), is_open)
        for title, systems, metrics, is_open in parts
    ]
    return [entry for entry in tables if entry[1].rows]


def _cut(cut: int) -> tuple[str, ...]:
    return tuple(metric for metric in RANKING_METRICS if metric.endswith(f"_at_{cut}"))


def _comparisons(figures: Figures, confidence: float) -> list[Plot]:
    found = []
    for metric, systems in (("mse", _RATING_SYSTEMS), ("ndcg_at_10", _RANKING_SYSTEMS)):
        rows = {}
        for name in systems:
            figure = figures.fair(name, metric)
            if figure and figure.draws is not None:
                spread = interval(figure.draws, confidence)
                rows[name] = (figure.value, spread.low, spread.high)
        if rows:
            caption = f"With {confidence:.0%} intervals over customers."
            found.append(Plot(titled(metric), plots.intervals(rows, label(metric)), caption))
    return found


def _learning(history: Mapping[str, Any]) -> Plot | None:
    """Learning curves of the rating models, the one with the smallest loss first."""
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
    """What the training took over time."""
    samples = measurements.get("samples", [])
    drawn = []
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
            drawn.append(Plot(f"{title} in training", svg, f"At most {peak:,.0f} {unit}."))
    return drawn


def _calibration(figures: Figures) -> Plot | None:
    stars = figures.systems[MODEL].stars
    if stars is None:
        return None
    svg = plots.calibration(calibration(stars, figures.test.ratings.stars))
    caption = "Below the line the model promises more stars than customers give."
    return Plot("Calibration", svg, caption)


def _slices(figures: Figures, settings: EvaluateSettings) -> Mapping[str, Any]:
    metrics = {name: rival for name, rival in _RIVALS.items() if figures.of(MODEL, name)}
    weakest = {
        metric: weakest_slices(figures, MODEL, metric, settings.min_slice_rows)
        for metric in metrics
    }
    names = {name for found in weakest.values() for name in found}
    return {
        "weakest": {label(metric): ", ".join(found) for metric, found in weakest.items() if found},
        "table": slices_table(figures, metrics, names),
    }


def _data(statistics: Mapping[str, Any]) -> list[Plot]:
    before, after = statistics["before"], statistics["after"]
    drawn = []
    for whose in ("customers", "products"):
        caption = f"{before[whose]['count']:,} {whose} before, {after[whose]['count']:,} after."
        svg = plots.long_tail(
            before[whose]["ratings_by_quantile"], after[whose]["ratings_by_quantile"], whose
        )
        drawn.append(Plot(f"Long tail of {whose}, before and after filtering", svg, caption))
    caption = f"{before['rows']:,} ratings before, {after['rows']:,} after."
    drawn.append(Plot("Stars given", plots.stars(before["stars"], after["stars"]), caption))
    return drawn


def _catalogue(statistics: Mapping[str, Any]) -> str:
    """How many products there are to rank, of how many there were."""
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
