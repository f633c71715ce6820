"""How forecasts did once their labels ended: the test window of a fold, after the fact.

Nothing is chosen by it: models and policies of the fold are trained before the window begins.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.forecast.barriers import label_panel
from trading_assets.forecast.calibration import wilson_interval
from trading_assets.forecast.class_rules import classify_rows
from trading_assets.forecast.dataset import build_panel, place_rows
from trading_assets.forecast.forecaster import Forecaster
from trading_assets.forecast.independent_rows import count_independent
from trading_assets.forecast.plots import Believability, CoverageTrack
from trading_assets.forecast.prediction_sets import contains
from trading_assets.forecast.scores import (
    accuracy_coverage_curve,
    brier,
    confusion_matrix,
    expected_calibration_error,
    log_loss,
    reliability_table,
)
from trading_assets.forecast.skill import measure_skill
from trading_assets.forecast.tables import ForecastTables

Array = NDArray[np.float64]

_PROBABILITIES = ("p_down", "p_flat", "p_up")
_COVERAGE_SESSIONS = 60


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures of forecasts whose labels have ended, and what their picture is drawn from."""

    figures: Mapping[str, float]
    shown: Believability
    track: CoverageTrack


def evaluate_forecasts(
    tables: ForecastTables, forecasts: pl.DataFrame, forecaster: Forecaster
) -> Evaluation | None:
    """Return how forecasts did, or None if no label of theirs has ended.

    Parameters
    ----------
    tables : ForecastTables
        With the bars that labels end on.
    forecasts : DataFrame
        Rows of the table `forecasts` that the forecaster made.
    forecaster : Forecaster
        Says what a class is, and what its train rows' shares were.
    """
    spec = forecaster.spec
    panel = build_panel(tables.features, forecaster.feature_names[:1])
    labels = label_panel(panel, tables.bars, tables.actions, spec)
    placed = place_rows(panel, forecasts)
    scaled = labels.scaled_return[placed.symbol, placed.session]
    is_known = np.isfinite(scaled)
    if not is_known.any():
        return None
    rows, own = placed.where(is_known), forecasts.filter(pl.Series(is_known))
    scaled = scaled[is_known]
    scale = panel.volatility[rows.symbol, rows.session] * np.sqrt(spec.horizon_bars)
    classes = classify_rows(forecaster.class_rule, labels, rows, spec.horizon_bars).classes
    said = own.select(_PROBABILITIES).to_numpy().astype(np.float64)
    said /= said.sum(axis=1, keepdims=True)
    low, high, expected = (
        own[name].to_numpy().astype(np.float64)
        for name in ("interval_low", "interval_high", "expected_return")
    )
    earned = scaled * scale
    is_covered = (earned >= low) & (earned <= high)
    skill = measure_skill(rows.symbol, rows.session, expected / scale, scaled, spec.horizon_bars)
    is_right = (said.argmax(axis=1) == classes).astype(np.float64)
    base = int(np.argmax(forecaster.prior))
    accuracy, base_rate = float(is_right.mean()), float((classes == base).mean())
    independent = count_independent(is_right, rows.session, spec.horizon_bars)
    lowest, highest = wilson_interval(accuracy, independent)
    figures = {
        "log_loss": log_loss(said, classes),
        "log_loss_of_prior": log_loss(np.tile(forecaster.prior, (len(rows), 1)), classes),
        "brier": brier(said, classes),
        "calibration_error": expected_calibration_error(said, classes),
        "accuracy": accuracy,
        "accuracy_low": lowest,
        "accuracy_high": highest,
        "base_rate": base_rate,
        "ic": skill.ic.mean,
        "ic_t": skill.ic.t,
        "rank_ic": skill.rank_ic.mean,
        "rank_ic_t": skill.rank_ic.t,
        "interval_coverage": float(is_covered.mean()),
        "interval_half_width": float(0.5 * (high - low).mean()),
        "set_coverage": float(contains(own["prediction_set"].to_numpy(), classes).mean()),
        "abstains": float(own["abstains"].to_numpy().mean()),
    }
    shown = show_believability(
        "test window, after the fact", said, classes, base_rate, len(rows) / independent
    )
    days, place = np.unique(rows.session, return_inverse=True)
    counts = np.bincount(place)
    track = CoverageTrack(
        sessions=panel.sessions[days],
        covered=np.bincount(place, weights=is_covered) / counts,
        half_width=np.bincount(place, weights=0.5 * (high - low)) / counts,
        target=spec.interval_coverage,
        window=_COVERAGE_SESSIONS,
    )
    known = {name: value for name, value in figures.items() if math.isfinite(value)}
    return Evaluation(known, shown, track)


def show_believability(
    title: str,
    said: Array,
    classes: NDArray[np.int64],
    base_rate: float,
    rows_an_observation: float,
) -> Believability:
    """Return what is drawn of probabilities float64 (n, 3) and what came of them."""
    table = reliability_table(said, classes)
    curve = accuracy_coverage_curve(said, classes)
    return Believability(
        title=title,
        confidence=table.confidence,
        accuracy=table.accuracy,
        rows=table.count,
        confusion=confusion_matrix(said, classes),
        kept_share=curve.coverage,
        kept_accuracy=curve.accuracy,
        base_rate=base_rate,
        calibration_error=expected_calibration_error(said, classes),
        rows_an_observation=rows_an_observation,
    )
