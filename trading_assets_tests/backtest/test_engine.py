from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.accounting import accounting_gaps
from trading_assets.backtest.baselines import baseline_decisions
from trading_assets.backtest.engine import (
    decision_rows,
    fixed_targets,
    run_backtest,
)
from trading_assets.errors import DataError
from trading_assets.policy.traded_as_decided import TradedAsDecided
from trading_assets.schema import conform
from trading_assets_tests.backtest.markets import FOLD, market_of, random_market, strategy_of

RISING = market_of(
    [[100.0, 50.0], [110.0, 50.0], [121.0, 45.0]], opens=[[99.0, 50.0], [104.0, 51.0], [115.0, 48]]
)
COSTLY = {"fee_bps": 5, "half_spread_bps": 15}


def run(market, decisions, **parts):
    return run_backtest(market, decisions, strategy_of(**parts), FOLD)


def targets(market, rows):
    return fixed_targets(market, FOLD, np.array(rows, dtype=np.float64))


def test_a_target_of_the_last_close_before_the_window_fills_at_the_first_test_open():
    tables = run(RISING, {"a": targets(RISING, [[0.5, 0.0], [0.5, 0.0]])})
    assert tables.weights["session"].unique().sort().to_list() == [
        date(2019, 12, 31),
        date(2020, 1, 1),
    ]
    first = tables.trades.row(0, named=True)
    # Half of 1,000,000 USD at the close of 100 is 5,000 shares, bought at the next open of 104.
    assert first["session"] == date(2020, 1, 1)
    assert first["quantity"] == pytest.approx(5000.0)
    assert first["price_usd"] == 104.0


def test_equity_is_marked_at_each_test_close():
    tables = run(RISING, {"a": targets(RISING, [[0.5, 0.0], [0.0, 0.0]])})
    assert tables.equity["session"].to_list() == [date(2020, 1, 1), date(2020, 1, 2)]
    # 5,000 shares earn 110 - 104, then 115 - 110 until they are sold at the open.
    assert tables.equity["equity_usd"].to_list() == pytest.approx([1_030_000.0, 1_055_000.0])
    assert tables.equity["gross_weight"].to_list() == pytest.approx([550_000 / 1_030_000, 0.0])
    assert tables.equity["turnover"].to_list() == pytest.approx([0.52, 575_000 / 1_030_000])


def test_constant_notional_sizes_by_the_initial_equity():
    policy = {"sizing": "constant_notional", "position": "long_short"}
    rows = [[0.5, -0.2], [0.5, -0.2]]
    tables = run(RISING, {"a": targets(RISING, rows)}, policy=policy)
    held = tables.trades.group_by("symbol").agg(pl.col("quantity").sum()).sort("symbol")
    assert held["quantity"].to_list() == pytest.approx([500_000 / 110, -200_000 / 50])


def test_costs_are_booked_with_each_trade():
    tables = run(RISING, {"a": targets(RISING, [[0.5, 0.0], [0.0, 0.0]])}, costs=COSTLY)
    assert tables.trades["cost_usd"].to_list() == pytest.approx([520_000 * 0.002, 575_000 * 0.002])
    assert tables.equity["costs_usd"].to_list() == tables.trades["cost_usd"].to_list()


def test_weights_are_projected_on_the_declared_limits():
    tables = run(
        RISING, {"a": targets(RISING, [[2.0, 0.9], [-1.0, 0.2]])}, risk={"max_weight": 0.4}
    )
    assert tables.weights["weight"].to_list() == pytest.approx([0.4, 0.4, 0.0, 0.2])


def test_turnover_is_limited_from_the_weights_held_at_the_close():
    risk = {"max_weight": 1, "max_gross": 1, "max_turnover": 0.4}
    tables = run(RISING, {"a": targets(RISING, [[1.0, 0.0], [0.0, 1.0]])}, risk=risk)
    # 4,000 shares bought at 104 are worth 440,000 of 1,024,000 USD at the next close.
    held = 440_000 / 1_024_000
    assert tables.weights["weight"].to_list() == pytest.approx([0.4, 0.0, held, 0.4])


