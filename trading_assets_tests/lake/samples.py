"""Small partitions that the lake's tests write."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from trading_assets.lake.records import PartitionWrite, Provenance
from trading_assets.lake.store import Lake

NOW = datetime(2013, 3, 1, 22, 0, tzinfo=UTC)
BARS = "us_daily/raw_bars"
MONTHS = [f"{2000 + i // 12}-{i % 12 + 1:02d}-01" for i in range(157)]


def open_lake(root: Path, **options: Any) -> Lake:
    return Lake(root, lambda: NOW, **options)


def rows_of(month: str, scale: float = 1.0, count: int = 20) -> pl.DataFrame:
    first = int(month.replace("-", ""))
    return pl.DataFrame(
        {
            "symbol": ["AAPL" if i % 2 else "MSFT" for i in range(count)],
            "time": [datetime(2000, 1, 3, 21, i % 60, tzinfo=UTC) for i in range(count)],
            "close": [scale * (first + i) for i in range(count)],
        },
        schema_overrides={"time": pl.Datetime("us", "UTC")},
    )


def write_of(
    month: str | None, asset: str = BARS, scale: float = 1.0, **facts: Any
) -> PartitionWrite:
    tables = facts.pop("tables", None) or {"rows": rows_of(month or "2000-01-01", scale)}
    return PartitionWrite(asset, "bars", month, tables, **facts)


def made_by(run_id: str = "run-1", **changes: Any) -> Provenance:
    facts = {"code_version": "c0de", "declaration_digest": "dec1", "config": {"symbols": 2}}
    return Provenance(run_id, **{**facts, "environment": {"python": "3.11"}, **changes})


def commit(lake: Lake, *months: str, **facts: Any) -> None:
    lake.commit([write_of(month, **facts) for month in months], made_by())


def only_file(lake: Lake, asset: str, month: str) -> Path:
    record = lake.record(asset, month)
    assert record is not None
    return lake.root / record.files[0].path
