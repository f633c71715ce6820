"""Round trips by hand, and held against what the books of random markets gained."""

import math
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.engine import decision_rows, fixed_targets, run_backtest
from trading_assets.backtest.round_trips import find_round_trips
from trading_assets.backtest.track_record import FoldRecord, read_track_records
from trading_assets.backtest.trading_figures import describe_trading, measure_trading
from trading_assets.schema import TABLES
from trading_assets_tests.backtest.markets import FOLD, market_of, random_market, strategy_of


def days_of(count):
    return [date(2020, 1, 1) + timedelta(days=place) for place in range(count)]


def fills_of(rows):
    """Fills of symbol A: day, shares, price and fee; the spread costs half of the fee."""
    days = days_of(20)
    rows = [
        ("p", days[day], "A", shares, price, 1.5 * fee, fee, 0.5 * fee, 0.0, 0.0)
        for day, shares, price, fee in rows
    ]
    schema = {column.name: column.dtype for column in TABLES["trades"].columns}
    return pl.DataFrame(rows, schema=schema, orient="row", strict=False)


def holdings_of(rows):
    """Holdings of symbol A, a row a day: shares, close and gain."""
    table = [
        ("p", day, "A", float(shares), float(close), shares * close, float(gain))
        for day, (shares, close, gain) in zip(days_of(len(rows)), rows, strict=True)
    ]
    names = ["portfolio", "session", "symbol", "quantity", "close_usd", "value_usd", "gain_usd"]
    return pl.DataFrame(table, schema=names, orient="row")


def trips_of(holdings, fills):
    columns = ("side", "sessions", "entry_usd", "gain_usd", "cost_usd", "is_finished")
    return find_round_trips(holdings_of(holdings), fills_of(fills)).select(columns).rows()


def test_an_entry_is_averaged_and_a_trip_ends_flat():
    # 10 shares at 100 and 10 at 110: entry 2,100 USD at an average of 105. Sold at 112 and 114:
    # 8 x 112 + 12 x 114 = 2,264, a gain of 164, less costs of 1.5 x (2 + 2 + 1 + 1).
    holdings = [(10, 102, 20), (20, 111, 100), (12, 113, 32), (0, 115, 12), (0, 120, 0)]
    fills = [(0, 10, 100, 2.0), (1, 10, 110, 2.0), (2, -8, 112, 1.0), (3, -12, 114, 1.0)]
    assert trips_of(holdings, fills) == [(1, 3, 2100.0, 164.0, 9.0, True)]
    found = describe_trading(
        find_round_trips(holdings_of(holdings), fills_of(fills)), fills_of(fills)
    )
    assert (found.round_trips, found.open_positions) == (1, 0)
    assert found.holding_sessions == 3.0
    assert found.trade_hit_rate == 1.0
    assert found.average_trade_bps == pytest.approx(1e4 * (164 - 9) / 2100)
    assert found.traded_usd == 10 * 100 + 10 * 110 + 8 * 112 + 12 * 114
    assert found.slippage_bps == pytest.approx(1e4 * 3.0 / found.traded_usd)
    assert found.cost_bps == pytest.approx(1e4 * 9.0 / found.traded_usd)


def test_a_fill_through_zero_ends_one_trip_and_begins_the_next():
    # 10 long at 100, closed at 102 (the session before at 101); 5 short at 102, bought back at 99.
    # The crossing session gains 10 x (102 - 101) on the old side and -5 x (104 - 102) on the new.
    holdings = [(10, 101, 10), (-5, 104, 0), (0, 98, 25)]
    fills = [(0, 10, 100, 2.0), (1, -15, 102, 3.0), (2, 5, 99, 1.0)]
    assert trips_of(holdings, fills) == [
        (1, 1, 1000.0, 20.0, pytest.approx(3.0 + 4.5 * 10 / 15), True),
        (-1, 1, 510.0, pytest.approx(15.0), pytest.approx(4.5 * 5 / 15 + 1.5), True),
    ]


def test_splits_and_dividends_on_the_way_are_part_of_a_trip():
    # 10 shares at 100; 2 for 1 makes 20 at 50; a dividend of 1 USD a share; sold at 52.
    holdings = [(10, 100, 0), (20, 50, 0), (20, 50, 20), (0, 53, 40)]
    fills = [(0, 10, 100, 0.0), (3, -20, 52, 0.0)]
    assert trips_of(holdings, fills) == [(1, 3, 1000.0, 60.0, 0.0, True)]


