"""What a person does in the UI: look at the lineage, backfill, read the report and the checks."""

import os
import re
from pathlib import Path
from time import monotonic, sleep
from urllib.parse import quote

import dagster as dg
import pytest

from trading_assets.declarations import PACKAGED, load_declarations
from trading_assets.graph import full_graph
from trading_assets.pipeline.instance import open_instance
from trading_assets_tests.ui.conftest import REPOSITORY

pytestmark = [pytest.mark.ui, pytest.mark.timeout(600)]

SELECTION = 'key:"us_equities/*" or key:"us_daily/*"'
MONTHS = ("2012-10-01", "2012-11-01")
BACKFILL_SECONDS = 240
PICTURE = REPOSITORY / "docs" / "images" / "lineage.png"


def open_page(page, path: str) -> None:
    page.goto(path)
    page.get_by_role("button", name="Skip").or_(page.get_by_text("Lineage").first).first.wait_for()
    skip = page.get_by_role("button", name="Skip")
    if skip.count():
        skip.first.click()


def test_the_lineage_shows_every_asset_of_the_demo(page) -> None:
    open_page(page, f"/asset-groups~{quote(SELECTION, safe='')}")
    page.get_by_text("governance", exact=True).first.wait_for()
    declarations = load_declarations([PACKAGED], "development")
    names = [
        node.key.rsplit("/", 1)[-1]
        for graph in full_graph(declarations, "us_equities")
        for node in graph.nodes
    ]
    page.mouse.click(1200, 930)
    assert absent_after_opening_groups(page, names) == []
    if os.environ.get("UPDATE_SCREENSHOTS"):
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        page.wait_for_load_state("networkidle")
        page.screenshot(path=PICTURE)


def test_a_backfill_of_two_months_is_launched_and_succeeds(page) -> None:
    started = newest_run_id()
    open_page(page, "/assets/us_daily/raw_bars")
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_placeholder("ex:").fill(", ".join(MONTHS))
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Launch backfill").click()
    runs = wait_for_success(started)
    assert len(runs) == 1
    assert runs[0].tags["dagster/asset_partition_range_start"] == MONTHS[0]
    assert runs[0].tags["dagster/asset_partition_range_end"] == MONTHS[1]
    open_page(page, f"/runs/b/{runs[0].tags['dagster/backfill']}")
    page.wait_for_function("/Success|Completed/.test(document.body.innerText)")


def test_the_report_shows_its_verdict_and_its_plot(page) -> None:
    open_page(page, "/assets/us_equities/walk_forward_report")
    page.get_by_text("trials counted", exact=False).first.wait_for()
    page.get_by_text("[Show Markdown]").first.click()
    plot = page.get_by_role("dialog").locator("img").first
    plot.wait_for()
    assert plot.evaluate("image => image.naturalWidth") > 100


def test_every_expectation_is_a_check_in_the_ui(page) -> None:
    from trading_assets.bars.expectations import EXPECTATIONS

    open_page(page, "/assets/us_daily/validated_bars?view=checks")
    page.get_by_text(EXPECTATIONS[0].name, exact=True).first.wait_for()
    missing = [e.name for e in EXPECTATIONS if not page.get_by_text(e.name, exact=True).count()]
    assert missing == []


def absent_after_opening_groups(page, names: list[str]) -> list[str]:
    """Open all groups of the graph and return the names that it still does not show."""
    missing = names
    for _ in range(4):
        page.keyboard.press("Alt+e")
        deadline = monotonic() + 15
        while missing and monotonic() < deadline:
            # A long name is cut in its middle where the graph is small.
            shapes = {name: re.compile(rf"^{name[:8]}.*{name[-5:]}$|^{name}$") for name in names}
            missing = [n for n in names if not page.get_by_text(shapes[n]).count()]
            sleep(0.5)
        if not missing:
            break
    return missing


def newest_run_id() -> str:
    with open_instance(Path(REPOSITORY / "data")) as instance:
        return instance.get_runs(limit=1)[0].run_id


def wait_for_success(before: str) -> list[dg.DagsterRun]:
    """Wait until the backfill's runs have ended well, and return them."""
    deadline = monotonic() + BACKFILL_SECONDS
    runs: list[dg.DagsterRun] = []
    while monotonic() < deadline:
        with open_instance(Path(REPOSITORY / "data")) as instance:
            newest = instance.get_runs(limit=20)
        ids = [run.run_id for run in newest]
        fresh = newest[: ids.index(before)] if before in ids else newest
        runs = [run for run in fresh if "dagster/backfill" in run.tags]
        if runs and all(run.is_finished for run in runs):
            assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
            return runs
        sleep(1)
    pytest.fail(f"no backfill succeeded within {BACKFILL_SECONDS} s: {runs}")
