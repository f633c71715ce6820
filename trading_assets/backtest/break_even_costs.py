"""The costs at which nothing is left of recorded trading, or no more than of equal weights."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trading_assets.backtest.break_even import break_even
from trading_assets.backtest.sensitivity import (
    COST_FACTORS,
    COSTS,
    FEE,
    FEES_BPS,
    RecordedTrading,
    flat_fee,
    has_costs,
    scaled_costs,
)
from trading_assets.backtest.stress_rows import row_of

EQUAL_WEIGHT = "equal_weight"
# Scenarios of table `stress`: these, an underscore, and whether the level is a factor or a fee.
BREAK_EVEN, MATCHING = "break_even", "equal_to_equal_weight"

CostsAt = Callable[[float], Mapping[str, Any]]


def break_even_rows(trading: RecordedTrading) -> list[dict[str, object]]:
    """Return rows of table `stress` at the costs where a fold's portfolios earn nothing.

    `break_even`: the mean net return is 0; `equal_to_equal_weight`: it is that of equal weights.
    The level is a factor on all declared costs, or a flat fee in place of them. Where there is no
    such cost there is no row.

    Parameters
    ----------
    trading : RecordedTrading
        With `equal_weight` among its portfolios.
    """
    declared = trading.strategy.costs
    kinds: dict[str, tuple[CostsAt, Sequence[float]]] = {FEE: (flat_fee, FEES_BPS)}
    if has_costs(declared):
        kinds[COSTS] = (lambda factor: scaled_costs(declared, factor), COST_FACTORS)
    rows: list[dict[str, object]] = []
    for kind, (costs_at, grid) in kinds.items():
        for portfolio in trading.portfolios:
            for scenario, benchmark in ((BREAK_EVEN, None), (MATCHING, EQUAL_WEIGHT)):
                if portfolio == benchmark:
                    continue
                level = break_even_cost(trading, portfolio, costs_at, grid, benchmark)
                if math.isfinite(level):
                    own = trading.trade(costs_at(level))[portfolio]
                    rows.append(row_of(f"{scenario}_{kind}", level, portfolio, own))
    return rows


def break_even_cost(
    trading: RecordedTrading,
    portfolio: str,
    costs_at: CostsAt,
    grid: Sequence[float],
    benchmark: str | None = None,
) -> float:
    """Return the cost at which a portfolio's mean net return is 0, or a benchmark's.

    Parameters
    ----------
    trading : RecordedTrading
        Weights that are traded at each cost.
    portfolio : str
        Whose return it is.
    costs_at : callable
        Fields of the costs at a level, such as `flat_fee`.
    grid : sequence of float
        Levels in ascending order between which it is sought.
    benchmark : str, optional
        A portfolio that pays the same.

    Returns
    -------
    float
        `nan` where there is none on the grid.
    """

    def net(level: float) -> float:
        earned = trading.trade(costs_at(level))
        other = 0.0 if benchmark is None else float(earned[benchmark].returns.mean())
        return float(earned[portfolio].returns.mean()) - other

    return break_even(net, grid)
