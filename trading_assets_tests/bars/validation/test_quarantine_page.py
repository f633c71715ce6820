"""The page on which a person looks at what is in quarantine."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import polars as pl

from trading_assets.bars.validation.expectations import judge
from trading_assets.bars.validation.quarantine_page import MOST_LINES, quarantine_page
from trading_assets.pages import DATA_DOCS_INDEX, QUARANTINE
from trading_assets.schema import TABLES, conform
from trading_assets_tests.bars.validation.test_data_docs import validated

MONTHS = pl.DataFrame({"month": ["2024-03-01", "2024-04-01"]})
FIRST = datetime(2024, 3, 4, 14, 31, tzinfo=UTC)


class Cells(HTMLParser):
    """Rows of the page's tables as text, and the tags that were opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1] and self.lasttag in ("td", "th"):
            self.rows[-1][-1] += data


def lines(n_bars: int, **changes: str) -> pl.DataFrame:
    times = [FIRST + timedelta(minutes=n) for n in range(n_bars)]
    frame = pl.DataFrame(
        {
            "symbol": changes.get("symbol", "IBM"),
            "session": [time.date() for time in times],
            "event_time": times,
            "revision": pl.Series([0] * n_bars, dtype=pl.Int32),
            "rule": changes.get("rule", "bar_was_traded"),
            "value": changes.get("value", "volume 0.0"),
            "reason": changes.get("reason", "no share was traded"),
        },
        schema_overrides=TABLES["quarantine"].empty().schema,
    )
    return conform("quarantine", frame)


def test_each_line_says_month_symbol_time_rule_value_and_reason() -> None:
    heads, *rows = Cells(quarantine_page("minutes", MONTHS, lines(2))).rows
    assert heads == ["month", "symbol", "time", "rule", "value", "reason"]
    rest = ["bar_was_traded", "volume 0.0", "no share was traded"]
    assert rows == [
        ["2024-03-01", "IBM", "2024-03-04 14:32:00 UTC", *rest],
        ["2024-03-01", "IBM", "2024-03-04 14:31:00 UTC", *rest],
    ]


def test_of_many_lines_the_newest_are_shown_and_all_are_counted() -> None:
    text = quarantine_page("minutes", MONTHS, lines(MOST_LINES + 7))
    rows = Cells(text).rows[1:]
    assert len(rows) == MOST_LINES
    newest = FIRST + timedelta(minutes=MOST_LINES + 6)
    assert rows[0][2] == f"{newest:%Y-%m-%d %H:%M:%S} UTC"
    said = unescape(re.sub(r"<[^>]*>", " ", text))
    assert "1007 bars in 1007 lines" in said
    assert "the newest 1000 of 1007 lines are shown" in said
    assert "Months 2024-03-01 to 2024-04-01" in said


def test_nothing_of_the_data_becomes_markup() -> None:
    hostile = '"><script>alert(1)</script><img src=x onerror=alert(1)>&amp;'
    text = quarantine_page(
        hostile, MONTHS, lines(1, symbol=hostile, rule=hostile, value=hostile, reason=hostile)
    )
    found = Cells(text)
    assert not {"script", "img"} & set(found.tags)
    assert found.rows[1] == [
        "2024-03-01", hostile, "2024-03-04 14:31:00 UTC", hostile, hostile, hostile
    ]  # fmt: skip


def test_an_empty_quarantine_is_said_to_be_empty() -> None:
    text = quarantine_page("minutes", MONTHS.head(1), lines(0))
    assert "Month 2024-03-01, judged by the newest run: every bar kept every rule." in text
    assert Cells(text).rows == []


def test_the_page_stands_beside_the_data_docs_which_link_to_it(tmp_path: Path) -> None:
    found = validated(3)
    judge(found, tmp_path / "docs", "daily")
    rows = Cells((tmp_path / "docs" / QUARANTINE).read_text(encoding="utf-8")).rows[1:]
    assert len(rows) == len(found.quarantine) == 3
    for page in (tmp_path / "docs").iterdir():
        if page.name != QUARANTINE:
            assert f'href="{QUARANTINE}"' in page.read_text(encoding="utf-8")
        if page.name != DATA_DOCS_INDEX:
            assert f'href="{DATA_DOCS_INDEX}"' in page.read_text(encoding="utf-8")


def test_the_index_names_what_failed_with_severity_and_what_was_observed(tmp_path: Path) -> None:
    judge(validated(3), tmp_path / "docs", "daily")
    rows = Cells((tmp_path / "docs" / DATA_DOCS_INDEX).read_text(encoding="utf-8")).rows
    failed = [row for row in rows if row[0] == "failed"]
    assert failed == [
        [
            "failed",
            "error",
            "In each month the share of bars in quarantine is within its bound.",
            "1 of 2 months break it",
        ],
        [
            "failed",
            "warning",
            "Data quality is 100 %: every bar the calendar promises arrived and kept every rule.",
            "1 of 2 months break it",
        ],
        [
            "failed",
            "warning",
            "No bar is in quarantine because it broke the rule bar_was_traded.",
            "3 of 86 bars break it",
        ],
    ]
