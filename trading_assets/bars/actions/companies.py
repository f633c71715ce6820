"""Bars, actions and portfolios by company: under the newest ticker that each company has had.

`raw_bars` and `corporate_actions` keep the ticker of the day, as vendors give it. `validated_bars`
is stored by company, and whoever puts actions beside it passes them through `actions_by_company`.
Without a rename all functions return what they were given.
"""

from collections.abc import Sequence

import polars as pl

from trading_assets.bars.actions.renames import follow_renames, newest_label, ticker_turns
from trading_assets.errors import DataError

_ACTION = ("symbol", "ex_date", "kind")
_IS_RENAME = pl.col("kind") == "rename"


def bars_by_company(bars: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    """Return `bars`, under the ticker of the day, by company.

    Parameters
    ----------
    bars : DataFrame
        Columns symbol, session and event_time, by symbol and event_time; one row each.
    actions : DataFrame
        Table `corporate_actions` under the ticker of the day.

    Returns
    -------
    DataFrame
        By symbol and event_time again; `bars` itself where no ticker changes.

    Raises
    ------
    DataError
        If two companies would share a ticker at one time.
    """
    found = follow_renames(bars, actions)
    return bars if found is bars else found.sort("symbol", "event_time")


def actions_by_company(actions: pl.DataFrame) -> pl.DataFrame:
    """Return table `corporate_actions` by company, to be put beside `validated_bars`.

    Renames stay as they are, as they say which tickers those of the others are: whoever lays out a
    portfolio reads them in `newest_tickers`.
    """
    if actions.filter(_IS_RENAME).is_empty():
        return actions
    others = follow_renames(actions.filter(~_IS_RENAME), actions)
    return pl.concat([actions.filter(_IS_RENAME), others]).sort(_ACTION, maintain_order=True)


def series_by_company(series: pl.DataFrame, actions: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Return table `series`, each row under the ticker it was published under, by company.

    Parameters
    ----------
    series : DataFrame
        Table `series`. What is published on the evening before a rename belongs to the session of
        the next day, and still carries the old ticker; a correction keeps its vintage's session.
    actions : DataFrame
        Table `corporate_actions` under the ticker of the day.
    zone : str
        Time zone of the calendar, in which days end.
    """
    last_moment = pl.col("knowledge_time") - pl.duration(microseconds=1)
    published = pl.min_horizontal("session", last_moment.dt.convert_time_zone(zone).dt.date())
    dated = series.with_columns(session=published, _session="session")
    found = follow_renames(dated, actions)
    if found is dated:
        return series
    return found.with_columns(session="_session").drop("_session")


def newest_tickers(symbols: Sequence[str], actions: pl.DataFrame) -> tuple[str, ...]:
    """Return the symbols of the companies that a universe asks for, each once.

    A ticker whose company was renamed gives way to the newest one of that company; whoever takes
    it afterwards was not asked for, nor was an earlier holder of a ticker that another company took
    over by a rename.

    Parameters
    ----------
    symbols : sequence of str
        Every ticker that is asked for, old ones and new ones.
    actions : DataFrame
        Table `corporate_actions`, by company or not; only renames are read.

    Returns
    -------
    tuple of str
        In the order of `symbols`, which therefore tells portfolios before and after a rename apart.
    """
    turns = ticker_turns(actions)
    newest: dict[str, None] = {}
    for symbol in symbols:
        left = [turn for turn in turns.get(symbol, ()) if turn.leaves_for is not None]
        names = [newest_label(symbol, turn, turns) for turn in left] or [symbol]
        newest.update(dict.fromkeys(names))
    return tuple(newest)


def symbols_since(symbols: Sequence[str], renames: pl.DataFrame) -> dict[str, str]:
    """Return what instruments are called after `renames` that had `symbols` before all of them."""
    turns = ticker_turns(renames)
    return {
        symbol: newest_label(symbol, turns[symbol][0], turns) if symbol in turns else symbol
        for symbol in symbols
    }


def rename_problems(bars: pl.DataFrame, actions: pl.DataFrame) -> list[str]:
    """Return one sentence for each reason why bars and actions cannot be told apart by company.

    Parameters
    ----------
    bars : DataFrame
        Columns symbol, session and event_time of everything stored, under the ticker of the day.
    actions : DataFrame
        Table `corporate_actions` under the ticker of the day.
    """
    if actions.filter(_IS_RENAME).is_empty():
        return []
    try:
        follow_renames(bars.select("symbol", "session", "event_time"), actions)
    except DataError as error:
        return [str(error)]
    marked = actions.filter(~_IS_RENAME).with_columns(pl.col("symbol").alias("ticker"))
    twice = (
        follow_renames(marked, actions)
        .filter(pl.struct(_ACTION).is_duplicated() & ~pl.struct("ticker", *_ACTION).is_duplicated())
        .group_by(_ACTION, maintain_order=True)
        .agg(pl.col("ticker").sort())
    )
    return [
        f"{kind} of {symbol} on {ex_date} is listed under {' and under '.join(tickers)}, which are"
        " one company then; expected it once, so remove one of the two"
        for symbol, ex_date, kind, tickers in twice.iter_rows()
    ]


def undeclared_tickers(symbols: Sequence[str], actions: pl.DataFrame) -> list[str]:
    """Return one sentence for each rename of a universe's symbol to one that it does not name."""
    renamed = actions.filter(
        _IS_RENAME
        & pl.col("symbol").is_in(list(symbols))
        & ~pl.col("new_symbol").is_in(list(symbols))
    )
    return [
        f"{old} was renamed to {new} on {day}, and {new} is not in the universe; expected both, as"
        " a source is asked for the tickers of the day, so add it"
        for old, day, new in renamed.select("symbol", "ex_date", "new_symbol").iter_rows()
    ]


def require_by_company(bars: pl.DataFrame, actions: pl.DataFrame) -> None:
    """Refuse bars that were stored before a rename was known.

    Parameters
    ----------
    bars : DataFrame
        Rows of table `validated_bars`.
    actions : DataFrame
        Table `corporate_actions`, by company or not.

    Raises
    ------
    DataError
        Naming a month that has to be validated again.
    """
    turns = ticker_turns(actions)
    left = {
        old: [turn for turn in of_ticker if turn.leaves_for is not None]
        for old, of_ticker in turns.items()
    }
    current = {newest_label(old, turn, turns) for old, found in left.items() for turn in found}
    for old, found in left.items():
        if not found or old in current:
            continue
        stale = bars.filter((pl.col("symbol") == old) & (pl.col("session") < found[-1].day))
        if not stale.is_empty():
            msg = (
                f"validated_bars hold {old} on {stale['session'].max()}, though it was renamed to"
                f" {found[-1].leaves_for} on {found[-1].day}: they were stored before that was"
                " known; materialize validated_bars of these months again"
            )
            raise DataError(msg)
