"""Quarantined bars reach no feature; the UI says what each feature is and how it stands."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from trading_assets.declarations import load_declarations
from trading_assets.errors import DeclarationError
from trading_assets_tests.bars.example_bars import CALENDAR
from trading_assets_tests.end_to_end.materialized import DataFolder, failures, open_folder

MONTHS = ("2024-09-01", "2024-10-01", "2024-11-01")
NOW = datetime(2024, 12, 2, 22, tzinfo=UTC)
SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
BAD = ("BBB", date(2024, 10, 15))
NAMES = ["log_return_1", "parkinson_21", "up_bars_5", "news_count_z_63", {"name": "rsi", "bars": 2}]
STRATEGY: dict[str, Any] = {
    "market_data": "daily",
    "features": {
        "names": NAMES,
        "scale_bars": 20,
        "module": "trading_assets_tests.features.own_examples",
    },
    "policy": {"agents": {"ppo": {}}},
    "folds": {"period": "quarter", "first": "2025-01-01"},
}


def write_dump(root: Path, bad_bar: bool) -> None:
    rng = np.random.default_rng(6)
    lines = ["symbol,time,open,high,low,close,volume"]
    for symbol in SYMBOLS:
        close = 100.0
        for day in CALENDAR.sessions(date(2024, 9, 3), date(2024, 11, 29)):
            opening, close = close, close * float(np.exp(rng.normal(0.0, 0.01)))
            high, low = max(opening, close) * 1.004, min(opening, close) / 1.003
            if (symbol, day) == BAD:
                if bad_bar:
                    lines.append(f"{symbol},{day},{opening},{low},{high},9999,5000")
                continue
            lines.append(f"{symbol},{day},{opening},{high},{low},{close},5000")
    (root / "dump").mkdir()
    (root / "dump" / "bars.csv").write_text("\n".join(lines), encoding="utf-8")


def play(root: Path, bad_bar: bool) -> Iterator[DataFolder]:
    with open_folder(root) as folder:
        write_dump(folder.root, bad_bar)
        source = {"kind": "files", "folder": "../../dump", "feed": "my_vendor"}
        universe = {"source": source, "universe": list(SYMBOLS), "start": "2024-09-03"}
        folder.declare("daily", "MarketData", universe)
        folder.declare("trend", "TradingPipeline", STRATEGY)
        folder.materialize_bars("daily", MONTHS, NOW)
        made = folder.materialize(["trend/features"], MONTHS, NOW)
        assert made.success, failures(made)
        yield folder


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataFolder]:
    yield from play(tmp_path_factory.mktemp("dirty"), True)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataFolder]:
    yield from play(tmp_path_factory.mktemp("clean"), False)


def test_features_are_those_without_the_quarantined_bar(
    dirty: DataFolder, clean: DataFolder
) -> None:
    held = dirty.table("daily/validated_bars", "2024-10-01", "quarantine")
    assert set(held.select("symbol", "session").iter_rows()) == {BAD}
    for month in MONTHS:
        found, wanted = (each.table("trend/features", month) for each in (dirty, clean))
        assert BAD not in set(found.select("symbol", "session").iter_rows())
        assert found.equals(wanted)
        assert found.height > 60


def test_the_ui_says_what_each_feature_is_and_how_it_stands(dirty: DataFolder) -> None:
    shown = dirty.metadata("trend/features", "2024-11-01")
    rows = {record.data["feature"]: record.data for record in shown["feature_table"].records}
    assert list(rows) == ["log_return_1", "parkinson_21", "up_bars_5", "news_count_z_63", "rsi_2"]
    own, spread, absent = rows["up_bars_5"], rows["parkinson_21"], rows["news_count_z_63"]
    assert own["formula"] == "up bars of the last 5"
    assert (own["unit"], own["lookback_bars"], own["drift"]) == ("bars", 5, "")
    assert spread["lookback_bars"] == 21
    assert spread["warm_up_bars"] == 40
    assert abs(spread["drift"]) < 5.0
    assert absent["missing_share"] == 1.0
    features = dirty.lake.read("trend/features", list(MONTHS))
    missing = features["parkinson_21"].null_count() / features.height
    assert spread["missing_share"] == pytest.approx(missing, abs=1e-4)


def test_the_columns_of_the_asset_are_described(dirty: DataFolder) -> None:
    node = dirty.repository(NOW).asset_graph.get(dg.AssetKey(["trend", "features"]))
    columns = {c.name: c for c in node.metadata["dagster/column_schema"].columns}
    assert "relative strength index of 2 bars" in columns["rsi_2"].description
    assert columns["rsi_2"].tags == {"group": "oscillators"}
    assert {"symbol", "session", "up_bars_5"} <= set(columns)


@pytest.mark.parametrize(
    ("features", "sentence"),
    [
        ({"names": ["rsi_41"]}, "features: feature rsi: bars was 41; expected 2 to 28"),
        ({"names": ["log_retrun_1"]}, "did you mean log_return_1?"),
        ({**STRATEGY["features"], "names": ["up_bars_6"]}, "did you mean up_bars_5?"),
        ({"names": ["all_of_it"], "module": "no.such.module"}, "cannot be imported"),
    ],
)
def test_a_wrong_feature_is_refused_when_the_declaration_is_read(
    dirty: DataFolder, features: dict[str, Any], sentence: str
) -> None:
    strategy = {**STRATEGY, "features": features}
    path = dirty.declare("wrong", "TradingPipeline", strategy) / "defs.yaml"
    try:
        with pytest.raises(DeclarationError, match=r"defs\.yaml:[0-9]+: features: ") as refused:
            load_declarations([dirty.root / "defs"], "development")
        assert sentence in str(refused.value)
    finally:
        path.unlink()
        path.parent.rmdir()
