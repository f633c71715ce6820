"""Declared series as they become known, one value after the other."""

from bisect import insort
from collections.abc import Collection
from datetime import date
from typing import NamedTuple

import polars as pl

from trading_assets.bars.series.readers import MARKET_WIDE


class _Vintage(NamedTuple):
    """A value, in the order in which a newer one replaces an older one."""

    event_time: int
    session: date
    revision: int
    knowledge_time: int
    value: float


class SeriesMemory:
    """The vintages of some series, and the newest that a bar may use.

    Says the same as `known_series.known_values` does of whole columns.

    Parameters
    ----------
    names : collection of str
        Series that are needed.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = frozenset(names)
        self._vintages: dict[tuple[str, str], list[_Vintage]] = {}

    def learn(self, series: pl.DataFrame, first: date) -> None:
        """Take rows of table `series` that became known in session `first` or later."""
        if not self._names:
            return
        rows = series.filter(
            pl.col("series").is_in(self._names) & (pl.col("session") >= first)
        ).with_columns(pl.col("event_time", "knowledge_time").to_physical())
        columns = "series", "symbol", "event_time", "session", "revision", "knowledge_time", "value"
        for name, symbol, *vintage in rows.select(columns).iter_rows():
            insort(self._vintages.setdefault((name, symbol), []), _Vintage(*vintage))

    def newest(self, name: str, symbol: str, session: date, knowledge_time: int) -> float:
        """Return what was known of a series with a symbol's bar, nan if nothing was.

        Parameters
        ----------
        name, symbol : str
            Series, and whose bar.
        session : date
            The bar's.
        knowledge_time : int
            When the bar was known, microseconds since 1970.
        """
        for whose in (symbol, MARKET_WIDE):
            for vintage in reversed(self._vintages.get((name, whose), ())):
                if vintage.session <= session and vintage.knowledge_time <= knowledge_time:
                    return vintage.value
        return float("nan")
