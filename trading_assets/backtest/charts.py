"""What the report's plots share: which curves are drawn, colours, axes, and bytes.

Bytes depend on what is drawn only: no dates of creation, no random ids, no global plotting state.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from trading_assets.backtest.bands import Band
from trading_assets.backtest.baselines import BASELINES
from trading_assets.backtest.svg import as_element
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
BOLD, PLAIN, THIN = 2.0, 1.3, 0.8

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
    band : Band, optional
        Filled behind all lines.
    """

    label: str
    colour: str
    width: float
    opacity: float
    record: TrackRecord
    band: Band | None = None


def curves_of(
    records: Sequence[TrackRecord], strongest: str, bands: Mapping[str, Band] | None = None
) -> list[Curve]:
    """Return what to draw: seeds thin and pale, then baselines, then ensembles on top.

    Of the baselines the strongest is drawn in full, and the few that everyone knows; the others are
    thin and grey under one name, and so are references in a colour of their own. Ensembles have the
    `bands` that are given for them, by portfolio.
    """
    bands = bands or {}
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
            baselines.append(Curve(f"{record.portfolio}{mark}", colour, PLAIN, 1.0, record))
        elif record.portfolio in REFERENCES:
            references.append(Curve(REFERENCE_LINES, REFERENCE_COLOUR, THIN, 0.8, record))
        elif record.portfolio in BASELINES:
            others.append(Curve(OTHER_BASELINES, GRID, THIN, 0.5, record))
        elif "ensemble" in (member, record.portfolio):
            label = f"{record.portfolio}{mark}"
            band = bands.get(record.portfolio)
            ensembles.append(Curve(label, colours[agent], BOLD, 1.0, record, band))
        else:
            seeds.append(Curve("", colours[agent], THIN, 0.45, record))
    background = [*_one_name(others), *_one_name(references)]
    return [*background, *seeds, *baselines, *ensembles]


def _one_name(curves: list[Curve]) -> list[Curve]:
    """Mark the name that curves share where one of them has a hole."""
    if not any(curve.record.gaps for curve in curves):
        return curves
    return [replace(curve, label=f"{curve.label} (incomplete)") for curve in curves]


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


def as_svg(figure: "Figure", label: str) -> str:
    """Return a figure as an SVG element with a label, which takes the page's text colour."""
    text = render(figure, "svg", 72).decode("utf-8")
    return as_element(text.replace(INK, "currentColor"), label)


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