@pytest.mark.parametrize("bad", [[np.nan, 0.1], [np.inf, 0.0], [0.1]])
def test_a_decision_that_is_not_finite_or_of_another_shape_is_refused(bad: list[float]):
    with pytest.raises(DataError, match="portfolio broken decided"):
        run(RISING, {"broken": lambda _row, _books: np.array(bad)})


def test_a_market_without_the_session_before_the_window_is_refused():
    late = market_of(RISING.close, first_day=FOLD.test_start)
    with pytest.raises(DataError, match="and the one before them"):
        decision_rows(late, FOLD)


def test_targets_must_have_one_row_for_each_decision():
    with pytest.raises(DataError, match=r"one row for each of 2 decisions"):
        targets(RISING, [[0.0, 0.0]])


def test_a_decision_sees_only_its_own_books():
    seen = []

    def decide(row, books):
        seen.append((row, float(books.cash[0]), books.quantity[0].tolist()))
        return np.array([0.5, 0.0])

    run(RISING, {"a": decide, "b": targets(RISING, [[0.0, 1.0], [0.0, 1.0]])})
    assert seen[0] == (0, 1_000_000.0, [0.0, 0.0])
    assert seen[1] == (1, pytest.approx(480_000.0), [pytest.approx(5000.0), 0.0])


def test_later_bars_do_not_change_earlier_rows():
    market = random_market(1)
    strategy, cut = strategy_of(costs=COSTLY), 60
    noise = np.random.default_rng(2).uniform(0.5, 2.0, market.close[cut:].shape)
    changed = replace(
        market,
        close=np.vstack([market.close[:cut], market.close[cut:] * noise]),
        open=np.vstack([market.open[:cut], market.open[cut:] * noise]),
    )
    first = run_backtest(market, baseline_decisions(market, FOLD), strategy, FOLD).equity
    second = run_backtest(changed, baseline_decisions(changed, FOLD), strategy, FOLD).equity
    known = pl.col("session") < market.sessions[cut].astype(date)
    assert first.filter(known).equals(second.filter(known))
    assert not first.equals(second)


def test_accounting_conserves_over_splits_dividends_gaps_and_costs():
    market = random_market(3)
    strategy = strategy_of(
        costs={**COSTLY, "impact_coefficient": 0.5, "financing_bps_per_year": 300},
        policy={"position": "long_short"},
        risk={"max_weight": 1, "max_gross": 2},
    )
    weights = np.random.default_rng(3).uniform(-0.6, 0.6, (len(market.sessions) - 1, 4))
    decisions = {**baseline_decisions(market, FOLD), "a": fixed_targets(market, FOLD, weights)}
    tables = run_backtest(market, decisions, strategy, FOLD)
    assert accounting_gaps(tables.equity, 1_000_000.0) == []
    assert tables.equity["dividends_usd"].abs().sum() > 100
    booked = tables.trades.group_by("portfolio").agg(pl.col("cost_usd").sum()).sort("portfolio")
    charged = tables.equity.group_by("portfolio").agg(pl.col("costs_usd").sum()).sort("portfolio")
    charged = charged.filter(pl.col("portfolio") != "cash")
    assert booked["cost_usd"].to_list() == pytest.approx(charged["costs_usd"].to_list())


@pytest.mark.parametrize("change", [0.01, float("nan"), None])
def test_an_unexplained_change_of_equity_is_named(change: float | None):
    equity = run(RISING, {"a": targets(RISING, [[0.5, 0.0], [0.5, 0.0]])}).equity
    wrong = equity.with_columns(
        equity_usd=pl.when(pl.col("session") == date(2020, 1, 2))
        .then(pl.col("equity_usd") + pl.lit(change, pl.Float64))
        .otherwise(pl.col("equity_usd"))
    )
    gaps = accounting_gaps(wrong, 1_000_000.0)
    assert len(gaps) == 1
    assert "2020-01-02" in gaps[0]


