from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.backtest.event_engine import EventEngine, trade_orders
from trading_assets.backtest.orders import BarPrices, Order, Rebalance, fill_price
from trading_assets.errors import DataError
from trading_assets.simulation.compiled.layout import (
    COSTS,
    DIVIDENDS,
    EQUITY,
    EQUITY_BEFORE,
    FILL_PRICE,
    FINANCING,
    GAIN,
    PNL,
    PRICE,
    QUANTITY,
    TRADE,
)
from trading_assets_tests.backtest.markets import market_of, random_market, strategy_of

CASH = 1_000_000.0


def ranged(opens, highs, lows, closes, **parts):
    """A market of one symbol with extremes; the first bar is that of the first decision."""
    market = market_of(np.array(closes, float)[:, None], opens=np.array(opens, float)[:, None])
    return replace(
        market,
        high=np.array(highs, float)[:, None],
        low=np.array(lows, float)[:, None],
        **{name: np.array(values, float)[:, None] for name, values in parts.items()},
    )


def engine_on(market, accounts=1, **parts) -> EventEngine:
    return EventEngine(market, strategy_of(**parts), accounts, 0)


def filled(engine: EventEngine) -> list[tuple[float, float]]:
    # Shares are whole here; the core counts billionths.
    return [(round(e.shares, 6), e.price_usd) for e in engine.executions]


BAR = BarPrices(np.array([100.0]), np.array([104.0]), np.array([97.0]))


@pytest.mark.parametrize(
    ("kind", "shares", "price", "expected"),
    [
        ("market", 5, np.nan, (100.0, True)),
        ("limit", 5, 101.0, (100.0, True)),  # opens below a limit to buy: better than asked for
        ("limit", 5, 98.0, (98.0, False)),
        ("limit", 5, 97.0, (np.nan, False)),  # touched, not traded through
        ("limit", 5, 96.0, (np.nan, False)),
        ("limit", -5, 99.0, (100.0, True)),
        ("limit", -5, 103.0, (103.0, False)),
        ("limit", -5, 104.0, (np.nan, False)),
        ("stop", -5, 98.0, (98.0, False)),
        ("stop", -5, 97.0, (97.0, False)),  # a touch sets it off
        ("stop", -5, 101.0, (100.0, True)),  # opens below a stop to sell: worse than asked for
        ("stop", -5, 96.0, (np.nan, False)),
        ("stop", 5, 103.0, (103.0, False)),
        ("stop", 5, 99.0, (100.0, True)),
        ("stop", 5, 104.0, (104.0, False)),
        ("stop", 5, 105.0, (np.nan, False)),
    ],
)
def test_an_order_fills_at_its_price_or_at_the_open_beyond_it(kind, shares, price, expected):
    found = fill_price(Order(0, 0, shares, kind, price), BAR)
    np.testing.assert_equal(found, expected)


def test_a_bar_that_does_not_exist_fills_nothing():
    none = BarPrices(*[np.array([np.nan])] * 3)
    for order in (Order(0, 0, 5), Order(0, 0, 5, "limit", 98.0), Order(0, 0, -5, "stop", 98.0)):
        assert np.isnan(fill_price(order, none)[0])


def test_a_limit_order_waits_until_a_bar_trades_through_it_and_then_holds_at_the_close():
    market = ranged([100, 100, 99, 96], [100, 102, 100, 99], [100, 98, 97, 95], [100, 101, 98, 97])
    engine = engine_on(market)
    engine.place([Order(0, 0, 1000, "limit", 97.5, good_for_bars=5)])
    engine.carry()
    assert filled(engine) == []
    assert engine.open_orders == [Order(0, 0, 1000, "limit", 97.5, good_for_bars=5)]
    engine.carry()
    assert filled(engine) == [(1000.0, 97.5)]
    assert engine.open_orders == []
    # Bought at 97.5 within the bar and marked at its close of 98.
    assert engine.equity[0] == pytest.approx(CASH + 500.0)
    engine.carry()
    assert engine.equity[0] == pytest.approx(CASH - 500.0)


def test_an_order_lapses_with_its_last_bar():
    market = ranged([100] * 4, [101] * 4, [99] * 3 + [90], [100] * 4)
    engine = engine_on(market)
    engine.place([Order(0, 0, 10, "limit", 95.0, good_for_bars=2)])
    for _ in range(3):
        engine.carry()
    assert filled(engine) == []
    assert engine.open_orders == []


def test_a_stop_comes_before_a_limit_within_a_bar():
    # The range reaches both the stop below and the limit above: what is worse is assumed.
    market = ranged([100, 100, 100], [100, 101, 110], [100, 99, 90], [100, 100, 105])
    engine = engine_on(market)
    engine.place([Order(0, 0, 1000)])
    engine.carry()
    engine.place([Order(0, 0, -1000, "limit", 108.0), Order(0, 0, -1000, "stop", 95.0)])
    engine.carry()
    assert filled(engine) == [(-1000.0, 95.0)]
    assert engine.positions[0, QUANTITY, 0] == 0.0
    assert engine.equity[0] == pytest.approx(CASH - 5_000.0)


