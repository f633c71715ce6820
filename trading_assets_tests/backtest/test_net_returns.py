"""Returns from equity: the first one is that of the money a window begins with."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.net_returns import net_returns, returns_of

EQUITY = pl.DataFrame(
    {
        "portfolio": ["a", "b", "a"],
        "session": [date(2020, 1, 3), date(2020, 1, 2), date(2020, 1, 2)],
        "equity_usd": [99.0, 50.0, 110.0],
    }
)


def test_each_return_is_over_the_close_before_and_the_first_over_the_start():
    # 110 of 100, then 99 of 110.
    assert returns_of(np.array([110.0, 99.0]), 100.0) == pytest.approx([0.1, -0.1], abs=1e-15)


def test_a_portfolio_is_read_in_order_of_sessions():
    sessions, returns = net_returns(EQUITY, "a", 100.0)
    assert sessions.tolist() == [date(2020, 1, 2), date(2020, 1, 3)]
    assert returns == pytest.approx([0.1, -0.1], abs=1e-15)


def test_nothing_is_known_of_a_portfolio_that_is_not_there():
    sessions, returns = net_returns(EQUITY, "c", 100.0)
    assert len(sessions) == len(returns) == 0
