"""A lake in a folder of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from trading_assets.lake.store import Lake
from trading_assets_tests.lake.samples import open_lake


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    opened = open_lake(tmp_path / "data")
    yield opened
    opened.close()
