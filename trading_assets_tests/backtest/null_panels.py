"""Panels of worthless strategies of one market, against a benchmark that is worth no more."""

import numpy as np

from trading_assets.backtest.superiority import Superiority, judge_superiority


def draw_panel(
    seed: int, bars: int = 500, count: int = 10
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return daily returns of `count` strategies and of the benchmark, (bars,) each.

    All hold one market, 0.4 of whose deviation each departs from it by, more or less of the market
    each; calm and wild times come in clusters (GARCH, 0.08 and 0.9) that all of them share.
    """
    rng = np.random.default_rng(seed)
    shock = rng.standard_normal(bars)
    market, variance = np.empty(bars), np.empty(bars)
    variance[0] = 1.0
    for bar in range(bars):
        market[bar] = np.sqrt(variance[bar]) * shock[bar]
        if bar + 1 < bars:
            variance[bar + 1] = 0.02 + 0.08 * market[bar] ** 2 + 0.9 * variance[bar]
    held = 1.0 + 0.2 * rng.standard_normal(count + 1)
    departures = 0.4 * np.sqrt(variance)[:, None] * rng.standard_normal((bars, count + 1))
    returns = 0.01 * (held * market[:, None] + departures)
    return {f"s{place}": returns[:, place] for place in range(count)}, returns[:, count]


def judge_panel(seed: int) -> Superiority:
    """Return what the tests say of one panel."""
    return judge_superiority(*draw_panel(seed), seed=seed)
