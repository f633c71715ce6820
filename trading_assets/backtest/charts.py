"""The report's plots: equity and drawdown of all portfolios, as SVG for the page and PNG elsewhere.

Bytes depend on the curves only: no dates of creation, no random ids, no global plotting state.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from trading_assets.backtest.baselines import BASELINES
from trading_assets.backtest.metrics import Series, drawdowns, growth
from trading_assets.backtest.track_record import TrackRecord
from trading_assets.policy.reference_names import REFERENCES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Mid tones that keep their contrast on white and on near-black.
AGENT_COLOURS = ("#2f81d6", "#c2569b", "#7d6bd1", "#c9483c")
BASELINE_COLOURS = {"buy_and_hold": "#3f9b57", "equal_weight": "#d2842a", "cash": "#8a8f98"}
STRONGEST_COLOUR = "#1f9aa8"
REFERENCE_COLOUR = "#b08a5a"
OTHER_BASELINES, REFERENCE_LINES = "other baselines", "references"
# Line widths, points: ensembles, baselines with a name, and what stays in the background.
_BOLD, _PLAIN, _THIN = 2.0, 1.3, 0.8

# Replaced by the page's text colour, so that one drawing serves the light and the dark page.
INK = "#010203"
GRID = "#8a8f98"


@dataclass(frozen=True, slots=True)
class Curve:
    """One portfolio's line.

    Attributes
    ----------
    label : str
        Name in the legend, which has each name once; empty keeps the line out of it.
    colour : str
        Colour, `#rrggbb`.
    width : float
        Line width, points.
    opacity : float
        1 is opaque.
    record : TrackRecord
        Returns to draw.
    """

    label: str
    colour: str
    width: float
    opacity: float
    record: TrackRecord


def curves_of(records: Sequence[TrackRecord], strongest: str) -> list[Curve]:
    """Return what to draw: seeds thin and pale, then baselines, then ensembles on top.

    Of the baselines the strongest is drawn in full, and the few that everyone knows; the others are
    thin and grey under one name, and so are references in a colour of their own.
    """
    named = {*BASELINES, *REFERENCES}
    agents = sorted({r.portfolio.split("/")[0] for r in records if r.portfolio not in named})
    colours = {agent: AGENT_COLOURS[i % len(AGENT_COLOURS)] for i, agent in enumerate(agents)}
    seeds: list[Curve] = []
    others: list[Curve] = []
    references: list[Curve] = []
    baselines: list[Curve] = []
    ensembles: list[Curve] = []
    for record in records:
        agent, _, member = record.portfolio.partition("/")
        mark = " (incomplete)" if record.gaps else ""
        if record.portfolio in BASELINE_COLOURS or record.portfolio == strongest:
            colour = BASELINE_COLOURS.get(record.portfolio, STRONGEST_COLOUR)
            baselines.append(Curve(f"{record.portfolio}{mark}", colour, _PLAIN, 1.0, record))
        elif record.portfolio in REFERENCES:
            references.append(Curve(REFERENCE_LINES, REFERENCE_COLOUR, _THIN, 0.8, record))
        elif record.portfolio in BASELINES:
            others.append(Curve(OTHER_BASELINES, GRID, _THIN, 0.5, record))
        elif "ensemble" in (member, record.portfolio):
            label = f"{record.portfolio}{mark}"
            ensembles.append(Curve(label, colours[agent], _BOLD, 1.0, record))
        else:
            seeds.append(Curve("", colours[agent], _THIN, 0.45, record))
    background = [*_one_name(others), *_one_name(references)]
    return [*background, *seeds, *baselines, *ensembles]


def _one_name(curves: list[Curve]) -> list[Curve]:
    """Mark the name that curves share where one of them has a hole."""
    if not any(curve.record.gaps for curve in curves):
        return curves
    return [replace(curve, label=f"{curve.label} (incomplete)") for curve in curves]


def draw_svg(curves: Sequence[Curve]) -> str:
    """Return growth and drawdown as an SVG element that takes the page's text colour."""
    figure = _draw(curves, (9.6, 5.4))
    figure.subplots_adjust(top=0.99)
    return as_svg(figure, "Growth of 1 USD and drawdown of each portfolio")


