"""Daily bars and actions from Yahoo, by the optional package `yfinance`, as they were traded."""

from collections.abc import Callable
from datetime import date, datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING

import polars as pl

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.bars.sources.source import FetchedBars
from trading_assets.bars.stamps import stamp_bars
from trading_assets.errors import DataError, UserError
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES, UTC_TIME, conform

if TYPE_CHECKING:
    import pandas as pd

Download = Callable[[str, date], "pd.DataFrame"]

ORIGIN = "yahoo"

_COLUMNS = {
    "Open": "open",
    "High": "high",
    "Low": "low",
    "Close": "close",
    "Volume": "volume",
    "Dividends": "dividend",
    "Stock Splits": "split",
}
_PRICES = ("open", "high", "low", "close")
# Yahoo's numbers went through 32 bits, and dividing a split out and back leaves noise, too; prices
# are traded in hundredths of a cent at the finest.
_PRICE_DECIMALS = 4
_CASH_DECIMALS = 6


class YahooBars:
    """Yahoo's daily bars with the adjustment for splits undone, and its splits and dividends.

    Yahoo divides all prices and dividends before a split by its ratio, and multiplies the volume,
    even where no adjustment is asked for, and does so anew for each later split. Here a session's
    numbers are multiplied by the ratios of all splits after it up to today, which gives what was
    traded, and which no later split changes. Yahoo's adjusted close is left out: it changes with
    every dividend, so that each would revise the whole history.

    Parameters
    ----------
    spec, calendar
        Universe, and sessions of the bars.
    download : callable, optional
        Returns what ``yfinance.Ticker(ticker).history(start=..., auto_adjust=False)`` does for a
        ticker from a day until now: a pandas table by day with Open, High, Low, Close, Volume,
        Dividends and Stock Splits; empty if Yahoo has none.

    Raises
    ------
    UserError
        From `fetch`, if `yfinance` is not installed and no `download` is given.
    """

    def __init__(
        self, spec: MarketDataSpec, calendar: ExchangeCalendar, download: Download | None = None
    ) -> None:
        self._spec = spec
        self._calendar = calendar
        self._download = download

    def fetch(self, start: date, end: date, as_of: datetime) -> FetchedBars:
        """Return the bars and actions of `start` to `end`; symbols that Yahoo lacks are left out.

        Raises
        ------
        UserError
            If the package `yfinance` is not installed.
        DataError
            If Yahoo fails, has none of the symbols, or answers with something that is no bar.
        """
        download = self._download or _history
        # Up to today, whatever the range: later splits are in the prices already.
        histories = {
            symbol: _unadjusted(self._read(download, symbol, start), symbol)
            for symbol in self._spec.universe
        }
        whole = pl.concat(histories.values())
        if whole.is_empty():
            msg = (
                f"Yahoo has no daily bars of {', '.join(self._spec.universe[:5])} from {start} on;"
                " check the symbols, or try again later"
            )
            raise DataError(msg)
        in_range = whole.filter(pl.col("session").is_between(start, end))
        return FetchedBars(
            stamp_bars(in_range.drop("dividend", "split"), self._spec, self._calendar, as_of),
            TABLES["series"].empty(),
            self._actions(in_range, as_of),
            tuple(
                f"Yahoo has no bars of {symbol} from {start} on"
                for symbol, history in histories.items()
                if history.is_empty()
            ),
        )

    def _read(self, download: Download, symbol: str, start: date) -> pl.DataFrame:
        table = download(yahoo_ticker(symbol, self._spec.calendar), start)
        if len(table) == 0:
            return _empty()
        missing = [name for name in _COLUMNS if name not in table.columns]
        if missing:
            msg = (
                f"Yahoo's answer for {symbol} lacks {', '.join(missing)}; expected"
                f" {', '.join(_COLUMNS)}, so update the package yfinance"
            )
            raise DataError(msg)
        try:
            days = [moment.date() for moment in table.index.to_pydatetime()]  # pyright: ignore[reportAttributeAccessIssue]
            return pl.DataFrame(
                {
                    "session": days,
                    **{
                        ours: table[theirs].to_numpy(dtype="float64", na_value=float("nan"))
                        for theirs, ours in _COLUMNS.items()
                    },
                },
                schema=_empty().schema,
            )
        except (AttributeError, TypeError, ValueError) as error:
            msg = f"Yahoo's answer for {symbol} holds no readable bars ({error}); try again later"
            raise DataError(msg) from error

    def _actions(self, prices: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
        splits = prices.filter(pl.col("split") != 1).select(
            "symbol", "session", kind=pl.lit("split"), split_ratio="split", cash_usd=pl.lit(0.0)
        )
        dividends = prices.filter(pl.col("dividend") > 0).select(
            "symbol",
            "session",
            kind=pl.lit("dividend"),
            split_ratio=pl.lit(1.0),
            cash_usd="dividend",
        )
        found = pl.concat([splits, dividends]).rename({"session": "ex_date"})
        openings = [
            self._calendar.open_time(
                day if self._calendar.is_session(day) else self._calendar.next_session(day)
            )
            for day in found["ex_date"].to_list()
        ]
        # When an action was announced Yahoo does not say; at the open of the ex date all know it.
        table = found.with_columns(
            pl.Series("knowledge_time", openings, dtype=UTC_TIME),
            new_symbol=pl.lit(None, dtype=pl.String),
            origin=pl.lit(ORIGIN),
        ).filter(pl.col("knowledge_time") <= pl.lit(as_of).cast(UTC_TIME))
        names = TABLES["corporate_actions"].names
        return conform("corporate_actions", table.select(names)).sort("symbol", "ex_date", "kind")


def yahoo_ticker(symbol: str, calendar: str) -> str:
    """Return Yahoo's spelling: BRK-B for BRK.B, BTC-USD for BTC/USD, EURUSD=X for EUR/USD."""
    if calendar == "24/5" and "/" in symbol:
        return symbol.replace("/", "") + "=X"
    return symbol.replace("/", "-").replace(".", "-")


def _empty() -> pl.DataFrame:
    return pl.DataFrame(schema={"session": pl.Date, **dict.fromkeys(_COLUMNS.values(), pl.Float64)})


def _unadjusted(history: pl.DataFrame, symbol: str) -> pl.DataFrame:
    split, later = pl.col("split"), pl.col("later_splits")
    # On days without a split Yahoo says 0.
    ratio = pl.when(split > 0).then(split).otherwise(1.0)
    # Cash is for one share of before the day's own split.
    cash = (pl.col("dividend") * later * split).round(_CASH_DECIMALS)
    return (
        history.fill_nan(None)
        .sort("session")
        .with_columns(ratio.alias("split"))
        .with_columns((split.cum_prod(reverse=True) / split).alias("later_splits"))
        .select(
            pl.lit(symbol).alias("symbol"),
            "session",
            *((pl.col(name) * later).round(_PRICE_DECIMALS) for name in _PRICES),
            (pl.col("volume") / later).round(0),
            cash.fill_null(0.0).alias("dividend"),
            "split",
        )
    )


def _history(ticker: str, start: date) -> "pd.DataFrame":
    if find_spec("yfinance") is None:
        msg = (
            "source yfinance needs the package yfinance, which is not installed; install it with"
            " pip install 'trading_assets[yfinance]'"
        )
        raise UserError(msg)
    import yfinance  # pyright: ignore[reportMissingImports] # optional
    from yfinance.exceptions import YFException, YFTickerMissingError  # pyright: ignore[reportMissingImports] # optional

    shown = yfinance.config.debug.hide_exceptions
    # Otherwise a failure would look like a symbol without bars.
    yfinance.config.debug.hide_exceptions = False
    try:
        return yfinance.Ticker(ticker).history(start=start, auto_adjust=False, actions=True)
    except YFTickerMissingError:
        import pandas as pd

        return pd.DataFrame()
    except (YFException, OSError) as error:
        msg = f"Yahoo failed for {ticker} ({type(error).__name__}: {error}); try again later"
        raise DataError(msg) from error
    finally:
        yfinance.config.debug.hide_exceptions = shown
