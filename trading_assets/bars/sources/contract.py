"""What every source promises, as checks: run them against a source of one's own.

``check_source(source, spec, calendar, start, end, as_of)`` in a test of the source's module should
return an empty list.
"""

from datetime import date, datetime, timedelta

import polars as pl

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.bars.sources.source import BarSource, FetchedBars, declared_feed
from trading_assets.errors import UserError
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES, UTC_TIME, column_problems
from trading_assets.symbols import SYMBOL_PATTERN

_TABLES = ("rows", "series", "actions")
_TABLE_NAMES = {"rows": "raw_bars", "series": "series", "actions": "corporate_actions"}
_LONGEST_SHOWN = 40
_PRICES = ("open", "high", "low", "close")


def check_source(
    source: BarSource,
    spec: MarketDataSpec,
    calendar: ExchangeCalendar,
    start: date,
    end: date,
    as_of: datetime,
) -> list[str]:
    """Return one sentence for each promise that `source` breaks; an empty list is a pass.

    The source is fetched from several times: twice for the whole range, for parts of it, and as of
    an earlier moment. Choose a range in which it has bars, of two sessions or more.

    Parameters
    ----------
    source : BarSource
        The source under test.
    spec : MarketDataSpec
        Declares its feed, the universe and the length of its bars.
    calendar : ExchangeCalendar
        The data set's.
    start, end : date
        Sessions to ask for, both inclusive.
    as_of : datetime
        Aware moment after the close of `end`.
    """
    try:
        whole = source.fetch(start, end, as_of)
        problems = delivery_problems(whole, spec, start, end, as_of)
        if problems:
            return problems
        problems = _bar_problems(whole.rows, spec)
        if whole.rows.is_empty():
            problems.append(f"no bar came from {start} to {end}; expected a range that has some")
        again = source.fetch(start, end, as_of)
        problems += _differences(again, whole, "a second fetch of the same range")
        sessions = calendar.sessions(start, end)
        if len(sessions) > 1:
            half = sessions[len(sessions) // 2]
            for first, last in ((start, sessions[len(sessions) // 2 - 1]), (half, end)):
                part = source.fetch(first, last, as_of)
                label = f"a fetch of {first} to {last}"
                problems += [
                    f"{label}: {problem}"
                    for problem in delivery_problems(part, spec, first, last, as_of)
                ] or _differences(part, _restricted(whole, first, last), label)
        return problems + _hindsight(source, spec, whole, (start, end), as_of)
    except UserError as error:
        return [f"fetch raised {type(error).__name__}: {error}; expected bars of {start} to {end}"]


def delivery_problems(
    fetched: FetchedBars, spec: MarketDataSpec, start: date, end: date, as_of: datetime
) -> list[str]:
    """Return what makes a delivery unfit to be stored, one sentence each; empty if nothing does.

    Columns and types, feed, bar length and adjustment, revision 0, `ingest_time`, sessions in the
    range, nothing known only after `as_of` or before its bar ended, keys unique.
    """
    if not isinstance(fetched, FetchedBars):  # pyright: ignore[reportUnnecessaryIsInstance] # untyped sources exist
        return [f"fetch returned {type(fetched).__name__}; expected FetchedBars"]
    problems = [
        problem
        for table in _TABLES
        for problem in column_problems(_TABLE_NAMES[table], getattr(fetched, table))
    ]
    if problems:
        return problems
    now = pl.lit(as_of).cast(UTC_TIME)
    length = spec.raw_bar_length
    sources = [spec.source] if spec.fallback is None else [spec.source, spec.fallback]
    feeds = [declared_feed(source) for source in sources]
    is_spelled = pl.col("symbol").str.contains(SYMBOL_PATTERN)
    spelling = "has a symbol that is none; expected capitals, digits and . - /"
    row_rules = {
        f"is not of feed {' or '.join(feeds)}": ~pl.col("feed").is_in(feeds),
        f"is not of bar length {length}": pl.col("bar_length") != length,
        "is not of adjustment raw": pl.col("adjustment") != "raw",
        "became known before it ended": pl.col("knowledge_time") < pl.col("event_time"),
    }
    stamp_rules = {
        "is not of revision 0": pl.col("revision") != 0,
        "has another ingest_time than the moment of the fetch": pl.col("ingest_time") != now,
        "became known after the moment of the fetch": pl.col("knowledge_time") > now,
        f"is of a session outside {start} to {end}": ~pl.col("session").is_between(start, end),
    }
    action_rules = {
        "became known after the moment of the fetch": pl.col("knowledge_time") > now,
        f"has an ex date outside {start} to {end}": ~pl.col("ex_date").is_between(start, end),
    }
    of_bars = {spelling: ~is_spelled}
    of_series = {spelling: ~is_spelled & (pl.col("symbol") != "*")}
    return [
        *_broken(fetched.rows, "bar", of_bars | row_rules | stamp_rules, "event_time"),
        *_repeated(fetched.rows, "raw_bars", "event_time"),
        *_broken(fetched.series, "series value", of_series | stamp_rules, "event_time"),
        *_repeated(fetched.series, "series", "event_time"),
        *_broken(fetched.actions, "action", of_bars | action_rules, "ex_date"),
        *_repeated(fetched.actions, "corporate_actions", "ex_date"),
    ]


def _broken(
    table: pl.DataFrame, what: str, rules: dict[str, pl.Expr], time_column: str
) -> list[str]:
    found: list[str] = []
    for rule, is_broken in rules.items():
        bad = table.filter(is_broken.fill_null(value=True))
        if not bad.is_empty():
            row = bad.row(0, named=True)
            others = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
            symbol = str(row["symbol"])[:_LONGEST_SHOWN]
            named = symbol if symbol.isascii() and symbol.isprintable() else repr(symbol)
            found.append(f"the {what} of {named} at {row[time_column]}{others} {rule}")
    return found


def _repeated(table: pl.DataFrame, name: str, time_column: str) -> list[str]:
    key = TABLES[name].key
    rule = "occurs more than once; expected one row a key"
    return _broken(table, "row", {rule: pl.struct(key).is_duplicated()}, time_column)


def _bar_problems(rows: pl.DataFrame, spec: MarketDataSpec) -> list[str]:
    prices = [pl.col(name) for name in _PRICES]
    low, high = pl.min_horizontal("open", "close"), pl.max_horizontal("open", "close")
    # A price that the vendor lacks may be null: validation puts the row into quarantine.
    rules = {
        "is of a symbol outside the universe": ~pl.col("symbol").is_in(list(spec.universe)),
        "has a price that is not finite and above 0": pl.any_horizontal(
            (~price.is_finite() | (price <= 0)).fill_null(value=False) for price in prices
        ),
        "has a low above open or close": (pl.col("low") > low).fill_null(value=False),
        "has a high below open or close": (pl.col("high") < high).fill_null(value=False),
        "has a volume that is not finite or negative": (
            ~pl.col("volume").is_finite() | (pl.col("volume") < 0)
        ).fill_null(value=False),
    }
    problems = _broken(rows, "bar", rules, "event_time")
    key = list(TABLES["raw_bars"].key)
    if not rows.equals(rows.sort(key)):
        problems.append(f"bars are not sorted by {', '.join(key)}; expected that order")
    return problems


def _differences(found: FetchedBars, expected: FetchedBars, label: str) -> list[str]:
    return [
        f"{label} gives other {table} than the first fetch of the whole range"
        f" ({len(getattr(found, table))} against {len(getattr(expected, table))}); expected the"
        " same, so that history does not depend on what is asked for"
        for table in _TABLES
        if not _ordered(getattr(found, table)).equals(_ordered(getattr(expected, table)))
    ]


def _ordered(table: pl.DataFrame) -> pl.DataFrame:
    # Whether rows are sorted is a promise of its own.
    return table.sort(table.columns)


def _restricted(whole: FetchedBars, first: date, last: date) -> FetchedBars:
    in_range = pl.col("session").is_between(first, last)
    return FetchedBars(
        whole.rows.filter(in_range),
        whole.series.filter(in_range),
        whole.actions.filter(pl.col("ex_date").is_between(first, last)),
    )


def _hindsight(
    source: BarSource,
    spec: MarketDataSpec,
    whole: FetchedBars,
    span: tuple[date, date],
    as_of: datetime,
) -> list[str]:
    """Return what differs when the source is asked as of an earlier moment."""
    moments: list[datetime] = whole.rows["knowledge_time"].unique().sort().to_list()
    if len(moments) <= 1:
        return []
    # A microsecond before a bar is known, so that one that is known too early is seen.
    earlier = moments[len(moments) // 2] - timedelta(microseconds=1)
    label = f"asked as of {earlier}"
    known = source.fetch(*span, earlier)
    problems = delivery_problems(known, spec, *span, earlier)
    if problems:
        return [f"{label}: {problem}" for problem in problems]
    was_known = pl.col("knowledge_time") <= pl.lit(earlier).cast(UTC_TIME)
    for table in ("rows", "actions"):
        key = list(TABLES[_TABLE_NAMES[table]].key)
        expected, found = getattr(whole, table).filter(was_known), getattr(known, table)
        if not found.select(key).sort(key).equals(expected.select(key).sort(key)):
            problems.append(
                f"{label}, {len(found)} {table} came, but {len(expected)} of a later fetch were"
                " known then; expected the same, so that a replay sees what was to be seen"
            )
    return problems
