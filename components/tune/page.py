"""One page about a search: its best trial, every trial in a table, and what each setting did."""

import io
from typing import Any

import matplotlib as mpl
import numpy as np
from jinja2 import Environment, PackageLoader
from matplotlib.figure import Figure

from components.tune.space import DIRECTIONS, METRICS, Objective
from components.tune.study import Result, best_of, value_of

# Ids and dates would differ from run to run.
_PLAIN = {"svg.hashsalt": "alsolike", "svg.fonttype": "none"}


def render(objective: Objective, results: list[Result]) -> str:
    """A self-contained HTML page.

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
    environment = Environment(loader=PackageLoader("components.tune", "."), autoescape=True)
    return environment.get_template("trials.html.jinja").render(
        metric=METRICS[objective],
        names=names,
        rows=rows,
        best=int(best_of(objective, results)["number"]),
        plot=_plot(objective, results, names),
    )


def _plot(objective: Objective, results: list[Result], names: list[str]) -> str:
    """SVG: the figure by trial with the best so far, then by every setting."""
    done = [result for result in results if value_of(objective, result) is not None]
    values = np.array([value_of(objective, result) for result in done])
    rows = (len(names) + 3) // 3
    figure = Figure(figsize=(12, 3 * rows), layout="constrained")
    panels = figure.subplots(rows, 3, squeeze=False).ravel()
    numbers = [result["number"] for result in done]
    so_far = np.minimum if DIRECTIONS[objective] == "minimize" else np.maximum
    panels[0].scatter(numbers, values)
    panels[0].step(numbers, so_far.accumulate(values), where="post", label="best so far")
    panels[0].set(xlabel="trial", ylabel=METRICS[objective])
    panels[0].legend()
    for panel, name in zip(panels[1:], names, strict=False):
        pairs = [
            (result["parameters"][name], value)
            for result, value in zip(done, values, strict=True)
            if name in result["parameters"]
        ]
        _scatter(panel, name, pairs)
    for panel in panels[1 + len(names) :]:
        panel.set_axis_off()
    file = io.StringIO()
    with mpl.rc_context(_PLAIN):
        figure.savefig(file, format="svg", metadata={"Date": None})
    svg = file.getvalue()
    return svg[svg.index("<svg") :]


def _scatter(panel: Any, name: str, pairs: list[tuple[Any, float]]) -> None:
    settings = [setting for setting, _ in pairs]
    panel.scatter(settings, [value for _, value in pairs])
    panel.set(xlabel=name)
    numeric = all(isinstance(setting, int | float) and setting > 0 for setting in settings)
    if settings and numeric and max(settings) > 20 * min(settings):
        panel.set_xscale("log")


def _shown(result: Result) -> dict[str, Any]:
    """What a trial was given; of the one that was given nothing, what it took."""
    shown: dict[str, Any] = result["parameters"] or result.get("settings", {})
    return shown


def _short(setting: Any) -> str:
    if setting is None:
        return ""
    return f"{setting:.4g}" if isinstance(setting, float) else str(setting)
