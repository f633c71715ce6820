"""The environment of a test: data and declarations of one's own in a folder of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from trading_assets_tests.pipeline.shipped import Shipped, load_shipped


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shipped]:
    from trading_assets.definitions import defs

    folder = tmp_path_factory.mktemp("shipped")
    with pytest.MonkeyPatch.context() as patch:
        use_folder(patch, folder)
        yield load_shipped(defs())


def use_folder(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Point the settings at a folder; everything else of the environment is left out."""
    (folder / "defs").mkdir(exist_ok=True)
    patch.setenv("TRADING_ASSETS_DATA", str(folder / "data"))
    patch.setenv("TRADING_ASSETS_DEFS", str(folder / "defs"))
    for name in (
        "TRADING_ASSETS_PROFILE",
        "TRADING_ASSETS_ONLY",
        "TRADING_ASSETS_MANIFEST_URL",
        "MLFLOW_TRACKING_URI",
        "DAGSTER_HOME",
        "ALPACA_API_KEY",
        "ALPACA_SECRET_KEY",
    ):
        patch.delenv(name, raising=False)
