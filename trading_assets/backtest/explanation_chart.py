"""Bars of an explanation: how far each input moves targets, and how old the bars are that count."""

from collections.abc import Sequence

import numpy as np

from trading_assets.backtest.charts import AGENT_COLOURS, GRID, INK, as_svg
from trading_assets.backtest.metrics import Series

_BAR_INCHES = 0.26


def draw_bars(names: Sequence[str], values: Sequence[float], unit: str, label: str) -> str:
    """Return an SVG element: one horizontal bar for each name, the first on top.

    Parameters
    ----------
    names : sequence of str
        Names of bars, one or more.
    values : sequence of float
        Lengths.
    unit : str
        Title of the axis.
    label : str
        What the drawing shows, for a reader who does not see it.
    """
    from matplotlib.figure import Figure

    height = 0.7 + _BAR_INCHES * len(names)
    figure = Figure(figsize=(9.6, height), facecolor="none")
    axes = figure.subplots()
    figure.subplots_adjust(left=0.3, right=0.98, top=1.0 - 0.08 / height, bottom=0.55 / height)
    places = np.arange(len(names))[::-1]
    axes.barh(places, values, height=0.68, color=AGENT_COLOURS[0])
    axes.set_yticks(places, list(names))
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.axvline(0.0, color=GRID, linewidth=0.8)
    axes.set_xlabel(unit, color=INK, fontsize=9)
    axes.set_facecolor("none")
    axes.grid(visible=True, axis="x", color=GRID, linewidth=0.5, alpha=0.35)
    axes.tick_params(colors=INK, labelsize=9, length=3)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(GRID)
    return as_svg(figure, label)


def draw_ages(ages: Series, values: Series, label: str) -> str:
    """Return an SVG element: how far bars of each age move forecasts, the newest on the left."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 2.4), facecolor="none")
    axes = figure.subplots()
    figure.subplots_adjust(left=0.075, right=0.995, top=0.97, bottom=0.2)
    axes.bar(ages, values, width=0.8, color=AGENT_COLOURS[0])
    axes.set_xlabel("Age of the bar, bars", color=INK, fontsize=9)
    axes.set_ylabel("Log-odds moved", color=INK, fontsize=9)
    axes.set_facecolor("none")
    axes.grid(visible=True, axis="y", color=GRID, linewidth=0.5, alpha=0.35)
    axes.tick_params(colors=INK, labelsize=9, length=3)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(GRID)
    return as_svg(figure, label)
