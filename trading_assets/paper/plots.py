"""The pictures of a paper session: the account's way, what is held, what trading cost."""

# matplotlib's signatures are typed in part only.
# pyright: reportUnknownMemberType=false

import io
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from trading_assets.paper.cost_tables import COST_PARTS

_LINE, _LOSS, _HELD, _WANTED = "#4c72b0", "#c44e52", "#4c72b0", "#dd8452"
_BY_THE_MARKET = {"timing_usd": "#55a868", "opportunity_usd": "#c44e52", "delay_usd": "#8c8c8c"}
_BY_TRADING = {"spread_usd": "#4c72b0", "impact_usd": "#dd8452", "fees_usd": "#8172b3"}
_MOST_SYMBOLS = 30
_MOST_TICKS = 8


def plot_equity(account: pl.DataFrame) -> bytes:
    """Return a PNG of the equity at each close, and of how far it is below its highest before.

    Parameters
    ----------
    account : DataFrame
        Rows of the table `account`, oldest first.
    """
    equity = account["equity_usd"].cast(pl.Float64).to_numpy()
    days = [day.isoformat() for day in account["session"]]
    drawdown = equity / np.maximum.accumulate(equity) - 1.0
    figure = _figure(3.6)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    at = np.arange(len(days))
    above.plot(at, equity / 1e3, color=_LINE, marker="o" if len(at) < 3 else None, lw=1.5)
    above.set_ylabel("equity, thousand USD", fontsize=8)
    above.tick_params(axis="y", labelsize=7)
    above.set_title(f"{len(days)} sessions up to {days[-1]}", fontsize=9)
    below.fill_between(at, 100 * drawdown, color=_LOSS, alpha=0.5, lw=0)
    below.set_ylabel("drawdown, %", fontsize=8)
    below.set_ylim(min(1.1 * 100 * float(drawdown.min()), -0.1), 0.0)
    _label_days(below, days)
    return _png(figure)


def plot_weights(
    decisions: pl.DataFrame, positions: pl.DataFrame, equity_usd: float, session: str
) -> bytes:
    """Return a PNG of weights decided for a session beside those held at its close.

    Parameters
    ----------
    decisions, positions : DataFrame
        Tables of the session.
    equity_usd : float
        Equity at its close.
    session : str
        Names it.
    """
    values = dict(positions["symbol", "market_value_usd"].iter_rows())
    wanted = dict(decisions["symbol", "weight"].iter_rows())
    names = sorted({*values, *wanted}, key=lambda name: (-abs(wanted.get(name, 0.0)), name))
    shown = names[:_MOST_SYMBOLS]
    held = [100 * float(values.get(name, 0)) / equity_usd for name in shown]
    figure = _figure(1.2 + 0.28 * max(len(shown), 1))
    axes = figure.subplots()
    at = np.arange(len(shown))
    axes.barh(at - 0.19, [100 * wanted.get(name, 0.0) for name in shown], 0.36, color=_WANTED)
    axes.barh(at + 0.19, held, 0.36, color=_HELD)
    axes.legend(("decided", "held at the close"), fontsize=7, loc="best", frameon=False)
    axes.set_yticks(at, shown, fontsize=8)
    axes.invert_yaxis()
    axes.axvline(0.0, color="black", lw=0.6)
    axes.set_xlabel("share of equity, %", fontsize=8)
    left = f", {len(names) - len(shown)} smaller ones left out" if len(names) > len(shown) else ""
    axes.set_title(f"weights of {session}{left}", fontsize=9)
    return _png(figure)


def plot_shortfall(costs: pl.DataFrame) -> bytes:
    """Return a PNG of the parts of the shortfall, session by session, and of their sum.

    Parameters
    ----------
    costs : DataFrame
        Rows of the table `order_costs` of one session or more.
    """
    sums = (
        costs.group_by("session")
        .agg(pl.col(*COST_PARTS, "shortfall_usd", "decided_usd").cast(pl.Float64).sum())
        .sort("session")
    )
    bps = {
        name: 1e4 * sums[name].to_numpy() / sums["decided_usd"].to_numpy()
        for name in (*COST_PARTS, "shortfall_usd")
    }
    days = [day.isoformat() for day in sums["session"]]
    figure = _figure(4.6)
    above, below = figure.subplots(2, 1, sharex=True)
    _stack(above, bps, _BY_THE_MARKET)
    at = np.arange(len(days))
    above.scatter(at, bps["shortfall_usd"], s=18, color="black", zorder=3, label="shortfall")
    above.set_title("cost against the decision, bps of what was decided; below 0 is a gain", size=9)
    above.set_ylabel("by the market's moves", fontsize=8)
    _stack(below, bps, _BY_TRADING)
    below.set_ylabel("by trading itself", fontsize=8)
    below.set_xlim(-0.6, max(len(days), 4) - 0.4)
    for axes in (above, below):
        axes.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
        axes.tick_params(axis="y", labelsize=7)
    _label_days(below, days)
    return _png(figure)


def _stack(axes: Axes, bps: Mapping[str, NDArray[np.float64]], parts: Mapping[str, str]) -> None:
    """Stack losses above zero and gains below it."""
    at = np.arange(len(bps["shortfall_usd"]))
    losses, gains = np.zeros(len(at)), np.zeros(len(at))
    for part, colour in parts.items():
        loss, gain = np.maximum(bps[part], 0.0), np.minimum(bps[part], 0.0)
        axes.bar(at, loss, 0.7, bottom=losses, color=colour, label=part.removesuffix("_usd"))
        axes.bar(at, gain, 0.7, bottom=gains, color=colour)
        losses, gains = losses + loss, gains + gain
    axes.axhline(0.0, color="black", lw=0.6)
    axes.margins(y=0.08)
    # Bars would otherwise end at the frame.
    axes.use_sticky_edges = False


def _figure(height: float) -> Figure:
    figure = Figure(figsize=(7, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _label_days(axes: Axes, days: Sequence[str]) -> None:
    step = max(1, -(-len(days) // _MOST_TICKS))
    places = range(0, len(days), step)
    axes.set_xticks([*places], [days[place] for place in places], fontsize=7)
    axes.tick_params(axis="y", labelsize=7)


def _png(figure: Figure) -> bytes:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=80, metadata={"Software": None})
    return picture.getvalue()
