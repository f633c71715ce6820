import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from trading_assets_tests.benchmarks import environment_peers
from trading_assets_tests.benchmarks.feature_peers import (
    PEERS,
    REQUIREMENTS,
    measure_peer,
    measure_peers,
    write_bars,
)
from trading_assets_tests.benchmarks.peer_processes import SOURCES, build_environment
from trading_assets_tests.benchmarks.peers import measure_features

N_BARS, RUN_IN = 3_000, 2_000


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("bars") / "bars.parquet"
    write_bars(file, 2, N_BARS)
    return file


@pytest.fixture
def columns_of(
    bars: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], dict[str, npt.NDArray[np.float64]]]:
    # A peer's modules import each other as scripts do.
    monkeypatch.syspath_prepend(str(SOURCES))

    def compute(peer: str) -> dict[str, npt.NDArray[np.float64]]:
        parts = importlib.import_module(f"by_{peer}").prepare(pl.read_parquet(bars))()
        return {
            name: np.concatenate([np.asarray(part[name], dtype=np.float64) for part in parts])
            for name in parts[0]
        }

    return compute


def test_expressions_agree_with_talib_in_each_symbol(columns_of) -> None:
    referee, found = columns_of("talib"), columns_of("polars")
    assert len(referee) == 30
    assert set(referee) - set(found) == {"sar"}
    settled = np.tile(np.arange(N_BARS) >= RUN_IN, 2)
    for name, values in found.items():
        wanted = referee[name][settled]
        tolerance = 1e-6 * np.nanstd(wanted)
        np.testing.assert_allclose(values[settled], wanted, rtol=1e-6, atol=tolerance, err_msg=name)


def test_bars_are_the_same_on_each_writing_and_fit_together(bars: Path, tmp_path: Path) -> None:
    write_bars(tmp_path / "again.parquet", 2, N_BARS)
    assert (tmp_path / "again.parquet").read_bytes() == bars.read_bytes()
    table = pl.read_parquet(bars)
    assert len(table) == 2 * N_BARS
    assert table["symbol"].n_unique() == 2
    bodies = pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close")
    assert table.select(
        ((pl.col("high") >= bodies[0]) & (pl.col("low") <= bodies[1]) & (pl.col("low") > 0)).all()
    ).item()
    moves = table.select(pl.col("close").log().diff().over("symbol")).to_series()
    assert moves.kurtosis() > 1


def test_a_peer_tells_its_figures_in_a_process_of_its_own(bars: Path) -> None:
    figure = measure_peer(Path(sys.executable), "talib", bars)
    assert (figure.peer, figure.columns, figure.bars) == ("talib", 30, 2 * N_BARS)
    assert len(figure.seconds) == measure_features.RUNS
    assert 0.01 < figure.peak_gb < 2
    assert figure.threads == 1
    middle = sorted(figure.seconds)[1]
    assert figure.bars_per_second == pytest.approx(figure.bars / middle)


def test_a_peer_that_fails_is_told_of_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"the peer talib ended with 1(?s:.*)nowhere\.parquet"):
        measure_peer(Path(sys.executable), "talib", tmp_path / "nowhere.parquet")


def test_an_unknown_peer_is_refused_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", None)
    with pytest.raises(ValueError, match="the peer was 'nobody'; expected one of talib, "):
        measure_peers(tmp_path / "peers", tmp_path / "bars.parquet", ["talib", "nobody"])
    assert not (tmp_path / "peers").exists()


def test_each_peer_has_its_module() -> None:
    assert {f"by_{peer}.py" for peer in PEERS} == {file.name for file in SOURCES.glob("by_*.py")}
    assert set(measure_features.THREADED) < set(PEERS)


@pytest.mark.parametrize("requirements", [REQUIREMENTS, environment_peers.REQUIREMENTS])
def test_each_package_is_pinned_exactly(requirements: Path) -> None:
    lines = requirements.read_text(encoding="utf-8").splitlines()
    packages = [line for line in lines if not line.startswith("#")]
    assert len(packages) >= 5
    assert all(line.count("==") == 1 and " " not in line for line in packages)


def test_an_environment_is_used_again_until_its_pins_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pins, python = tmp_path / "requirements.txt", tmp_path / "peers" / "environment/bin/python"
    steps: list[str] = []

    def note_step(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        steps.append(command[2])
        python.parent.mkdir(parents=True, exist_ok=True)
        python.touch()
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", note_step)
    pins.write_text("one==1\n", encoding="utf-8")
    for _ in range(2):
        assert build_environment(tmp_path / "peers", pins) == python
        assert steps == ["venv", "pip"]
    pins.write_text("one==2\n", encoding="utf-8")
    assert build_environment(tmp_path / "peers", pins) == python
    assert steps == ["venv", "pip"] * 2


def test_an_environment_without_its_packages_is_refused_and_not_taken_for_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without an index or a folder of packages, as without a network, but at once.
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": "", "CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    pins = tmp_path / "requirements.txt"
    pins.write_text("stockstats==0.6.10\n", encoding="utf-8")
    told = r"pip ended with 1: ERROR: .*stockstats.*it needs a package index within reach"
    with pytest.raises(RuntimeError, match=told):
        build_environment(tmp_path / "peers", pins)
    place = tmp_path / "peers" / "environment"
    assert (place / "bin" / "python").exists()
    assert not (place / "requirements.sha256").exists()


def test_a_peer_too_slow_for_all_bars_takes_as_many_as_the_time_allows(bars: Path) -> None:
    assert measure_features.bars_within(120, 2.4) == 100_000
    table = pl.read_parquet(bars)
    cut = measure_features.take_first(table, 7)
    assert cut.group_by("symbol").len()["len"].to_list() == [7, 7]
    assert cut.columns == table.columns


@pytest.mark.parametrize(
    ("values", "told"),
    [([1.0, 2.0, 3.0], "3 values"), ([1.0, np.nan, np.nan, np.nan], "1 of them numbers")],
)
def test_a_column_that_is_short_or_empty_does_not_count(values: list[float], told: str) -> None:
    whole = {"rsi": np.ones(4)}
    assert measure_features.check_columns([whole], 4) == {"rsi"}
    with pytest.raises(RuntimeError, match=rf"ema has .*{told}.* for 4 bars"):
        measure_features.check_columns([whole | {"ema": np.array(values)}], 4)
