"""A second source stands in where the first fails, one symbol and month at a time."""

from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta

import polars as pl

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.bars.calendars.coverage import month_key
from trading_assets.bars.months import Month
from trading_assets.bars.sources.narrowing import Answer, Cell, NarrowedSource
from trading_assets.bars.sources.source import BarSource, FetchedBars, declared_feed
from trading_assets.errors import DataError, UserError
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES

_MAX_REASON = 300


class FallbackBars:
    """Bars of a source, and of its fallback where it fails.

    What the source delivers is taken. Of a symbol and month where it raises `DataError`, or has no
    bar at all, the fallback's bars and actions are taken instead; never both, and each row keeps
    its own feed. A month is looked at as a whole (within the data set, up to the fetch), so that
    fetching parts of it gives the same. Mistakes of the user, such as a missing key, are raised.

    A source that is late with a month's first bar may thus leave that month, once stored, with
    bars of two feeds; validation reports mixed feeds.

    Parameters
    ----------
    spec : MarketDataSpec
        With `fallback`.
    calendar : ExchangeCalendar
        Says which months have sessions.
    build : callable
        Returns the source of a spec without fallback.

    Raises
    ------
    UserError
        If both sources have the same feed, or one cannot serve `spec`.
    """

    def __init__(
        self,
        spec: MarketDataSpec,
        calendar: ExchangeCalendar,
        build: Callable[[MarketDataSpec], BarSource],
    ) -> None:
        assert spec.fallback is not None
        self._spec = spec
        self._calendar = calendar
        self._feeds = declared_feed(spec.source), declared_feed(spec.fallback)
        if self._feeds[0] == self._feeds[1]:
            msg = (
                f"source and fallback were both of feed {self._feeds[0]}; expected two feeds, so"
                " that rows say where they came from"
            )
            raise UserError(msg)
        single = spec.model_copy(update={"fallback": None})
        self._first = NarrowedSource(single, build)
        self._second = NarrowedSource(single.model_copy(update={"source": spec.fallback}), build)

    def fetch(self, start: date, end: date, as_of: datetime) -> FetchedBars:
        """Return the bars of `start` to `end`; `notes` say where the fallback stood in and why.

        Raises
        ------
        DataError
            If neither source delivers anything.
        """
        months = self._months(start, end, as_of)
        if not months:
            return self._first.whole.fetch(start, end, as_of)
        first = self._first.ask(self._spec.universe, months, as_of)
        wanted = self._expected(months) - _cells(first.rows)
        second = self._stand_in(wanted, months, as_of)
        if first.rows.is_empty() and second.rows.is_empty() and first.failures:
            raise DataError(self._nothing_came(first, second))
        taken = _cells(second.rows)
        return FetchedBars(
            _merged("raw_bars", first.rows, second.rows, taken, "session", (start, end)),
            _merged("series", first.series, second.series, taken, "session", (start, end)),
            _merged(
                "corporate_actions", first.actions, second.actions, taken, "ex_date", (start, end)
            ),
            (*first.notes, *second.notes, *self._notes(wanted, first, second)),
        )

    def _months(self, start: date, end: date, as_of: datetime) -> list[Month]:
        spec, calendar = self._spec, self._calendar
        completed = calendar.last_completed_session(as_of, spec.publication_lag_minutes)
        today = as_of.astimezone(calendar.time_zone).date()
        limit = max(end, today) if spec.end is None else min(spec.end, max(end, today))
        months: list[Month] = []
        month = start.replace(day=1)
        while month <= end:
            following = (month + timedelta(days=32)).replace(day=1)
            first = max(month, spec.start)
            last = min(following - timedelta(days=1), limit)
            if first <= last and calendar.sessions(first, min(last, completed)):
                months.append(Month(month.isoformat(), first, last))
            month = following
        return months

    def _expected(self, months: Iterable[Month]) -> set[Cell]:
        stints = {
            symbol: [member for member in self._spec.members if member.symbol == symbol]
            for symbol in self._spec.universe
        }
        return {
            (symbol, month.key)
            for symbol, members in stints.items()
            for month in months
            if not members
            or any(
                (member.first_session or date.min) <= month.last
                and (member.last_session or date.max) >= month.first
                for member in members
            )
        }

    def _stand_in(self, wanted: set[Cell], months: list[Month], as_of: datetime) -> Answer:
        if not wanted:
            return Answer()
        symbols = tuple(sorted({symbol for symbol, _ in wanted}))
        keys = {key for _, key in wanted}
        answer = self._second.ask(symbols, [m for m in months if m.key in keys], as_of)
        return Answer(
            [_only(bars, wanted) for bars in answer.parts],
            {cell: reason for cell, reason in answer.failures.items() if cell in wanted},
        )

    def _nothing_came(self, first: Answer, second: Answer) -> str:
        reasons = [next(iter(first.failures.values())), *list(second.failures.values())[:1]]
        told = [
            f"{feed} failed ({reason[:_MAX_REASON]})"
            for feed, reason in zip(self._feeds, reasons, strict=False)
        ]
        if len(told) == 1:
            told.append(f"its fallback {self._feeds[1]} has no such bars")
        return " and ".join(told)

    def _notes(self, wanted: set[Cell], first: Answer, second: Answer) -> list[str]:
        taken = _cells(second.rows)
        groups: dict[tuple[str, bool, str, str], list[str]] = {}
        for symbol, key in sorted(wanted):
            why = first.failures.get((symbol, key), "")
            fault = second.failures.get((symbol, key), "")
            # That neither has bars of a month is no news: the symbol may not be listed then.
            if (symbol, key) in taken or why or fault:
                group = (symbol, (symbol, key) in taken, why[:_MAX_REASON], fault[:_MAX_REASON])
                groups.setdefault(group, []).append(key[:7])
        return [self._note(*group, keys) for group, keys in groups.items()]

    def _note(self, symbol: str, stood_in: bool, why: str, fault: str, keys: list[str]) -> str:
        first, second = self._feeds
        span = keys[0] if len(keys) == 1 else f"{keys[0]} to {keys[-1]} ({len(keys)} months)"
        cause = f"{first} failed ({why})" if why else f"{first} has no bar"
        if stood_in:
            return f"{symbol} {span}: {cause}, so bars are of {second}"
        return (
            f"{symbol} {span}: {cause}, and {second} {f'failed ({fault})' if fault else 'has none'}"
        )


