"""Rows of table `stress`: sums that folds add up by, and accounts that are lost."""

import numpy as np
import pytest

from trading_assets.backtest.metrics import max_drawdown
from trading_assets.backtest.stress_rows import (
    Earned,
    account_returns,
    earned_by,
    is_open,
    recorded_by,
    row_of,
    stress_table,
)
from trading_assets.backtest.window import empty_window
from trading_assets.schema import SchemaError, conform
from trading_assets.simulation.compiled.layout import (
    COSTS,
    DIVIDENDS,
    EQUITY,
    FINANCING,
    PNL,
    TRADED,
)
from trading_assets_tests.backtest.stressed_fold import recorded


def earned(returns) -> Earned:
    values = np.array(returns)
    return Earned(values, 1e3 * values, np.full(len(values), 2.0), np.full(len(values), 50.0))


def test_an_account_that_is_lost_loses_all_once_and_nothing_later():
    equity = np.array([110.0, -5.0, 40.0, 80.0])
    assert is_open(equity).tolist() == [True, True, False, False]
    assert account_returns(equity, 100.0).tolist() == pytest.approx([0.1, -1.0, 0.0, 0.0])


def test_nothing_is_booked_after_an_account_is_lost():
    traded = empty_window(["a", "b"], range(3), 1)
    traded.outcomes[:] = 0.0
    traded.outcomes[:, 0, EQUITY] = [50.0, 0.0, 30.0]
    traded.outcomes[:, 1, EQUITY] = [100.0, 101.0, 99.0]
    for field, value in (
        (PNL, 3.0),
        (DIVIDENDS, 2.0),
        (COSTS, 1.0),
        (FINANCING, 0.5),
        (TRADED, 9.0),
    ):
        traded.outcomes[:, :, field] = value
    found = earned_by(traded, 100.0)
    assert found["a"].returns.tolist() == [-0.5, -1.0, 0.0]
    assert found["a"].gains_usd.tolist() == [5.0, 5.0, 0.0]
    assert found["a"].costs_usd.tolist() == [1.5, 1.5, 0.0]
    assert found["a"].traded_usd.tolist() == [9.0, 9.0, 0.0]
    assert found["b"].gains_usd.tolist() == [5.0, 5.0, 5.0]
    assert row_of("volatility", 3, "a", found["a"])["worst_drawdown"] == 1.0


def test_the_recorded_equity_gives_its_own_returns_and_turnover():
    tables = recorded().tables
    found = recorded_by(tables.equity, 1e6)["ppo/ensemble"]
    own = tables.equity.filter(tables.equity["portfolio"] == "ppo/ensemble").sort("session")
    values = np.concatenate([[1e6], own["equity_usd"].to_numpy()])
    np.testing.assert_allclose(found.returns, values[1:] / values[:-1] - 1.0, rtol=0, atol=1e-15)
    trades = tables.trades.filter(tables.trades["portfolio"] == "ppo/ensemble")
    notional = float((trades["quantity"].abs() * trades["price_usd"]).sum())
    assert found.traded_usd.sum() == pytest.approx(notional, rel=1e-9)
    gained = found.gains_usd.sum() - found.costs_usd.sum()
    assert gained == pytest.approx(values[-1] - 1e6, abs=1e-4)


def test_a_row_holds_sums_of_the_bars_that_count():
    own = earned([0.01, -0.02, 0.03, 0.01])
    where = np.array([True, False, True, True])
    row = row_of("regime", 2, "a", own, where, is_run=False)
    assert row["bars"] == 3
    assert row["sum_return"] == pytest.approx(0.05)
    assert row["sum_squared_return"] == pytest.approx(0.0011)
    assert row["worst_drawdown"] is None
    assert (row["gains_usd"], row["costs_usd"], row["traded_usd"]) == pytest.approx((50, 6, 150))
    run = row_of("crisis/x", 0, "a", own, np.array([True, True, False, False]))
    assert run["worst_drawdown"] == pytest.approx(max_drawdown(np.array([0.01, -0.02])))


def test_a_table_is_sorted_by_its_key_and_refuses_other_columns():
    rows = [row_of("path", level, "a", earned([0.0, 0.1])) for level in (2, 0, 1)]
    assert stress_table(rows)["level"].to_list() == [0.0, 1.0, 2.0]
    with pytest.raises(SchemaError, match="undeclared columns sharpe"):
        conform("stress", stress_table(rows).with_columns(sharpe=1.0))
