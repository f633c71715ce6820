"""A small lake of the sample's real bars, and the backfill that fills it month by month."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.bars.months import Month, fetch_months
from trading_assets.bars.sources.build import build_source
from trading_assets.bars.sources.source import BarSource, FetchedBars
from trading_assets.errors import DataError
from trading_assets.lake.records import PartitionWrite
from trading_assets.lake.store import Lake
from trading_assets.market_data import MarketDataSpec
from trading_assets_tests.lake.samples import BARS, made_by, open_lake

ACTIONS = "us_daily/corporate_actions"
KEYS = [f"2000-{month:02d}-01" for month in range(3, 13)] + ["2001-01-01", "2001-02-01"]
FETCHED_AT = datetime(2013, 3, 1, 22, 0, tzinfo=UTC)
_SPEC = {
    "source": {"kind": "sample"},
    "universe": ["AAPL", "IBM", "MSFT"],
    "start": "2000-03-01",
    "end": "2013-03-01",
}


def backfill(root: Path, keys: Sequence[str]) -> None:
    """Fetch months one by one, fold in what is stored and commit each, as a run does."""
    lake = open_lake(root)
    for key in keys:
        lake.commit([bars_write(key, _stored(lake, key))], made_by())
    lake.close()


def fill(root: Path) -> Lake:
    """Return a lake of twelve months of bars and their actions, with other files beside both."""
    lake = open_lake(root)
    lake.commit([*map(bars_write, KEYS), actions_write()], made_by())
    return lake


def bars_write(key: str, stored: FetchedBars | None = None) -> PartitionWrite:
    """Return one month of bars; its tables `series` and `actions` mostly have no rows."""
    known = {} if stored is None else {key: stored}
    month = Month(key, date.fromisoformat(key), _last_day(key))
    bars = fetch_months(_source(), [month], known, FETCHED_AT)[key]
    return PartitionWrite(
        BARS,
        "bars",
        key,
        {"rows": bars.rows, "series": bars.series, "actions": bars.actions},
        {"symbols.json": json.dumps(bars.rows["symbol"].unique().sort().to_list()).encode()},
    )


def actions_write() -> PartitionWrite:
    """Return the actions of all months, as an asset without partitions."""
    days = date.fromisoformat(KEYS[0]), _last_day(KEYS[-1])
    actions = _source().fetch(*days, FETCHED_AT).actions
    blobs = {"listings.json": json.dumps({"AAPL": "2000-03-01"}).encode()}
    return PartitionWrite(ACTIONS, "bars", None, {"rows": actions}, blobs)


@cache
def _source() -> BarSource:
    return build_source(MarketDataSpec.model_validate(_SPEC), get_calendar("XNYS"), {})


def _last_day(key: str) -> date:
    return (date.fromisoformat(key) + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def _stored(lake: Lake, key: str) -> FetchedBars | None:
    record = lake.record(BARS, key)
    if record is None:
        return None
    try:
        return FetchedBars(
            rows=lake.read_table(record),
            series=lake.read_table(record, "series"),
            actions=lake.read_table(record, "actions"),
        )
    except DataError:
        return None  # damaged: fetched as if for the first time
