"""Optimised weights as portfolios that trade every so many bars, in place of learned weights.

Unlike the rules of `backtest.periodic_rules` they see what they hold and what trading costs.
"""

import numpy as np

from trading_assets.backtest.engine import Decide
from trading_assets.optimiser_specs import OptimiserSpec
from trading_assets.risk.optimisers import optimise_weights
from trading_assets.simulation.core import Books, Floats, held_weights
from trading_assets.simulation.market import Market, total_returns_of
from trading_assets.strategy import Strategy


def optimised_decision(
    market: Market, strategy: Strategy, spec: OptimiserSpec, first_row: int
) -> Decide:
    """Return the decision function of an optimiser.

    It decides at the first row and every `spec.holding_bars` after it, and keeps its shares at all
    others. It sees total returns up to and including the decision's row, the book, and the costs
    that do not depend on what is traded: fee and half spread.

    Parameters
    ----------
    market : Market
        The market that is traded, from `spec.lookback_bars` before the first row on.
    strategy : Strategy
        Costs, sizing and initial equity.
    spec : OptimiserSpec
        What is optimised.
    first_row : int
        Row of the first decision.
    """
    returns = total_returns_of(market.close, market.split_ratio, market.cash_per_share)
    costs = strategy.costs
    cost_bps = np.full(len(market.symbols), costs.fee_bps + costs.half_spread_bps)
    sizing, notional_usd = strategy.policy.sizing, strategy.backtest.initial_equity_usd

    def decide(row: int, books: Books) -> Floats | None:
        if (row - first_row) % spec.holding_bars:
            return None
        held = held_weights(books, sizing, notional_usd)[0]
        past = returns[max(row + 1 - spec.lookback_bars, 0) : row + 1]
        return optimise_weights(past, held, cost_bps, spec).weights

    return decide
