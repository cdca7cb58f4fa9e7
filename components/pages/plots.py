"""The look of plots, as SVG with colours from the style sheet of the page."""

import io
import re

from matplotlib.figure import Figure

# Placeholders that are replaced in the SVG by variables of the style sheet, for light and dark.
INK, MUTED, GRID = "#010101", "#020202", "#030303"
OURS, THEIRS, OTHERS = "#040404", "#050505", "#060606"
_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--line)",
    OURS: "var(--ours)",
    THEIRS: "var(--theirs)",
    OTHERS: "var(--others)",
}
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "alsolike",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "legend.frameon": False,
}
"""For Matplotlib's `rc_context`."""


def to_svg(figure: Figure) -> str:
    """Convert a figure, drawn in `STYLE`, to an SVG element; equal figures give equal text."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    pattern = "|".join(_VARIABLES)
    return re.sub(pattern, lambda colour: _VARIABLES[colour.group()], svg)
