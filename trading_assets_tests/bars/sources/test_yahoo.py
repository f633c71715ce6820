import sys
import warnings
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from trading_assets.bars.actions.total_returns import total_returns
from trading_assets.bars.sources.build import build_source
from trading_assets.bars.sources.contract import check_source
from trading_assets.bars.sources.yahoo import Download, YahooBars, yahoo_ticker
from trading_assets.errors import DataError, UserError
from trading_assets.market_data import MarketDataSpec
from trading_assets_tests.bars.example_bars import CALENDAR, NOW, make_spec

START, END = date(2019, 1, 2), date(2020, 12, 31)
UNIVERSE = ("AAA", "BRK.B")


def yahoo_spec(**changes: Any) -> MarketDataSpec:
    return make_spec(
        source={"kind": "yfinance"}, universe=UNIVERSE, start=START, end=None, **changes
    )


# What was traded, with splits and dividends, from the synthetic market.
TRUTH = build_source(
    make_spec(
        source={"kind": "synthetic", "splits_a_year": 2, "dividends_a_year": 4},
        universe=UNIVERSE, start=START, end=None,
    ),
    CALENDAR, {},
).fetch(START, END, NOW)  # fmt: skip
RAW = TRUTH.rows.with_columns(pl.col("open", "high", "low", "close").round(2))


def as_yahoo_tells(symbol: str, first: date, today: date) -> pd.DataFrame:
    """Return the history as Yahoo serves it on `today`: all numbers adjusted for splits so far."""
    actions = TRUTH.actions.filter(pl.col("ex_date") <= today)
    rows = RAW.filter(pl.col("session").is_between(first, today) & (pl.col("symbol") == symbol))
    ratios = {
        row["ex_date"]: row["split_ratio"]
        for row in actions.filter(kind="split", symbol=symbol).iter_rows(named=True)
    }
    cash = {
        row["ex_date"]: row["cash_usd"]
        for row in actions.filter(kind="dividend", symbol=symbol).iter_rows(named=True)
    }
    days = rows["session"].to_list()
    later = np.array([np.prod([r for day, r in ratios.items() if day > d]) for d in days])
    table = {
        name.title(): (rows[name].to_numpy() / later).astype(np.float32).astype(float)
        for name in ("open", "high", "low", "close")
    }
    table |= {
        "Adj Close": np.full(len(days), 1.0),
        "Volume": rows["volume"].to_numpy() * later,
        "Dividends": [
            cash.get(d, 0.0) / ratios.get(d, 1.0) / k for d, k in zip(days, later, strict=True)
        ],
        "Stock Splits": [ratios.get(d, 0.0) for d in days],
    }
    index = pd.DatetimeIndex(days, name="Date").tz_localize("America/New_York")
    return pd.DataFrame(table, index=index)


def download(today: date = END) -> Download:
    return lambda ticker, first: as_yahoo_tells(ticker.replace("-", "."), first, today)


def test_prices_are_those_that_were_traded() -> None:
    assert set(TRUTH.actions["kind"]) == {"split", "dividend"}
    fetched = YahooBars(yahoo_spec(), CALENDAR, download()).fetch(START, END, NOW)
    assert fetched.rows.select("symbol", "session").equals(RAW.select("symbol", "session"))
    for name in ("open", "high", "low", "close"):
        np.testing.assert_allclose(fetched.rows[name], RAW[name], atol=1e-4)
    np.testing.assert_allclose(fetched.rows["volume"], RAW["volume"], atol=1)
    assert set(fetched.rows["feed"]) == {"yfinance"}
    assert fetched.rows["vendor_adjusted_close"].null_count() == len(fetched.rows)


