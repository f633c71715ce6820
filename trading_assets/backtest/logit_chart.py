"""The plot of overfitting: where what was best on one half of the bars ranks on the other."""

import numpy as np

from trading_assets.backtest.charts import AGENT_COLOURS, GRID, INK, as_svg, style_axes
from trading_assets.backtest.overfitting import Overfitting

_BINS = 24
_LOSING = "#c9483c"


def draw_logits(found: Overfitting) -> str:
    """Return an SVG element: a histogram of the logits, those at or below 0 in red."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 2.4), facecolor="none")
    axes = figure.subplots()
    figure.subplots_adjust(left=0.065, right=0.995, top=0.97, bottom=0.2)
    # 0 is a border of bins, so that a bar is of one colour; a logit of 0 belongs to the lower one.
    reach = max(float(np.abs(found.logits).max()), 0.5) * 1.0001
    borders = np.linspace(-reach, reach, _BINS + 1)
    counts = np.bincount(
        np.clip(np.searchsorted(borders, found.logits, side="left") - 1, 0, _BINS - 1),
        minlength=_BINS,
    )
    colours = [_LOSING if place < _BINS // 2 else AGENT_COLOURS[0] for place in range(_BINS)]
    axes.bar(borders[:-1], counts, width=0.92 * (borders[1] - borders[0]), align="edge")
    for bar, colour in zip(axes.patches, colours, strict=True):
        bar.set_color(colour)
    axes.axvline(0.0, color=GRID, linewidth=0.8)
    style_axes(axes, 9, has_days=False)
    axes.set_ylabel("Halvings", color=INK, fontsize=9)
    axes.set_xlabel("Logit of the rank on the other half", color=INK, fontsize=9)
    return as_svg(figure, "Histogram of the logits of ranks on the other half of the sessions")
