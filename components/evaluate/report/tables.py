"""The tables of the report."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from components.artifacts.evaluation import LIKED, LIKED_METRICS, LIST_METRICS, LOWER_IS_BETTER
from components.evaluate.intervals import interval
from components.evaluate.results import EvaluationResults, MetricValue, Scope
from components.evaluate.settings import CHAMPION, MODEL

_NAMES = {
    "mse": "MSE",
    "rmse": "RMSE",
    "mae": "MAE",
    "ndcg": "NDCG",
    "map": "MAP",
    "mrr": "MRR",
    "hit_rate": "Hit rate",
    "intra_list_similarity": "Similarity in a list",
    "gini": "Gini",
}


@dataclass(frozen=True)
class Cell:
    """A cell.

    Attributes:
        text: the value.
        spread: its confidence interval.
        best: whether it is the best of its column.
    """

    text: str
    spread: str = ""
    best: bool = False


@dataclass(frozen=True)
class Row:
    """A row.

    Attributes:
        name: its title.
        cells: one for each column.
        ours: whether it is the row of the model.
        weak: whether it is one of the weakest slices.
    """

    name: str
    cells: Sequence[Cell]
    ours: bool = False
    weak: bool = False


@dataclass(frozen=True)
class Table:
    """Column titles and rows."""

    columns: Sequence[str]
    rows: Sequence[Row]


def label(metric: str) -> str:
    """The name of a metric for a person, such as `NDCG@10`."""
    if metric in LIKED_METRICS:
        return f"{label(metric.removeprefix(LIKED))}, liked"
    name, _, cut = metric.partition("_at_")
    shown = _NAMES.get(name, name.replace("_", " ").capitalize())
    return f"{shown}@{cut}" if cut else shown


def titled(metric: str) -> str:
    """The same with an arrow to the better values."""
    if metric in LIST_METRICS:
        return label(metric)
    return f"{label(metric)} {'↓' if metric in LOWER_IS_BETTER else '↑'}"


def number(value: float) -> str:
    """A number with its significant digits."""
    if not np.isfinite(value):
        return "not a number"
    if value == int(value) and abs(value) != 1:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) >= 0.01 else f"{value:.2g}"


def systems_table(
    results: EvaluationResults, systems: Iterable[str], metrics: Sequence[str], confidence: float
) -> Table:
    """Metrics by system, the best of each column marked.

    Args:
        results: the evaluation.
        systems: names of systems, a row each; those without the objective are left out.
        metrics: names of metrics, a column each.
        confidence: the level of the intervals.
    """
    names = [name for name in systems if results.held_out(name, metrics[0])]
    columns = [_column(results, names, metric, confidence) for metric in metrics if names]
    rows = [
        Row(name.replace("_", " "), [column[place] for column in columns], name == MODEL)
        for place, name in enumerate(names)
    ]
    return Table([titled(metric) for metric in metrics], rows)


def slices_table(results: EvaluationResults, baselines: dict[str, str], weakest: set[str]) -> Table:
    """Metrics by slice, of the model, a baseline and the champion.

    Args:
        results: the evaluation.
        baselines: the name of the baseline to compare with, by the name of the metric.
        weakest: the names of the slices to mark.
    """
    pairs = [
        (metric, system)
        for metric, baseline in baselines.items()
        for system in (MODEL, baseline, CHAMPION)
        if results.held_out(system, metric)
    ]
    columns = ["Ratings", *(f"{label(metric)} {system}" for metric, system in pairs)]
    rows = []
    for name in results.test.slices:
        count = Cell(f"{results.test.within(Scope(name)).sum():,}")
        shown = [_cell(results.held_out(system, metric, name)) for metric, system in pairs]
        rows.append(Row(name, [count, *shown], weak=name in weakest))
    return Table(columns, rows)


def _column(
    results: EvaluationResults, systems: Sequence[str], metric: str, confidence: float
) -> list[Cell]:
    found = [results.held_out(name, metric) for name in systems]
    sign = -1 if metric in LOWER_IS_BETTER else 1
    values = [sign * measured.value if measured else -np.inf for measured in found]
    # No value of a list metric is the best in itself: random lists would often win.
    best = np.inf if metric in LIST_METRICS else np.nanmax(values)
    return [
        Cell(_cell(measured).text, _spread(measured, confidence), value == best)
        for measured, value in zip(found, values, strict=True)
    ]


def _cell(measured: MetricValue | None) -> Cell:
    return Cell(number(measured.value) if measured else "")


def _spread(measured: MetricValue | None, confidence: float) -> str:
    if measured is None or measured.resamples is None:
        return ""
    bounds = interval(measured.resamples, confidence)
    return f"{number(bounds.low)} to {number(bounds.high)}"
