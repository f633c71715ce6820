"""Validated bars of the declared length, where a data set fetches finer ones."""

from datetime import datetime, timedelta

import polars as pl

from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.bars.ingest import as_known_at
from trading_assets.bars.resampling import resample_bars
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES, conform


def build_declared_bars(
    clean: pl.DataFrame, raw: pl.DataFrame, spec: MarketDataSpec, as_of: datetime
) -> pl.DataFrame:
    """Return clean bars at the declared length; unchanged where that is what was fetched.

    Parameters
    ----------
    clean : DataFrame
        Table `validated_bars` at `spec.raw_bar_length`.
    raw : DataFrame
        Table `raw_bars` that holds every one of them, in the revision that is clean.
    spec : MarketDataSpec
        Bar lengths, calendar and publication lag.
    as_of : datetime
        Aware moment; a bar whose period is not complete by then is not built.

    Returns
    -------
    DataFrame
        Table `validated_bars`. A bar built from finer ones is known when the last of them is.
    """
    if spec.fetched_bar_length is None:
        return clean
    parts = raw.join(clean, on=["symbol", "event_time", "feed", "revision"], how="semi")
    built = resample_bars(
        parts,
        get_calendar(spec.calendar),
        spec.bar_length,
        as_of=as_of,
        publication_lag=timedelta(minutes=spec.publication_lag_minutes),
    )
    table = TABLES["validated_bars"]
    known = as_known_at(built, as_of).select(table.names)
    return conform("validated_bars", known).sort("symbol", "event_time")