def test_tables_have_the_declared_columns():
    tables = run(RISING, baseline_decisions(RISING, FOLD))
    for name in ("weights", "trades", "equity", "holdings"):
        frame = getattr(tables, name)
        assert conform(name, frame).columns == frame.columns
    # Without a past, those that need none.
    naive = ["buy_and_hold", "cash", "equal_weight"]
    assert tables.equity["portfolio"].unique().sort().to_list() == naive


@pytest.mark.parametrize("case", ["impact", "quadratic"])
def test_every_cost_is_the_sum_of_its_parts_and_every_gain_that_of_its_symbols(case: str):
    market = random_market(5)
    costs = {**COSTLY, "financing_bps_per_year": 300, "borrow_bps_per_year": 120}
    costs |= {"impact_coefficient": 0.5} if case == "impact" else {"quadratic_lambda": 3.0}
    strategy = strategy_of(
        costs=costs,
        policy={"position": "long_short"},
        risk={"max_weight": 1, "max_gross": 2},
    )
    weights = np.random.default_rng(5).uniform(-0.6, 0.8, (len(market.sessions) - 1, 4))
    tables = run_backtest(market, {"a": fixed_targets(market, FOLD, weights)}, strategy, FOLD)
    trades, equity = tables.trades, tables.equity
    parts = trades["fee_usd"] + trades["spread_usd"]
    parts += trades["impact_usd"] + trades["quadratic_usd"]
    np.testing.assert_allclose(parts, trades["cost_usd"], rtol=1e-12, atol=1e-9)
    notional = trades["quantity"].abs() * trades["price_usd"]
    np.testing.assert_allclose(trades["fee_usd"], notional * 5e-4, atol=2e-6)
    np.testing.assert_allclose(trades["spread_usd"], notional * 15e-4, atol=2e-6)
    last = trades["impact_usd" if case == "impact" else "quadratic_usd"]
    assert float(last.min()) > -1e-6
    assert float(last.sum()) > 1.0
    np.testing.assert_allclose(
        equity["interest_usd"] + equity["borrow_usd"], equity["financing_usd"], atol=1e-12
    )
    assert float(equity["borrow_usd"].min()) >= 0.0
    assert float(equity["borrow_usd"].sum()) > 1.0
    assert float(equity["interest_usd"].sum()) > 1.0
    held = tables.holdings.group_by("session").agg(pl.col("gain_usd", "value_usd").sum())
    both = equity.join(held, on="session")
    gained = both["pnl_usd"] + both["dividends_usd"]
    np.testing.assert_allclose(both["gain_usd"], gained, atol=1e-6)
    np.testing.assert_allclose(both["value_usd"] + both["cash_usd"], both["equity_usd"], rtol=1e-12)


def test_borrow_fees_are_those_of_the_shorts_alone():
    market = market_of([[100.0, 50.0], [100.0, 50.0], [100.0, 50.0]])
    policy = {"position": "long_short"}
    costs = {"fee_bps": 0, "half_spread_bps": 0, "borrow_bps_per_year": 252}
    rows = [[0.5, -0.25], [0.5, -0.25]]
    tables = run(market, {"a": targets(market, rows)}, policy=policy, costs=costs)
    # 252 bps a year are one basis point a session, of 250,000 USD short.
    assert tables.equity["borrow_usd"].to_list()[0] == pytest.approx(25.0)
    assert tables.equity["interest_usd"].to_list() == [0.0, 0.0]


def test_cash_never_trades():
    tables = run(RISING, baseline_decisions(RISING, FOLD), costs=COSTLY)
    cash = tables.equity.filter(pl.col("portfolio") == "cash")
    assert cash["equity_usd"].to_list() == [1_000_000.0] * 2
    assert "cash" not in tables.trades["portfolio"].to_list()


