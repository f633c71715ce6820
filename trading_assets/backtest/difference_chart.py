"""The plot of an ablation: what one arm earned more than the other, summed up over the sessions."""

from datetime import date

import numpy as np
from numpy.typing import NDArray

from trading_assets.backtest.charts import AGENT_COLOURS, GRID, INK, as_svg, style_axes
from trading_assets.backtest.forecast_effect import PairedArms
from trading_assets.backtest.metrics import Series

# Longer than any exchange has been closed, shorter than a fold.
_LONGEST_PAUSE = np.timedelta64(31, "D")


def draw_differences(arms: PairedArms) -> str:
    """Return an SVG element: cumulative difference of net returns, seeds grey, their mean on top.

    Parameters
    ----------
    arms : PairedArms
        Both arms of an agent, with at least one seed and session.
    """
    from matplotlib.dates import date2num
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 2.8), facecolor="none")
    axes = figure.subplots()
    figure.subplots_adjust(left=0.065, right=0.995, top=0.97, bottom=0.1)
    for series in arms.differences:
        axes.plot(*_summed(arms, series), color=GRID, linewidth=0.8, alpha=0.7)
    mean = _summed(arms, arms.differences.mean(axis=0))
    axes.plot(*mean, color=AGENT_COLOURS[0], linewidth=2.0)
    axes.axhline(0.0, color=GRID, linewidth=0.8)
    for key in arms.fold_keys[1:]:
        start = float(date2num(date.fromisoformat(key)))
        axes.axvline(start, color=GRID, linewidth=0.7, linestyle=(0, (2, 3)), alpha=0.8)
    style_axes(axes, 9)
    axes.set_ylabel("With less without, %", color=INK, fontsize=9)
    label = f"Cumulative difference of {arms.agent}'s net return with and without forecasts"
    return as_svg(figure, label)


def _summed(arms: PairedArms, series: Series) -> tuple[NDArray[np.datetime64], Series]:
    total = 100.0 * np.cumsum(series, dtype=np.float64)
    # A missing fold is a hole in the line, not a straight bridge over a time that nobody traded.
    holes = np.flatnonzero(np.diff(arms.sessions) > _LONGEST_PAUSE) + 1
    days = np.insert(arms.sessions, holes, arms.sessions[holes])
    return days, np.insert(total, holes, np.nan)
