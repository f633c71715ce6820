"""The plot of all portfolios' growth and drawdown: SVG for the page, PNG elsewhere."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trading_assets.backtest.charts import (
    GRID,
    INK,
    OTHER_BASELINES,
    REFERENCE_LINES,
    THIN,
    Curve,
    as_svg,
    render,
    style_axes,
)
from trading_assets.backtest.metrics import Series, drawdowns, growth
from trading_assets.backtest.track_record import TrackRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Legible on white and on near-black, with lines on top.
_BAND_OPACITY = 0.2
_BAND = " % band of "


def draw_svg(curves: Sequence[Curve]) -> str:
    """Return growth and drawdown as an SVG element that takes the page's text colour."""
    figure = _draw(curves, (9.6, 3.8))
    figure.subplots_adjust(top=0.9, bottom=0.06)
    return as_svg(figure, "Growth of 1 USD and drawdown of each portfolio")


def draw_png(curves: Sequence[Curve], title: str) -> bytes:
    """Return growth and drawdown as a PNG of 1200 x 760 pixels on white."""
    figure = _draw(curves, (10.0, 6.333))
    figure.subplots_adjust(top=0.9)
    figure.suptitle(title, x=0.01, y=0.99, ha="left", fontsize=11, color=INK)
    figure.set_facecolor("white")
    return render(figure, "png", 120)


def draw_thumbnail(curves: Sequence[Curve]) -> bytes:
    """Return the growth of ensembles and named baselines as a PNG of 480 x 240 pixels on white."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 2.4), facecolor="white")
    axes = figure.subplots()
    figure.subplots_adjust(left=0.07, right=0.985, top=0.86, bottom=0.1)
    _draw_growth(axes, [curve for curve in curves if curve.width > THIN], 3)
    style_axes(axes, 7)
    return render(figure, "png", 100)


def _draw(curves: Sequence[Curve], size_inches: tuple[float, float]) -> "Figure":
    from matplotlib.dates import date2num
    from matplotlib.figure import Figure

    figure = Figure(figsize=size_inches, facecolor="none")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1))
    figure.subplots_adjust(left=0.065, right=0.995, top=0.955, bottom=0.045, hspace=0.06)
    figure.align_ylabels()
    _draw_growth(top, curves, 4)
    style_axes(top, 9)
    top.set_ylabel("Growth of 1 USD", color=INK, fontsize=9)
    _fill_bands(bottom, curves, is_drawdown=True)
    for curve in curves:
        days, losses = _with_breaks(curve.record, -100.0 * drawdowns(curve.record.returns))
        bottom.plot(days, losses, color=curve.colour, linewidth=curve.width, alpha=curve.opacity)
    style_axes(bottom, 9)
    bottom.set_ylabel("Drawdown, %", color=INK, fontsize=9)
    for axes in (top, bottom):
        for start in _fold_starts(curves)[1:]:
            axes.axvline(
                date2num(start), color=GRID, linewidth=0.7, linestyle=(0, (2, 3)), alpha=0.8
            )
    return figure


def _draw_growth(axes: "Axes", curves: Sequence[Curve], legend_columns: int) -> None:
    _fill_bands(axes, curves, is_drawdown=False)
    named: set[str] = set()
    for curve in curves:
        label = "_" if curve.label in named else curve.label or "_"
        named.add(curve.label)
        days, value = _with_breaks(curve.record, growth(curve.record.returns))
        axes.plot(
            days,
            value,
            color=curve.colour,
            linewidth=curve.width,
            alpha=curve.opacity,
            label=label,
        )
    lines, labels = axes.get_legend_handles_labels()
    if lines:
        # What lies behind all others is drawn first and named last.
        order = sorted(range(len(labels)), key=lambda place: _depth(labels[place]))
        axes.legend(
            handles=[lines[place] for place in order],
            # Above the axes, where no curve can run through it.
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            ncols=legend_columns,
            borderaxespad=0.0,
            fontsize=8,
            frameon=False,
            labelcolor=INK,
        )


def _fill_bands(axes: "Axes", curves: Sequence[Curve], *, is_drawdown: bool) -> None:
    for curve in curves:
        if curve.band is None:
            continue
        band, sessions = curve.band, curve.record.sessions[curve.band.places]
        if is_drawdown:
            edges = (-100.0 * band.drawdown_high, -100.0 * band.drawdown_low)
        else:
            edges = (band.growth_low, band.growth_high)
        days, low = _broken(curve.record, sessions, edges[0])
        _, high = _broken(curve.record, sessions, edges[1])
        label = f"{100 * band.confidence:g}{_BAND}{curve.record.portfolio}"
        axes.fill_between(
            days, low, high, color=curve.colour, alpha=_BAND_OPACITY, linewidth=0.0, label=label
        )


def _depth(label: str) -> int:
    if label.startswith((OTHER_BASELINES, REFERENCE_LINES)):
        return 2
    return 1 if _BAND in label else 0


def _fold_starts(curves: Sequence[Curve]) -> list[np.datetime64]:
    keys = {key for curve in curves for key in curve.record.folds.tolist()}
    return [np.datetime64(key, "D") for key in sorted(keys)]


def _with_breaks(record: TrackRecord, values: Series) -> tuple[NDArray[np.datetime64], Series]:
    return _broken(record, record.sessions, values)


def _broken(
    record: TrackRecord, sessions: NDArray[np.datetime64], values: Series
) -> tuple[NDArray[np.datetime64], Series]:
    # A missing fold is a hole in the line, not a straight bridge over a year nobody traded.
    missing = [np.datetime64(gap.fold, "D") for gap in record.gaps]
    at = np.searchsorted(sessions, np.array(missing, dtype="datetime64[D]"))
    return np.insert(sessions, at, missing), np.insert(values, at, np.nan)
