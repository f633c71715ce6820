"""Small series for the tests of this room."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from trading_assets.bars.series.readers import fetch_series
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES
from trading_assets_tests.bars.example_bars import CALENDAR, NOW

START, END = date(2020, 1, 2), date(2020, 12, 31)


def utc(text: str) -> datetime:
    """Return an ISO time without a zone as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def series_spec(folder: Path, *sources: Mapping[str, Any], **changes: Any) -> MarketDataSpec:
    values = {
        "source": {"kind": "sample"},
        "universe": ("AAPL", "IBM"),
        "start": START,
        "series": list(sources),
        **changes,
    }
    return MarketDataSpec.model_validate(values, context={"folder": folder})


def write_csv(file: Path, *lines: str) -> Path:
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def fetch(
    spec: MarketDataSpec, start: date = START, end: date = END, as_of: datetime = NOW
) -> pl.DataFrame:
    return fetch_series(spec, CALENDAR, start, end, as_of)


def table_rows(rows: Sequence[tuple[str, str, date, datetime, datetime, int, float]]):
    """Return table `series` from (series, symbol, session, event, knowledge, revision, value)."""
    frame = pl.DataFrame(
        [(*row[:5], row[4], *row[5:]) for row in rows],
        schema={column.name: column.dtype for column in TABLES["series"].columns},
        orient="row",
    )
    return frame