def test_a_long_only_account_sells_no_more_than_it_holds_and_a_short_one_does():
    market = ranged([100] * 2, [101] * 2, [99] * 2, [100] * 2)
    long_only = engine_on(market)
    long_only.place([Order(0, 0, -10)])
    long_only.carry()
    assert filled(long_only) == []
    short = engine_on(market, policy={"position": "long_short"})
    short.place([Order(0, 0, -10)])
    short.carry()
    assert filled(short) == [(-10.0, 100.0)]


def test_a_split_changes_shares_and_price_of_what_waits():
    market = ranged(
        [100, 50, 50],
        [100, 51, 52],
        [100, 49, 40],
        [100, 50, 45],
        split_ratio=[1, 2, 1],
    )
    engine = engine_on(market)
    engine.place([Order(0, 0, 1000, "limit", 90.0, good_for_bars=3)])
    engine.carry()
    # 90 USD before a split of 2 for 1 are 45 USD after it, which the first bar did not reach.
    assert engine.open_orders == [Order(0, 0, 2000, "limit", 45.0, good_for_bars=3)]
    engine.carry()
    assert filled(engine) == [(2000.0, 45.0)]


@pytest.mark.parametrize("kind", ["market", "limit"])
def test_an_order_filled_on_the_ex_date_is_in_new_shares(kind):
    market = ranged([100, 50], [100, 51], [100, 44], [100, 50], split_ratio=[1, 2])
    engine = engine_on(market)
    price = {"market": np.nan, "limit": 90.0}[kind]
    engine.place([Order(0, 0, 1000, kind, price)])
    engine.carry()
    assert filled(engine) == [(2000.0, 50.0 if kind == "market" else 45.0)]


def test_orders_take_the_declared_latency():
    market = ranged([100, 101, 102, 103], [110] * 4, [90] * 4, [100] * 4)
    engine = engine_on(market, costs={"fee_bps": 0, "half_spread_bps": 0, "latency_bars": 3})
    engine.place([Order(0, 0, 10)])
    prices = []
    for _ in range(3):
        engine.carry()
        prices.append(filled(engine))
    assert prices == [[], [], [(10.0, 103.0)]]


def test_a_cap_of_the_volume_leaves_the_rest_of_a_limit_order_waiting():
    costs = {"fee_bps": 0, "half_spread_bps": 0, "max_participation": 0.1}
    market = ranged([100] * 4, [101] * 4, [90] * 4, [100] * 4, volume=[1e4] * 4)
    engine = engine_on(market, costs=costs)
    engine.place([Order(0, 0, 1500, "limit", 95.0, good_for_bars=3)])
    engine.carry()
    assert filled(engine) == [(1000.0, 95.0)]
    engine.carry()
    assert filled(engine) == [(500.0, 95.0)]
    engine.place([Order(0, 0, 1500)])
    engine.carry()
    assert filled(engine) == [(1000.0, 100.0)]
    assert engine.open_orders == []


def test_fills_of_one_bar_share_its_volume():
    costs = {"fee_bps": 0, "half_spread_bps": 0, "max_participation": 0.1}
    market = ranged([100] * 2, [101] * 2, [90] * 2, [100] * 2, volume=[1e4] * 2)
    engine = engine_on(market, costs=costs)
    engine.place([Order(0, 0, 800), Order(0, 0, 800, "limit", 95.0)])
    engine.carry()
    assert filled(engine) == [(800.0, 100.0), (200.0, 95.0)]
    assert engine.fills[0, TRADE, 0] == pytest.approx(1000.0)
    assert engine.fills[0, FILL_PRICE, 0] == pytest.approx(99.0)


def test_a_market_order_beside_a_rebalance_trades_after_it():
    market = ranged([100] * 2, [101] * 2, [99] * 2, [100] * 2)
    engine = engine_on(market)
    engine.place([Rebalance(0, np.array([500.0])), Order(0, 0, 50)])
    engine.carry()
    assert engine.positions[0, QUANTITY, 0] == 550.0


def test_costs_are_charged_on_every_fill_and_financing_once():
    costs = {"fee_bps": 10, "half_spread_bps": 0, "borrow_bps_per_year": 252}
    market = ranged([100] * 2, [105] * 2, [95] * 2, [100] * 2)
    engine = engine_on(market, costs=costs, policy={"position": "long_short"})
    engine.place([Order(0, 0, -100), Order(0, 0, -100, "limit", 104.0)])
    engine.carry()
    assert engine.outcome[0, COSTS] == pytest.approx(10.0 + 10.4)
    # 200 shares short at the close of 100, a basis point of 20,000 USD.
    assert engine.outcome[0, FINANCING] == pytest.approx(2.0)


