"""One company's rows under one ticker, though it traded under several, and others under the same.

A ticker is a place that companies take in turn. A rename says that the company which held the old
ticker goes on under the new one; who takes the old one afterwards is another instrument.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import polars as pl

from trading_assets.errors import DataError

# Exchanges hold a ticker back after its company has gone; two companies never share one that soon.
_SOONEST_REUSE = timedelta(days=10)
_A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Turn:
    """A day on which a ticker changes hands.

    Attributes
    ----------
    day : date
        The rename's ex date, the first day of what follows.
    leaves_for : str or None
        Ticker that the company which held this one goes on under; None where one only arrives.
    is_taken : bool
        Whether a company arrives: the ticker is held by a known one from `day` on.
    """

    day: date
    leaves_for: str | None
    is_taken: bool


def follow_renames(
    rows: pl.DataFrame, actions: pl.DataFrame, as_of: date | None = None
) -> pl.DataFrame:
    """Return `rows` with each company's rows under the newest ticker it has had.

    Rows of a ticker before its company was renamed get the new ticker, over any chain of renames;
    rows from the rename's ex date on belong to whoever took the old ticker and keep it. Where a
    renamed company took a ticker that another one had held before, the earlier holder's rows get
    the ticker with the month of the change, `TICKER-YYYYMM`, as they are another instrument.

    Parameters
    ----------
    rows : DataFrame
        Any table with the columns symbol and session (or ex_date: `corporate_actions` itself, whose
        splits and dividends have to follow the bars), each row under the ticker it had that day. A
        source that has mapped tickers already must not be passed through here. An action whose ex
        date is the rename's own is about shares that were held under the old ticker before.
    actions : DataFrame
        Table `corporate_actions`, one version of each; kinds other than rename are passed over.
    as_of : date, optional
        Newest session that is known: later renames are unknown, and nothing is relabelled for them.
        All renames count when absent.

    Returns
    -------
    DataFrame
        `rows` in their order, with other symbols. Rows up to a day depend on no rename after
        `as_of`.

    Raises
    ------
    DataError
        If two companies would share a ticker at one time: a rename is missing, or the source has
        mapped the tickers already.
    """
    turns = ticker_turns(actions if as_of is None else actions.filter(pl.col("ex_date") <= as_of))
    if not turns or rows.is_empty():
        return rows
    day = "session" if "session" in rows.columns else "ex_date"
    found = _labels(rows, turns, day)
    if found.is_empty():
        return rows
    # Actions and further series may be many in a day; it is bars that show who traded.
    shows_trading = day == "session" and "series" not in rows.columns
    if shows_trading:
        _require_gap_before_reuse(found)
    relabelled = (
        rows.with_row_index("_row")
        .join(found.select("_row", "label"), on="_row", how="left", maintain_order="left")
        .drop("_row")
    )
    if shows_trading:
        _require_one_holder(relabelled)
    return relabelled.with_columns(pl.coalesce("label", "symbol").alias("symbol")).drop("label")


def ticker_turns(actions: pl.DataFrame) -> dict[str, list[Turn]]:
    """Return the days on which each ticker that a rename names changes hands, in order.

    Parameters
    ----------
    actions : DataFrame
        Table `corporate_actions`, one version of each; kinds other than rename are passed over.
    """
    turns: dict[str, list[Turn]] = {}
    renames = actions.filter(kind="rename").select("symbol", "ex_date", "new_symbol").drop_nulls()
    for old, day, new in renames.sort("ex_date", "symbol").iter_rows():
        turns.setdefault(old, []).append(Turn(day, new, is_taken=False))
        turns.setdefault(new, []).append(Turn(day, None, is_taken=True))
    return {ticker: _in_order(of_ticker) for ticker, of_ticker in turns.items()}


def newest_label(ticker: str, turn: Turn, turns: Mapping[str, Sequence[Turn]]) -> str:
    """Return the newest ticker of the company that held `ticker` until `turn`.

    `TICKER-YYYYMM` where the company lost its ticker to another one, as nothing says where it went.
    """
    while turn.leaves_for is not None:
        ticker, day = turn.leaves_for, turn.day
        following = next((t for t in turns[ticker] if t.day > day), None)
        if following is None:
            return ticker
        turn = following
    return f"{ticker}-{turn.day:%Y%m}"


def _labels(rows: pl.DataFrame, turns: Mapping[str, Sequence[Turn]], day: str) -> pl.DataFrame:
    """Return the number of each row that gets another label, with the turn that gives it."""
    # Bars of the day of the turn are the next holder's, actions are about shares held before it.
    of_last = _A_DAY if day == "session" else timedelta(0)
    by_turn = pl.DataFrame(
        [
            (
                ticker,
                turn.day,
                turn.day - (of_last if turn.leaves_for and not turn.is_taken else _A_DAY),
                newest_label(ticker, turn, turns),
                turn.leaves_for is None,
            )
            for ticker, ticker_turns in turns.items()
            for turn in ticker_turns
        ],
        schema={
            "symbol": pl.String,
            "turn": pl.Date,
            "last_day": pl.Date,
            "label": pl.String,
            "is_displaced": pl.Boolean,
        },
        orient="row",
    )
    return (
        rows.with_row_index("_row")
        .select("_row", "symbol", pl.col(day).alias("day"))
        .filter(pl.col("symbol").is_in(list(turns)))
        .sort("day")
        .join_asof(
            by_turn.sort("last_day"),
            left_on="day",
            right_on="last_day",
            by="symbol",
            strategy="forward",
            check_sortedness=False,
        )
        .filter(pl.col("label").is_not_null())
    )


def _in_order(turns: Sequence[Turn]) -> list[Turn]:
    # Tickers may be swapped on one day: as the holder leaves, the one who arrives displaces nobody.
    left = {turn.day for turn in turns if turn.leaves_for is not None}
    taken = {turn.day for turn in turns if turn.is_taken}
    kept = [
        replace(turn, is_taken=turn.day in taken)
        for turn in turns
        if turn.leaves_for is not None or turn.day not in left
    ]
    return sorted(kept, key=lambda turn: turn.day)


def _require_gap_before_reuse(found: pl.DataFrame) -> None:
    soon = found.filter(
        pl.col("is_displaced") & (pl.col("turn") - pl.col("day") <= _SOONEST_REUSE)
    ).sort("symbol", "day")
    if not soon.is_empty():
        row = soon.row(0, named=True)
        msg = (
            f"{row['symbol']} has a bar on {row['day']}, though another company was renamed to"
            f" {row['symbol']} on {row['turn']}; expected none so shortly before: either the rename"
            " of the former holder is missing, or the source has mapped the tickers already"
        )
        raise DataError(msg)


def _require_one_holder(relabelled: pl.DataFrame) -> None:
    time = "event_time" if "event_time" in relabelled.columns else "session"
    touched = relabelled["label"].drop_nulls().unique().implode()
    held = relabelled.select(
        pl.coalesce("label", "symbol").alias("label"), "symbol", pl.col(time).alias("time")
    ).filter(pl.col("label").is_in(touched))
    tickers = held.unique()
    shared = (
        tickers.filter(pl.struct("label", "time").is_duplicated())
        .group_by("label", "time")
        .agg(pl.col("symbol").sort())
        .sort("time", "label")
    )
    if not shared.is_empty():
        row = shared.row(0, named=True)
        msg = (
            f"{' and '.join(row['symbol'])} both have a bar of {row['time']}, and both are"
            f" {row['label']} now; expected one: either a rename is missing, or the source has"
            " mapped the tickers already"
        )
        raise DataError(msg)
