"""Recorded target weights traded under other costs, later, or with other capital.

The weights are held fixed: an agent that had known of it might have decided otherwise.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from trading_assets.backtest.stress_rows import Earned, earned_by, row_of
from trading_assets.backtest.vectorised import trade_weights
from trading_assets.errors import DataError
from trading_assets.simulation.market import Market
from trading_assets.simulation.market import row_of as market_row
from trading_assets.simulation.terms import Floats
from trading_assets.strategy import CostsSpec, Strategy

# Scenarios of table `stress`; the level is in the unit that the name says.
COSTS, HALF_SPREAD, FEE = "cost_factor", "half_spread_factor", "fee_bps"
LATENCY, CAPITAL = "latency_bars", "capital_usd"

SHOWN_FACTORS = (0.0, 0.5, 1.0, 2.0, 5.0)
# What lies beyond is only looked at for where nothing is left.
COST_FACTORS = (*SHOWN_FACTORS, 10.0, 20.0, 50.0, 100.0)
FEES_BPS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)
SPREAD_FACTOR = 5.0
LATENCIES_BARS = (1, 2, 3, 5)
CAPITALS_USD = (1e4, 1e5, 1e6, 1e7, 1e8, 1e9)
# Y of the square-root law where none is declared; of order 1 in markets of all kinds: Toth and
# others, Anomalous Price Impact and the Critical Nature of Liquidity, Phys. Rev. X 1 (2011).
USUAL_IMPACT = 1.0
MAX_PARTICIPATION = 0.1

_SCALED = (
    "fee_bps",
    "half_spread_bps",
    "impact_coefficient",
    "quadratic_lambda",
    "financing_bps_per_year",
    "borrow_bps_per_year",
)


@dataclass(frozen=True, slots=True)
class RecordedTrading:
    """A fold's recorded target weights, to be traded again.

    Attributes
    ----------
    market : Market
        The market that was traded.
    portfolios : tuple of str
        K names.
    weights : float64 (R, K, N)
        Target weights after limits.
    rows : range
        Rows of the market at whose close they were decided.
    strategy : Strategy
        Costs, sizing and equity as they are declared.
    """

    market: Market
    portfolios: tuple[str, ...]
    weights: Floats
    rows: range
    strategy: Strategy

    def trade(
        self, costs: Mapping[str, Any] | None = None, initial_usd: float | None = None
    ) -> dict[str, Earned]:
        """Return what each portfolio earns with other costs or another equity at the start.

        Raises
        ------
        DataError
            If a symbol that is traded lacks a volume or a volatility that the costs need.
        """
        declared = self.strategy
        initial = declared.backtest.initial_equity_usd if initial_usd is None else initial_usd
        strategy = declared.model_copy(
            update={
                "costs": declared.costs.model_copy(update=dict(costs or {})),
                "backtest": declared.backtest.model_copy(update={"initial_equity_usd": initial}),
            }
        )
        traded = trade_weights(self.market, self.portfolios, self.weights, self.rows, strategy)
        return earned_by(traded, initial)


def recorded_trading(
    market: Market, weights: pl.DataFrame, portfolios: Sequence[str], strategy: Strategy
) -> RecordedTrading:
    """Return recorded weights of some portfolios as the vectorised engine takes them.

    Parameters
    ----------
    market : Market
        The market that was traded.
    weights : DataFrame
        Table `weights` of one fold.
    portfolios : sequence of str
        Portfolios to trade again.
    strategy : Strategy
        As it is declared.

    Raises
    ------
    DataError
        If a portfolio lacks a decision.
    """
    names = tuple(sorted(portfolios))
    own = weights.filter(pl.col("portfolio").is_in(names))
    decided = own["session"].unique().sort().to_list()
    order = pl.DataFrame({"symbol": market.symbols, "column": range(len(market.symbols))})
    placed = own.join(order, on="symbol").sort("session", "portfolio", "column")
    shape = (len(decided), len(names), len(market.symbols))
    if not decided or len(placed) != np.prod(shape):
        msg = (
            f"{len(placed)} weights of {', '.join(names)} were recorded; expected one for each of"
            f" {shape} decisions, portfolios and symbols: backtest the fold again"
        )
        raise DataError(msg)
    rows = range(market_row(market, decided[0]), market_row(market, decided[-1]) + 1)
    targets = placed["weight"].to_numpy().reshape(shape)
    return RecordedTrading(market, names, targets, rows, strategy)


def sensitivity_rows(trading: RecordedTrading) -> list[dict[str, object]]:
    """Return rows of table `stress`: curves over costs, latency and capital.

    All declared costs by factors; a flat fee in place of them; the half spread alone; bars from the
    decision to its fill; capital under the declared impact, or the usual one where none is
    declared, and at most a tenth of each bar's volume.
    """
    declared = trading.strategy.costs
    rows: list[dict[str, object]] = []
    if has_costs(declared):
        rows += _curve(trading, COSTS, COST_FACTORS, lambda x: scaled_costs(declared, x))
    rows += _curve(trading, FEE, FEES_BPS, flat_fee)
    rows += _curve(
        trading,
        HALF_SPREAD,
        (SPREAD_FACTOR,),
        lambda factor: {"half_spread_bps": factor * declared.half_spread_bps},
    )
    rows += _curve(trading, LATENCY, LATENCIES_BARS, lambda bars: {"latency_bars": int(bars)})
    own = capital_costs(declared)
    for capital in CAPITALS_USD:
        rows += rows_of(CAPITAL, capital, trading.trade(own, capital))
    return rows


def has_costs(costs: CostsSpec) -> bool:
    """Return whether trading or holding costs anything."""
    return any(getattr(costs, name) > 0.0 for name in _SCALED)


def scaled_costs(costs: CostsSpec, factor: float) -> dict[str, float]:
    """Return all costs of trading and holding times a factor."""
    return {name: factor * getattr(costs, name) for name in _SCALED}


def flat_fee(fee_bps: float) -> dict[str, float]:
    """Return costs that are a fee on the notional and nothing else."""
    return {**dict.fromkeys(_SCALED, 0.0), "fee_bps": fee_bps}


def capital_costs(costs: CostsSpec) -> dict[str, float]:
    """Return what is assumed of impact and of the share of a bar's volume for other capital."""
    declared = costs.max_participation
    return {
        "impact_coefficient": costs.impact_coefficient or USUAL_IMPACT,
        "max_participation": min(declared, MAX_PARTICIPATION) if declared else MAX_PARTICIPATION,
    }


def _curve(
    trading: RecordedTrading,
    scenario: str,
    levels: Sequence[float],
    costs_at: Callable[[float], Mapping[str, Any]],
) -> list[dict[str, object]]:
    return [
        row for level in levels for row in rows_of(scenario, level, trading.trade(costs_at(level)))
    ]


def rows_of(scenario: str, level: float, earned: Mapping[str, Earned]) -> list[dict[str, object]]:
    """Return a row of table `stress` for each portfolio."""
    return [row_of(scenario, level, portfolio, own) for portfolio, own in earned.items()]
