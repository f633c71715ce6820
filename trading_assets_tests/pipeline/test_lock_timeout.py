"""How long runs and commands wait for another process that holds the lake."""

from pathlib import Path

import pytest

from trading_assets.errors import DataError, DeclarationError
from trading_assets.lake.locks import LOCK_TIMEOUT_SECONDS, hold
from trading_assets.lake.store import PartitionWrite, Provenance
from trading_assets.pipeline.resources import LakeResource, resources
from trading_assets.pipeline.settings import open_lake, read_settings
from trading_assets_tests.pipeline.conftest import use_folder

VARIABLE = "TRADING_ASSETS_LOCK_TIMEOUT_SECONDS"
MADE_BY = Provenance("run", "code", "declaration", {}, {})


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_folder(monkeypatch, tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)


def test_without_a_setting_a_run_waits_as_long_as_the_lake_does() -> None:
    lake = resources()["lake"]
    assert isinstance(lake, LakeResource)
    assert lake.lock_timeout_seconds == LOCK_TIMEOUT_SECONDS


@pytest.mark.parametrize("opened_by", ["run", "command"])
def test_a_lock_that_is_held_too_long_ends_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened_by: str
) -> None:
    monkeypatch.setenv(VARIABLE, "0.2")
    resource = resources()["lake"]
    assert isinstance(resource, LakeResource)
    lake = resource.open() if opened_by == "run" else open_lake(read_settings())
    write = PartitionWrite("tiny/raw_bars", "bars", "2024-01-01", blobs={"any.json": b"{}"})
    with (
        hold(tmp_path / "data" / ".locks" / "lake", is_exclusive=True),
        pytest.raises(DataError, match=r"longer than 0\.2 s; wait for it to finish"),
    ):
        lake.commit([write], MADE_BY)


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf"])
def test_what_is_no_number_of_seconds_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(DeclarationError, match=f"{VARIABLE} was '{text}'; expected a number of"):
        read_settings()
