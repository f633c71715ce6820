"""A seeded market for any universe, calendar and bar length, with what real ones do to a pipeline.

It has two regimes of volatility, gaps, halts, splits, dividends, late listings and delistings; half
days and daylight saving come with the calendar. Expected returns are zero: whoever earns money here
without costs was lucky or looked ahead.
"""

from datetime import date, datetime

import polars as pl

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.bars.calendars.grid import bar_closes
from trading_assets.bars.sources.source import FetchedBars
from trading_assets.bars.stamps import stamp_bars
from trading_assets.bars.synthetic.bars import chances, daily_bars, intraday_bars
from trading_assets.bars.synthetic.draws import SymbolDraws
from trading_assets.bars.synthetic.life import Lifetime, draw_lifetime
from trading_assets.bars.synthetic.sessions import (
    MIN_PRICE_USD,
    SessionPath,
    sessions_a_year,
    simulate_market,
    simulate_symbol,
    worthless,
)
from trading_assets.market_data import MarketDataSpec
from trading_assets.membership import Member
from trading_assets.schema import TABLES, UTC_TIME, conform
from trading_assets.source_specs import SyntheticSource

ORIGIN = "synthetic market"


class SyntheticBars:
    """Bars and actions of the synthetic market from the data set's start.

    All numbers of a symbol and session are drawn by seed, symbol and session, so neither the range
    that is asked for nor the rest of the universe changes them, and history never changes as it
    grows.
    """

    def __init__(
        self, spec: MarketDataSpec, source: SyntheticSource, calendar: ExchangeCalendar
    ) -> None:
        self._spec = spec
        self._source = source
        self._calendar = calendar

    def fetch(self, start: date, end: date, as_of: datetime) -> FetchedBars:
        """Return the market's bars and actions of `start` to `end`; none before the spec's start.

        Raises
        ------
        UserError
            If volatility is so large that a price falls to zero.
        """
        start = max(start, self._spec.start)
        sessions = self._calendar.sessions(self._spec.start, end) if end >= start else []
        market = simulate_market(self._spec, self._source, sessions)
        paths = {
            symbol: simulate_symbol(symbol, self._spec, self._source, market)
            for symbol in self._spec.universe
        }
        grid = bar_closes(
            self._calendar, [day for day in sessions if day >= start], self._spec.raw_bar_length
        )
        prices = pl.concat(
            self._bars(symbol, path, grid, start, end) for symbol, path in paths.items()
        )
        _require_positive(prices, self._source)
        return FetchedBars(
            stamp_bars(prices, self._spec, self._calendar, as_of),
            TABLES["series"].empty(),
            self._actions(paths, start, end, as_of),
            _delistings(paths, start, min(end, as_of.date())),
        )

    def _bars(
        self, symbol: str, path: SessionPath, grid: pl.DataFrame, start: date, end: date
    ) -> pl.DataFrame:
        place = path.alive(start, end)
        missing = chances(self._source, sessions_a_year(self._spec))
        alive = path.sessions[place]
        bars = grid.filter(pl.col("session").is_in(alive))
        if self._spec.raw_bar_length == "1d":
            prices = daily_bars(path, place, missing)
        else:
            counts = bars.group_by("session", maintain_order=True).len()["len"].to_list()
            draws = SymbolDraws(self._source.seed, symbol)
            prices = intraday_bars(path, place, counts, missing, draws)
        return pl.concat(
            [bars.select("session", "event_time")[prices["bar"]], prices.drop("bar")],
            how="horizontal",
        ).with_columns(pl.lit(symbol).alias("symbol"))

    def _actions(
        self, paths: dict[str, SessionPath], start: date, end: date, as_of: datetime
    ) -> pl.DataFrame:
        rows = [
            {
                "symbol": symbol,
                "ex_date": action.ex_date,
                "kind": action.kind,
                "split_ratio": action.split_ratio,
                "cash_usd": action.cash_usd,
                "new_symbol": None,
                "knowledge_time": self._calendar.open_time(action.ex_date),
                "origin": ORIGIN,
            }
            for symbol, path in paths.items()
            for action in path.actions
            if start <= action.ex_date <= end
        ]
        table = pl.DataFrame(rows, schema=TABLES["corporate_actions"].empty().schema)
        known = pl.col("knowledge_time") <= pl.lit(as_of).cast(UTC_TIME)
        return conform("corporate_actions", table.filter(known)).sort("symbol", "ex_date", "kind")


def synthetic_members(
    spec: MarketDataSpec, source: SyntheticSource, calendar: ExchangeCalendar
) -> tuple[Member, ...]:
    """Return each symbol's time in the synthetic market, ready to be declared as the universe.

    `first_session` and `last_session` are the first and last session with trading; the delisting's
    reason and the return after the last bar (fraction) stand beside them.
    """
    members: list[Member] = []
    for symbol in spec.universe:
        life = _lifetime(symbol, spec, source)
        first, last = life.first, life.last
        members.append(
            Member(
                symbol=symbol,
                first_session=first if calendar.is_session(first) else calendar.next_session(first),
                last_session=last
                if last is None or calendar.is_session(last)
                else calendar.previous_session(last),
                delisting_reason=life.reason,
                delisting_return=life.final_return,
            )
        )
    return tuple(members)


def _lifetime(symbol: str, spec: MarketDataSpec, source: SyntheticSource) -> Lifetime:
    return draw_lifetime(symbol, spec, source, SymbolDraws(source.seed, symbol).of_life())


def _delistings(paths: dict[str, SessionPath], start: date, end: date) -> tuple[str, ...]:
    return tuple(
        f"{symbol} was delisted after {life.last} ({life.reason}; return after its last bar"
        f" {life.final_return})"
        for symbol, life in ((symbol, path.lifetime) for symbol, path in paths.items())
        if life.last is not None and start <= life.last <= end
    )


def _require_positive(prices: pl.DataFrame, source: SyntheticSource) -> None:
    bad = prices.filter((pl.col("low") < MIN_PRICE_USD) | ~pl.col("high").is_finite())
    if not bad.is_empty():
        row = bad.row(0, named=True)
        raise worthless(row["symbol"], row["session"], row["low"], source)
