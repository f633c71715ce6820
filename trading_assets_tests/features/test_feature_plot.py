"""What `trading-assets features plot` draws."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure

from trading_assets.cli import main
from trading_assets.errors import UserError
from trading_assets.features.catalogue import (
    feature_of,
)
from trading_assets.features.feature_plot import FeatureLine, draw_feature, read_feature_line
from trading_assets.lake.records import PartitionWrite
from trading_assets.lake.store import InputRef, Lake
from trading_assets_tests.features.synthetic_bars import make_actions, make_bars
from trading_assets_tests.lake.samples import made_by, open_lake

SPLIT_DAY = date(2004, 2, 16)
STRATEGY = """
type: trading_assets.pipeline.component.TradingPipeline
attributes:
  market_data: us_daily
  features: {names: [body], module: explained_features, scale_bars: 20}
  policy: {agents: {ppo: {}}, observed_features: [body], uses_forecasts: false}
  folds: {period: year, first: 2008-01-01, train_months: 24, validation_months: 6}
"""
PNG = b"\x89PNG\r\n"


def test_what_is_refused_does_not_wait_for_the_compiler_or_the_library_of_pictures(
    tmp_path: Path,
) -> None:
    program = (
        "import sys; from trading_assets.cli import main\n"
        "assert main(['features', 'plot', 'rsi_14']) == 2\n"
        "print('IMPORTED', *{'numba', 'matplotlib', 'dagster', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TRADING_ASSETS_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert "no strategy has features in the lake" in done.stderr
    assert done.stdout.splitlines() == ["IMPORTED"]


def store(lake: Lake, owner: str, names: tuple[str, ...] = ("log_return_1",)) -> pl.DataFrame:
    """Commit two months of bars with a split, and features that count their rows."""
    bars = make_bars(count=40)
    actions = make_actions([("AAA", SPLIT_DAY, "split", 2.0, 0.0)])
    features = bars.select("symbol", "session", "event_time", "knowledge_time").with_columns(
        *(pl.int_range(pl.len()).over("symbol").cast(pl.Float32).alias(name) for name in names)
    )
    refs = [InputRef(f"data/{name}", "", "d") for name in ("corporate_actions", "validated_bars")]
    writes = [PartitionWrite("data/corporate_actions", "bars", None, {"rows": actions})]
    for month in (date(2004, 1, 1), date(2004, 2, 1)):
        is_of_it = pl.col("session").dt.truncate("1mo") == month
        key = month.isoformat()
        own = PartitionWrite(
            f"{owner}/features", "features", key, {"rows": features.filter(is_of_it)}, inputs=refs
        )
        rows = {"rows": bars.filter(is_of_it)}
        writes += [own, PartitionWrite("data/validated_bars", "bars", key, rows)]
    lake.commit(writes, made_by(config={"features": {"names": list(names), "scale_bars": 21}}))
    return bars.filter(pl.col("session") < date(2004, 3, 1))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path)


def test_the_line_holds_what_is_stored_beside_the_close_free_of_splits(lake: Lake) -> None:
    bars = store(lake, "mine").filter(pl.col("symbol") == "BBB")
    line = read_feature_line(lake, "log_return_1", symbol="BBB")
    assert (line.strategy, line.symbol, line.scale_bars) == ("mine", "BBB", 21)
    assert line.values.tolist() == list(range(len(bars)))
    assert line.close.tolist() == bars["close"].to_list()
    assert line.sessions.tolist() == bars["session"].to_list()
    split = read_feature_line(lake, "log_return_1")
    raw = store(lake, "mine").filter(pl.col("symbol") == "AAA")["close"].to_numpy()
    day = int(np.searchsorted(split.sessions, np.datetime64(SPLIT_DAY)))
    ratios = split.close / raw
    assert split.symbol == "AAA"
    assert ratios[:day] == pytest.approx(1.0)
    assert ratios[day:] == pytest.approx(2.0)


def test_without_bars_there_is_a_line_without_close(lake: Lake) -> None:
    bars = make_bars(count=5).select("symbol", "session")
    rows = bars.with_columns(pl.lit(1.0).alias("signal"))
    write = PartitionWrite("mine/features", "features", "2004-01-01", {"rows": rows})
    lake.commit([write], made_by())
    line = read_feature_line(lake, "signal")
    assert line.values.tolist() == [1.0] * 5
    assert str(line.close.tolist()) == str([float("nan")] * 5)


def test_what_is_not_in_the_lake_is_refused_with_a_remedy(lake: Lake) -> None:
    with pytest.raises(UserError, match=r"run STRATEGY --only features"):
        read_feature_line(lake, "log_return_1")
    store(lake, "mine")
    with pytest.raises(UserError, match=r"rsi_14 is not stored for mine; .* add it to features"):
        read_feature_line(lake, "rsi_14")
    with pytest.raises(
        UserError, match="symbol 'CCC' has no features of mine; expected one of AAA"
    ):
        read_feature_line(lake, "log_return_1", symbol="CCC")
    with pytest.raises(
        UserError, match=r"strategy 'yours' has no features .* expected one of mine"
    ):
        read_feature_line(lake, "log_return_1", strategy="yours")
    with pytest.raises(UserError, match="did you mean log_return_1"):
        read_feature_line(lake, "log_retrun_1")
    store(lake, "other")
    with pytest.raises(UserError, match="expected one of mine, other: name it with --strategy"):
        read_feature_line(lake, "log_return_1")


def test_months_that_were_refused_are_not_drawn(lake: Lake) -> None:
    rows = make_bars(count=5).with_columns(pl.lit(1.0).alias("signal"))
    tables = {"rows": rows}
    write = PartitionWrite("mine/features", "features", "2004-01-01", tables, verdict="failed")
    lake.commit([write], made_by())
    with pytest.raises(UserError, match="every stored month of mine/features was refused"):
        read_feature_line(lake, "signal")


def line_of(name: str) -> FeatureLine:
    days = np.arange(np.datetime64("2004-01-01"), np.datetime64("2004-03-01"))
    moves = np.sin(np.arange(len(days)))
    return FeatureLine(feature_of(name), "mine", "AAA", 252, days, 50.0 + moves, moves)


def figure_of(line: FeatureLine, monkeypatch: pytest.MonkeyPatch) -> Figure:
    """Return what is drawn of a line."""
    drawn: list[Figure] = []
    save = Figure.savefig

    def record(figure: Figure, *args: Any, **options: Any) -> None:
        drawn.append(figure)
        save(figure, *args, **options)

    monkeypatch.setattr(Figure, "savefig", record)
    draw_feature(line)
    return drawn[0]


def price_labels(close: list[float], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the labels of prices within the axis of a picture."""
    line = replace(line_of("rsi_14"), close=np.resize(np.array(close), 60))
    top = figure_of(line, monkeypatch).axes[0]
    low, high = top.get_ylim()
    labels = zip(top.get_yticks(), top.get_yticklabels(), strict=True)
    return [label.get_text() for place, label in labels if low <= place <= high]


