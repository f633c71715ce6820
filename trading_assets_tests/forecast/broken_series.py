"""Scaled returns whose deviation changes half-way, as a model that does not notice forecasts them.

Used by tests and by the benchmark of conformal limits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trading_assets.forecast.adaptive_limits import run, start
from trading_assets.forecast.conformal import conformal_quantile
from trading_assets.forecast.conformal_state import CoverageRule
from trading_assets.forecast.outcomes import Outcomes
from trading_assets.forecast.predictions import Predictions

RULE = CoverageRule(horizon_bars=5, interval_coverage=0.9, set_coverage=0.9, adaptation_rate=0.05)
FIRST_DAY = np.datetime64("2000-01-03", "D")
WINDOW_BARS = 250
# Classes of a scaled return by its terciles.
_TERCILE = 0.4307


@dataclass(frozen=True)
class Series:
    """Scaled returns (T, N) of `symbols` over `bars` sessions, and those to start from."""

    calibration: np.ndarray
    returns: np.ndarray
    horizon_bars: int


def draw_series(
    seed: int,
    bars: int,
    horizon_bars: int,
    ratio: float = 2**0.5,
    symbols: int = 1,
    start: int = 500,
) -> Series:
    """Return Gaussian scaled returns of deviation 1, and `ratio` from the middle on.

    Labels overlap over the horizon; with several symbols half the variance of a bar is shared.
    500 rows come before, to start from.
    """
    rng = np.random.default_rng(seed)
    before = -(-500 // symbols) + horizon_bars
    shape = (before + bars + horizon_bars - 1, symbols)
    shocks = rng.normal(size=shape)
    if symbols > 1:
        shocks = np.sqrt(0.5) * (shocks + rng.normal(size=(shape[0], 1)))
    shocks[before + bars // 2 :] *= ratio
    windows = np.lib.stride_tricks.sliding_window_view(shocks, horizon_bars, axis=0)
    returns = windows.sum(axis=-1) / np.sqrt(horizon_bars)
    return Series(returns[: before - horizon_bars], returns[before:], horizon_bars)


def naive_predictions(rows: int) -> Predictions:
    """Return forecasts of mean 0, deviation 1 and equal classes."""
    nothing = np.zeros(rows)
    return Predictions(np.full((rows, 3), 1 / 3), nothing, np.ones(rows), nothing, nothing)


def outcomes_of(returns: np.ndarray, horizon_bars: int, first: int) -> Outcomes:
    """Return the outcomes of scaled returns (T, N) from session `first` on, row by session."""
    bars, symbols = returns.shape
    session = FIRST_DAY + first + np.repeat(np.arange(bars), symbols)
    classes = (returns > -_TERCILE).astype(np.int64) + (returns > _TERCILE)
    names = [f"S{symbol:02d}" for symbol in range(symbols)] * bars
    return Outcomes(names, session, returns.ravel(), classes.ravel(), session + horizon_bars)


def adaptive_misses(series: Series, rule: CoverageRule = RULE) -> np.ndarray:
    """Return whether each return (T, N) lay outside its adaptive interval."""
    rule = rule.model_copy(update={"horizon_bars": series.horizon_bars})
    calibration = outcomes_of(series.calibration, series.horizon_bars, 0)
    state = start(rule, naive_predictions(len(calibration)), calibration)
    first = len(series.calibration) + series.horizon_bars
    outcomes = outcomes_of(series.returns, series.horizon_bars, first)
    predictions = naive_predictions(len(outcomes))
    _, limits = run(state, outcomes.session, outcomes.symbol, predictions, outcomes)
    outside = (outcomes.scaled_return < limits.low) | (outcomes.scaled_return > limits.high)
    return outside.reshape(series.returns.shape)


def frozen_misses(series: Series, coverage: float = 0.9) -> np.ndarray:
    """Return whether each return (T, N) lay outside the interval of split conformal inference."""
    scores = np.abs(series.calibration.ravel())
    return np.abs(series.returns) > conformal_quantile(scores, 1.0 - coverage)


def summarise(
    seeds: Sequence[int], horizon_bars: int, ratio: float, symbols: int = 1, bars: int = 5000
) -> dict[str, float]:
    """Return the lowest and highest coverage over seeds, the worst window and where it was."""
    drawn = [draw_series(seed, bars, horizon_bars, ratio, symbols) for seed in seeds]
    adaptive = [adaptive_misses(series) for series in drawn]
    coverage = [1.0 - float(misses.mean()) for misses in adaptive]
    windows = [float(window_coverage(misses).min()) for misses in adaptive]
    frozen = [1.0 - float(frozen_misses(series)[bars // 2 :].mean()) for series in drawn]
    return {
        "lowest_coverage": min(coverage),
        "highest_coverage": max(coverage),
        "worst_window": min(windows),
        "worst_seed": seeds[windows.index(min(windows))],
        "share_above_85": float(np.mean(np.array(windows) >= 0.85)),
        "frozen_after": float(np.mean(frozen)),
    }


def window_coverage(misses: np.ndarray) -> np.ndarray:
    """Return the coverage of each 250 sessions in a row that hold the first after the break."""
    by_session = 1.0 - misses.mean(axis=1)
    windows = np.convolve(by_session, np.full(WINDOW_BARS, 1.0 / WINDOW_BARS), "valid")
    half = len(by_session) // 2
    return windows[max(0, half - WINDOW_BARS + 1) : half + 1]