def test_what_is_cancelled_does_not_fill():
    market = ranged([100] * 3, [105] * 3, [95] * 3, [100] * 3)
    engine = engine_on(market)
    engine.place([Order(0, 0, 10), Order(0, 0, 10, "limit", 96.0)])
    assert engine.cancel(0, 0) == 2
    engine.carry()
    assert filled(engine) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"shares": 0.0}, "other than 0"),
        ({"shares": np.nan}, "finite number"),
        ({"kind": "limit"}, "positive number of USD"),
        ({"kind": "stop", "price_usd": -1.0}, "positive number of USD"),
        ({"price_usd": 10.0}, "expected none"),
        ({"good_for_bars": 0}, "at least 1"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(values, message):
    with pytest.raises(DataError, match=message):
        Order(**{"account": 0, "symbol": 0, "shares": 1.0, **values})


def test_orders_that_no_account_or_market_can_take_are_refused():
    market = ranged([100] * 2, [101] * 2, [99] * 2, [100] * 2)
    engine = engine_on(market)
    with pytest.raises(DataError, match="account 1 and symbol 0"):
        engine.place([Order(1, 0, 1)])
    flat = engine_on(replace(market, high=None, low=None))
    with pytest.raises(DataError, match="without highs and lows"):
        flat.place([Order(0, 0, 1, "limit", 99.0)])
    engine.carry()
    with pytest.raises(DataError, match="expected a bar after it"):
        engine.carry()


def with_extremes(market, seed):
    rng = np.random.default_rng(seed)
    both = np.stack([market.open, market.close])
    return replace(
        market,
        high=both.max(axis=0) * (1 + rng.uniform(0, 0.02, market.close.shape)),
        low=both.min(axis=0) * (1 - rng.uniform(0, 0.02, market.close.shape)),
    )


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), is_long_only=st.booleans(), share=st.sampled_from([0, 0.002]))
def test_books_balance_whatever_is_ordered(seed: int, is_long_only: bool, share: float):
    market = with_extremes(random_market(seed % 7, bars=40), seed)
    strategy = strategy_of(
        costs={
            "fee_bps": 2,
            "half_spread_bps": 3,
            "impact_coefficient": 0.3,
            "financing_bps_per_year": 300,
            "borrow_bps_per_year": 100,
            "max_participation": share,
        },
        policy={"position": "long_only" if is_long_only else "long_short"},
    )
    rng = np.random.default_rng(seed)
    engine = EventEngine(market, strategy, 3, 1)
    for _ in range(37):
        for _ in range(rng.integers(0, 4)):
            symbol, kind = int(rng.integers(4)), str(rng.choice(["market", "limit", "stop"]))
            price = float(market.close[engine.row, symbol])
            if np.isfinite(price):
                limit = np.nan if kind == "market" else price * float(rng.uniform(0.97, 1.03))
                shares = float(rng.integers(1, 2000)) * float(rng.choice([-1.0, 1.0]))
                days = int(rng.integers(1, 5))
                engine.place([Order(int(rng.integers(3)), symbol, shares, kind, limit, days)])
        before = engine.equity.copy()
        engine.carry()
        outcome = engine.outcome
        np.testing.assert_allclose(outcome[:, EQUITY_BEFORE], before, rtol=1e-12)
        explained = outcome[:, PNL] + outcome[:, DIVIDENDS] - outcome[:, COSTS]
        explained -= outcome[:, FINANCING]
        np.testing.assert_allclose(outcome[:, EQUITY] - before, explained, atol=1e-5)
        gained = outcome[:, PNL] + outcome[:, DIVIDENDS]
        np.testing.assert_allclose(engine.fills[:, GAIN].sum(axis=1), gained, atol=1e-5)
        if is_long_only:
            assert engine.cash.min() >= 0.0
            assert engine.positions[:, QUANTITY].min() >= 0.0


def test_market_orders_for_the_difference_equal_a_rebalance():
    market = with_extremes(random_market(2), 2)
    strategy = strategy_of(costs={"fee_bps": 2, "half_spread_bps": 3, "impact_coefficient": 0.3})
    wanted = np.random.default_rng(2).uniform(0, 2000, (100, 4))

    def by_orders(engine: EventEngine):
        place = engine.row
        change = wanted[place] - engine.positions[0, QUANTITY]
        return [Order(0, n, change[n]) for n in range(4) if change[n]]

    rows = range(100)
    rebalanced = trade_orders(market, strategy, 1, rows, lambda e: [Rebalance(0, wanted[e.row])])
    ordered = trade_orders(market, strategy, 1, rows, by_orders)
    np.testing.assert_allclose(ordered, rebalanced, rtol=1e-9)


def test_later_bars_change_no_earlier_equity():
    market, strategy = with_extremes(random_market(3), 3), strategy_of()
    changed = replace(
        market,
        **{
            name: np.vstack([getattr(market, name)[:60], 1.1 * getattr(market, name)[60:]])
            for name in ("open", "high", "low", "close")
        },
    )

    def trade(engine: EventEngine):
        price = float(engine.positions[0, PRICE, 0])
        return [Order(0, 0, 100, "limit", 0.99 * price), Order(0, 0, -100, "stop", 0.97 * price)]

    first = trade_orders(market, strategy, 1, range(118), trade)
    second = trade_orders(changed, strategy, 1, range(118), trade)
    np.testing.assert_array_equal(first[:59], second[:59])
    assert (first[59:] != second[59:]).any()
