"""When bars of a symbol are expected: in its declared membership, or from its first bar on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from trading_assets.bars.actions.renames import Turn
from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.market_data import MarketDataSpec


@dataclass(frozen=True, slots=True)
class ListingSpan:
    """Days on which a symbol's bars are expected, both inclusive; `last` None is open."""

    symbol: str
    first: date
    last: date | None


def expected_spans(
    spec: MarketDataSpec,
    first_sessions: Mapping[str, date],
    turns: Mapping[str, Sequence[Turn]] | None = None,
) -> list[ListingSpan]:
    """Return when each symbol of the universe is expected; a declaration's stints do not overlap.

    A member's stint begins on its declared first session; one without a first session, and a symbol
    without membership, begin with the symbol's first stored bar. Where there is no such bar either,
    nothing is expected: the symbol may be listed only later.

    A ticker is expected until its company is renamed, and from the day on which a company is
    renamed to it. Bars of others that held it before or hold it afterwards are welcome, but not
    expected, unless a declared stint lies within their time.

    Parameters
    ----------
    spec : MarketDataSpec
        Universe and members.
    first_sessions : mapping of str to date
        First stored bar of each symbol.
    turns : mapping of str to Turn, optional
        When tickers change hands, as `ticker_turns` returns it.

    Returns
    -------
    list of ListingSpan
        By symbol in the order of the universe, then by time.
    """
    spans: list[ListingSpan] = []
    declared = _declared_stints(spec)
    for symbol in spec.universe:
        for declared_first, last in declared.get(symbol, [(None, None)]):
            first = declared_first or first_sessions.get(symbol)
            if first is not None and (last is None or first <= last):
                stint = ListingSpan(symbol, first, last)
                spans += _within_turns(stint, (turns or {}).get(symbol, ()))
    return spans


def silent_symbols(
    spec: MarketDataSpec, first_sessions: Mapping[str, date], as_of: datetime
) -> list[str]:
    """Return one sentence for each symbol that has no bar at all although it might.

    Such a symbol is misspelt, unknown to the vendor or not listed yet; unless its membership is
    declared, none of its bars counts as missing. Members whose time begins later, or ended before
    the data set starts, are left out.

    Parameters
    ----------
    spec : MarketDataSpec
        Universe, members and dates.
    first_sessions : mapping of str to date
        First bar of each symbol in everything that is stored.
    as_of : datetime
        Aware moment.
    """
    today = as_of.astimezone(get_calendar(spec.calendar).time_zone).date()
    last = today if spec.end is None else min(spec.end, today)
    declared = _declared_stints(spec)
    return [
        f"{symbol} has no bar in anything that is stored; expected at least one from {spec.start}"
        f" to {last}, so fetch more months, check its spelling and whether the source carries it,"
        " or declare when it is a member"
        for symbol in spec.universe
        if symbol not in first_sessions
        and any(
            (stint_first or spec.start) <= last and (stint_last or last) >= spec.start
            for stint_first, stint_last in declared.get(symbol, [(None, None)])
        )
    ]


def _within_turns(stint: ListingSpan, turns: Sequence[Turn]) -> list[ListingSpan]:
    """Return the parts of a stint in which the ticker's holder is known by a rename."""
    inside = [
        turn
        for turn in turns
        if stint.first < turn.day and (stint.last is None or turn.day <= stint.last)
    ]
    parts: list[ListingSpan] = []
    first, is_known = stint.first, True
    for turn in inside:
        if is_known and turn.leaves_for is not None:
            parts.append(ListingSpan(stint.symbol, first, turn.day - timedelta(days=1)))
        first, is_known = turn.day, turn.is_taken
    return [*parts, ListingSpan(stint.symbol, first, stint.last)] if is_known else parts


def _declared_stints(spec: MarketDataSpec) -> dict[str, list[tuple[date | None, date | None]]]:
    stints: dict[str, list[tuple[date | None, date | None]]] = {}
    for member in spec.members:  # in order of time
        stints.setdefault(member.symbol, []).append((member.first_session, member.last_session))
    return stints
