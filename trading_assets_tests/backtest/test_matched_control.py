"""A control beside what it is held against: in order, and left out where chance ruined it."""

from dataclasses import fields, replace

import numpy as np
import pytest

from trading_assets.backtest.engine import BacktestTables, fixed_targets
from trading_assets.backtest.matched_control import backtest_with_control
from trading_assets.errors import EquityLostError
from trading_assets_tests.backtest.markets import FOLD, market_of, strategy_of

# A rise that ruins whoever is short on credit, then a fall that ruins whoever is long on it.
CLOSE = np.array([[100.0], [100.0], [100.0], [100.0], [300.0], [10.0]])
BETS = {"position": "long_short"}, {"max_weight": 10.0, "max_gross": 10.0}


def control(strategy, close: np.ndarray, rows: list[float], key: str = FOLD.key):
    market, fold = market_of(close), replace(FOLD, key=key)
    targets = np.array(rows)[:, None]
    decisions = {
        "a": fixed_targets(market, fold, np.zeros_like(targets)),
        "z": fixed_targets(market, fold, targets),
    }
    return backtest_with_control(market, decisions, "z", strategy, fold)


def test_all_tables_hold_the_control_in_order_of_portfolios():
    found = control(strategy_of(), np.full((6, 1), 100.0), [0.1, 0.3, 0.2, 0.4, 0.1])
    assert found.absences == {}
    for part in fields(BacktestTables):
        portfolios = getattr(found.tables, part.name)["portfolio"]
        assert portfolios.is_sorted()
        expected = {"random", "z"} if part.name == "trades" else {"a", "random", "z"}
        assert set(portfolios) == expected


def test_a_control_that_chance_ruins_is_left_out_and_says_so():
    policy, risk = BETS
    strategy = strategy_of(policy=policy, risk=risk)
    # Buys and sells again before the price moves; where the control stands then is chance.
    rows = [5.0, 2.0, 0.0, 0.0, 0.0]
    ruined = 0
    for number in range(10):
        found = control(strategy, CLOSE, rows, f"fold {number}")
        is_absent = found.absences == {"random": "it lost all its equity within the fold"}
        assert is_absent or found.absences == {}
        for part in fields(BacktestTables):
            portfolios = set(getattr(found.tables, part.name)["portfolio"])
            assert is_absent == ("random" not in portfolios)
            assert "z" in portfolios
        ruined += is_absent
    assert 0 < ruined < 10


def test_the_ruin_of_what_is_compared_is_no_absence():
    policy, risk = BETS
    strategy = strategy_of(policy=policy, risk=risk)
    with pytest.raises(EquityLostError, match="of portfolio z on 2020-01-04"):
        control(strategy, CLOSE, [-5.0] * 5)
