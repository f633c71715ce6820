"""D2: a book that holds a stock over its splits and dividends earns the total return."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from trading_assets.backtest.baselines import buy_and_hold
from trading_assets.backtest.engine import run_backtest
from trading_assets.backtest.folds import Fold
from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.bars.sources.build import build_source
from trading_assets.market_data import MarketDataSpec
from trading_assets.simulation.market import build_market
from trading_assets_tests.backtest.markets import strategy_of

AAPL_SPLIT = date(2000, 6, 21)
MSFT_DIVIDEND = date(2004, 11, 15)
SESSIONS_AROUND = 5


def hold_through(symbol: str, ex_date: date) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Equity rows of a symbol held around an ex-date, its raw bars and its actions."""
    calendar = get_calendar("XNYS")
    start = calendar.previous_session(ex_date, SESSIONS_AROUND)
    end = calendar.next_session(ex_date, SESSIONS_AROUND)
    spec = MarketDataSpec.model_validate(
        {"source": {"kind": "sample"}, "universe": [symbol], "start": start, "end": end}
    )
    fetched = build_source(spec, calendar, {}).fetch(start, end, datetime(2014, 1, 1, tzinfo=UTC))
    sessions = calendar.sessions(start, end)
    window = Fold(str(sessions[2]), start, sessions[1], start, sessions[2], end)
    market = build_market(fetched.rows, fetched.actions, [symbol], sessions)
    decisions = {"held": buy_and_hold(market, window)}
    equity = run_backtest(market, decisions, strategy_of(), window).equity
    return equity, fetched.rows.sort("session"), fetched.actions


def position_growth(equity: pl.DataFrame, ex_date: date) -> float:
    """Growth from the close before the ex-date of what the book holds in shares."""
    before = equity.filter(pl.col("session") < ex_date).row(-1, named=True)
    at = equity.filter(pl.col("session") == ex_date).row(0, named=True)
    held_usd = before["equity_usd"] - before["cash_usd"]
    return (held_usd + at["equity_usd"] - before["equity_usd"]) / held_usd


def vendor_growth(rows: pl.DataFrame, ex_date: date) -> float:
    adjusted = rows.filter(pl.col("session") <= ex_date)["vendor_adjusted_close"].tail(2).to_list()
    return adjusted[1] / adjusted[0]


@pytest.mark.parametrize(("symbol", "ex_date"), [("AAPL", AAPL_SPLIT), ("MSFT", MSFT_DIVIDEND)])
def test_holding_over_an_action_earns_the_vendors_adjusted_return(symbol: str, ex_date: date):
    equity, rows, actions = hold_through(symbol, ex_date)
    assert ex_date in actions["ex_date"].to_list()
    assert position_growth(equity, ex_date) == pytest.approx(vendor_growth(rows, ex_date), rel=1e-9)


def test_the_split_of_apple_pays_no_cash_and_loses_nothing():
    equity, rows, actions = hold_through("AAPL", AAPL_SPLIT)
    assert actions["split_ratio"].to_list() == [2.0]
    assert equity["dividends_usd"].sum() == 0.0
    raw = rows.filter(pl.col("session") <= AAPL_SPLIT)["close"].tail(2).to_list()
    assert raw[1] / raw[0] == pytest.approx(0.5, abs=0.1)
    assert position_growth(equity, AAPL_SPLIT) == pytest.approx(1.0, abs=0.15)


def test_the_special_dividend_of_microsoft_is_paid_in_cash():
    equity, rows, _ = hold_through("MSFT", MSFT_DIVIDEND)
    on_ex_date = equity.filter(pl.col("session") == MSFT_DIVIDEND).row(0, named=True)
    before = equity.filter(pl.col("session") < MSFT_DIVIDEND).row(-1, named=True)
    close = rows.filter(pl.col("session") < MSFT_DIVIDEND)["close"].to_list()[-1]
    shares = (before["equity_usd"] - before["cash_usd"]) / close
    assert on_ex_date["dividends_usd"] / shares == pytest.approx(3.08, abs=0.05)
    assert on_ex_date["cash_usd"] - before["cash_usd"] == pytest.approx(
        on_ex_date["dividends_usd"], abs=1e-6
    )
