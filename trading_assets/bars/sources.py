"""Where bars come from: the protocol that every source follows and the one place that chooses.

A source gives rows as the vendor has them (revision 0, stored at `as_of`). It knows nothing of what
is already stored; `trading_assets.bars.ingest` turns a second fetch into revisions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

import polars as pl

from trading_assets.bars.calendar import ExchangeCalendar
from trading_assets.errors import UserError
from trading_assets.market_data import MarketDataSpec
from trading_assets.source_specs import (
    AlpacaSource,
    FilesSource,
    ModuleSource,
    SampleSource,
    Source,
    WorldSource,
)


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
    """

    rows: pl.DataFrame
    series: pl.DataFrame
    actions: pl.DataFrame


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


def build_source(
    spec: MarketDataSpec, calendar: ExchangeCalendar, credentials: Mapping[str, str]
) -> BarSource:
    """Return the source that `spec` declares; nothing is read or sent before the first fetch.

    Parameters
    ----------
    spec : MarketDataSpec
        Data set's declaration.
    calendar : ExchangeCalendar
        Dates the bars' closes.
    credentials : mapping
        Names and values of credentials, such as `ALPACA_API_KEY`; only the Alpaca source reads it.
    """
    # Sources import this module for the protocol, and a run should not pay for vendors it lacks.
    if isinstance(spec.source, SampleSource):
        from trading_assets.bars.sample import SampleBars

        return SampleBars(spec, calendar)
    if isinstance(spec.source, WorldSource):
        from trading_assets.bars.world import WorldBars

        return WorldBars(spec, spec.source, calendar)
    if isinstance(spec.source, AlpacaSource):
        from trading_assets.bars.alpaca import AlpacaBars

        return AlpacaBars(spec, spec.source, calendar, credentials)
    msg = f"source {spec.source.kind} is not available"
    raise UserError(msg)
