"""The one place that chooses the source of a declaration."""

from collections.abc import Mapping

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.bars.sources.source import BarSource
from trading_assets.errors import UserError
from trading_assets.file_specs import FilesSource
from trading_assets.market_data import MarketDataSpec
from trading_assets.source_specs import (
    ModuleSource,
    SampleSource,
    SyntheticSource,
    WorldSource,
    YfinanceSource,
)


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
    from trading_assets.bars.sources.fallback import FallbackBars

    return FallbackBars(spec, calendar, lambda part: _build_single(part, calendar, credentials))


def _build_single(
    spec: MarketDataSpec, calendar: ExchangeCalendar, credentials: Mapping[str, str]
) -> BarSource:
    # A run should not pay for importing vendors it lacks.
    if isinstance(spec.source, SampleSource | WorldSource | YfinanceSource):
        return _build_daily(spec, calendar)
    if isinstance(spec.source, SyntheticSource):
        from trading_assets.bars.synthetic.market import SyntheticBars

        return SyntheticBars(spec, spec.source, calendar)
    if isinstance(spec.source, FilesSource):
        from trading_assets.bars.sources.files import FileBars

        return FileBars(spec, spec.source, calendar)
    if isinstance(spec.source, ModuleSource):
        from trading_assets.bars.sources.own_source import OwnSource

        return OwnSource(spec, spec.source, calendar, credentials)
    from trading_assets.bars.alpaca.source import AlpacaBars

    return AlpacaBars(spec, spec.source, calendar, credentials)


def _build_daily(spec: MarketDataSpec, calendar: ExchangeCalendar) -> BarSource:
    if spec.raw_bar_length != "1d":
        msg = (
            f"source {spec.source.kind} was asked for bars of {spec.raw_bar_length}; expected 1d,"
            " the only length it has, so change bar_length or choose another source"
        )
        raise UserError(msg)
    if isinstance(spec.source, WorldSource):
        from trading_assets.bars.sources.world import WorldBars

        return WorldBars(spec, spec.source, calendar)
    if isinstance(spec.source, YfinanceSource):
        from trading_assets.bars.sources.yahoo import YahooBars

        return YahooBars(spec, calendar)
    from trading_assets.bars.sources.sample import SampleBars

    return SampleBars(spec, calendar)
