from dataclasses import replace

import numpy as np
import pytest

from trading_assets.backtest.event_engine import EventEngine
from trading_assets.backtest.orders import Rebalance
from trading_assets.backtest.series import prepare_series, trade_each_symbol
from trading_assets.backtest.vectorised import trade_weights
from trading_assets.errors import DataError
from trading_assets.simulation.compiled.layout import EQUITY
from trading_assets_tests.backtest.markets import market_of, random_market, strategy_of

CASH = 1_000_000.0
CASES = {
    "long only": {"costs": {"fee_bps": 5, "half_spread_bps": 5, "impact_coefficient": 0.5}},
    "whole lots": {"costs": {"fee_bps": 5, "lot_shares": 10, "tick_usd": 0.01}},
    "a share of the volume": {"costs": {"fee_bps": 5, "max_participation": 0.002}},
    "short on credit": {
        "costs": {"fee_bps": 5, "financing_bps_per_year": 400, "borrow_bps_per_year": 200},
        "policy": {"position": "long_short"},
    },
    "constant notional": {
        "costs": {"fee_bps": 0, "half_spread_bps": 0, "quadratic_lambda": 5},
        "policy": {"position": "long_short", "sizing": "constant_notional"},
    },
}


def position_series(seed: int, bars: int, symbols: int, is_long_only: bool):
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.0 if is_long_only else -1.0, 1.0, (bars, symbols))
    weights[rng.random(weights.shape) < 0.8] = np.nan
    return weights


def traded(market, weights, strategy):
    is_constant = strategy.policy.sizing == "constant_notional"
    prepared = prepare_series(
        market,
        strategy.costs,
        is_long_only=strategy.policy.position == "long_only",
        notional_usd=CASH if is_constant else None,
    )
    return trade_each_symbol(prepared, weights, CASH)


def alone(market, column):
    own = slice(column, column + 1)
    names = ("open", "close", "volume", "tradable", "split_ratio", "cash_per_share")
    names += ("volatility", "adv_usd", "payout_per_share")
    parts = {name: np.ascontiguousarray(getattr(market, name)[:, own]) for name in names}
    return replace(market, symbols=market.symbols[own], **parts)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("case", CASES)
def test_each_account_has_the_bits_of_the_event_driven_engine(case: str, seed: int):
    market, strategy = random_market(seed), strategy_of(**CASES[case])
    is_long_only = strategy.policy.position == "long_only"
    weights = position_series(seed, len(market.sessions) - 1, 4, is_long_only)
    equity = traded(market, weights, strategy)
    for column in range(4):
        single = alone(market, column)
        engine = EventEngine(single, strategy, 1, 0)
        for row, wanted in enumerate(weights[:, column]):
            price = single.close[row, 0]
            if np.isfinite(wanted) and np.isfinite(price):
                base = CASH if strategy.policy.sizing == "constant_notional" else engine.equity[0]
                engine.place([Rebalance(0, np.array([wanted * max(base, 0.0) / price]))])
            engine.carry()
            assert engine.equity[0] == equity[row, column]


def test_weights_at_every_bar_equal_a_window_of_weights():
    market = alone(random_market(1), 2)
    strategy = strategy_of(**CASES["long only"])
    weights = np.random.default_rng(1).uniform(0, 1, (len(market.sessions) - 1, 1))
    rows = range(len(weights))
    window = trade_weights(market, ["a"], weights[:, None], rows, strategy)
    np.testing.assert_array_equal(traded(market, weights, strategy), window.outcomes[:, :, EQUITY])


def test_all_in_or_flat_is_what_a_hand_computes():
    market = market_of([[100.0], [110.0], [121.0], [121.0]], opens=[[99], [100.0], [110], [120]])
    strategy = strategy_of(costs={"fee_bps": 10, "half_spread_bps": 0})
    equity = traded(market, np.array([[1.0], [np.nan], [0.0]]), strategy)
    shares = CASH / 100.0 / 1.001
    sold = shares * 120 * (1 - 0.001)
    expected = [[shares * 110], [shares * 121], [sold]]
    np.testing.assert_allclose(equity, expected, rtol=1e-9)


def test_a_market_is_prepared_once_for_many_rules():
    market, strategy = random_market(0), strategy_of(**CASES["long only"])
    prepared = prepare_series(market, strategy.costs)
    one = position_series(0, len(market.sessions) - 1, 4, is_long_only=True)
    other = position_series(1, len(market.sessions) - 1, 4, is_long_only=True)
    first = trade_each_symbol(prepared, one, CASH)
    trade_each_symbol(prepared, other, CASH)
    np.testing.assert_array_equal(trade_each_symbol(prepared, one, CASH), first)


def test_another_shape_and_a_latency_are_refused():
    market, strategy = random_market(0), strategy_of()
    prepared = prepare_series(market, strategy.costs)
    with pytest.raises(DataError, match="a row for each bar but the last"):
        trade_each_symbol(prepared, np.zeros(market.close.shape), CASH)
    late = strategy_of(costs={"latency_bars": 2})
    with pytest.raises(DataError, match="latency_bars was 2; expected 1"):
        prepare_series(market, late.costs)


def test_a_price_that_is_missing_where_it_is_needed_is_refused():
    market = random_market(0)
    costs = strategy_of(costs={"impact_coefficient": 1.0}).costs
    broken = replace(market, volatility=np.full(market.close.shape, np.nan))
    weights = np.full((len(market.sessions) - 1, 4), np.nan)
    weights[5] = 0.5
    with pytest.raises(DataError, match="equity became nan"):
        trade_each_symbol(prepare_series(broken, costs), weights, CASH)