def _cells(rows: pl.DataFrame) -> set[Cell]:
    if rows.is_empty():
        return set()
    return set(rows.select("symbol", month_key()).unique().iter_rows())


def _among(frame: pl.DataFrame, cells: set[Cell], column: str, *, inside: bool) -> pl.DataFrame:
    listed = pl.DataFrame(
        sorted(cells), schema={"symbol": pl.String, "month": pl.String}, orient="row"
    )
    return (
        frame.with_columns(month_key(column))
        .join(
            listed, on=["symbol", "month"], how="semi" if inside else "anti", maintain_order="left"
        )
        .drop("month")
    )


def _only(bars: FetchedBars, cells: set[Cell]) -> FetchedBars:
    return FetchedBars(
        _among(bars.rows, cells, "session", inside=True),
        _among(bars.series, cells, "session", inside=True),
        _among(bars.actions, cells, "ex_date", inside=True),
        bars.notes,
    )


def _merged(
    table: str,
    first: pl.DataFrame,
    second: pl.DataFrame,
    taken: set[Cell],
    column: str,
    span: tuple[date, date],
) -> pl.DataFrame:
    both = pl.concat(
        [
            _among(first, taken, column, inside=False),
            _among(second, taken, column, inside=True),
        ]
    )
    return both.filter(pl.col(column).is_between(*span)).sort(TABLES[table].key)
