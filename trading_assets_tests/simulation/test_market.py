from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from trading_assets.errors import DataError
from trading_assets.simulation.covariance import causal_covariance
from trading_assets.simulation.market import (
    bar_after,
    build_market,
    ewma_volatility,
    row_of,
    total_returns_of,
)
from trading_assets_tests.simulation.markets import (
    FIRST,
    make_actions,
    make_bars,
    make_sessions,
    random_market,
)

NAN = float("nan")


def test_bars_become_columns_of_the_asked_symbols_and_sessions():
    bars = make_bars({"B": [1.0, 2.0, NAN], "A": [3.0, NAN, 5.0]})
    market = build_market(bars, make_actions(), ("A", "B"), make_sessions(3))
    np.testing.assert_array_equal(market.close, [[3.0, 1.0], [NAN, 2.0], [5.0, NAN]])
    np.testing.assert_array_equal(market.tradable, [[0, 0], [0, 1], [1, 0]])


def test_an_action_takes_effect_on_the_first_session_from_its_ex_date():
    sessions = [FIRST, FIRST + timedelta(days=1), FIRST + timedelta(days=4)]
    bars = make_bars({"A": [100.0, 100.0, 50.0]}).with_columns(session=pl.Series(sessions))
    actions = make_actions(
        [
            ("A", FIRST + timedelta(days=3), "split", 2.0, 0.0),
            ("A", FIRST + timedelta(days=1), "dividend", 1.0, 0.5),
            ("A", FIRST - timedelta(days=1), "split", 3.0, 0.0),
        ]
    )
    market = build_market(bars, actions, ("A",), sessions)
    assert market.split_ratio[:, 0].tolist() == [1.0, 1.0, 2.0]
    assert market.cash_per_share[:, 0].tolist() == [0.0, 0.5, 0.0]


def test_a_spin_off_pays_its_worth_and_a_rename_nothing():
    """D2: what is spun off reaches the holder as cash; a rename is no event of a position."""
    days = make_sessions(2)
    actions = make_actions([("A", days[1], "spin_off", 1.0, 5.5), ("A", days[1], "rename", 1.0, 0)])
    market = build_market(make_bars({"A": [100.0, 94.5]}), actions, ("A",), days)
    assert market.cash_per_share[:, 0].tolist() == [0.0, 5.5]
    assert market.split_ratio[:, 0].tolist() == [1.0, 1.0]
    returns = total_returns_of(market.close, market.split_ratio, market.cash_per_share)
    assert returns[1, 0] == 0.0


def test_total_returns_include_splits_and_cash():
    close = np.array([[100.0], [49.0], [50.0]])
    ratio = np.array([[1.0], [2.0], [1.0]])
    cash = np.array([[0.0], [1.0], [0.5]])
    returns = total_returns_of(close, ratio, cash)[:, 0]
    np.testing.assert_allclose(returns[1:], [49 * 2 / 100 + 1 / 100 - 1, 50.5 / 49 - 1])
    assert np.isnan(returns[0])


def test_a_return_over_missing_bars_starts_at_the_last_known_close():
    close = np.array([[100.0], [NAN], [60.0]])
    ratio = np.array([[1.0], [2.0], [1.0]])
    cash = np.array([[0.0], [4.0], [0.0]])
    returns = total_returns_of(close, ratio, cash)[:, 0]
    np.testing.assert_allclose(returns[2], (120 + 4) / 100 - 1)


def test_volatility_weighs_squared_returns_by_age():
    returns = np.array([[NAN], [0.01], [NAN], [0.03]])
    volatility = ewma_volatility(returns, decay=0.5)[:, 0]
    assert np.isnan(volatility[0])
    expected = [0.01, 0.01, np.sqrt((0.5 * 0.01**2 + 0.03**2) / 1.5)]
    np.testing.assert_allclose(volatility[1:], expected)


def test_later_bars_change_nothing_known_before():
    whole = random_market(120)
    cut = 80
    bars = make_bars(
        {name: whole.close[:cut, k].tolist() for k, name in enumerate(whole.symbols)},
        {name: whole.open[:cut, k].tolist() for k, name in enumerate(whole.symbols)},
    )
    part = build_market(bars, make_actions(), whole.symbols, make_sessions(cut))
    for name in ("volatility", "adv_usd", "tradable", "close"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[:cut])
    np.testing.assert_array_equal(causal_covariance(part), causal_covariance(whole)[:cut])


def test_covariances_are_symmetric_and_positive():
    market = random_market(150)
    covariance = causal_covariance(market)
    np.testing.assert_allclose(covariance, covariance.transpose(0, 2, 1))
    assert np.linalg.eigvalsh(covariance[1:]).min() > 0.0
    diagonal = np.einsum("tii->ti", covariance)[1:]
    np.testing.assert_allclose(diagonal, market.volatility[1:] ** 2)


def test_a_declared_volatility_replaces_the_estimate():
    bars = make_bars({"A": [1.0, 2.0, 3.0]})
    market = build_market(bars, make_actions(), ("A",), make_sessions(3), 0.01)
    assert (market.volatility == 0.01).all()


def test_the_bar_after_a_row_holds_next_prices_and_this_rows_estimates():
    market = random_market(30)
    bar = bar_after(market, np.array([5, 9]))
    np.testing.assert_array_equal(bar.open, market.open[[6, 10]])
    np.testing.assert_array_equal(bar.volatility, market.volatility[[5, 9]])


def test_a_session_outside_the_market_is_refused():
    market = random_market(10)
    assert row_of(market, FIRST + timedelta(days=3)) == 3
    with pytest.raises(DataError, match="build the market with that session"):
        row_of(market, date(1999, 1, 4))


def test_unordered_sessions_are_refused():
    bars = make_bars({"A": [1.0, 2.0]})
    with pytest.raises(DataError, match="ascending"):
        build_market(bars, make_actions(), ("A",), make_sessions(2)[::-1])
