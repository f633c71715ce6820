"""Small data sets for the tests of this room."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.bars.stamps import stamp_bars
from trading_assets.market_data import MarketDataSpec

CALENDAR = get_calendar("XNYS")
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
SAMPLE_SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")


def make_spec(**changes: Any) -> MarketDataSpec:
    values: dict[str, Any] = {
        "source": {"kind": "sample"},
        "universe": SAMPLE_SYMBOLS,
        "start": date(2000, 3, 1),
        "end": date(2013, 3, 1),
        **changes,
    }
    return MarketDataSpec(**values)


def make_rows(
    spec: MarketDataSpec,
    start: date,
    end: date,
    closes: Sequence[float] | None = None,
    as_of: datetime = NOW,
) -> pl.DataFrame:
    """Return plausible bars of every symbol, whose closes wobble by one percent or are given."""
    sessions = CALENDAR.sessions(start, end)
    values = closes or [100.0 + (n % 7) * 0.3 - (n % 3) * 0.5 for n in range(len(sessions))]
    prices = pl.concat(
        pl.DataFrame(
            {
                "symbol": symbol,
                "session": sessions,
                "open": values,
                "high": [value + 1 for value in values],
                "low": [value - 1 for value in values],
                "close": values,
                "volume": 1000.0,
                "vendor_adjusted_close": None,
            },
            schema_overrides={"vendor_adjusted_close": pl.Float64},
        )
        for symbol in spec.universe
    )
    return stamp_bars(prices, spec, CALENDAR, as_of)
