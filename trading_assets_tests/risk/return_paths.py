"""Returns of which it is known how they came about, and coverage counted over seeds."""

import numpy as np

from trading_assets.risk.exceedances import LikelihoodRatio, find_exceedances, judge_coverage
from trading_assets.risk.rolling_tail_risk import forecast_tail_risk
from trading_assets.tail_risk_specs import TailRiskMethod, TailRiskSpec

ALPHA, BETA, FREEDOM, DEVIATION = 0.1, 0.88, 6.0, 0.01
WINDOW_BARS, TESTED_BARS = 1_000, 1_000


def gaussian_returns(seed: int, bars: int = WINDOW_BARS + TESTED_BARS) -> np.ndarray:
    return 0.0003 + DEVIATION * np.random.default_rng(seed).standard_normal(bars)


def student_returns(seed: int, bars: int = WINDOW_BARS + TESTED_BARS) -> np.ndarray:
    scale = DEVIATION * np.sqrt((FREEDOM - 2.0) / FREEDOM)
    return scale * np.random.default_rng(seed).standard_t(FREEDOM, bars)


def expanded_returns(seed: int, bars: int = WINDOW_BARS + TESTED_BARS) -> np.ndarray:
    """Return what the Cornish-Fisher expansion makes of a Gaussian, skewed by -0.3, kurtosis 4."""
    z = np.random.default_rng(seed).standard_normal(bars)
    skew, excess = -0.3, 1.0
    cubic = (z**3 - 3.0 * z) * excess / 24.0 - (2.0 * z**3 - 5.0 * z) * skew**2 / 36.0
    return DEVIATION * (z + (z**2 - 1.0) * skew / 6.0 + cubic)


def garch_returns(seed: int, bars: int = WINDOW_BARS + TESTED_BARS) -> np.ndarray:
    surprises = student_returns(seed, bars) / DEVIATION
    returns = np.empty(bars)
    variance = DEVIATION**2
    for bar in range(bars):
        returns[bar] = np.sqrt(variance) * surprises[bar]
        fresh = (1.0 - ALPHA - BETA) * DEVIATION**2
        variance = fresh + ALPHA * returns[bar] ** 2 + BETA * variance
    return returns


def exceedances_of(returns: np.ndarray, method: TailRiskMethod, tail: float = 0.01) -> np.ndarray:
    spec = TailRiskSpec(method=method, tail=tail, window_bars=WINDOW_BARS, refit_bars=50)
    forecast = forecast_tail_risk(returns, spec)
    return find_exceedances(returns[WINDOW_BARS:], forecast.value_at_risk[WINDOW_BARS:-1])


def coverage_of(returns: np.ndarray, method: TailRiskMethod, tail: float = 0.01) -> LikelihoodRatio:
    beyond = exceedances_of(returns, method, tail)
    return judge_coverage(int(beyond.sum()), len(beyond), tail)


def share_that_pass(method: TailRiskMethod, seeds: int) -> float:
    """Return the share of GARCH-t series whose exceedances Kupiec's test lets pass at 5 %."""
    passed = [coverage_of(garch_returns(seed), method).p_value > 0.05 for seed in range(seeds)]
    return float(np.mean(passed))
