"""What a person does in the UI: look at the lineage, backfill, read a verdict, checks, plots."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus

from trading_assets.bars.validation.expectations import EXPECTATIONS
from trading_assets.pipeline.instance import open_instance
from trading_assets_tests.ui.conftest import ROOT, STRATEGY, Demo

pytestmark = [pytest.mark.ui, pytest.mark.timeout(600)]

RAW_BARS = "us_daily/raw_bars"
REPORT = f"{STRATEGY}/walk_forward_report"
MONTHS = ("2012-10-01", "2012-11-01")
BACKFILL_MS = 240_000
LINEAGE_IMAGE = ROOT / "docs" / "images" / "lineage.png"
MARGIN = 16
# Names of Dagster's own style sheet; its version is pinned.
TABLE_ROW = "[class*='VirtualizedTable_row__']"
NODE_NAME = "[class*='AssetNode_assetName__']"
# Nodes that say what a reader wants to know and no more, top to bottom to fit one screen.
PRESENTATION = {
    "asset-node-facets": '["checks","partitions"]',
    "asset-graph-direction": '"vertical"',
    "dagster-nav-collapsed": "true",
    "large-screen-nav-open": "false",
}
# Axes and their labels are grey: a pixel of colour belongs to the curve.
HAS_CURVE = """canvas => {
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    for (let i = 0; i < pixels.length; i += 4) {
        const rgb = pixels.slice(i, i + 3);
        if (pixels[i + 3] > 128 && Math.max(...rgb) - Math.min(...rgb) > 96) return true;
    }
    return false;
}"""


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with open_instance(ROOT / "data") as opened:
        yield opened


def test_the_lineage_shows_every_declared_asset(page: Any, address: str, demo: Demo) -> None:
    from playwright.sync_api import expect

    page.add_init_script(
        "".join(f"localStorage.setItem({k!r}, {v!r});" for k, v in PRESENTATION.items())
    )
    selection = " or ".join(f'key:"{graph.owner}/*"' for graph in demo.graphs)
    page.goto(f"{address}/asset-groups~{quote(selection, safe='')}")
    for group in {node.stage for graph in demo.graphs for node in graph.nodes}:
        expect(page.locator("foreignObject").get_by_text(group, exact=True)).to_be_visible()
    page.keyboard.press("Alt+e")
    nodes = page.locator(NODE_NAME)
    _zoom_out_until_all_are_drawn(page, nodes, len(demo.asset_names))
    # From afar a long name is drawn with dots in its middle.
    shown = [text.partition("\u2026") for text in sorted(nodes.all_inner_texts())]
    assert len(shown) == len(demo.asset_names)
    for (head, dots, tail), name in zip(shown, demo.asset_names, strict=True):
        assert (name.startswith(head) and name.endswith(tail)) if dots else name == head
    if os.environ.get("UPDATE_SCREENSHOTS") == "1":
        LINEAGE_IMAGE.parent.mkdir(exist_ok=True)
        page.screenshot(path=LINEAGE_IMAGE, clip=_extent(page))


def test_two_months_are_backfilled_from_the_dialog(
    page: Any, address: str, demo: Demo, instance: dg.DagsterInstance
) -> None:
    from playwright.sync_api import expect

    before = _digests(demo)
    page.goto(f"{address}/assets/{RAW_BARS}")
    page.get_by_role("button", name="Materialize").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_placeholder("ex:").fill(", ".join(MONTHS))
    page.keyboard.press("Enter")
    expect(dialog.get_by_text(f"{len(MONTHS)} partitions", exact=True)).to_be_visible()
    dialog.get_by_role("button", name="Launch backfill").click()
    created = page.locator("a[href^='/runs/b/']").first
    backfill_id = Path(str(created.get_attribute("href"))).name
    page.goto(f"{address}/runs/b/{backfill_id}")
    status = page.get_by_text("Status", exact=True).locator("xpath=..")
    expect(status).to_contain_text("Succeeded", timeout=BACKFILL_MS)
    expect(page.get_by_text("100% completed")).to_be_visible()
    page.goto(f"{address}/runs")
    expect(page.locator(TABLE_ROW).filter(has_text=backfill_id)).to_contain_text("Success")

    backfill = instance.get_backfill(backfill_id)
    assert backfill is not None
    assert backfill.status is BulkActionStatus.COMPLETED_SUCCESS
    (run,) = instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill_id}))
    assert run.is_success
    materialized = instance.fetch_materializations(
        dg.AssetRecordsFilter(dg.AssetKey(RAW_BARS.split("/")), asset_partitions=list(MONTHS)), 2
    )
    assert {record.partition_key for record in materialized.records} == set(MONTHS)
    assert {record.run_id for record in materialized.records} == {run.run_id}
    # The same bars fetched again are the same content.
    assert _digests(demo) == before


def test_the_report_shows_its_verdict_its_plot_and_passed_checks(
    page: Any, address: str, demo: Demo
) -> None:
    from playwright.sync_api import expect

    figures = json.loads(demo.lake.read_blobs(REPORT)["figures.json"])
    page.goto(f"{address}/assets/{REPORT}")
    for verdict in figures["verdicts"].values():
        expect(page.get_by_text(verdict["sentence"])).to_be_visible()
    entry = page.locator("tr").filter(has=page.get_by_text("plot", exact=True))
    entry.get_by_text("[Show Markdown]").click()
    picture = page.get_by_role("dialog").get_by_role("img", name="plot")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") > 200
    page.goto(f"{address}/assets/{REPORT}?view=checks")
    for name in ("statistics_are_complete", "every_trial_is_counted"):
        _expect_check(page, name, "Succeeded")


def test_every_expectation_is_a_check_with_its_result(page: Any, address: str) -> None:
    from playwright.sync_api import expect

    page.goto(f"{address}/assets/us_daily/validated_bars?view=checks")
    expect(page.get_by_text(f"Checks ({len(EXPECTATIONS)})")).to_be_visible()
    for expectation in EXPECTATIONS:
        result = "Succeeded" if expectation.blocks else re.compile("Succeeded|Failed")
        _expect_check(page, expectation.name, result)
    page.locator(TABLE_ROW).filter(has_text=EXPECTATIONS[-1].name).click()
    expect(page.get_by_text(EXPECTATIONS[-1].description)).to_be_visible()


def test_figures_of_the_backtest_are_plotted_over_the_folds(page: Any, address: str) -> None:
    from playwright.sync_api import expect

    page.goto(f"{address}/assets/{STRATEGY}/backtest")
    page.get_by_text("Plots", exact=True).click()
    title = page.get_by_text("sharpe_annual equal_weight", exact=True)
    expect(title).to_be_visible()
    title.scroll_into_view_if_needed()
    canvas = title.locator("xpath=following::canvas[1]")
    expect(canvas).to_be_visible()
    page.wait_for_function(HAS_CURVE, arg=canvas.element_handle())


def test_a_run_of_the_command_line_is_listed_and_can_be_executed_again(
    page: Any, address: str, instance: dg.DagsterInstance
) -> None:
    from playwright.sync_api import expect

    tag = ("launched_by", "trading-assets run")
    run = instance.get_runs(dg.RunsFilter(tags=dict([tag])), limit=1)[0]
    page.goto(f"{address}/runs?q[0]={quote('tag:' + '='.join(tag))}")
    page.get_by_role("link", name=run.run_id[:8]).first.click()
    expect(page.get_by_role("button", name="Re-execute all")).to_be_enabled()


def _digests(demo: Demo) -> list[str]:
    records = demo.lake.records(RAW_BARS)
    return [records[month].content_digest for month in MONTHS]


def _zoom_out_until_all_are_drawn(page: Any, nodes: Any, count: int) -> None:
    """Zoom out: what lies outside of the screen is not drawn."""
    from playwright.sync_api import expect

    expect(nodes.first).to_be_visible()
    zoom_out = page.locator("button").filter(has=page.get_by_role("img", name="zoom_out"))
    bar = page.get_by_role("button", name="Materialize").bounding_box()
    for _ in range(8):
        page.wait_for_timeout(500)
        if nodes.count() == count and _extent(page)["y"] > bar["y"] + bar["height"] + MARGIN:
            return
        zoom_out.click()
    expect(nodes).to_have_count(count)


def _extent(page: Any) -> dict[str, float]:
    """Return the rectangle around all groups and nodes, with a margin."""
    boxes = [item.bounding_box() for item in page.locator("foreignObject").all()]
    left, top = (min(box[side] for box in boxes) for side in ("x", "y"))
    right = max(box["x"] + box["width"] for box in boxes)
    bottom = max(box["y"] + box["height"] for box in boxes)
    return {
        "x": left - MARGIN,
        "y": top - MARGIN,
        "width": right - left + 2 * MARGIN,
        "height": bottom - top + 2 * MARGIN,
    }


def _expect_check(page: Any, name: str, result: str | re.Pattern[str]) -> None:
    from playwright.sync_api import expect

    expect(page.locator(TABLE_ROW).filter(has_text=name)).to_contain_text(result)
