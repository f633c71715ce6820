import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from trading_assets.lake.records import PartitionWrite
from trading_assets.lake.store import Lake
from trading_assets.pipeline.report_inputs import read_quality
from trading_assets.pipeline.traded_folds import ABSENCES_FILE, read_absences
from trading_assets_tests.lake.samples import made_by, open_lake

FORECASTER = "demo/forecaster"
FOLDS = ["2020-01-01", "2021-01-01", "2022-01-01", "2023-01-01"]
QUALITY = pl.DataFrame({"feature": ["a", "b"]})
CORRELATIONS = pl.DataFrame({"feature": ["a", "a", "b"], "other": ["a", "b", "b"]})


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    opened = open_lake(tmp_path / "data")
    yield opened
    opened.close()


def store(lake: Lake, fold: str, tables: dict[str, pl.DataFrame], verdict: str = "passed") -> None:
    write = PartitionWrite(FORECASTER, "forecast", fold, tables, verdict=verdict)
    lake.commit([write], made_by())


def test_only_folds_that_passed_and_were_stored_with_quality_show_it(lake: Lake) -> None:
    both = {"feature_quality": QUALITY, "feature_correlations": CORRELATIONS}
    store(lake, FOLDS[0], both)
    store(lake, FOLDS[1], both, verdict="failed")
    store(lake, FOLDS[2], {"feature_quality": QUALITY})
    found = read_quality(lake, FORECASTER, FOLDS)
    assert list(found) == [FOLDS[0]]
    assert found[FOLDS[0]].features.equals(QUALITY)
    assert found[FOLDS[0]].correlations.equals(CORRELATIONS)


def test_folds_of_no_interest_are_not_read(lake: Lake) -> None:
    store(lake, FOLDS[0], {"feature_quality": QUALITY, "feature_correlations": CORRELATIONS})
    assert read_quality(lake, FORECASTER, FOLDS[1:]) == {}


def test_a_fold_says_why_portfolios_are_absent_and_one_without_absences_says_nothing(
    lake: Lake,
) -> None:
    asset, why = "demo/backtest", {"momentum": "90 of the 126 sessions of returns"}
    absences = {ABSENCES_FILE: json.dumps(why).encode()}
    for fold, blobs in zip(FOLDS, (absences, {}), strict=False):
        lake.commit([PartitionWrite(asset, "backtest", fold, {"q": QUALITY}, blobs)], made_by())
    assert read_absences(lake, asset, FOLDS[0]) == why
    assert read_absences(lake, asset, FOLDS[1]) == {}
