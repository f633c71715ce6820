"""What was known of a declared series when each bar of a symbol was known."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.bars.series.readers import MARKET_WIDE

Array = NDArray[np.float64]

_AGE = ("event_time", "session", "revision")


@dataclass(frozen=True, slots=True)
class SeriesLine:
    """One series of one symbol, all vintages: by period, then as they were published.

    Attributes
    ----------
    sessions : datetime64[D] (n,)
        First session at whose close each was known.
    known : int64 (n,)
        `knowledge_time`, microseconds.
    values : float64 (n,)
        In the series' own unit.
    """

    sessions: NDArray[np.datetime64]
    known: NDArray[np.int64]
    values: Array


Lines = Mapping[tuple[str, str], SeriesLine]


def list_lines(series: pl.DataFrame, names: Collection[str], first: date, last: date) -> Lines:
    """Return the lines of some series by name and symbol.

    Parameters
    ----------
    series : DataFrame
        Table `series`, in any order.
    names : collection of str
        Series that are needed.
    first, last : date
        Sessions in which values became known, both inclusive; others are left out, so that what is
        found does not depend on how far back the table reaches.
    """
    if not names:
        return {}
    needed = series.filter(
        pl.col("series").is_in(list(names)) & pl.col("session").is_between(first, last)
    )
    parts = needed.sort(*_AGE).partition_by("series", "symbol", as_dict=True)
    return {
        (str(name), str(symbol)): SeriesLine(
            sessions=part["session"].to_numpy().astype("datetime64[D]"),
            known=part["knowledge_time"].to_physical().to_numpy(),
            values=part["value"].to_numpy(),
        )
        for (name, symbol), part in parts.items()
    }


def known_values(lines: Lines, name: str, rows: pl.DataFrame) -> Array:
    """Return a series as it was known with each of a symbol's bars, float64 (T,).

    That is the newest vintage of the newest period among the values of the bar's session and
    earlier ones whose `knowledge_time` is not after the bar's. A series about no single symbol
    (`*`) counts where the symbol has no value of its own.

    Parameters
    ----------
    lines : mapping
        What `list_lines` returned.
    name : str
        Series.
    rows : DataFrame
        Bars of one symbol: symbol, session, knowledge_time; sorted by session.

    Returns
    -------
    float64 (T,)
        nan where nothing was known.
    """
    sessions = rows["session"].to_numpy().astype("datetime64[D]")
    known = rows["knowledge_time"].to_physical().to_numpy()
    values = np.full(len(rows), np.nan)
    for symbol in (MARKET_WIDE, str(rows["symbol"][0])):
        line = lines.get((name, symbol))
        if line is not None:
            newest = _newest(line, sessions, known)
            own = np.where(newest >= 0, line.values[newest], np.nan)
            values = np.where(np.isnan(own), values, own)
    return values


def _newest(
    line: SeriesLine, sessions: NDArray[np.datetime64], known: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the place in the line of what each bar may use, -1 where it is nothing."""
    newest = np.full(len(sessions), -1)
    # A bar that was corrected is known after its followers; the others rise in both times.
    is_late = known > np.minimum.accumulate(known[::-1])[::-1]
    in_order = np.flatnonzero(~is_late)
    first_row = np.maximum(
        np.searchsorted(sessions[in_order], line.sessions),
        np.searchsorted(known[in_order], line.known),
    )
    arrived = np.full(len(in_order) + 1, -1)
    np.maximum.at(arrived, first_row, np.arange(len(line.values)))
    newest[in_order] = np.maximum.accumulate(arrived[:-1])
    for row in np.flatnonzero(is_late):
        seen = np.flatnonzero((line.sessions <= sessions[row]) & (line.known <= known[row]))
        newest[row] = seen[-1] if len(seen) else -1
    return newest
