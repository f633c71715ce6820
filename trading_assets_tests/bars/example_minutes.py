"""Minute bars with gaps, late arrivals and corrections, for the tests of resampling."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.bars.calendars.grid import bar_closes
from trading_assets.bars.stamps import stamp_bars
from trading_assets.market_data import MarketDataSpec
from trading_assets.source_specs import BarLength

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
LAG = timedelta(minutes=15)


def minutes(
    calendar: ExchangeCalendar, first: date, last: date, length: BarLength = "1m", seed: int = 1
) -> pl.DataFrame:
    """Return stamped bars of one symbol whose prices walk at random."""
    spec = MarketDataSpec.model_validate(
        {
            "source": {"kind": "sample"},
            "universe": ["A"],
            "start": first,
            "bar_length": length,
            "calendar": calendar.name,
        }
    )
    bars = bar_closes(calendar, calendar.sessions(first, last), length)
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.001, len(bars))))
    open_ = np.concatenate(([100.0], close[:-1]))
    prices = bars.select("session", "event_time").with_columns(
        pl.lit("A").alias("symbol"),
        pl.Series("open", open_),
        pl.Series("high", np.maximum(open_, close) * 1.0005),
        pl.Series("low", np.minimum(open_, close) * 0.9995),
        pl.Series("close", close),
        pl.Series("volume", rng.integers(1, 10_000, len(bars)).astype(float)),
        pl.Series("vendor_adjusted_close", close / 2),
    )
    return stamp_bars(prices, spec, calendar, NOW)


def with_history(rows: pl.DataFrame, seed: int = 2) -> pl.DataFrame:
    """Return rows with a tenth missing, some that came hours late and some corrected twice."""
    rng = np.random.default_rng(seed)
    kept = rows.filter(pl.Series(rng.random(len(rows)) > 0.1))
    late = pl.Series(rng.random(len(kept)) < 0.03)
    delay = pl.duration(seconds=pl.Series(rng.integers(60, 40_000, len(kept))))
    versions = [
        kept.with_columns(
            pl.when(late).then(pl.col("knowledge_time") + delay).otherwise("knowledge_time")
        )
    ]
    for revision in (1, 2):
        before = versions[-1]
        chosen = before.filter(pl.Series(rng.random(len(before)) < 0.05))
        hours = pl.Series(rng.integers(1, 30, len(chosen)))
        factor = pl.Series(rng.uniform(0.9, 1.1, len(chosen)))
        versions.append(
            chosen.with_columns(
                pl.col("knowledge_time") + pl.duration(hours=hours),
                *(pl.col(name) * factor for name in ("open", "high", "low", "close")),
                pl.col("volume") + 7,
                pl.lit(revision, dtype=pl.Int32).alias("revision"),
            )
        )
    return pl.concat(versions).sort("symbol", "event_time", "revision")