def test_a_picture_states_name_formula_and_scaling(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = figure_of(line_of("rsi_14"), monkeypatch)
    texts = [text.get_text() for text in figure.texts]
    assert texts == ["rsi_14 of AAA, strategy mine", feature_of("rsi_14").formula]
    top, bottom = figure.axes
    assert top.get_shared_x_axes().joined(top, bottom)
    assert bottom.get_ylabel() == "Scaled, 252 bars"
    assert bottom.get_ylim() == pytest.approx((-5.3, 5.3))
    unscaled = figure_of(line_of("weekday_sin"), monkeypatch).axes[1]
    assert unscaled.get_ylabel() == "Not scaled: 1"
    assert unscaled.get_ylim()[1] < 1.2


def test_prices_are_labelled_however_far_apart_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(price_labels([110.0, 180.0], monkeypatch)) >= 3
    assert len(price_labels([56.0, 230.0], monkeypatch)) >= 3
    far = ["5", "10", "20", "50", "100", "200", "500", "1000", "2000", "5000"]
    assert price_labels([3.0, 4000.0], monkeypatch) == far


def test_a_feature_without_prices_is_drawn() -> None:
    line = line_of("rsi_14")
    unknown = draw_feature(replace(line, close=np.full(len(line.close), np.nan)))
    assert unknown.startswith(PNG)
    assert unknown != draw_feature(line)


def test_the_same_line_is_the_same_picture_and_another_is_not() -> None:
    first = draw_feature(line_of("rsi_14"))
    assert first == draw_feature(line_of("rsi_14"))
    assert first.startswith(PNG)
    assert [int.from_bytes(first[at : at + 4]) for at in (16, 20)] == [1200, 760]
    assert draw_feature(line_of("rsi_7")) != first


def test_the_command_writes_the_picture_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRADING_ASSETS_DATA", str(tmp_path / "data"))
    assert main(["features", "plot", "log_return_1"]) == 2
    store(open_lake(tmp_path / "data"), "mine")
    capsys.readouterr()
    assert main(["features", "plot", "log_return_1"]) == 0
    assert str(tmp_path / "log_return_1.png") in capsys.readouterr().out
    assert (tmp_path / "log_return_1.png").read_bytes().startswith(PNG)
    assert main(["features", "plot", "log_return_1", "--out", "b.png", "--symbol", "BBB"]) == 0
    assert (tmp_path / "b.png").read_bytes() != (tmp_path / "log_return_1.png").read_bytes()
    assert main(["features", "plot", "log_return_1", "--out", "no/b.png"]) == 2
    assert "No such file or directory); expected a file" in capsys.readouterr().err
