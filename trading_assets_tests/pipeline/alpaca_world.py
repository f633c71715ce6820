"""The live world with its strategy at Alpaca, for which a broker on this machine stands."""

import functools
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from trading_assets.paper import alpaca_session
from trading_assets.paper.alpaca_session import AlpacaSession
from trading_assets.paper.alpaca_transport import PATIENCE
from trading_assets.paper.clock import SystemClock
from trading_assets_tests.paper.alpaca_double import AlpacaDouble
from trading_assets_tests.pipeline import live_world
from trading_assets_tests.pipeline.live_world import LiveWorld, failures_of, ny, open_world

PAPER = "tiny/paper_session"
# A Tuesday, on which its session is decided, and the session before it.
DAY, BEFORE = "2022-08-02", "2022-08-01"
MORNING = ny(DAY, "09:15")


@contextmanager
def alpaca_world(root: Path, account: str = "paper") -> Generator[LiveWorld]:
    """Open a world with the bars of a night, whose sessions are decided at an Alpaca account."""
    paper = f"market_data: tiny_daily\n  paper: {{gateway: alpaca, alpaca_account: {account}}}"
    declared = live_world.STRATEGY.replace("market_data: tiny_daily", paper)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_world, "STRATEGY", declared)
        with open_world(root, "on_drift") as world:
            now = ny(DAY, "01:00")
            [request] = world.tick("nightly_retrain", now)
            assert isinstance(request, dg.RunRequest)
            assert failures_of(world.execute(request, now)) == []
            # Sessions of the fallback name their features and do not read them.
            for month in world.records("validated_bars"):
                world.store(world.key("features"), month, blobs={"nothing.json": b"{}"})
            yield world


def copied(world: LiveWorld, root: Path) -> LiveWorld:
    """Return the world as it is now in a folder of its own, on the same instance."""
    for name in ("data", "defs"):
        shutil.copytree(world.root / name, root / name)
    return LiveWorld(root, world.instance, world.declared)


def reach(patch: pytest.MonkeyPatch, url: str) -> None:
    """Let sessions reach a broker at an address, whose silence is soon over; waits take no time."""
    patch.setenv("TRADING_ASSETS_ALPACA_URL", url)
    patch.setattr(SystemClock, "sleep", lambda self, seconds: None)
    quick = replace(PATIENCE, connect_s=0.5, read_s=0.3)
    patch.setattr(alpaca_session, "AlpacaSession", functools.partial(AlpacaSession, patience=quick))


def before_open(day: str = DAY, **changes: Any) -> AlpacaDouble:
    """Return a broker whose clock shows the decision's moment of a day."""
    clock = {
        "timestamp": ny(day, "09:15").isoformat(),
        "is_open": False,
        "next_open": ny(day, "09:30").isoformat(),
        "next_close": ny(day, "16:00").isoformat(),
    }
    return AlpacaDouble(**{"clock": clock, **changes})


def trade(
    world: LiveWorld,
    day: str = DAY,
    tags: dict[str, str] | None = None,
    now: datetime = MORNING,
) -> dg.ExecuteInProcessResult:
    """Materialize a session, in the morning of the day above unless told otherwise."""
    key = dg.AssetKey(PAPER.split("/"))
    request = dg.RunRequest(asset_selection=[key], partition_key=day, tags=tags or {})
    return world.execute(request, now)
