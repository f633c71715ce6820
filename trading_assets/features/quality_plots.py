"""A table of feature quality for a reader: a note on chance, and two drawings as SVG."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.features.newey_west import two_sided_p
from trading_assets.features.redundancy import order_alike

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

# |t| that the note counts and the drawing marks.
LARGE_T = 2.0
SIGNIFICANCE = 0.05

# Replaced by the page's text colour, so that one drawing serves the light and the dark page.
_INK = "#010203"
_GRID = "#8a8f98"
# Mid tones that keep their contrast on white and on near-black.
_LARGE, _SMALL, _SHARE = "#2f81d6", "#8a8f98b0", "#7d6bd1"
_ALIKE, _OPPOSITE, _UNKNOWN = "#c9483c", "#2f81d6", "#8a8f9838"
_INCH_A_ROW = 0.165
_NAMED = 6


@dataclass(frozen=True, slots=True)
class Trials:
    """How many features of a window were judged, and how many look good.

    Attributes
    ----------
    features, judged, clusters : int
        Features, those with a t statistic, and the clusters of these.
    large, large_by_chance : int, float
        Features with |t| > 2, and how many are expected if all are worthless.
    significant : tuple of str
        Features significant at 5 % after Holm's correction, by falling |t|.
    """

    features: int
    judged: int
    clusters: int
    large: int
    large_by_chance: float
    significant: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What was found and what luck alone would show."""
        if not self.judged:
            return f"None of {self.features} features has enough labelled sessions for a t."
        found = len(self.significant)
        named = ", ".join(self.significant[:_NAMED])
        rest = f" and {found - _NAMED} more" if found > _NAMED else ""
        return (
            f"{_count(self.judged, 'feature')} in {_count(self.clusters, 'cluster')} judged on one"
            f" window: {self.large} with |t| > {LARGE_T:g}, where {self.large_by_chance:.1f} are"
            f" expected if all are worthless. Corrected for their number (Holm), {found or 'none'}"
            f" significant at 5 %{': ' if found else ''}{named}{rest}."
        )


def count_trials(table: pl.DataFrame) -> Trials:
    """Return how many features were judged, and how many of them luck alone would praise.

    Parameters
    ----------
    table : DataFrame
        From `measure_quality`.
    """
    judged = table.filter(pl.col("p_value").is_not_null())
    spans = judged.select("ic_sessions", "lag_sessions").iter_rows()
    significant = judged.filter(pl.col("p_holm") < SIGNIFICANCE)
    return Trials(
        features=table.height,
        judged=judged.height,
        clusters=judged["cluster"].n_unique(),
        large=judged.filter(pl.col("t_newey_west").abs() > LARGE_T).height,
        large_by_chance=sum(two_sided_p(LARGE_T, count, lag) for count, lag in spans),
        significant=tuple(
            significant.sort(pl.col("t_newey_west").abs(), descending=True, maintain_order=True)[
                "feature"
            ].to_list()
        ),
    )


def draw_quality(table: pl.DataFrame) -> str:
    """Return an SVG element: rank-IC of each feature with its interval, and its coverage.

    Parameters
    ----------
    table : DataFrame
        From `measure_quality`. Bars are ordered by rank-IC, features without one come last;
        whiskers are 2 Newey-West errors, and where they exclude 0 the bar is blue.
    """
    from matplotlib.figure import Figure

    rows = table.sort("rank_ic", descending=True, nulls_last=True, maintain_order=True)
    names: list[str] = rows["feature"].to_list()
    size = (9.6, 0.7 + _INCH_A_ROW * rows.height)
    figure = Figure(figsize=size, facecolor="none")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(4.2, 1))
    _leave_margins(figure, (_name_inches(names, 7), 0.15, 0.05, 0.55))
    _draw_ics(left, rows)
    left.set_yticks(range(rows.height), names)
    right.barh(range(rows.height), 100.0 * rows["coverage"].to_numpy(), color=_SHARE, height=0.62)
    right.set_xlim(0.0, 100.0)
    right.set_xlabel("Rows with a value, %", color=_INK, fontsize=8)
    for axes in (left, right):
        _style(axes)
    right.tick_params(axis="y", length=0)
    return _render(figure, "Rank-IC and coverage of each feature")


