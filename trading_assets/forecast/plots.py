"""Pictures of a forecaster and of its forecasts: how it learned, and how far it can be believed."""

# matplotlib's signatures are typed in part only.
# pyright: reportUnknownMemberType=false

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from trading_assets.forecast.labels import CLASS_NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

_LINE, _OTHER, _GUIDE = "#2a6f97", "#8d99ae", "#444444"
_SMALL = 8


@dataclass(frozen=True, slots=True)
class Believability:
    """How far classes were right where they were said to be likely.

    Attributes
    ----------
    title : str
        Whose forecasts, of which rows.
    confidence, accuracy : float64 (B,)
        Mean probability of the likeliest class, and how often it came, in bins of equal mass.
    rows : int64 (B,)
        Rows of each bin.
    confusion : int64 (3, 3)
        Rows by true class (down) and named class (across).
    kept_share, kept_accuracy : float64 (C,)
        Accuracy of the most confident share of rows.
    base_rate : float
        Accuracy of always naming one class.
    calibration_error : float
        Mean distance of accuracy from confidence.
    rows_an_observation : float
        Rows that tell as much as one independent row.
    """

    title: str
    confidence: Array
    accuracy: Array
    rows: NDArray[np.int64]
    confusion: NDArray[np.int64]
    kept_share: Array
    kept_accuracy: Array
    base_rate: float
    calibration_error: float
    rows_an_observation: float


@dataclass(frozen=True, slots=True)
class CoverageTrack:
    """How often returns lay in their intervals, session by session.

    Attributes
    ----------
    sessions : datetime64[D] (T,)
        Sessions whose labels have ended.
    covered : float64 (T,)
        Share of the session's symbols whose return lay in its interval.
    half_width : float64 (T,)
        Mean half width of the intervals, fraction.
    target : float
        Share that is meant to.
    window : int
        Sessions of the rolling mean that is drawn.
    """

    sessions: NDArray[np.datetime64]
    covered: Array
    half_width: Array
    target: float
    window: int


def plot_forecaster(curves: Sequence[Sequence[float]], shown: Believability) -> bytes:
    """Return a PNG: stopping log-loss by epoch, reliability, confusion, accuracy by confidence."""
    figure = _figure(shown.title)
    axes = figure.subplots(2, 2)
    _draw_curves(axes[0, 0], curves)
    _draw_reliability(axes[0, 1], shown)
    _draw_confusion(axes[1, 0], shown)
    _draw_kept(axes[1, 1], shown)
    return _png(figure)


def plot_forecasts(shown: Believability, track: CoverageTrack) -> bytes:
    """Return a PNG: reliability, accuracy by confidence, coverage and width of the intervals."""
    figure = _figure(shown.title)
    axes = figure.subplots(2, 2)
    _draw_reliability(axes[0, 0], shown)
    _draw_kept(axes[0, 1], shown)
    _draw_coverage(axes[1, 0], track)
    _draw_width(axes[1, 1], track)
    return _png(figure)


def rolling_mean(values: Array, window: int) -> Array:
    """Return the mean of the last `window` values at each place, of those there are at first."""
    total = np.concatenate(([0.0], np.cumsum(values)))
    last = np.arange(1, len(values) + 1)
    first = np.maximum(last - window, 0)
    return (total[last] - total[first]) / (last - first)


def _draw_curves(axes: "Axes", curves: Sequence[Sequence[float]]) -> None:
    for number, losses in enumerate(curves):
        epochs = np.arange(1, len(losses) + 1)
        axes.plot(epochs, losses, color=_LINE, alpha=0.7, linewidth=1)
        best = int(np.argmin(losses))
        label = "epoch kept" if number == 0 else None
        axes.plot(epochs[best], losses[best], "o", color=_LINE, markersize=4, label=label)
    axes.axhline(float(np.log(3.0)), color=_GUIDE, linewidth=0.8, linestyle=":", label="ln 3")
    _label(axes, "members of the network", "epoch", "log-loss of the stopping rows, nats")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=_SMALL - 1)


def _draw_reliability(axes: "Axes", shown: Believability) -> None:
    ends = [shown.confidence.min(), shown.confidence.max()]
    axes.plot(ends, ends, color=_GUIDE, linewidth=0.8, linestyle=":", label="as said")
    independent = np.maximum(shown.rows / shown.rows_an_observation, 1.0)
    spread = 2.0 * np.sqrt(shown.accuracy * (1.0 - shown.accuracy) / independent)
    axes.errorbar(
        shown.confidence,
        shown.accuracy,
        yerr=[np.minimum(spread, shown.accuracy), np.minimum(spread, 1.0 - shown.accuracy)],
        fmt="o",
        color=_LINE,
        ecolor=_OTHER,
        markersize=4,
        elinewidth=0.8,
        label="bins, 2 s.e.",
    )
    title = f"reliability, error {shown.calibration_error:.3f}"
    _label(axes, title, "probability of the likeliest class", "how often it came")
    axes.legend(fontsize=_SMALL - 1)


def _draw_confusion(axes: "Axes", shown: Believability) -> None:
    axes.imshow(shown.confusion, cmap="Blues", vmin=0)
    largest = shown.confusion.max()
    for (row, column), count in np.ndenumerate(shown.confusion):
        colour = "white" if count > 0.6 * largest else "black"
        axes.text(
            column, row, f"{count:,}", ha="center", va="center", fontsize=_SMALL, color=colour
        )
    places = range(len(CLASS_NAMES))
    axes.set_xticks(places, CLASS_NAMES)
    axes.set_yticks(places, CLASS_NAMES)
    _label(axes, "rows by class", "named", "came")


def _draw_kept(axes: "Axes", shown: Believability) -> None:
    axes.plot(shown.kept_share, shown.kept_accuracy, color=_LINE, linewidth=1.2)
    axes.axhline(shown.base_rate, color=_GUIDE, linewidth=0.8, linestyle=":", label="base rate")
    _label(axes, "accuracy by confidence", "most confident share of rows", "accuracy")
    axes.legend(fontsize=_SMALL - 1)


def _draw_coverage(axes: "Axes", track: CoverageTrack) -> None:
    axes.plot(track.sessions, rolling_mean(track.covered, track.window), color=_LINE, linewidth=1.2)
    axes.axhline(track.target, color=_GUIDE, linewidth=0.8, linestyle=":", label="meant to be")
    overall = f"intervals hold {track.covered.mean():.1%}" if len(track.covered) else "no intervals"
    _label(axes, overall, "", f"share, last {track.window} sessions")
    axes.legend(fontsize=_SMALL - 1)
    axes.tick_params(axis="x", rotation=30)


def _draw_width(axes: "Axes", track: CoverageTrack) -> None:
    axes.plot(track.sessions, 100.0 * track.half_width, color=_OTHER, linewidth=1)
    _label(axes, "width of the intervals", "", "half width, % of price")
    axes.tick_params(axis="x", rotation=30)


def _label(axes: "Axes", title: str, across: str, up: str) -> None:
    axes.set_title(title, fontsize=_SMALL + 1)
    axes.set_xlabel(across, fontsize=_SMALL)
    axes.set_ylabel(up, fontsize=_SMALL)
    axes.tick_params(labelsize=_SMALL - 1)


def _figure(title: str) -> Figure:
    figure = Figure(figsize=(8, 6), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=_SMALL + 2)
    return figure


def _png(figure: Any) -> bytes:  # noqa: ANN401  typed in part only
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=90, metadata={"Software": None})
    return picture.getvalue()
