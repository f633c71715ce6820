"""The real UI on the demo's instance, and a headless Chromium that looks at it."""

import os
import shutil
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from trading_assets.asset_nodes import AssetGraph
from trading_assets.declarations import PACKAGED, load_declarations
from trading_assets.graph import full_graph
from trading_assets.lake.store import Lake
from trading_assets_tests.ui.servers import free_port, started, wait_until_loaded

ROOT = Path(__file__).parents[2]
STRATEGY = "us_equities"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# Large enough to show the lineage at a size at which the UI cuts no name.
VIEWPORT = {"width": 2600, "height": 1600}
PATIENCE_MS = 60_000
SETTINGS = ("DAGSTER_HOME", "MLFLOW_TRACKING_URI")


@dataclass(frozen=True, slots=True)
class Demo:
    """What `make demo` left behind: the graphs it ran and the lake it filled."""

    graphs: tuple[AssetGraph, ...]
    lake: Lake

    @property
    def asset_names(self) -> list[str]:
        """Last part of every asset's key, as the lineage labels its nodes; sorted."""
        names = [node.key.rsplit("/", 1)[-1] for graph in self.graphs for node in graph.nodes]
        # It stands outside the graph: nothing reads it, and it stores nothing in the lake.
        return sorted([*names, "account_control"])


@pytest.fixture(scope="session")
def chromium() -> str:
    pytest.importorskip("playwright", reason="playwright is not installed: run `make setup`")
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium was found: install Debian's package `chromium`")
    return found


@pytest.fixture(scope="session")
def demo() -> Demo:
    if not (ROOT / "data" / "manifest.sqlite").is_file():
        pytest.skip("the demo has not run here: run `make demo` first")
    lake = Lake(ROOT / "data", lambda: datetime.now(UTC))
    if lake.record(f"{STRATEGY}/walk_forward_report") is None:
        pytest.skip("the demo has no report yet: run `make demo` first")
    return Demo(full_graph(load_declarations([PACKAGED], "development"), STRATEGY), lake)


@pytest.fixture(scope="session")
def address(chromium: str, demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start what `make dev` starts, on a free port; stop all of its processes in the end."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in SETTINGS and not name.startswith("TRADING_ASSETS_")
    }
    # Strategies on live data have schedules that may be due while the test runs.
    environment["TRADING_ASSETS_ONLY"] = ",".join(graph.owner for graph in demo.graphs)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    dagster = Path(sys.executable).with_name("dagster")
    log = tmp_path_factory.mktemp("ui") / "dagster_dev.log"
    command = [dagster, "dev", "--workspace", "workspace.yaml", "--port", str(port)]
    with started(command, ROOT, environment, log) as process:
        wait_until_loaded(url, process, log)
        yield url


@pytest.fixture(scope="session")
def browser(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=chromium,
            headless=True,
            args=list(FLAGS),
            viewport=VIEWPORT,
        )
        context.set_default_timeout(PATIENCE_MS)
        yield context
        context.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    opened = browser.new_page()
    # The first visit is greeted by a dialog that covers the page.
    opened.add_locator_handler(
        opened.get_by_role("button", name="Skip", exact=True), lambda button: button.click()
    )
    yield opened
    opened.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what the browser showed when a test failed, and say where."""
    report = yield
    arguments: dict[str, Any] = getattr(item, "funcargs", {})
    if report.when == "call" and report.failed and "page" in arguments:
        page, folder = arguments["page"], arguments["tmp_path"]
        page.screenshot(path=folder / "failed.png")
        report.sections.append(("screenshot", f"{folder / 'failed.png'} of {page.url}"))
    return report


@pytest.fixture(autouse=True)
def _keep_a_folder_for_the_screenshot(tmp_path: Path) -> None:
    """Have `tmp_path` made for every test, since a failed one needs it."""