def draw_correlations(correlations: Array, names: Sequence[str], clusters: pl.Series) -> str:
    """Return an SVG element: rank correlations of the features, alike ones side by side.

    Parameters
    ----------
    correlations : float64 (F, F)
        From `correlate_features`; features without any are left out.
    names : sequence of str
        The F features.
    clusters : Series
        Cluster (F,) of each feature, null where it has none; clusters of several are outlined.
    """
    from matplotlib.colors import LinearSegmentedColormap, to_rgba
    from matplotlib.figure import Figure

    order = order_alike(correlations)
    positions: list[int] = order.tolist()
    shown = [names[position] for position in positions]
    side = _INCH_A_ROW * len(order)
    margin = _name_inches(shown, 9)
    size = (margin + side + 0.9, 0.05 + max(side, 1.2) + margin)
    figure = Figure(figsize=size, facecolor="none")
    axes = figure.subplots()
    _leave_margins(figure, (margin, 0.9, 0.05, margin))
    axes.set_facecolor("none")
    if len(order):
        # Clear at 0, so that the page's ground is the middle of the scale, light or dark.
        ends = (to_rgba(_OPPOSITE), to_rgba(_OPPOSITE, 0.0), to_rgba(_ALIKE, 0.0), to_rgba(_ALIKE))
        colours = LinearSegmentedColormap.from_list(
            "correlation", list(zip((0.0, 0.5, 0.5, 1.0), ends, strict=True)), N=200
        ).with_extremes(bad=_UNKNOWN)
        picture = axes.imshow(
            np.ma.masked_invalid(correlations[np.ix_(order, order)]),
            cmap=colours,
            vmin=-1.0,
            vmax=1.0,
            aspect="equal",
            interpolation="none",
        )
        box = axes.get_position()
        scale = figure.add_axes((box.x1 + 0.12 / size[0], box.y0, 0.2 / size[0], box.height))
        scale.set_facecolor("none")
        bar = figure.colorbar(picture, cax=scale)
        if bar.solids is not None:
            bar.solids.set_rasterized(True)
        bar.outline.set_edgecolor(_GRID)
        bar.ax.tick_params(colors=_INK, labelsize=8, length=2)
        bar.set_label("Spearman's correlation", color=_INK, fontsize=9)
    places = range(len(order))
    axes.set_xticks(places, shown, rotation=90, fontsize=9, color=_INK)
    axes.set_yticks(places, shown, fontsize=9, color=_INK)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_color(_GRID)
    _outline_clusters(axes, [clusters[position] for position in positions])
    return _render(figure, "Rank correlations of the features, clusters outlined")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _draw_ics(axes: "Axes", rows: pl.DataFrame) -> None:
    places = np.arange(rows.height)
    ics = rows["rank_ic"].fill_null(np.nan).to_numpy()
    t = rows["t_newey_west"].fill_null(np.nan).to_numpy()
    errors = np.abs(ics / np.where(t == 0.0, np.nan, t))
    colours = [_LARGE if abs(value) > LARGE_T else _SMALL for value in t]
    axes.barh(places, np.nan_to_num(ics), color=colours, height=0.62)
    has_error = ~np.isnan(errors)
    axes.errorbar(
        ics[has_error],
        places[has_error],
        xerr=LARGE_T * errors[has_error],
        fmt="none",
        ecolor=_INK,
        elinewidth=0.7,
    )
    for place in np.flatnonzero(np.isnan(ics)):
        axes.annotate(
            "no rank-IC",
            (0.0, float(place)),
            (3.0, 0.0),
            textcoords="offset points",
            fontsize=6,
            color=_INK,
            va="center",
        )
    axes.axvline(0.0, color=_INK, linewidth=0.7)
    axes.set_ylim(rows.height - 0.4, -0.6)
    axes.set_xlabel(
        f"Rank-IC; whiskers: {LARGE_T:g} Newey-West errors; blue: |t| > {LARGE_T:g}",
        color=_INK,
        fontsize=8,
    )


def _style(axes: "Axes") -> None:
    axes.set_facecolor("none")
    axes.set_axisbelow(True)
    axes.grid(visible=True, axis="x", color=_GRID, linewidth=0.5, alpha=0.35)
    axes.tick_params(colors=_INK, labelsize=7, length=2)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(_GRID)


def _name_inches(names: Sequence[str], points: float) -> float:
    """Return a width that the longest name fits into; letters are not measured, which is slow."""
    return 0.15 + max(map(len, names), default=0) * 0.62 * points / 72.0


def _leave_margins(figure: "Figure", inches: tuple[float, float, float, float]) -> None:
    left, right, top, bottom = inches
    width, height = figure.get_size_inches()
    figure.subplots_adjust(
        left=left / width,
        right=1.0 - right / width,
        top=1.0 - top / height,
        bottom=bottom / height,
        wspace=0.04,
    )


def _outline_clusters(axes: "Axes", clusters: Sequence[int | None]) -> None:
    from matplotlib.patches import Rectangle

    start = 0
    for stop in range(1, len(clusters) + 1):
        if stop < len(clusters) and clusters[stop] == clusters[start]:
            continue
        size = stop - start
        if size > 1:
            corner = (start - 0.5, start - 0.5)
            axes.add_patch(Rectangle(corner, size, size, fill=False, edgecolor=_INK, linewidth=1.2))
        start = stop


def _render(figure: "Figure", label: str) -> str:
    import matplotlib as mpl

    buffer = io.BytesIO()
    # The salt replaces random ids; empty metadata keeps dates and versions out of the file.
    settings: dict[Any, Any] = {"svg.hashsalt": "feature_quality", "svg.fonttype": "none"}
    with mpl.rc_context(settings):
        figure.savefig(buffer, format="svg", dpi=144, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue().decode("utf-8")
    # Without the XML prologue, which does not belong inside a page.
    svg = text[text.index("<svg") + len("<svg") :].replace(_INK, "currentColor")
    points = 72.0 * figure.get_figwidth()
    # Between these widths its letters have the size of small print.
    width = f"min-width:{0.92 * points:.0f}px;max-width:{1.55 * points:.0f}px"
    return f'<svg role="img" aria-label="{label}" style="{width}"{svg}'
