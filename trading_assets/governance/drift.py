"""Feature drift: whether recent sessions are still like those the models were trained on.

Features are autocorrelated, so a fixed alarm level for the population stability index (PSI) rings
without any drift: on an AR(0.9) feature the textbook level 0.1 does so in two of three windows.
Here the level of each feature comes from the reference itself: every block of the recent window's
length is compared with the rest of the reference, and the recent window has to differ by a quarter
more than the most different of these blocks. This module decides nothing about retraining.
"""

import math
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.governance.drift_plot import plot_drift
from trading_assets.schema import conform
from trading_assets.strategy import GovernanceSpec

BINS = 10
GAP_SESSIONS = 50
LEVEL_OVER_LARGEST_BLOCK = 1.25
PSEUDO_COUNT = 0.5

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DriftReport:
    """How far each feature has moved.

    Attributes
    ----------
    table : DataFrame
        Table `drift`, one row a feature, in the order of the features' names given.
    drifted_share : float
        Share of features above their own alarm level.
    is_alarm : bool
        Whether that share is above the declared `max_drifted_share`.
    plot_png : bytes
        Index and alarm level of every feature as a picture.
    """

    table: pl.DataFrame
    drifted_share: float
    is_alarm: bool
    plot_png: bytes


def measure_drift(
    reference: pl.DataFrame,
    recent: pl.DataFrame,
    feature_names: tuple[str, ...],
    spec: GovernanceSpec,
) -> DriftReport:
    """Compare the features of recent sessions with those of the reference window.

    Rows of all symbols are pooled and missing values left out, so that the warm-up of a symbol
    that lists late does not pass for drift; a feature that stops arriving altogether has drifted.

    Parameters
    ----------
    reference : DataFrame
        Table `features` over the sessions that the models know.
    recent : DataFrame
        Table `features` over later sessions; fewer than half as many as the reference has.
    feature_names : tuple of str
        Columns to compare.
    spec : GovernanceSpec
        Share of drifted features above which the report is an alarm.

    Raises
    ------
    DataError
        If a window is empty, the windows overlap, or the reference is shorter than two recent ones.
    """
    _check_windows(reference, recent, feature_names)
    known, now = _index_sessions(reference), _index_sessions(recent)
    rows = [
        _compare(name, (_values(reference, name), known), (_values(recent, name), now))
        for name in feature_names
    ]
    table = conform("drift", pl.DataFrame(rows, schema=_TABLE_TYPES, orient="row"))
    drifted_share = float(table["is_drifted"].mean())  # pyright: ignore[reportArgumentType]
    is_alarm = drifted_share > spec.max_drifted_share
    return DriftReport(table, drifted_share, is_alarm, plot_drift(table))


_TABLE_TYPES: dict[str, type[pl.DataType]] = {
    "feature": pl.String,
    "psi": pl.Float64,
    "ks": pl.Float64,
    "threshold_psi": pl.Float64,
    "is_drifted": pl.Boolean,
}


def _check_windows(
    reference: pl.DataFrame, recent: pl.DataFrame, feature_names: tuple[str, ...]
) -> None:
    if not feature_names:
        msg = "no feature was named; expected at least one to compare"
        raise DataError(msg)
    for label, window in (("reference", reference), ("recent", recent)):
        missing = [name for name in ("session", *feature_names) if name not in window.columns]
        if missing or window.is_empty():
            lack = f"lacks {', '.join(missing)}" if missing else "has no rows"
            msg = f"the {label} window {lack}; compute its features first"
            raise DataError(msg)
    known, now = reference["session"].unique().sort(), recent["session"].unique().sort()
    if now[0] <= known[-1]:
        msg = (
            f"recent sessions begin on {now[0]} and the reference ends on {known[-1]};"
            " expected windows that do not overlap"
        )
        raise DataError(msg)
    if len(known) < 2 * len(now):
        msg = (
            f"the reference has {len(known)} sessions and the recent window {len(now)};"
            " expected a reference at least twice as long"
        )
        raise DataError(msg)


_Sample = tuple[Floats, NDArray[np.int64]]


