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
from trading_assets.file_specs import FilesSource
from trading_assets.market_data import MarketDataSpec
from trading_assets.source_specs import (
    AlpacaSource,
    ModuleSource,
    SampleSource,
    Source,
    SyntheticSource,
    WorldSource,
    YfinanceSource,
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


def build_source(
    spec: MarketDataSpec, calendar: ExchangeCalendar, credentials: Mapping[str, str]
) -> BarSource:
    """Return the source that `spec` declares; nothing is read or sent before the first fetch.

    Parameters
    ----------
    spec : MarketDataSpec
        Data set's declaration. With a `fallback`, the source returned asks that one for the
        symbols and months which the first cannot deliver.
    calendar : ExchangeCalendar
        Dates the bars' closes.
    credentials : mapping
        Names and values of credentials, such as `ALPACA_API_KEY`; the Alpaca source and sources of
        one's own read it.

    Raises
    ------
    UserError
        If a source cannot deliver bars of the declared length or for the declared universe, or the
        fallback's rows could not be told from the source's.
    """
    if spec.fallback is None:
        return _build_single(spec, calendar, credentials)
    from trading_assets.bars.fallback import FallbackBars

    return FallbackBars(spec, calendar, lambda part: _build_single(part, calendar, credentials))


def _build_single(
    spec: MarketDataSpec, calendar: ExchangeCalendar, credentials: Mapping[str, str]
) -> BarSource:
    # Sources import this module for the protocol, and a run should not pay for vendors it lacks.
    if isinstance(spec.source, SampleSource | WorldSource | YfinanceSource):
        return _build_daily(spec, calendar)
    if isinstance(spec.source, SyntheticSource):
        from trading_assets.bars.synthetic import SyntheticBars

        return SyntheticBars(spec, spec.source, calendar)
    if isinstance(spec.source, FilesSource):
        from trading_assets.bars.files import FileBars

        return FileBars(spec, spec.source, calendar)
    if isinstance(spec.source, ModuleSource):
        from trading_assets.bars.own_source import OwnSource

        return OwnSource(spec, spec.source, calendar, credentials)
    from trading_assets.bars.alpaca import AlpacaBars

    return AlpacaBars(spec, spec.source, calendar, credentials)


def _build_daily(spec: MarketDataSpec, calendar: ExchangeCalendar) -> BarSource:
    if spec.raw_bar_length != "1d":
        msg = (
            f"source {spec.source.kind} was asked for bars of {spec.raw_bar_length}; expected 1d,"
            " the only length it has, so change bar_length or choose another source"
        )
        raise UserError(msg)
    if isinstance(spec.source, WorldSource):
        from trading_assets.bars.world import WorldBars

        return WorldBars(spec, spec.source, calendar)
    if isinstance(spec.source, YfinanceSource):
        from trading_assets.bars.yahoo import YahooBars

        return YahooBars(spec, calendar)
    from trading_assets.bars.sample import SampleBars

    return SampleBars(spec, calendar)
