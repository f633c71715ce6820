"""Where bars come from: the protocol that every source follows.

A source gives rows as the vendor has them (revision 0, stored at `as_of`). It knows nothing of what
is already stored; `trading_assets.bars.ingest` turns a second fetch into revisions.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

import polars as pl

from trading_assets.file_specs import FilesSource
from trading_assets.source_specs import AlpacaSource, ModuleSource, Source


@dataclass(frozen=True, slots=True)
class FetchedBars:
    """What one fetch delivered.

    Attributes
    ----------
    rows : DataFrame
        Table `raw_bars`, unadjusted, revision 0.
    series : DataFrame
        Table `series`: declared series such as the synthetic signal; empty for most sources.
    actions : DataFrame
        Table `corporate_actions` with ex dates in the range that was asked for.
    notes : tuple of str
        Sentences on what a person should know of this fetch, such as what a fallback stood in for.
    """

    rows: pl.DataFrame
    series: pl.DataFrame
    actions: pl.DataFrame
    notes: tuple[str, ...] = ()


class BarSource(Protocol):
    """A vendor of bars."""

    def fetch(self, start: date, end: date, as_of: datetime) -> FetchedBars:
        """Return the bars of the sessions `start` to `end`, both inclusive.

        Rows carry `as_of` as `ingest_time`; rows with `knowledge_time` after `as_of` are left out.

        Raises
        ------
        UserError
            If the request names symbols, days or credentials that the source cannot serve.
        DataError
            If the vendor fails or answers with something that is no bar.
        """
        ...


def declared_feed(source: Source) -> str:
    """Return the value of column `feed` of all rows of `source`."""
    if isinstance(source, AlpacaSource | FilesSource | ModuleSource):
        return source.feed
    return source.kind