def test_actions_explain_the_prices() -> None:
    fetched = YahooBars(yahoo_spec(), CALENDAR, download()).fetch(START, END, NOW)
    names = ["symbol", "ex_date", "kind", "knowledge_time"]
    assert fetched.actions.select(names).equals(TRUTH.actions.select(names))
    np.testing.assert_allclose(fetched.actions["cash_usd"], TRUTH.actions["cash_usd"], atol=1e-5)
    found, expected = (
        total_returns(bars, actions)["total_return"].drop_nulls()
        for bars, actions in ((fetched.rows, fetched.actions), (RAW, TRUTH.actions))
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_later_split_changes_nothing_that_was_stored() -> None:
    early = date(2019, 8, 30)
    later = TRUTH.actions.filter((pl.col("kind") == "split") & (pl.col("ex_date") > early))
    assert not later.is_empty()
    before, after = (
        YahooBars(yahoo_spec(), CALENDAR, download(today)).fetch(START, early, NOW)
        for today in (early, END)
    )
    assert after.rows.equals(before.rows)
    assert after.actions.equals(before.actions)


def test_it_keeps_the_promises_of_every_source() -> None:
    spec = yahoo_spec()
    source = YahooBars(spec, CALENDAR, download())
    assert check_source(source, spec, CALENDAR, START, date(2019, 6, 28), NOW) == []


def test_a_bar_of_the_running_session_is_left_out() -> None:
    as_of = datetime(2019, 3, 5, 20, tzinfo=UTC)
    rows = YahooBars(yahoo_spec(), CALENDAR, download(date(2019, 3, 5))).fetch(START, END, as_of)
    assert rows.rows["session"].max() == date(2019, 3, 4)


def test_a_symbol_that_yahoo_lacks_is_told_and_left_out() -> None:
    def partly(ticker: str, first: date) -> pd.DataFrame:
        return download()(ticker, first) if ticker == "AAA" else pd.DataFrame()

    fetched = YahooBars(yahoo_spec(), CALENDAR, partly).fetch(START, END, NOW)
    assert set(fetched.rows["symbol"]) == {"AAA"}
    assert fetched.notes == (f"Yahoo has no bars of BRK.B from {START} on",)
    with pytest.raises(DataError, match=r"Yahoo has no daily bars of AAA, BRK\.B .*check the sym"):
        YahooBars(yahoo_spec(), CALENDAR, lambda t, d: pd.DataFrame()).fetch(START, END, NOW)


def test_a_missing_price_stays_missing() -> None:
    def gappy(ticker: str, first: date) -> pd.DataFrame:
        table = download()(ticker, first)
        table.loc[table.index[3], ["Open", "High", "Low", "Close", "Volume"]] = float("nan")
        return table

    rows = YahooBars(yahoo_spec(), CALENDAR, gappy).fetch(START, END, NOW).rows
    assert rows["close"].null_count() == len(UNIVERSE)
    assert not rows["close"].is_nan().any()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda t: t.drop(columns="Close"),
            "answer for AAA lacks Close; expected .* update the pa",
        ),
        (lambda t: t.reset_index(drop=True), "answer for AAA holds no readable bars"),
        (lambda t: t.astype({"Close": object}).assign(Close="x"), "holds no readable bars"),
    ],
)
def test_an_answer_that_holds_no_bars_is_refused(change: Any, sentence: str) -> None:
    broken: Download = lambda ticker, first: change(download()(ticker, first))  # noqa: E731
    with pytest.raises(DataError, match=sentence):
        YahooBars(yahoo_spec(), CALENDAR, broken).fetch(START, END, NOW)


@pytest.mark.parametrize(
    ("symbol", "calendar", "ticker"),
    [("AAPL", "XNYS", "AAPL"), ("BRK.B", "XNYS", "BRK-B"), ("BTC/USD", "24/7", "BTC-USD"),
     ("EUR/USD", "24/5", "EURUSD=X")],
)  # fmt: skip
def test_symbols_are_spelt_as_yahoo_does(symbol: str, calendar: str, ticker: str) -> None:
    assert yahoo_ticker(symbol, calendar) == ticker


def test_without_the_package_the_user_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "yfinance", None)
    source = build_source(yahoo_spec(), CALENDAR, {})
    with pytest.raises(UserError, match=r"not installed; install it with pip install 'trading_ass"):
        source.fetch(START, END, NOW)


def test_intraday_bars_are_refused_before_anything_is_asked() -> None:
    with pytest.raises(UserError, match="source yfinance was asked for bars of 1h; expected 1d"):
        build_source(yahoo_spec(bar_length="1h"), CALENDAR, {})


def test_yfinance_is_asked_for_unadjusted_history_and_its_failures_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yfinance = pytest.importorskip("yfinance")
    from yfinance.exceptions import YFPricesMissingError, YFRateLimitError

    asked: list[Any] = []
    failure: list[Exception] = []

    def history(self: Any, **options: Any) -> pd.DataFrame:
        asked.append((self.ticker, options, yfinance.config.debug.hide_exceptions))
        if failure:
            raise failure[0]
        return download()(self.ticker, options["start"])

    monkeypatch.setattr(yfinance.Ticker, "history", history)
    source = build_source(yahoo_spec(), CALENDAR, {})
    assert not source.fetch(START, END, NOW).rows.is_empty()
    options = {"start": START, "auto_adjust": False, "actions": True}
    assert asked[0] == ("AAA", options, False)
    assert yfinance.config.debug.hide_exceptions is True
    for error, sentence in (
        (YFRateLimitError(), r"Yahoo failed for AAA \(YFRateLimitError"),
        (ConnectionError("no route"), r"Yahoo failed for AAA \(ConnectionError: no route\)"),
        (YFPricesMissingError("AAA", ""), "Yahoo has no daily bars of AAA"),
    ):
        failure[:] = [error]
        with pytest.raises(DataError, match=sentence):
            source.fetch(START, END, NOW)
