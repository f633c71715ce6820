"""How often the test for superior predictive ability finds something where nothing is."""

import multiprocessing
import os

import numpy as np

from trading_assets_tests.backtest.null_panels import judge_panel
from trading_assets_tests.benchmarks.figures import Figure, keep

PANELS, LEVEL, MOST_PCT = 500, 0.05, 8.0


def learn_superiority() -> list[str]:
    """Count rejections at 5 % among worthless panels, keep them, return what is missed."""
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        found = pool.map(judge_panel, range(PANELS), chunksize=25)
    size = 100.0 * float(np.mean([one.p_value < LEVEL for one in found]))
    named = 100.0 * float(np.mean([bool(one.better) for one in found]))
    sizes = {"backtest.spa_size_pct": size, "backtest.stepm_size_pct": named}
    for name, value in sizes.items():
        keep(Figure(name, value, "%", limit=MOST_PCT))
    return [name for name, value in sizes.items() if value > MOST_PCT]