def _compare(
    name: str, reference: _Sample, recent: _Sample
) -> tuple[str, float, float, float, bool]:
    edges = _quantile_edges(reference[0])
    known, now = _counts_by_session(reference, edges), _counts_by_session(recent, edges)
    psi = float(population_stability(known.sum(axis=0), now.sum(axis=0)))
    level = LEVEL_OVER_LARGEST_BLOCK * float(block_indices(known, len(now)).max())
    has_stopped = known.sum() > 0 and now.sum() == 0
    ks = _kolmogorov_smirnov(reference[0], recent[0])
    return name, psi, ks, level, bool(psi > level or has_stopped)


def _values(window: pl.DataFrame, name: str) -> Floats:
    return window[name].cast(pl.Float64).fill_null(math.nan).to_numpy()


def _index_sessions(window: pl.DataFrame) -> NDArray[np.int64]:
    return window["session"].rank("dense").cast(pl.Int64).to_numpy() - 1


def _quantile_edges(values: Floats) -> Floats:
    """Return the inner edges of the reference's quantile bins, at most `BINS - 1`."""
    present = values[np.isfinite(values)]
    if present.size == 0:
        return np.empty(0)
    return np.unique(np.quantile(present, np.linspace(0, 1, BINS + 1)[1:-1]))


def _counts_by_session(sample: _Sample, edges: Floats) -> Floats:
    """Return the rows of each session in each bin, float64 (n_sessions, n_bins)."""
    values, session = sample
    n_bins, is_known = edges.size + 1, np.isfinite(values)
    bins = np.searchsorted(edges, values[is_known], side="right")
    n_sessions = int(session.max()) + 1
    counts = np.bincount(session[is_known] * n_bins + bins, minlength=n_sessions * n_bins)
    return counts.reshape(n_sessions, n_bins).astype(np.float64)


def population_stability(reference_counts: Floats, recent_counts: Floats) -> Floats:
    """Return the population stability index of counts in the same bins.

    PSI = sum((p - q) ln(p / q)), with half a count added to every bin so that an empty one stays
    finite.

    Parameters
    ----------
    reference_counts, recent_counts : float64 (..., n_bins)
        Rows in each bin.
    """
    p = reference_counts + PSEUDO_COUNT
    q = recent_counts + PSEUDO_COUNT
    p = p / p.sum(axis=-1, keepdims=True)
    q = q / q.sum(axis=-1, keepdims=True)
    return np.sum((q - p) * np.log(q / p), axis=-1)


def block_indices(session_counts: Floats, n_block: int) -> Floats:
    """Return the index of every block of `n_block` sessions against the rest of the reference.

    The sessions next to a block are left out of the rest, as they resemble it.

    Parameters
    ----------
    session_counts : float64 (n_sessions, n_bins)
        Rows of the reference by session and bin.
    n_block : int
        Sessions of a block.

    Returns
    -------
    float64 (n_sessions - n_block + 1,)
    """
    n_sessions = session_counts.shape[0]
    gap = min(GAP_SESSIONS, (n_sessions - n_block) // 4)
    cumulative = np.vstack([np.zeros(session_counts.shape[1]), np.cumsum(session_counts, axis=0)])
    first: NDArray[np.int64] = np.arange(n_sessions - n_block + 1)
    blocks = cumulative[first + n_block] - cumulative[first]
    left = np.maximum(first - gap, 0)
    right = np.minimum(first + n_block + gap, n_sessions)
    rest = cumulative[-1] - (cumulative[right] - cumulative[left])
    return population_stability(rest, blocks)


def _kolmogorov_smirnov(reference: Floats, recent: Floats) -> float:
    """Return the largest distance of the two empirical distributions, 1 if one has no value."""
    a, b = np.sort(reference[np.isfinite(reference)]), np.sort(recent[np.isfinite(recent)])
    if a.size == 0 or b.size == 0:
        return float(a.size != b.size)
    points = np.concatenate([a, b])
    below_a = np.searchsorted(a, points, side="right") / a.size
    below_b = np.searchsorted(b, points, side="right") / b.size
    return float(np.abs(below_a - below_b).max())
