"""Who was in the universe on which day, and what became of those who left.

A backtest over the symbols that are there today leaves out those that failed on the way. Here is
what keeps it honest, where a data set declares its members with dates:

- Decisions of session t hold only `members_at(spec, t)`; rows of others are left out of features,
  forecasts and trades of t by joining `membership_table`.
- A position in a symbol that `delisting_returns` names is closed after its `session` at the last
  close times 1 + `delisting_return`: it is an outcome to be booked, never an input of a decision.
- A report prints `survivorship(spec)`.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from datetime import date

import polars as pl

from trading_assets.delistings import PERFORMANCE_DELISTING_RETURN, delisting_cause
from trading_assets.market_data import MarketDataSpec
from trading_assets.membership import Member

_DELISTINGS = {
    "symbol": pl.String,
    "session": pl.Date,
    "last_bar_session": pl.Date,
    "delisting_reason": pl.String,
    "delisting_return": pl.Float64,
    "is_assumed": pl.Boolean,
}


def members_at(spec: MarketDataSpec, session: date) -> tuple[str, ...]:
    """Return the symbols that belong to the universe in `session`, sorted.

    A stint's first and last session are part of it, an absent end is open. All symbols belong to
    a universe without members. That a symbol leaves is known when it has left, so a decision at the
    close of session t asks for t, not for a later one.
    """
    if not spec.members:
        return spec.universe
    return tuple(sorted({m.symbol for m in spec.members if _covers(m, session)}))


def membership_table(spec: MarketDataSpec, sessions: Sequence[date]) -> pl.DataFrame:
    """Return symbol and session of every membership in `sessions`, sorted, for a semi-join.

    Parameters
    ----------
    spec : MarketDataSpec
        Its members' stints decide; without members each symbol belongs to each session.
    sessions : sequence of date
        Sessions to list; each once.

    Returns
    -------
    DataFrame
        Columns symbol (String) and session (Date).
    """
    stints = [
        (m.symbol, m.first_session or date.min, m.last_session or date.max) for m in spec.members
    ] or [(symbol, date.min, date.max) for symbol in spec.universe]
    days = sorted(set(sessions))
    rows = [
        (symbol, day)
        for symbol, first, last in stints
        for day in days[bisect_left(days, first) : bisect_right(days, last)]
    ]
    return pl.DataFrame(rows, schema={"symbol": pl.String, "session": pl.Date}, orient="row").sort(
        "symbol", "session"
    )


def delisting_returns(spec: MarketDataSpec, bars: pl.DataFrame) -> pl.DataFrame:
    """Return what holders of delisted members got after the last bar.

    A declared `delisting_return` is taken as it is. Where none is declared, a performance-related
    delisting (bankruptcy, liquidation, failed listing rules) counts -0.30, and a merger or a
    voluntary delisting 0, as the last price is what holders were paid. Source of -0.30: Shumway,
    The Delisting Bias in CRSP Data, J. Finance 52 (1997), for NYSE and AMEX; for Nasdaq, where
    Shumway and Warther, J. Finance 54 (1999), find about -0.55, declare the return.

    Parameters
    ----------
    spec : MarketDataSpec
        Members with `delisting_reason` or `delisting_return`. One that left the universe only, such
        as by a change of an index, trades on and has no such return.
    bars : DataFrame
        Columns symbol and session, of all symbols. A delisting counts once they reach the member's
        `last_session`, so what is known up to a day says nothing of a later delisting.

    Returns
    -------
    DataFrame
        symbol, session (the member's last), last_bar_session (of its newest bar up to then within
        the stint, earlier if it was halted), delisting_reason, delisting_return (fraction of the
        last close), is_assumed (whether the return is not declared); sorted by symbol and session.
        A delisting whose stint has no bar is left out, as nobody can hold it. Known after the
        close of `session`.
    """
    newest: date | None = bars["session"].max()  # pyright: ignore[reportAssignmentType] # dates
    left = [] if newest is None else [m for m in _delisted(spec) if _end(m) <= newest]
    if not left:
        return pl.DataFrame(schema=_DELISTINGS)
    declared = pl.DataFrame(
        [
            (
                m.symbol,
                m.first_session or date.min,
                m.last_session,
                m.delisting_reason,
                _delisting_return(m),
                m.delisting_return is None,
            )
            for m in left
        ],
        schema={
            "symbol": pl.String,
            "first": pl.Date,
            **{name: dtype for name, dtype in _DELISTINGS.items() if name != "last_bar_session"},
        },
        orient="row",
    )
    return (
        declared.join(bars.select("symbol", pl.col("session").alias("bar")), on="symbol")
        .filter(pl.col("bar").is_between(pl.col("first"), pl.col("session")))
        .group_by(declared.columns)
        .agg(pl.col("bar").max().alias("last_bar_session"))
        .select(list(_DELISTINGS))
        .sort("symbol", "session")
    )


def survivorship(spec: MarketDataSpec) -> str:
    """Return how far the universe is free of survivorship bias, for a report.

    `unknown` where no member has a date, as the symbols may have been picked with hindsight.
    """
    if all(m.first_session is None and m.last_session is None for m in spec.members):
        return "unknown"
    left = [m for m in spec.members if m.last_session is not None]
    reasons = Counter(m.delisting_reason or "no reason declared" for m in left)
    told = ", ".join(f"{reason} {n}" for reason, n in sorted(reasons.items()))
    symbols = len({m.symbol for m in spec.members})
    sentence = f"{symbols} members declared with dates, {len(left)} stints ended"
    assumed = [m for m in _delisted(spec) if m.delisting_return is None]
    failed = sum(_delisting_return(m) != 0 for m in assumed)
    return (
        sentence
        + (f" ({told})" if told else "")
        + (f"; return of {failed} assumed {PERFORMANCE_DELISTING_RETURN:.0%}" if failed else "")
    )


def _covers(member: Member, session: date) -> bool:
    return (member.first_session or date.min) <= session <= _end(member)


def _end(member: Member) -> date:
    return member.last_session or date.max


def _delisted(spec: MarketDataSpec) -> list[Member]:
    return [m for m in spec.members if m.delisting_return is not None or _cause(m) is not None]


def _cause(member: Member) -> str | None:
    cause = delisting_cause(member.delisting_reason or "")
    return None if cause == "still_listed" else cause


def _delisting_return(member: Member) -> float:
    if member.delisting_return is not None:
        return member.delisting_return
    return PERFORMANCE_DELISTING_RETURN if _cause(member) == "performance" else 0.0
