"""The plot of sensitivities: Sharpe ratios over costs, over latency and over capital."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trading_assets.backtest.charts import (
    AGENT_COLOURS,
    BASELINE_COLOURS,
    GRID,
    INK,
    as_svg,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True)
class Panel:
    """Curves over one quantity.

    Attributes
    ----------
    title : str
        The quantity with its unit.
    curves : mapping of str to mapping of float to float
        Sharpe ratio by level, by portfolio; nan leaves a hole.
    is_logarithmic : bool
        Whether levels are powers of ten.
    """

    title: str
    curves: Mapping[str, Mapping[float, float]]
    is_logarithmic: bool = False


def draw_sensitivity(panels: Sequence[Panel]) -> str:
    """Return an SVG element: a panel for each quantity, all with the same axis of Sharpe ratios.

    Parameters
    ----------
    panels : sequence of Panel
        One or more, with the same portfolios.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 3.2), facecolor="none")
    row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    figure.subplots_adjust(left=0.065, right=0.985, top=0.96, bottom=0.17, wspace=0.08)
    for axes, panel in zip(row, panels, strict=True):
        _draw_panel(axes, panel)
    row[0].set_ylabel("Sharpe, annual", color=INK, fontsize=9)
    if any(panel.curves for panel in panels):
        row[0].legend(loc="best", fontsize=8, frameon=False, labelcolor=INK)
    return as_svg(figure, "Annual Sharpe ratio of each portfolio over costs, latency and capital")


def _draw_panel(axes: "Axes", panel: Panel) -> None:
    agents = [name for name in panel.curves if name not in BASELINE_COLOURS]
    for name, curve in panel.curves.items():
        is_agent = name in agents
        colour = (
            AGENT_COLOURS[agents.index(name) % len(AGENT_COLOURS)]
            if is_agent
            else BASELINE_COLOURS[name]
        )
        axes.plot(
            list(curve),
            list(curve.values()),
            color=colour,
            linewidth=2.0 if is_agent else 1.3,
            marker="o",
            markersize=3.5,
            label=name,
        )
    if panel.is_logarithmic:
        axes.set_xscale("log")
        axes.minorticks_off()
    else:
        ticks = sorted({level for curve in panel.curves.values() for level in curve})
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.axhline(0.0, color=GRID, linewidth=0.8)
    axes.set_xlabel(panel.title, color=INK, fontsize=9)
    axes.set_facecolor("none")
    axes.grid(visible=True, axis="y", color=GRID, linewidth=0.5, alpha=0.35)
    axes.tick_params(colors=INK, labelsize=9, length=3)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(GRID)
