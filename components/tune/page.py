"""The page of a search: its best trial, a table of all trials, and a plot for each setting."""

from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from components.pages.page import render_page
from components.pages.plots import MUTED, OURS, STYLE, to_svg
from components.tune.space import DIRECTIONS, METRICS, Objective
from components.tune.study import Result, best_of, value_of

_SIZE = (4.6, 2.6)


def render(objective: Objective, results: list[Result]) -> str:
    """Render the page as self-contained HTML.

    Raises:
        UserError: if no trial succeeded.
    """
    names = sorted({name for result in results for name in result["parameters"]})
    rows = [
        {
            "number": int(result["number"]),
            "value": value_of(objective, result),
            "parameters": [_short(_shown(result).get(name)) for name in names],
            "error": result.get("error", ""),
        }
        for result in results
    ]
    return render_page(
        "components.tune",
        "trials.html.jinja",
        metric=METRICS[objective],
        names=names,
        rows=rows,
        best=int(best_of(objective, results)["number"]),
        plots=_plots(objective, results, names),
    )


def _plots(objective: Objective, results: list[Result], names: list[str]) -> dict[str, str]:
    """The plots by title, as SVG: the metric by trial, then by each setting."""
    done = [result for result in results if value_of(objective, result) is not None]
    values = np.array([value_of(objective, result) for result in done], dtype=float)
    plots = {"trial": _by_trial(objective, [result["number"] for result in done], values)}
    for name in names:
        pairs = [
            (result["parameters"][name], value)
            for result, value in zip(done, values, strict=True)
            if name in result["parameters"]
        ]
        plots[name] = _by_setting(objective, name, pairs)
    return plots


def _by_trial(objective: Objective, numbers: list[int], values: np.ndarray) -> str:  # type: ignore[type-arg]
    with rc_context(STYLE):
        figure, axes = _new("trial", objective)
        so_far = np.minimum if DIRECTIONS[objective] == "minimize" else np.maximum
        axes.scatter(numbers, values, color=OURS)
        best = so_far.accumulate(values)
        axes.step(numbers, best, where="post", color=MUTED, label="best so far")
        axes.legend()
        return to_svg(figure)


def _by_setting(objective: Objective, name: str, pairs: list[tuple[Any, float]]) -> str:
    settings = [setting for setting, _ in pairs]
    with rc_context(STYLE):
        figure, axes = _new(name, objective)
        axes.scatter(settings, [value for _, value in pairs], color=OURS)
        numeric = all(isinstance(setting, int | float) and setting > 0 for setting in settings)
        if settings and numeric and max(settings) > 20 * min(settings):
            axes.set_xscale("log")
        return to_svg(figure)


def _new(label: str, objective: Objective) -> tuple[Figure, Axes]:
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=label, ylabel=METRICS[objective])
    return figure, axes


def _shown(result: Result) -> dict[str, Any]:
    """The parameters of a trial; for the trial without any, the settings that it used."""
    shown: dict[str, Any] = result["parameters"] or result.get("settings", {})
    return shown


def _short(setting: Any) -> str:
    if setting is None:
        return ""
    return f"{setting:.4g}" if isinstance(setting, float) else str(setting)
