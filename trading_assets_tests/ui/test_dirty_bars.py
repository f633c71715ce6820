"""What a person sees of bars that are refused: the partition, its checks, Data Docs, quarantine."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from trading_assets_tests.end_to_end.projects import Project, environment
from trading_assets_tests.ui.servers import free_port, started, wait_until_loaded

pytestmark = [pytest.mark.ui, pytest.mark.timeout(600)]

ASSET = "dirty/validated_bars"
JANUARY, FEBRUARY, MARCH = MONTHS = ("2024-01-01", "2024-02-01", "2024-03-01")
SYMBOLS = ("AAA", "BBB")
CLOSED = {date(2024, 1, 1), date(2024, 1, 15), date(2024, 2, 19), date(2024, 3, 29)}
NARROW = {"width": 1280, "height": 900}
TABLE_ROW = "[class*='VirtualizedTable_row__']"
# Bars of February in which high and low are swapped: 4 of 40, far more than the 2 % allowed.
SWAPPED = [date(2024, 2, day) for day in (5, 6, 7, 8)]
ZERO_VOLUME = date(2024, 3, 13)


@dataclass(frozen=True)
class DirtyProject:
    """A materialized data set, its UI, and the server of its pages."""

    project: Project
    ui: str
    pages: str


def _daily_lines() -> list[str]:
    first, last = date(2024, 1, 1), date(2024, 3, 31)
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    lines = ["symbol,day,open,high,low,close,volume"]
    for n, day in enumerate(day for day in days if day.weekday() < 5 and day not in CLOSED):
        for symbol in SYMBOLS:
            price = 100 + n % 7 * 0.5
            high, low = price + 1, price - 1
            if symbol == "AAA" and day in SWAPPED:
                high, low = low, high
            volume = 0 if (symbol, day) == ("BBB", ZERO_VOLUME) else 1000 + n
            lines.append(f"{symbol},{day},{price},{high},{low},{price + 0.25},{volume}")
    return lines


@pytest.fixture(scope="module")
def dirty(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DirtyProject]:
    """Materialize a data set as a user would, and serve what `make dev` serves."""
    project = Project.create(tmp_path_factory.mktemp("dirty"))
    source = {"kind": "files", "folder": "dump", "feed": "my_vendor", "columns": {"time": "day"}}
    attributes = {
        "source": source,
        "universe": list(SYMBOLS),
        "start": "2024-01-02",
        "end": "2024-03-31",
        "validation": {"max_quarantine_share": 0.03},
    }
    declared = project.declare("dirty", "MarketData", attributes)
    dump = declared.parent / "dump"
    dump.mkdir()
    (dump / "daily.csv").write_text("\n".join([*_daily_lines(), ""]), encoding="utf-8")
    ports = {"ui": free_port(), "pages": free_port()}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    settings = {"TRADING_ASSETS_PAGES_URL": urls["pages"], "TRADING_ASSETS_ONLY": "dirty"}
    span = f"{MONTHS[0]}...{MONTHS[-1]}"
    ran = project.materialize("--select", 'key:"dirty/*"', "--partition-range", span, **settings)
    assert ran.returncode == 0, ran.stderr
    commands = {
        "ui": ["dagster-webserver", "-m", "trading_assets.definitions", "--port"],
        "pages": ["trading-assets", "pages", "--port"],
    }
    with ExitStack() as stack:
        for name, (program, *arguments) in commands.items():
            command = [Path(sys.executable).with_name(program), *arguments, str(ports[name])]
            log = project.folder / f"{name}.log"
            process = stack.enter_context(
                started(command, project.folder, environment(**settings), log)
            )
            if name == "ui":
                wait_until_loaded(urls[name], process, log)
        yield DirtyProject(project, urls["ui"], urls["pages"])


def test_a_partitions_page_shows_its_verdict_quality_and_quarantine(
    page: Any, dirty: DirtyProject
) -> None:
    from playwright.sync_api import expect

    shown = {
        FEBRUARY: {"manifest_verdict": "failed", "data_quality_pct": "90", "quarantined_rows": "4"},
        MARCH: {"manifest_verdict": "passed", "data_quality_pct": "97.5", "quarantined_rows": "1"},
    }
    for month, values in shown.items():
        page.goto(f"{dirty.ui}/assets/{ASSET}?view=partitions&partition={month}")
        for name, value in values.items():
            expect(_value(page, name)).to_have_text(value)
    # What was refused, and why, in a sentence.
    page.goto(f"{dirty.ui}/assets/{ASSET}?view=partitions&partition={FEBRUARY}")
    expect(_value(page, "reasons")).to_contain_text("2024-02 has 4 of 40 bars in quarantine")
    _keep(page, "partition")


def test_failed_checks_are_warnings_with_the_bars_as_evidence(
    page: Any, dirty: DirtyProject
) -> None:
    from playwright.sync_api import expect

    page.goto(f"{dirty.ui}/assets/{ASSET}?view=checks")
    for name in ("every_expected_bar_passed", "few_bars_are_quarantined", "no_bar_is_quarantined"):
        row = page.locator(TABLE_ROW).filter(has_text=name)
        expect(row).to_contain_text("Failed")
        expect(row.get_by_role("img", name="warning")).to_be_visible()
    page.locator(TABLE_ROW).filter(has_text="few_bars_are_quarantined").click()
    expect(page.get_by_text("1 of 3 months break it")).to_be_visible()
    evidence = page.locator("tr").filter(has=page.get_by_text("evidence", exact=True)).first
    evidence.get_by_text("[Show Markdown]").click()
    table = page.get_by_role("dialog").get_by_role("table")
    expect(table).to_contain_text("high_is_not_below_open_and_close")
    expect(table).to_contain_text("2024-02-05")
    _keep(page, "checks")


def test_the_data_docs_open_from_the_link_and_show_what_failed_first(
    page: Any, dirty: DirtyProject
) -> None:
    from playwright.sync_api import expect

    _follow(page, dirty, "data_docs")
    expect(page.get_by_role("heading", name="Bars of dirty")).to_be_visible()
    failed = page.get_by_role("row").filter(has=page.get_by_role("cell", name="failed", exact=True))
    expect(
        failed.filter(has_text="share of bars in quarantine is within its bound")
    ).to_be_visible()
    expect(failed.filter(has_text=f"{FEBRUARY}")).to_contain_text("90")
    _expect_to_fit(page)
    _keep(page, "data_docs")

    page.get_by_role("link", name="Results of all expectations").click()
    sections = page.locator(".ge-section")
    expect(sections.first).to_be_visible()
    tops = [(box["y"], "failed" in text) for box, text in _sections(sections)]
    is_failed = [failed for _, failed in sorted(tops)]
    # The overview comes first, then every section with a failure, then the others.
    assert sum(is_failed) >= 3
    assert is_failed[1:] == sorted(is_failed[1:], reverse=True)
    _expect_to_fit(page)
    _keep(page, "results")


def _sections(sections: Any) -> list[tuple[dict[str, float], str]]:
    marks = "section => [...section.querySelectorAll('.fa-times, .fa-exclamation-triangle')].length"
    return [
        (each.bounding_box(), "failed" if each.evaluate(marks) else "") for each in sections.all()
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_quarantine_opens_from_the_link_and_names_each_bar(
    page: Any, dirty: DirtyProject, scheme: str
) -> None:
    from playwright.sync_api import expect

    page.emulate_media(color_scheme=scheme)
    _follow(page, dirty, "quarantine")
    expect(page.get_by_role("heading", name="Quarantine of dirty")).to_be_visible()
    expect(page.get_by_text("5 bars in 9 lines")).to_be_visible()
    rows = page.get_by_role("row")
    expect(rows).to_have_count(10)
    newest = [cell.inner_text() for cell in rows.nth(1).get_by_role("cell").all()]
    assert newest == [
        MARCH,
        "BBB",
        "2024-03-13 20:00:00 UTC",
        "bar_was_traded",
        "volume 0.0",
        "no share was traded, so the prices are no trades",
    ]
    colours = page.evaluate("[getComputedStyle(document.body).color, matchMedia("
                            "'(prefers-color-scheme: dark)').matches]")  # fmt: skip
    assert colours == (
        ["rgb(221, 221, 221)", True] if scheme == "dark" else ["rgb(0, 0, 0)", False]
    )
    _expect_to_fit(page)
    _keep(page, f"quarantine-{scheme}")


def _follow(page: Any, dirty: DirtyProject, name: str) -> None:
    """Open a link of the bad month's metadata in a window of ordinary width."""
    from playwright.sync_api import expect

    page.goto(f"{dirty.ui}/assets/{ASSET}?view=partitions&partition={FEBRUARY}")
    link = _value(page, name).get_by_role("link").first
    expect(link).to_be_visible()
    address = str(link.get_attribute("href"))
    assert address.startswith(f"{dirty.pages}/data_docs/dirty/")
    page.set_viewport_size(NARROW)
    page.goto(address)


def _value(page: Any, name: str) -> Any:
    """Return the cell beside a metadata entry's name."""
    entry = page.locator("tr").filter(
        has=page.locator("td:first-child").get_by_text(name, exact=True)
    )
    return entry.first.locator("td").nth(1)


def _expect_to_fit(page: Any) -> None:
    """Nothing is so wide that a reader has to scroll sideways."""
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= NARROW["width"]


def _keep(page: Any, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")
