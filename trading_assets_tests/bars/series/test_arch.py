import subprocess
import sys
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from trading_assets_tests.bars.series.example_series import fetch, series_spec, utc


def arch_spec(data: str, **declared: object):
    return series_spec(Path(), {"kind": "arch", "data": data, **declared})


@pytest.fixture(scope="module")
def yields() -> pl.DataFrame:
    return fetch(arch_spec("default"), date(1990, 1, 2), date(2019, 12, 31))


@pytest.fixture(scope="module")
def index() -> pl.DataFrame:
    return fetch(arch_spec("sp500"), date(1998, 12, 1), date(2019, 12, 31))


def test_a_months_yield_is_known_only_after_the_month_is_over(yields: pl.DataFrame) -> None:
    october = yields.filter(event_time=utc("2008-11-01T04:00"))
    assert dict(october.select("series", "value").iter_rows()) == {
        "aaa_yield": 6.28,
        "baa_yield": 8.88,
        "default_premium": pytest.approx(2.6),
    }
    # The lag of one day ends on a Sunday, so Monday's close is the first to know it.
    assert set(october["knowledge_time"]) == {utc("2008-11-02T04:00")}
    assert set(october["session"]) == {date(2008, 11, 3)}
    assert set(october["symbol"]) == {"*"}


def test_all_months_and_days_of_the_package_are_there_once(
    yields: pl.DataFrame, index: pl.DataFrame
) -> None:
    counts = yields.group_by("series").agg(pl.len(), pl.col("revision").max())
    # December 1989 to December 2018; the calendar knows no session before 1990.
    assert set(counts.rows()) == {
        ("aaa_yield", 349, 0),
        ("baa_yield", 349, 0),
        ("default_premium", 349, 0),
    }
    assert set(index.group_by("series").len().rows()) == {
        (f"sp500_{name}", 5031) for name in ("open", "high", "low", "close", "volume")
    }
    assert (index["knowledge_time"] > index["event_time"]).all()


def test_a_day_of_the_index_ends_at_its_close_and_is_known_a_day_later(index: pl.DataFrame) -> None:
    # 2010-11-26 was a half day, and a Friday.
    row = index.filter(series="sp500_close", event_time=utc("2010-11-26T18:00")).row(0, named=True)
    assert row["value"] == 1189.400024
    assert row["knowledge_time"] == utc("2010-11-27T18:00")
    assert row["session"] == date(2010, 11, 29)


def test_without_a_lag_the_index_is_known_at_its_own_close() -> None:
    rows = fetch(arch_spec("sp500", release_lag_days=0), date(2010, 11, 26), date(2010, 11, 26))
    assert set(rows["event_time"]) == set(rows["knowledge_time"]) == {utc("2010-11-26T18:00")}


@pytest.mark.parametrize("data", ["sp500", "default"])
def test_any_range_is_the_restriction_of_the_whole(
    data: str, yields: pl.DataFrame, index: pl.DataFrame
) -> None:
    whole = index if data == "sp500" else yields
    first, last = date(2008, 10, 31), date(2009, 2, 3)
    part = fetch(arch_spec(data), first, last)
    assert part.equals(whole.filter(pl.col("session").is_between(first, last)))
    early = fetch(arch_spec(data), first, last, utc("2008-12-24T18:00"))
    kept = part.filter(pl.col("knowledge_time") <= utc("2008-12-24T18:00"))
    assert early.drop("ingest_time").equals(kept.drop("ingest_time"))


def test_to_declare_the_package_imports_neither_it_nor_pandas() -> None:
    code = (
        "import sys; from trading_assets.bars.series import arch, readers;"
        " sys.exit(any(name in sys.modules for name in ('arch', 'pandas')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
