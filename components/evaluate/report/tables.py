"""The report's tables: what stands in each cell, and which cells stand out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from components.artifacts.evaluation import LIST_METRICS, LOWER_IS_BETTER
from components.evaluate.figures import Figure, Figures, Scope
from components.evaluate.gate import MODEL
from components.evaluate.intervals import interval
from components.evaluate.settings import CHAMPION

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
    """A figure as text, with its interval, and whether it is the best of its column."""

    text: str
    spread: str = ""
    best: bool = False


@dataclass(frozen=True)
class Row:
    """A name and its cells; `ours` for the model's own."""

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
    """A metric's name for a person."""
    name, _, cut = metric.partition("_at_")
    shown = _NAMES.get(name, name.replace("_", " ").capitalize())
    return f"{shown}@{cut}" if cut else shown


def titled(metric: str) -> str:
    """The name with an arrow that says which way is better."""
    if metric in LIST_METRICS:
        return label(metric)
    return f"{label(metric)} {'↓' if metric in LOWER_IS_BETTER else '↑'}"


def number(value: float) -> str:
    """A figure in the digits that matter."""
    if not np.isfinite(value):
        return "not a number"
    if value == int(value) and abs(value) != 1:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) >= 0.01 else f"{value:.2g}"


def systems_table(
    figures: Figures, systems: Iterable[str], metrics: Sequence[str], confidence: float
) -> Table:
    """Every system's figures, the best of each column marked."""
    names = [name for name in systems if figures.fair(name, metrics[0])]
    columns = [_column(figures, names, metric, confidence) for metric in metrics if names]
    rows = [
        Row(name.replace("_", " "), [column[place] for column in columns], name == MODEL)
        for place, name in enumerate(names)
    ]
    return Table([titled(metric) for metric in metrics], rows)


def slices_table(figures: Figures, rival_by_metric: dict[str, str], weakest: set[str]) -> Table:
    """The headline metrics in every slice, beside a baseline's and the champion's."""
    pairs = [
        (metric, system)
        for metric, rival in rival_by_metric.items()
        for system in (MODEL, rival, CHAMPION)
        if figures.fair(system, metric)
    ]
    columns = ["Ratings", *(f"{label(metric)} {system}" for metric, system in pairs)]
    rows = []
    for name in figures.test.slices:
        count = Cell(f"{figures.test.within(Scope(name)).sum():,}")
        shown = [_cell(figures.fair(system, metric, name)) for metric, system in pairs]
        rows.append(Row(name, [count, *shown], weak=name in weakest))
    return Table(columns, rows)


def _column(figures: Figures, systems: Sequence[str], metric: str, confidence: float) -> list[Cell]:
    found = [figures.fair(name, metric) for name in systems]
    sign = -1 if metric in LOWER_IS_BETTER else 1
    values = [sign * figure.value if figure else -np.inf for figure in found]
    # Of what lists are like, more or less is a matter of taste: random ones would be the best.
    best = np.inf if metric in LIST_METRICS else np.nanmax(values)
    return [
        Cell(_cell(figure).text, _spread(figure, confidence), value == best)
        for figure, value in zip(found, values, strict=True)
    ]


def _cell(figure: Figure | None) -> Cell:
    return Cell(number(figure.value) if figure else "")


def _spread(figure: Figure | None, confidence: float) -> str:
    if figure is None or figure.draws is None:
        return ""
    bounds = interval(figure.draws, confidence)
    return f"{number(bounds.low)} to {number(bounds.high)}"
