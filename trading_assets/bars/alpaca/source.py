"""Bars and corporate actions of US stocks from Alpaca's market-data API, unadjusted, all pages.

Tickers are taken as they were on the day (`asof` is switched off), so that a rename is an action
and a ticker that was used twice stays two instruments. Hourly bars are built here from 5-minute
bars, because Alpaca's own follow the clock hour and mix the first half hour with trades before the
open. Trades of the closing auction are in Alpaca's daily bar and in the minute after the close,
which is left out, so the last intraday close of a session may differ from the daily one.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl

from trading_assets.bars.alpaca.actions import (
    actions_table,
    known_from,
    read_actions,
    settle_actions,
)
from trading_assets.bars.alpaca.answers import (
    place_bars,
    read_bars,
    stamp_placed_bars,
)
from trading_assets.bars.alpaca.client import MarketDataReader
from trading_assets.bars.alpaca.keys import read_keys
from trading_assets.bars.alpaca.refusals import InvalidRequestError
from trading_assets.bars.alpaca.transport import Patience
from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.bars.resampling import resample_bars
from trading_assets.bars.sources.source import FetchedBars, declared_feed
from trading_assets.errors import UserError
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES
from trading_assets.source_specs import AlpacaSource, BarLength

# Alpaca's own hours are the clock's; these lengths divide every session from its open on.
_ASKED_LENGTH: Mapping[BarLength, BarLength] = {"1d": "1d", "1h": "5m", "5m": "5m", "1m": "1m"}
# From 04:00 to 20:00 in New York, trades outside the session's hours included.
_BARS_A_DAY: Mapping[BarLength, int] = {"1d": 1, "5m": 192, "1m": 960}
_SYMBOLS_A_REQUEST = 100
# alpaca-py holds all pages of a request in memory, about 700 bytes a bar.
_BARS_A_REQUEST = 100_000
# Alpaca finds actions by the day it processes them, for a dividend the payable date.
_PROCESSED_BEFORE_EX = timedelta(days=31)
_PROCESSED_AFTER_EX = timedelta(days=365)
_LAST_SECOND = time(23, 59, 59)


class AlpacaBars:
    """Bars of one Alpaca feed, with splits, dividends, spin-offs and renames.

    Parameters
    ----------
    spec, source : MarketDataSpec, AlpacaSource
        Universe, bar length and lag; feed and address.
    calendar : ExchangeCalendar
        Places the bars; XNYS.
    credentials : mapping
        `ALPACA_API_KEY` and `ALPACA_SECRET_KEY`; looked at by `fetch`, so that a data set without
        keys can be declared.
    patience : Patience, optional
        Time limits and repeats.
    """

    def __init__(
        self,
        spec: MarketDataSpec,
        source: AlpacaSource,
        calendar: ExchangeCalendar,
        credentials: Mapping[str, str],
        patience: Patience | None = None,
    ) -> None:
        self._spec = spec
        self._source = source
        self._calendar = calendar
        self._credentials = credentials
        self._patience = patience or Patience()

    def fetch(self, start: date, end: date, as_of: datetime) -> FetchedBars:
        """Return the bars and actions of `start` to `end` that were published at `as_of`.

        Raises
        ------
        MissingKeyError
            If a key is missing.
        UserError
            If a key or the calendar cannot be used, or Alpaca refuses the keys, the feed, a symbol
            or the dates.
        DataError
            If Alpaca cannot be reached, keeps failing, or answers with something that is no bar or
            action.
        """
        self._require_usable(as_of)
        feed, url = self._source.feed, self._source.url
        reader = MarketDataReader(read_keys(self._credentials), url, feed, self._patience)
        return FetchedBars(
            self._rows(reader, start, end, as_of),
            TABLES["series"].empty(),
            self._actions(reader, start, end, as_of),
        )

    def _rows(
        self, reader: MarketDataReader, start: date, end: date, as_of: datetime
    ) -> pl.DataFrame:
        length = self._spec.raw_bar_length
        asked = _ASKED_LENGTH[length]
        prices = [
            place_bars(page, self._calendar, asked, start, end)
            for symbols in _groups(self._spec.universe)
            for page in self._prices(reader, symbols, asked, (start, end), as_of)
        ]
        if not prices:
            return TABLES["raw_bars"].empty()
        feed = declared_feed(self._source)
        rows = stamp_placed_bars(pl.concat(prices), self._spec, feed, asked, as_of)
        if asked != length:
            lag = timedelta(minutes=self._spec.publication_lag_minutes)
            rows = resample_bars(rows, self._calendar, length, as_of, lag)
        return rows.filter(pl.col("knowledge_time") <= pl.col("ingest_time"))

    def _prices(
        self,
        reader: MarketDataReader,
        symbols: Sequence[str],
        length: BarLength,
        days: tuple[date, date],
        as_of: datetime,
    ) -> Iterator[pl.DataFrame]:
        """Yield the bars of `symbols` in pieces that fit into memory."""
        # The free plan refuses a sip range that reaches into the last 15 minutes.
        published_until = as_of - timedelta(minutes=self._spec.publication_lag_minutes)
        n_days = max(1, _BARS_A_REQUEST // (_BARS_A_DAY[length] * len(symbols)))
        for first_day, last_day in _windows(*days, n_days):
            first = datetime.combine(first_day, time.min, tzinfo=self._calendar.time_zone)
            last = datetime.combine(last_day, _LAST_SECOND, tzinfo=self._calendar.time_zone)
            if published_until < first:
                return
            last = min(last, published_until)
            answer = reader.bars(symbols, length, first.astimezone(UTC), last.astimezone(UTC))
            yield read_bars(answer, symbols)

    def _actions(
        self, reader: MarketDataReader, start: date, end: date, as_of: datetime
    ) -> pl.DataFrame:
        lag = self._spec.publication_lag_minutes
        found = [
            action
            for symbols in _groups(self._spec.universe)
            for action in read_actions(_ask_actions(reader, symbols, start, end), symbols)
            if start <= action.ex_date <= end and known_from(action, self._calendar, lag) <= as_of
        ]

        def closes(symbol: str, first: date, last: date) -> dict[date, float]:
            return self._closes(reader, symbol, (first, last), as_of)

        settled = settle_actions(found, closes, self._calendar)
        return actions_table(settled, self._calendar, lag)

    def _closes(
        self, reader: MarketDataReader, symbol: str, days: tuple[date, date], as_of: datetime
    ) -> dict[date, float]:
        """Return the published daily closes of a ticker that the universe need not hold."""
        try:
            pages = list(self._prices(reader, [symbol], "1d", days, as_of))
        except InvalidRequestError:
            return {}
        placed = [place_bars(page, self._calendar, "1d", *days) for page in pages]
        return {
            session: close
            for frame in placed
            for session, close in frame.select("session", "close").iter_rows()
        }

    def _require_usable(self, as_of: datetime) -> None:
        if as_of.tzinfo is None:
            msg = f"as_of was {as_of} without a time zone; expected an aware time such as UTC"
            raise UserError(msg)
        if self._calendar.name != "XNYS":
            msg = (
                f"calendar was {self._calendar.name}; the alpaca source serves US stocks, so"
                " expected calendar XNYS"
            )
            raise UserError(msg)


def _ask_actions(
    reader: MarketDataReader, symbols: Sequence[str], start: date, end: date
) -> dict[str, Any]:
    return reader.actions(symbols, start - _PROCESSED_BEFORE_EX, end + _PROCESSED_AFTER_EX)


def _groups(symbols: Sequence[str]) -> list[Sequence[str]]:
    return [
        symbols[first : first + _SYMBOLS_A_REQUEST]
        for first in range(0, len(symbols), _SYMBOLS_A_REQUEST)
    ]


def _windows(start: date, end: date, n_days: int) -> Iterator[tuple[date, date]]:
    while start <= end:
        last = min(end, start + timedelta(days=n_days - 1))
        yield start, last
        start = last + timedelta(days=1)
