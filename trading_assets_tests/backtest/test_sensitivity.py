"""Recorded weights under other costs, later fills and other capital."""

import math

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.sensitivity import (
    CAPITALS_USD,
    RecordedTrading,
    capital_costs,
    flat_fee,
    has_costs,
    recorded_trading,
    scaled_costs,
    sensitivity_rows,
)
from trading_assets.errors import DataError
from trading_assets.policy.fold import market_of as fold_market
from trading_assets.strategy import CostsSpec
from trading_assets_tests.backtest.markets import market_of, strategy_of
from trading_assets_tests.backtest.stressed_fold import (
    MARKET_DATA,
    recorded,
    redecided_fold,
    stressed,
)

COSTS = CostsSpec.model_validate(
    {
        "fee_bps": 1,
        "half_spread_bps": 2,
        "impact_coefficient": 0.3,
        "quadratic_lambda": 4,
        "financing_bps_per_year": 50,
        "borrow_bps_per_year": 60,
    }
)


def one_trade(**costs) -> RecordedTrading:
    """All in at the second open of 100 USD, 1e6 shares a bar, volatility 2 %, ADV 5e7 USD."""
    strategy = strategy_of(costs={"fee_bps": 0, "half_spread_bps": 0, **costs})
    market = market_of([[100.0], [100.0], [110.0], [121.0]])
    weights = np.ones((2, 1, 1))
    return RecordedTrading(market, ("equal_weight",), weights, range(2), strategy)


def rows_by(rows):
    return {(row["scenario"], row["level"], row["portfolio"]): row for row in rows}


def test_at_declared_costs_and_latency_the_record_is_repeated():
    table = stressed().table
    names = [
        "bars",
        "sum_return",
        "sum_squared_return",
        "worst_drawdown",
        "costs_usd",
        "traded_usd",
    ]
    expected = table.filter(pl.col("scenario") == "recorded")
    for scenario in ("cost_factor", "latency_bars"):
        own = table.filter((pl.col("scenario") == scenario) & (pl.col("level") == 1.0))
        assert own["portfolio"].to_list() == ["equal_weight", "ppo/ensemble"]
        for row in own.iter_rows(named=True):
            other = expected.filter(pl.col("portfolio") == row["portfolio"]).row(0, named=True)
            for name in names:
                assert row[name] == pytest.approx(other[name], rel=1e-9)


def test_every_curve_has_its_levels_for_each_portfolio():
    table = stressed().table
    expected = {
        "cost_factor": [0, 0.5, 1, 2, 5, 10, 20, 50, 100],
        "fee_bps": [0, 1, 2, 5, 10, 20, 50, 100, 200, 500],
        "half_spread_factor": [5],
        "latency_bars": [1, 2, 3, 5],
        "capital_usd": list(CAPITALS_USD),
    }
    for scenario, levels in expected.items():
        for portfolio in ("equal_weight", "ppo/ensemble"):
            own = (pl.col("scenario") == scenario) & (pl.col("portfolio") == portfolio)
            assert table.filter(own)["level"].to_list() == levels


def test_costs_fall_by_the_factor_and_returns_with_them():
    rows = rows_by(stressed().table.iter_rows(named=True))
    earned = [rows[("cost_factor", x, "ppo/ensemble")]["sum_return"] for x in (0, 0.5, 1, 2, 5)]
    assert earned == sorted(earned, reverse=True)
    assert rows[("cost_factor", 0.0, "ppo/ensemble")]["costs_usd"] == 0.0
    spread = rows[("half_spread_factor", 5.0, "ppo/ensemble")]
    own = rows[("cost_factor", 1.0, "ppo/ensemble")]
    # 8 bps more on what is traded, and impact as before.
    more = spread["costs_usd"] - own["costs_usd"]
    assert more == pytest.approx(8e-4 * own["traded_usd"], rel=0.02)


def test_all_costs_are_scaled_and_a_flat_fee_replaces_them():
    assert scaled_costs(COSTS, 2.0) == {
        "fee_bps": 2,
        "half_spread_bps": 4,
        "impact_coefficient": 0.6,
        "quadratic_lambda": 8,
        "financing_bps_per_year": 100,
        "borrow_bps_per_year": 120,
    }
    flat = flat_fee(7.0)
    assert flat.pop("fee_bps") == 7.0
    assert set(flat.values()) == {0.0}
    assert set(flat) | {"fee_bps"} == set(scaled_costs(COSTS, 1.0))
    assert has_costs(COSTS)
    assert not has_costs(CostsSpec(fee_bps=0, half_spread_bps=0))


def test_without_declared_costs_there_is_no_curve_over_their_factor():
    scenarios = {row["scenario"] for row in sensitivity_rows(one_trade())}
    assert scenarios == {"fee_bps", "half_spread_factor", "latency_bars", "capital_usd"}


def test_a_bar_later_the_gain_of_a_bar_is_missed():
    rows = rows_by(sensitivity_rows(one_trade()))
    # Filled at the open of 100 USD, which is its close: the gain is 10 %. One bar later it is 110.
    assert rows[("latency_bars", 1, "equal_weight")]["sum_return"] == pytest.approx(0.1)
    assert rows[("latency_bars", 2, "equal_weight")]["sum_return"] == pytest.approx(0.0)


@pytest.mark.parametrize("declared", [0.0, 0.4])
def test_capital_pays_the_square_root_of_its_share_of_the_volume(declared):
    given = one_trade(impact_coefficient=declared, half_spread_bps=1)
    rows = rows_by(sensitivity_rows(given))
    coefficient = declared or 1.0
    for capital in (1e4, 1e6):
        row = rows[("capital_usd", capital, "equal_weight")]
        bought = row["traded_usd"]
        rate = 1e-4 + coefficient * 0.02 * math.sqrt(bought / 5e7)
        assert row["costs_usd"] == pytest.approx(bought * rate, rel=1e-3)


def test_no_more_than_a_tenth_of_a_bars_volume_is_filled():
    rows = rows_by(sensitivity_rows(one_trade()))
    # 1e5 of 1e6 shares at the open of 100 USD, then 1e5 more at 110 USD.
    row = rows[("capital_usd", 1e9, "equal_weight")]
    assert row["traded_usd"] == pytest.approx(1e5 * 100.0 + 1e5 * 110.0, rel=1e-9)
    assert capital_costs(CostsSpec(max_participation=0.05))["max_participation"] == 0.05
    assert capital_costs(CostsSpec(max_participation=0.5))["max_participation"] == 0.1


def test_a_portfolio_that_lacks_decisions_is_refused():
    given, tables = redecided_fold(), recorded().tables
    market = fold_market(given.tables, MARKET_DATA)
    first = tables.weights["session"].min()
    cut = tables.weights.filter(
        (pl.col("portfolio") != "ppo/ensemble") | (pl.col("session") != first)
    )
    with pytest.raises(DataError, match=r"expected one for each of .* backtest the fold again"):
        recorded_trading(market, cut, ["ppo/ensemble", "equal_weight"], given.strategy)
    with pytest.raises(DataError, match="0 weights of nobody were recorded"):
        recorded_trading(market, cut, ["nobody"], given.strategy)
