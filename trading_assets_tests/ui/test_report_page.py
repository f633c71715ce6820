"""What a person sees of a stored report; `REPORT_PAGE` names another than the demo's."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

from trading_assets_tests.ui.conftest import ROOT, STRATEGY
from trading_assets_tests.ui.report_views import PHONE, SCREEN, keep_first_screens, open_report

pytestmark = [pytest.mark.ui, pytest.mark.timeout(120)]

IMAGES = ROOT / "docs" / "images"
LARGEST_IMAGE = 250_000
# Contrast of small text by WCAG 2, level AA.
READABLE = 4.5
LUMINANCE = """colour => {
    const [r, g, b] = colour.match(/[0-9.]+/g).slice(0, 3).map(Number).map(c => c / 255)
        .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}"""
COLOUR = "(element, name) => getComputedStyle(element)[name]"
IS_SHOWN = "element => element.checkVisibility({contentVisibilityAuto: true})"


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Path:
    if named := os.environ.get("REPORT_PAGE"):
        return Path(named)
    lake = request.getfixturevalue("demo").lake
    record = lake.record(f"{STRATEGY}/walk_forward_report")
    return lake.root / record.file("report.html").path


def test_the_first_screen_has_the_verdict_the_plot_and_the_head_of_the_table(
    page: Any, report: Path
) -> None:
    open_report(page, report)
    verdict = page.locator(".verdict").first
    assert re.search(
        r"(beats|is ahead of|falls behind|does not beat|cannot be judged)", verdict.inner_text()
    )
    for shown in (verdict, page.locator(".curves svg"), page.locator("thead").first):
        box = shown.bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= SCREEN["height"]
    table = page.locator(".scroll:has(> table)").first
    assert table.evaluate("box => box.scrollWidth <= box.clientWidth"), "the table is cut off"


def test_the_page_asks_for_nothing_and_the_browser_has_no_complaint(
    page: Any, report: Path
) -> None:
    heard = open_report(page, report)
    page.locator("details").first.click()
    page.wait_for_load_state("networkidle")
    assert heard == []


def test_links_of_the_contents_lead_to_their_parts(page: Any, report: Path) -> None:
    open_report(page, report)
    links = page.locator("nav a")
    assert links.count() >= 8
    for link in links.all():
        link.click()
        heading = page.locator("section:target > h2")
        assert heading.inner_text() == link.inner_text()
        box = heading.bounding_box()
        assert 0 <= box["y"] < SCREEN["height"]


def test_nothing_is_wider_than_a_phone_with_all_unfolded(page: Any, report: Path) -> None:
    open_report(page, report)
    page.set_viewport_size(PHONE)
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_both_schemes(page: Any, report: Path, scheme: str) -> None:
    open_report(page, report, scheme)
    body = page.locator("body")
    ground = page.evaluate(LUMINANCE, body.evaluate(COLOUR, "backgroundColor"))
    assert (ground < 0.05) == (scheme == "dark")
    for name in ("h1", ".verdict strong", ".evidence", "figcaption", "nav a", "td", ".interval"):
        text = page.evaluate(LUMINANCE, page.locator(name).first.evaluate(COLOUR, "color"))
        lighter, darker = max(text, ground), min(text, ground)
        assert (lighter + 0.05) / (darker + 0.05) >= READABLE, name
    tick = page.locator(".curves svg text").first
    assert tick.evaluate(COLOUR, "fill") == body.evaluate(COLOUR, "color")


def test_print_shows_every_table(page: Any, report: Path) -> None:
    open_report(page, report)
    tables = page.locator("details table")
    assert not any(table.evaluate(IS_SHOWN) for table in tables.all())
    page.emulate_media(media="print")
    assert all(table.evaluate(IS_SHOWN) for table in tables.all())


def test_pictures_for_the_documents_are_small(page: Any, report: Path, tmp_path: Path) -> None:
    is_kept = os.environ.get("UPDATE_SCREENSHOTS") == "1"
    for image in keep_first_screens(page, report, IMAGES if is_kept else tmp_path):
        assert image.stat().st_size <= LARGEST_IMAGE