def test_a_payout_ends_a_trip_without_a_fill():
    holdings = [(10, 100, 0), (10, 90, -100), (0, 90, -200), (0, 90, 0)]
    assert trips_of(holdings, [(0, 10, 100, 2.0)]) == [(1, 2, 1000.0, -300.0, 3.0, True)]


def test_a_position_at_the_end_is_no_round_trip():
    holdings = [(10, 101, 10), (0, 102, 10), (4, 103, 8), (4, 104, 4)]
    fills = [(0, 10, 100, 0.0), (1, -10, 102, 0.0), (2, 4, 101, 0.0)]
    assert trips_of(holdings, fills) == [
        (1, 1, 1000.0, 20.0, 0.0, True),
        (1, 2, 404.0, 12.0, 0.0, False),
    ]
    found = describe_trading(
        find_round_trips(holdings_of(holdings), fills_of(fills)), fills_of(fills)
    )
    assert (found.round_trips, found.open_positions) == (1, 1)
    assert found.holding_sessions == 1.5
    assert found.average_trade_bps == pytest.approx(200.0)


def test_a_book_that_never_trades_has_no_figure():
    found = describe_trading(
        find_round_trips(holdings_of([(0, 100, 0)] * 3), fills_of([])), fills_of([])
    )
    assert (found.round_trips, found.open_positions, found.traded_usd) == (0, 0, 0.0)
    for name in ("holding_sessions", "trade_hit_rate", "average_trade_bps", "slippage_bps"):
        assert math.isnan(getattr(found, name))


@pytest.mark.parametrize("seed", range(6))
def test_trips_add_up_to_what_the_books_gained(seed):
    market = random_market(seed)
    strategy = strategy_of(
        costs={"fee_bps": 1, "half_spread_bps": 3, "impact_coefficient": 0.5},
        policy={"position": "long_short"},
    )
    rows, rng = decision_rows(market, FOLD), np.random.default_rng(seed)
    drawn = rng.choice([-0.2, 0.0, 0.0, 0.1, 0.24], (len(rows), 4))
    # Targets stay for a while, so that there are trips of several sessions.
    targets = drawn[np.arange(len(rows)) // 3 * 3]
    tables = run_backtest(market, {"p": fixed_targets(market, FOLD, targets)}, strategy, FOLD)
    trips = find_round_trips(tables.holdings, tables.trades)
    assert len(trips.filter("is_finished")) > 50
    by_symbol = trips.group_by("symbol").agg(pl.col("gain_usd", "cost_usd").sum()).sort("symbol")
    gained = tables.holdings.group_by("symbol").agg(pl.col("gain_usd").sum()).sort("symbol")
    cost = tables.trades.group_by("symbol").agg(pl.col("cost_usd").sum()).sort("symbol")
    np.testing.assert_allclose(by_symbol["gain_usd"], gained["gain_usd"], rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(by_symbol["cost_usd"], cost["cost_usd"], rtol=1e-9, atol=1e-6)
    opened = trips["entry_usd"].sum()
    traded = (tables.trades["quantity"].abs() * tables.trades["price_usd"]).sum()
    assert 0.4 * traded < opened < 0.7 * traded


def test_a_fold_that_a_portfolio_lacks_is_left_out_of_its_trades():
    close = 50.0 + np.cumsum(np.random.default_rng(0).normal(0, 1, (40, 2)), axis=0)
    market, strategy = market_of(close), strategy_of(costs={"fee_bps": 2, "half_spread_bps": 0})
    targets = np.tile([[0.5, 0.0], [0.0, 0.5]], (30, 1))[: len(decision_rows(market, FOLD))]
    decide = fixed_targets(market, FOLD, targets)
    tables = run_backtest(market, {"a": decide, "b": decide}, strategy, FOLD)
    cut = tables.equity.filter(
        (pl.col("portfolio") == "a") | (pl.col("session") < pl.col("session").max())
    )
    whole, broken = FoldRecord(FOLD, tables), FoldRecord(FOLD, replace(tables, equity=cut))
    for folds, count in (([whole], 1), ([broken], 0)):
        records = read_track_records(folds, [FOLD.key], ["a", "b"], 1e6)
        found = measure_trading(folds, records)
        assert found["a"].round_trips > 10
        assert found["a"].slippage_bps == pytest.approx(0.0, abs=1e-9)
        assert found["a"].cost_bps == pytest.approx(2.0, rel=1e-4)
        assert (found["b"].round_trips > 0) == bool(count)
