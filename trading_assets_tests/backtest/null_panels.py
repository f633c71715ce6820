"""Panels of strategies that are worth nothing, held against a benchmark that is not either."""

import numpy as np

from trading_assets.backtest.superiority import Superiority, judge_superiority


def draw_panel(
    seed: int, bars: int = 500, count: int = 10
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return independent daily returns of `count` strategies and of the benchmark, (bars,) each."""
    returns = 0.01 * np.random.default_rng(seed).standard_normal((bars, count + 1))
    return {f"s{place}": returns[:, place] for place in range(count)}, returns[:, count]


def judge_panel(seed: int) -> Superiority:
    """Return what the tests say of one panel."""
    return judge_superiority(*draw_panel(seed), seed=seed)
