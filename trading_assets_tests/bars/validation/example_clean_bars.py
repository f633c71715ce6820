"""Bars that break no rule, at any length and of any calendar: the ground for injected faults."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.bars.calendars.grid import bar_closes
from trading_assets.bars.sources.source import declared_feed
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES, UTC_TIME, conform
from trading_assets.source_specs import BAR_MINUTES

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
NO_ACTIONS = TABLES["corporate_actions"].empty()
_NIGHT_SIGMA = 0.008


def clean_spec(**changes: Any) -> MarketDataSpec:
    """Return a data set of two symbols, 5-minute bars and two months."""
    values: dict[str, Any] = {
        "source": {"kind": "files", "folder": "bars", "feed": "vendor"},
        "universe": ["A", "B"],
        "bar_length": "5m",
        "start": date(2019, 10, 1),
        "end": date(2019, 11, 29),
        **changes,
    }
    return MarketDataSpec.model_validate(values)


def clean_bars(spec: MarketDataSpec, seed: int = 1) -> pl.DataFrame:
    """Return table `raw_bars` of every bar that the calendar promises; prices walk at random."""
    assert spec.end is not None
    calendar = get_calendar(spec.calendar)
    grid = bar_closes(calendar, calendar.sessions(spec.start, spec.end), spec.raw_bar_length)
    first_of_session = (grid["session"] != grid["session"].shift(1)).fill_null(value=True)
    sigma = np.where(
        first_of_session, _NIGHT_SIGMA, 0.0004 * np.sqrt(BAR_MINUTES[spec.raw_bar_length])
    )
    rng = np.random.default_rng(seed)
    bars = pl.concat(_walk(grid, symbol, sigma, rng) for symbol in spec.universe)
    lag = timedelta(minutes=spec.publication_lag_minutes)
    stamped = bars.with_columns(
        knowledge_time=pl.col("event_time") + lag,
        ingest_time=pl.lit(NOW).cast(UTC_TIME),
        revision=pl.lit(0, dtype=pl.Int32),
        feed=pl.lit(declared_feed(spec.source)),
        adjustment=pl.lit("raw"),
        bar_length=pl.lit(spec.raw_bar_length),
        vendor_adjusted_close=pl.lit(None, dtype=pl.Float64),
    )
    return conform("raw_bars", stamped)


def months_of(spec: MarketDataSpec) -> Sequence[str]:
    """Return the keys of the months of the data set."""
    days = pl.date_range(spec.start, spec.end, "1d", eager=True)
    return days.dt.truncate("1mo").unique().sort().dt.to_string("%Y-%m-%d").to_list()


def _walk(
    grid: pl.DataFrame, symbol: str, sigma: np.ndarray, rng: np.random.Generator
) -> pl.DataFrame:
    close = 100 * np.exp(np.cumsum(rng.normal(0, sigma)))
    opened = np.concatenate(([100.0], close[:-1]))
    reach = 1 + np.abs(rng.normal(0, 0.0003, (2, len(close))))
    return grid.select(
        pl.lit(symbol).alias("symbol"),
        "session",
        "event_time",
        pl.Series("open", opened),
        pl.Series("high", np.maximum(opened, close) * reach[0]),
        pl.Series("low", np.minimum(opened, close) / reach[1]),
        pl.Series("close", close),
        pl.Series("volume", rng.integers(1, 10_000, len(close)).astype(float)),
    )