def test_buy_and_hold_trades_once_and_ignores_later_listings():
    close = np.full((20, 3), 100.0)
    close[:, 0] *= 1.02 ** np.arange(20)
    close[:5, 2] = np.nan
    market = market_of(close)
    tables = run(
        market, baseline_decisions(market, FOLD), risk={"max_weight": 0.4, "max_gross": 0.8}
    )
    trades = tables.trades.filter(pl.col("portfolio") == "buy_and_hold")
    assert trades["symbol"].to_list() == ["A", "B"]
    assert trades["session"].unique().to_list() == [FOLD.test_start]
    weights = tables.weights.filter(
        (pl.col("portfolio") == "buy_and_hold") & (pl.col("symbol") == "A")
    )
    assert weights["weight"][0] == 0.4
    assert weights["weight"][-1] > 0.4


def test_equal_weight_lets_a_new_listing_in():
    close = np.full((4, 2), 100.0)
    close[:1, 1] = np.nan
    market = market_of(close)
    weights = run(market, baseline_decisions(market, FOLD)).weights
    first, second = weights.filter(pl.col("portfolio") == "equal_weight")["weight"].to_list()[::2][
        :2
    ]
    assert (first, second) == (1.0, 0.5)


def test_the_loss_of_all_equity_is_an_error_with_a_name():
    market = market_of([[100.0], [100.0], [250.0], [250.0]])
    short = targets(market, [[-1.0], [-1.0], [-1.0]])
    with pytest.raises(DataError, match="equity fell to"):
        run(market, {"short": short}, policy={"position": "long_short"})


BAND = {"kind": "no_trade_band", "band": 0.1, "trade_to": "edge"}
# Decided on Tuesday 2019-12-31 for Wednesday, and on until Wednesday 2020-01-08.
STILL = market_of(np.full((9, 2), 100.0))
WISHES = [[0.3, 0.2], [0.0, 0.5], [0.4, 0.4], [0.1, 0.1], [0.2, 0.6], [0.5, 0.1], [0, 0], [0.3, 0]]
FREE = {"fee_bps": 0, "half_spread_bps": 0}


def weights_of(tables):
    return tables.weights.sort("session", "symbol")["weight"].to_numpy().reshape(-1, 2)


def test_decided_weights_are_traded_in_the_first_session_of_a_week_where_declared():
    tables = run(STILL, {"a": targets(STILL, WISHES)}, rebalance="weekly", costs=FREE)
    # Rows fill on 1 to 8 January 2020: the sixth is a Monday, decided at the close of the fifth.
    expected = [[0.0, 0.0]] * 5 + [WISHES[5]] * 3
    np.testing.assert_allclose(weights_of(tables), expected, atol=1e-9)
    traded = tables.trades.filter(pl.col("quantity") != 0.0)["session"].unique().to_list()
    assert traded == [date(2020, 1, 6)]


def test_a_band_is_traded_to_its_edge_once():
    tables = run(STILL, {"a": targets(STILL, WISHES)}, rebalance=BAND, costs=FREE)
    held, expected = np.zeros(2), []
    for wish in np.array(WISHES):
        held = np.clip(held, wish - 0.1, wish + 0.1)
        expected.append(held)
    np.testing.assert_allclose(weights_of(tables), expected, atol=1e-9)


def test_no_rule_is_applied_to_what_is_traded_as_decided():
    wished = targets(STILL, WISHES)
    for rule in (BAND, "weekly"):
        tables = run(STILL, {"a": TradedAsDecided(wished)}, rebalance=rule, costs=FREE)
        np.testing.assert_allclose(weights_of(tables), WISHES, atol=1e-9)


def test_baselines_that_decide_at_every_session_keep_the_rule_and_others_their_schedule():
    market = random_market(0, 300)
    tables = {
        rule: run(market, baseline_decisions(market, FOLD), rebalance=rule)
        for rule in ("every_bar", "weekly")
    }
    for name in ("buy_and_hold", "momentum", "inverse_volatility"):
        every, weekly = (
            found.equity.filter(pl.col("portfolio") == name) for found in tables.values()
        )
        assert every.equals(weekly)
    days = {
        rule: {
            day.weekday()
            for day in found.trades.filter(
                (pl.col("portfolio") == "equal_weight") & (pl.col("quantity") != 0.0)
            )["session"]
        }
        for rule, found in tables.items()
    }
    # Every day is a session of this market.
    assert days == {"every_bar": set(range(7)), "weekly": {0}}
