"""Plots as SVG, by Matplotlib, in the colours of the page's style."""

from collections.abc import Mapping, Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from components.evaluate.metrics import Calibration
from components.pages.plots import MUTED, OTHERS, OURS, STYLE, THEIRS, to_svg

Points = Sequence[tuple[float, float]]


def learning_curves(train: Points, validation: Points, others: Sequence[Points]) -> str:
    """Loss by epoch or sweep.

    Args:
        train: points (epoch, training loss) of the chosen model.
        validation: points (epoch, validation loss) of the chosen model.
        others: points (epoch, validation loss) of each other model.
    """
    with rc_context(STYLE):
        canvas, axes = _new(4.6, 2.9, "Epoch or sweep", "MSE")
        for place, points in enumerate(others):
            label = None if place else "others, validation"
            axes.plot(*zip(*points, strict=True), color=OTHERS, label=label)
        axes.plot(*zip(*validation, strict=True), color=OURS, label="validation")
        axes.plot(*zip(*train, strict=True), color=OURS, linestyle=":", label="training")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
        return to_svg(canvas)


def calibration(groups: Calibration) -> str:
    """Mean stars given for each predicted star; the size of a dot is the size of the group."""
    predicted, given, counts = groups.predicted, groups.given, groups.counts
    with rc_context(STYLE):
        canvas, axes = _new(4.6, 2.9, "Stars predicted", "Stars given, mean")
        ends = [min(*predicted, *given), max(*predicted, *given)]
        axes.plot(ends, ends, color=MUTED, linestyle=":", label="perfect")
        sizes = [15 + 150 * count / max(counts) for count in counts]
        axes.plot(predicted, given, color=OURS, linewidth=1)
        axes.scatter(predicted, given, s=sizes, color=OURS, zorder=3, label="model")
        axes.legend(loc="upper left")
        return to_svg(canvas)


def long_tail(before: Mapping[str, float], after: Mapping[str, float], whose: str) -> str:
    """Numbers of ratings by quantile, before and after filtering.

    Args:
        before: the number of ratings by quantile, before filtering.
        after: likewise, after filtering.
        whose: customers or products.
    """
    with rc_context(STYLE):
        canvas, axes = _new(4.6, 2.9, f"Share of {whose}", "Ratings each, up to")
        for name, quantiles, colour in (("before", before, THEIRS), ("after", after, OURS)):
            shares = [100 * float(share) for share in quantiles]
            axes.plot(shares, list(quantiles.values()), color=colour, label=name, marker=".")
        axes.set_yscale("log")
        axes.xaxis.set_major_formatter("{x:.0f}%")
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.legend(loc="upper left")
        return to_svg(canvas)


def stars(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """The share of each number of stars, before and after filtering."""
    with rc_context(STYLE):
        canvas, axes = _new(4.6, 2.9, "Stars", "Share of ratings")
        names = list(before)
        for offset, (label, counts, colour) in zip(
            (-0.2, 0.2), (("before", before, THEIRS), ("after", after, OURS)), strict=True
        ):
            total = max(1, sum(counts.values()))
            heights = [100 * counts.get(name, 0) / total for name in names]
            places = [place + offset for place in range(len(names))]
            axes.bar(places, heights, 0.38, color=colour, label=label)
        axes.set_xticks(range(len(names)), names)
        axes.yaxis.set_major_formatter("{x:.0f}%")
        axes.grid(visible=False, axis="x")
        axes.legend(loc="upper left")
        return to_svg(canvas)


def intervals(rows: Mapping[str, tuple[float, float, float]], label: str) -> str:
    """One metric of each system, with its confidence interval.

    Args:
        rows: value, lowest and highest, by system; the model first.
        label: the name of the metric.
    """
    with rc_context(STYLE):
        canvas, axes = _new(4.6, 0.7 + 0.32 * len(rows), label, "")
        for place, (name, (value, low, high)) in enumerate(rows.items()):
            colour = {"model": OURS, "champion": THEIRS}.get(name, MUTED)
            axes.plot([low, high], [place, place], color=colour, linewidth=2)
            axes.plot(value, place, "o", color=colour, markersize=6)
        axes.set_yticks(range(len(rows)), [name.replace("_", " ") for name in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.grid(visible=False, axis="y")
        return to_svg(canvas)


def over_time(lines: Mapping[str, Points], label: str) -> str:
    """Measurements over the seconds of a run, two at most."""
    with rc_context(STYLE):
        canvas, axes = _new(4.6, 2.2, "Seconds", label)
        for (name, points), colour in zip(lines.items(), (OURS, THEIRS), strict=False):
            axes.plot(*zip(*points, strict=True), color=colour, label=name)
        axes.set_ylim(bottom=0)
        axes.legend(loc="lower right")
        return to_svg(canvas)


def _new(width: float, height: float, x_label: str, y_label: str) -> tuple[Canvas, Axes]:
    canvas = Canvas(figsize=(width, height), layout="constrained")
    axes = canvas.subplots()
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    return canvas, axes
