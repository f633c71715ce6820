"""The report's tables of an ablation of forecasts: agent by agent, then seeds and folds."""

from collections.abc import Sequence
from html import escape

import numpy as np

from trading_assets.backtest.cells import number, percent, with_interval
from trading_assets.backtest.figures import Judgement
from trading_assets.backtest.fold_ablation import WITH, WITHOUT
from trading_assets.backtest.forecast_effect import ForecastEffect, SeedMeans, sharpe_ratios
from trading_assets.backtest.metrics import Series
from trading_assets.backtest.page_parts import Table

BPS = 1e4


def agents_table(effects: Sequence[ForecastEffect], judgement: Judgement) -> Table:
    """Return both arms of each agent, their differences and intervals."""
    return Table(
        caption=(
            "Means over seeds, each seed traded for itself; small print:"
            f" {100 * judgement.confidence:g} % intervals"
        ),
        header=[
            "Agent",
            "Net return with, bps a session",
            "Without",
            "Difference",
            "p, two-sided",
            "Sharpe with",
            "Without",
            "Difference",
            "p, two-sided",
            "Seeds better",
            "Sessions",
        ],
        rows=[
            [
                escape(effect.arms.agent),
                *_compared(effect.mean_return, BPS),
                *_compared(effect.sharpe_annual, 1.0),
                percent(effect.share_of_seeds_better, 0),
                number(len(effect.arms.sessions), 0),
            ]
            for effect in effects
        ],
    )


def parts_table(effects: Sequence[ForecastEffect]) -> Table:
    """Return both arms of each agent seed by seed and fold by fold."""
    rows: list[list[str]] = []
    for effect in effects:
        arms = effect.arms
        everything = np.ones(len(arms.sessions), dtype=np.bool_)
        one_by_one = {f"seed {seed}": [place] for place, seed in enumerate(arms.seeds)}
        parts = [(label, seeds, everything) for label, seeds in one_by_one.items()]
        of_all = list(range(len(arms.seeds)))
        parts += [(f"fold {key}", of_all, arms.folds == key) for key in arms.fold_keys]
        for label, seeds, sessions in parts:
            own = [arms.returns[arm][seeds][:, sessions] for arm in (WITH, WITHOUT)]
            rows.append([f"{escape(arms.agent)}, {label}", *_part_cells(*own)])
    return Table(
        caption="The same seed by seed, and fold by fold as means over seeds",
        header=[
            "Agent and part",
            "Net return with, bps a session",
            "Without",
            "Difference",
            "Sharpe with",
            "Without",
            "Difference",
        ],
        rows=rows,
    )


def _part_cells(with_forecasts: Series, without_forecasts: Series) -> list[str]:
    means = [BPS * float(own.mean()) for own in (with_forecasts, without_forecasts)]
    ratios = [float(sharpe_ratios(own).mean()) for own in (with_forecasts, without_forecasts)]
    return [number(value) for own in (means, ratios) for value in (*own, own[0] - own[1])]


def _compared(found: SeedMeans, unit: float) -> list[str]:
    low, high = (number(unit * end) for end in (found.low, found.high))
    return [
        number(unit * found.with_forecasts),
        number(unit * found.without_forecasts),
        with_interval(number(unit * found.difference), low, high),
        number(found.p_value, 3),
    ]
