"""Costs at which nothing is left: found by hand, on lines, and not where there are none."""

import math

import numpy as np
import pytest

from trading_assets.backtest.break_even import break_even, crossing
from trading_assets.backtest.break_even_costs import break_even_cost, break_even_rows
from trading_assets.backtest.sensitivity import (
    COST_FACTORS,
    FEES_BPS,
    RecordedTrading,
    flat_fee,
    scaled_costs,
)
from trading_assets_tests.backtest.markets import market_of, strategy_of

# Bought at the open of 100 USD with the whole notional, sold at the next one of 101 USD. With the
# fee b on each notional the returns are -b and (0.01 - 1.01 b) / (1 - b); their sum is 0 where
# b^2 - 2.01 b + 0.01 = 0.
FEE_BPS = 1e4 * (2.01 - math.sqrt(2.01**2 - 0.04)) / 2.0


def trading(exit_usd: float = 101.0, fee_bps: float = 1.0) -> RecordedTrading:
    strategy = strategy_of(
        policy={"position": "long_short", "sizing": "constant_notional"},
        costs={"fee_bps": fee_bps, "half_spread_bps": 2.0 * fee_bps},
    )
    market = market_of([[100.0], [100.0], [exit_usd], [exit_usd]])
    weights = np.array([[[0.5], [1.0]], [[0.5], [0.0]]])
    return RecordedTrading(market, ("equal_weight", "ppo/ensemble"), weights, range(2), strategy)


def test_the_flat_fee_is_the_one_solved_by_hand():
    found = break_even_cost(trading(), "ppo/ensemble", flat_fee, FEES_BPS)
    assert found == pytest.approx(FEE_BPS, rel=1e-6)


def test_the_factor_on_declared_costs_is_that_fee_over_them():
    given = trading()
    found = break_even_cost(
        given, "ppo/ensemble", lambda x: scaled_costs(given.strategy.costs, x), COST_FACTORS
    )
    assert found == pytest.approx(FEE_BPS / 3.0, rel=1e-6)


def test_equal_weights_earn_as_much_where_their_returns_cross():
    # Half of it bought once and kept earns -b / 2 and 0.005 / (1 - b / 2): the whole is ahead until
    # its second trade has cost what it gained more.
    def ahead(b: float) -> float:
        own = -b + (0.01 - 1.01 * b) / (1 - b)
        # Its half is rebalanced from 0.505 to 0.5 of the notional only at the row after.
        other = -b / 2 + 0.005 / (1 - b / 2)
        return own - other

    given = trading()
    found = 1e-4 * break_even_cost(given, "ppo/ensemble", flat_fee, FEES_BPS, "equal_weight")
    assert ahead(found) == pytest.approx(0.0, abs=1e-9)
    assert found > 0.0


def test_what_loses_before_costs_has_no_break_even_and_no_row():
    given = trading(exit_usd=99.0)
    assert math.isnan(break_even_cost(given, "ppo/ensemble", flat_fee, FEES_BPS))
    names = {(row["scenario"], row["portfolio"]) for row in break_even_rows(given)}
    assert ("break_even_fee_bps", "ppo/ensemble") not in names


def test_rows_are_at_the_roots_and_hold_what_is_earned_there():
    rows = {(row["scenario"], row["portfolio"]): row for row in break_even_rows(trading())}
    own = rows[("break_even_fee_bps", "ppo/ensemble")]
    assert own["level"] == pytest.approx(FEE_BPS, rel=1e-6)
    assert own["sum_return"] == pytest.approx(0.0, abs=1e-9)
    factor = rows[("break_even_cost_factor", "ppo/ensemble")]
    assert factor["costs_usd"] == pytest.approx(own["costs_usd"], rel=1e-6)
    assert not any(key == ("equal_to_equal_weight_fee_bps", "equal_weight") for key in rows)


def test_without_declared_costs_there_is_a_fee_and_no_factor():
    scenarios = {row["scenario"] for row in break_even_rows(trading(fee_bps=0.0))}
    assert scenarios
    assert all(scenario.endswith("fee_bps") for scenario in scenarios)


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        (lambda x: 3.0 - x, 3.0),
        (lambda x: 0.5 - x * x, math.sqrt(0.5)),
        (lambda x: -x, math.nan),
        (lambda x: -1.0 + x, math.nan),
        (lambda x: 20.0 - x, math.nan),
        (lambda x: math.nan, math.nan),
        (lambda x: math.nan if x >= 2.0 else 3.0 - x, math.nan),
        (lambda x: math.nan if x == 2.0 else 3.0 - x, math.nan),
        (lambda x: math.nan if x >= 5.0 else 1.5 - x, 1.5),
    ],
)
def test_a_root_is_found_between_grid_points_or_not_at_all(net, expected):
    assert break_even(net, (0.0, 1.0, 2.0, 5.0)) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((3.0, 1.0, -1.0), 15.0),
        ((3.0, 0.0, -1.0), 10.0),
        ((0.0, -1.0, -2.0), math.nan),
        ((3.0, 2.0, 1.0), math.inf),
        ((3.0, math.nan, -1.0), math.nan),
        ((3.0, 2.0, math.nan), math.nan),
        ((math.nan, 2.0, -1.0), math.nan),
        ((3.0, -1.0, math.nan), 7.5),
        ((-1.0, 1.0, -1.0), math.nan),
    ],
)
def test_a_curve_crosses_where_its_straight_lines_do(values, expected):
    assert crossing((0.0, 10.0, 20.0), values) == pytest.approx(expected, nan_ok=True)