def draw_png(curves: Sequence[Curve], title: str) -> bytes:
    """Return growth and drawdown as a PNG of 1200 x 760 pixels on white."""
    figure = _draw(curves, (10.0, 6.333))
    figure.suptitle(title, x=0.01, y=0.99, ha="left", fontsize=11, color=INK)
    figure.set_facecolor("white")
    return render(figure, "png", 120)


def draw_thumbnail(curves: Sequence[Curve]) -> bytes:
    """Return the growth of ensembles and named baselines as a PNG of 480 x 240 pixels on white."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 2.4), facecolor="white")
    axes = figure.subplots()
    figure.subplots_adjust(left=0.07, right=0.985, top=0.97, bottom=0.1)
    _draw_growth(axes, [curve for curve in curves if curve.width > _THIN])
    style_axes(axes, 7)
    return render(figure, "png", 100)


def _draw(curves: Sequence[Curve], size_inches: tuple[float, float]) -> "Figure":
    from matplotlib.dates import date2num
    from matplotlib.figure import Figure

    figure = Figure(figsize=size_inches, facecolor="none")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1))
    figure.subplots_adjust(left=0.065, right=0.995, top=0.955, bottom=0.045, hspace=0.06)
    figure.align_ylabels()
    _draw_growth(top, curves)
    style_axes(top, 9)
    top.set_ylabel("Growth of 1 USD", color=INK, fontsize=9)
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


def _draw_growth(axes: "Axes", curves: Sequence[Curve]) -> None:
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
        order = sorted(range(len(labels)), key=lambda place: _is_background(labels[place]))
        axes.legend(
            handles=[lines[place] for place in order],
            loc="upper left",
            fontsize=8,
            frameon=False,
            labelcolor=INK,
        )


def _is_background(label: str) -> bool:
    return label.startswith((OTHER_BASELINES, REFERENCE_LINES))


def style_axes(axes: "Axes", size: int, *, has_days: bool = True) -> None:
    """Give axes, by default over days, the page's grid, colours and labels of a size in points."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    if has_days:
        locator = AutoDateLocator()
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
    axes.set_facecolor("none")
    axes.grid(visible=True, axis="y", color=GRID, linewidth=0.5, alpha=0.35)
    axes.tick_params(colors=INK, labelsize=size, length=3)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(GRID)


def _fold_starts(curves: Sequence[Curve]) -> list[np.datetime64]:
    keys = {key for curve in curves for key in curve.record.folds.tolist()}
    return [np.datetime64(key, "D") for key in sorted(keys)]


def _with_breaks(record: TrackRecord, values: Series) -> tuple[NDArray[np.datetime64], Series]:
    # A missing fold is a hole in the line, not a straight bridge over a year nobody traded.
    missing = [np.datetime64(gap.fold, "D") for gap in record.gaps]
    at = np.searchsorted(record.sessions, np.array(missing, dtype="datetime64[D]"))
    return np.insert(record.sessions, at, missing), np.insert(values, at, np.nan)


def as_svg(figure: "Figure", label: str) -> str:
    """Return a figure as an SVG element with a label, which takes the page's text colour."""
    text = render(figure, "svg", 72).decode("utf-8")
    # Without the XML prologue, which does not belong inside a page.
    svg = text[text.index("<svg") + len("<svg") :].replace(INK, "currentColor")
    return f'<svg role="img" aria-label="{escape(label)}"{svg}'


def render(figure: "Figure", kind: Literal["svg", "png"], dpi: int) -> bytes:
    """Return a figure's bytes, which depend on what is drawn alone."""
    import matplotlib as mpl

    buffer = io.BytesIO()
    # The salt replaces random ids; empty metadata keeps dates and versions out of the file.
    settings: dict[Any, Any] = {
        "svg.hashsalt": "walk_forward",
        "svg.fonttype": "none",
        "path.simplify": True,
    }
    metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    with mpl.rc_context(settings):
        figure.savefig(buffer, format=kind, dpi=dpi, metadata=metadata)
    return buffer.getvalue()
