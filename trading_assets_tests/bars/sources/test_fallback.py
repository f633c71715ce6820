from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zlib import crc32

import polars as pl
import pytest

from trading_assets.bars.sources.build import build_source
from trading_assets.bars.sources.fallback import FallbackBars
from trading_assets.bars.sources.source import BarSource, FetchedBars
from trading_assets.errors import DataError, MissingKeyError, UserError
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES
from trading_assets_tests.bars.example_bars import CALENDAR, NOW, make_spec
from trading_assets_tests.bars.sources.own_bars import flat_bars

START, END = date(2005, 1, 3), date(2005, 4, 29)
UNIVERSE = ("A", "B", "C")
Reason = Callable[[str, str], str | None]


class Scripted:
    """Flat bars; `fails` gives the reason for a symbol and month, `lacks` what is not there."""

    def __init__(
        self, spec: MarketDataSpec, fails: Reason, lacks: Reason, asked: list[Any]
    ) -> None:
        self.spec, self.fails, self.lacks, self.asked = spec, fails, lacks, asked

    def fetch(self, start: date, end: date, as_of: datetime) -> FetchedBars:
        self.asked.append((self.spec.universe, f"{start:%m}-{end:%m}"))
        bars = flat_bars(self.spec, CALENDAR, start, end, as_of)
        cells = bars.rows.select("symbol", pl.col("session").dt.strftime("%Y-%m").alias("month"))
        for cell in sorted(set(cells.iter_rows())):
            reason = self.fails(*cell)
            if reason:
                raise DataError(reason)
        lacked = [bool(self.lacks(*cell)) for cell in cells.iter_rows()]
        rows = bars.rows.filter(~pl.Series(lacked, dtype=pl.Boolean))
        return replace(bars, rows=rows, actions=self._actions(start, end))

    def _actions(self, start: date, end: date) -> pl.DataFrame:
        days = [date(2005, month, 15) for month in (1, 2, 3, 4)]
        return pl.DataFrame(
            [
                {"symbol": symbol, "ex_date": day, "kind": "dividend", "split_ratio": 1.0,
                 "cash_usd": 1.0, "knowledge_time": datetime(2005, 1, 1, tzinfo=UTC),
                 "origin": self.spec.source.kind}
                for symbol in self.spec.universe for day in days if start <= day <= end
            ],
            schema=TABLES["corporate_actions"].empty().schema,
        )  # fmt: skip


def never(symbol: str, month: str) -> str | None:
    return None


def spec_with(**changes: Any) -> MarketDataSpec:
    return make_spec(
        source={"kind": "sample"}, fallback={"kind": "synthetic"}, universe=UNIVERSE,
        **{"start": START, "end": END, **changes},
    )  # fmt: skip


def scripted(
    fails: Reason = never, lacks: Reason = never, second_fails: Reason = never,
    second_lacks: Reason = never, **changes: Any,
) -> tuple[FallbackBars, list[Any], list[Any]]:  # fmt: skip
    asked: tuple[list[Any], list[Any]] = ([], [])

    def build(part: MarketDataSpec) -> BarSource:
        assert part.fallback is None
        if part.source.kind == "sample":
            return Scripted(part, fails, lacks, asked[0])
        return Scripted(part, second_fails, second_lacks, asked[1])

    return FallbackBars(spec_with(**changes), CALENDAR, build), *asked


def feeds(fetched: FetchedBars) -> dict[str, set[tuple[str, str]]]:
    """Return (symbol, month number) by feed."""
    found: dict[str, set[tuple[str, str]]] = {}
    for feed, symbol, session in fetched.rows.select("feed", "symbol", "session").iter_rows():
        found.setdefault(feed, set()).add((symbol, f"{session:%m}"))
    return found


def test_a_source_that_delivers_is_not_stood_in_for() -> None:
    source, asked, second = scripted()
    fetched = source.fetch(START, END, NOW)
    assert set(fetched.rows["feed"]) == {"sample"}
    assert fetched.notes == ()
    assert (len(asked), second) == (1, [])


def test_a_missing_month_of_one_symbol_comes_from_the_fallback() -> None:
    source, asked, second = scripted(lacks=lambda s, m: "x" if (s, m[-2:]) == ("B", "02") else None)
    fetched = source.fetch(START, END, NOW)
    assert feeds(fetched)["synthetic"] == {("B", "02")}
    assert len(feeds(fetched)["sample"]) == 11
    assert fetched.notes == ("B 2005-02: sample has no bar, so bars are of synthetic",)
    assert (len(asked), second) == (1, [(("B",), "02-02")])
    # Actions come from where the bars come from.
    origins = fetched.actions.select("symbol", pl.col("ex_date").dt.month(), "origin").rows()
    assert [row for row in origins if row[2] == "synthetic"] == [("B", 2, "synthetic")]
    assert len(origins) == 12


TWO_CELLS = {("A", "2005-01"), ("B", "2005-02")}


@pytest.mark.parametrize(
    ("fails", "cells"),
    [
        (lambda s, m: "B is unknown" if s == "B" else None, {("B", f"0{n}") for n in range(1, 5)}),
        (lambda s, m: f"no {m}" if m == "2005-03" else None, {(s, "03") for s in UNIVERSE}),
        (lambda s, m: f"{s} {m} is bad" if (s, m) == ("C", "2005-04") else None, {("C", "04")}),
        (
            lambda s, m: f"{s} {m} is bad" if (s, m) in TWO_CELLS else None,
            {("A", "01"), ("B", "02")},
        ),
    ],
)
def test_a_failure_is_narrowed_down_to_symbol_and_month(
    fails: Reason, cells: set[tuple[str, str]]
) -> None:
    source, _, _ = scripted(fails)
    fetched = source.fetch(START, END, NOW)
    assert feeds(fetched)["synthetic"] == cells
    assert len(feeds(fetched)["sample"]) == 12 - len(cells)
    assert all(
        "sample failed (" in note and "bars are of synthetic" in note for note in fetched.notes
    )
    assert len(fetched.rows) == 3 * len(CALENDAR.sessions(START, END))


def test_a_vendor_that_is_down_is_asked_five_times() -> None:
    source, asked, second = scripted(lambda s, m: "the vendor is down")
    fetched = source.fetch(START, END, NOW)
    assert len(feeds(fetched)["synthetic"]) == 12
    assert (len(asked), len(second)) == (5, 1)
    assert fetched.notes[0] == (
        "A 2005-01 to 2005-04 (4 months): sample failed (the vendor is down), so bars are of"
        " synthetic"
    )


def test_when_both_fail_both_reasons_are_told() -> None:
    source, _, _ = scripted(lambda s, m: "first is down", second_fails=lambda s, m: "second too")
    with pytest.raises(
        DataError, match=r"^sample failed \(first is down\) and synthetic failed \(sec"
    ):
        source.fetch(START, END, NOW)
    source, _, _ = scripted(lambda s, m: "first is down", second_lacks=lambda s, m: "x")
    with pytest.raises(DataError, match=r"is down\) and its fallback synthetic has no such bars$"):
        source.fetch(START, END, NOW)


def test_a_month_that_neither_delivers_is_told_and_spoils_no_other() -> None:
    source, _, _ = scripted(
        lambda s, m: "A is damaged" if (s, m) == ("A", "2005-02") else None,
        second_fails=lambda s, m: "no A" if s == "A" else None,
    )
    fetched = source.fetch(START, END, NOW)
    assert len(feeds(fetched)["sample"]) == 11
    assert fetched.notes == (
        "A 2005-02: sample failed (A is damaged), and synthetic failed (no A)",
    )


def test_a_month_before_a_symbols_listing_is_no_news() -> None:
    source, _, _ = scripted(
        lacks=lambda s, m: "x" if (s, m) == ("A", "2005-01") else None,
        second_lacks=lambda s, m: "x" if (s, m) == ("A", "2005-01") else None,
    )
    fetched = source.fetch(START, END, NOW)
    assert fetched.notes == ()
    assert ("A", "01") not in feeds(fetched)["sample"]


HALF = date(2005, 2, 15)


@pytest.mark.parametrize(
    ("has_bars", "stood_in"),
    [
        (pl.col("session") >= HALF, {"01"}),
        (pl.col("session") < HALF, {"03", "04"}),
    ],
    ids=["it begins late", "it ends early"],
)
def test_parts_of_a_month_are_of_the_feed_of_the_whole_month(
    has_bars: pl.Expr, stood_in: set[str]
) -> None:
    class Partly(Scripted):
        def fetch(self, start: date, end: date, as_of: datetime) -> FetchedBars:
            bars = super().fetch(start, end, as_of)
            return replace(bars, rows=bars.rows.filter(has_bars))

    def build(part: MarketDataSpec) -> BarSource:
        kind = Partly if part.source.kind == "sample" else Scripted
        return kind(part, never, never, [])

    source = FallbackBars(spec_with(), CALENDAR, build)
    spans = [
        (START, END), (START, date(2005, 2, 10)), (date(2005, 2, 1), date(2005, 2, 14)),
        (date(2005, 2, 11), END), (HALF, END),
    ]  # fmt: skip
    whole, *parts = (source.fetch(start, end, NOW) for start, end in spans)
    assert {month for _, month in feeds(whole)["synthetic"]} == stood_in
    for part, span in zip(parts, spans[1:], strict=True):
        assert part.rows.equals(whole.rows.filter(pl.col("session").is_between(*span)))
        assert part.actions.equals(whole.actions.filter(pl.col("ex_date").is_between(*span)))


def test_no_symbol_and_month_ever_has_two_feeds() -> None:
    source, _, _ = scripted(
        lambda s, m: f"{s} {m}" if crc32((s + m).encode()) % 3 == 0 else None,
        lambda s, m: "x" if crc32((m + s).encode()) % 3 == 0 else None,
    )
    rows = source.fetch(START, END, NOW).rows
    count = rows.group_by("symbol", pl.col("session").dt.month()).agg(pl.col("feed").n_unique())
    assert count["feed"].max() == 1
    assert rows.equals(rows.sort(TABLES["raw_bars"].key))


def test_months_outside_a_membership_are_not_asked_for() -> None:
    members = [{"symbol": "A", "first_session": date(2005, 3, 1)}, {"symbol": "B"}, {"symbol": "C"}]
    source, _, second = scripted(lacks=lambda s, m: "x" if s == "A" else None, members=members)
    fetched = source.fetch(START, END, NOW)
    assert feeds(fetched)["synthetic"] == {("A", "03"), ("A", "04")}
    assert second == [(("A",), "03-04")]


def test_months_that_have_not_come_are_not_asked_for() -> None:
    source, asked, second = scripted(lacks=lambda s, m: "x" if m > "2005-02" else None, end=None)
    fetched = source.fetch(START, END, datetime(2005, 2, 20, tzinfo=UTC))
    assert set(fetched.rows["feed"]) == {"sample"}
    assert (asked, second) == ([(UNIVERSE, "01-02")], [])


def test_a_users_mistake_is_raised_and_not_stood_in_for() -> None:
    spec = make_spec(source={"kind": "alpaca"}, fallback={"kind": "sample"})
    with pytest.raises(MissingKeyError, match="ALPACA_API_KEY"):
        build_source(spec, CALENDAR, {}).fetch(START, END, NOW)


def test_two_sources_of_one_feed_are_refused() -> None:
    with pytest.raises(UserError, match="source and fallback were both of feed synthetic"):
        build_source(make_spec(source={"kind": "synthetic"}, fallback={"kind": "synthetic"}),
                     CALENDAR, {})  # fmt: skip


def test_files_stand_in_where_the_sample_ends(tmp_path: Path) -> None:
    text = "symbol,time,open,high,low,close,volume\nIBM,2013-03-04,1,1,1,1,5\n"
    (tmp_path / "x.csv").write_text(text)
    spec = make_spec(
        fallback={"kind": "files", "folder": str(tmp_path), "feed": "vendor"},
        universe=("IBM", "MSFT"), start=date(2013, 2, 1), end=date(2013, 4, 30),
    )  # fmt: skip
    fetched = build_source(spec, CALENDAR, {}).fetch(date(2013, 2, 1), date(2013, 4, 30), NOW)
    assert feeds(fetched) == {
        "sample": {("IBM", "02"), ("MSFT", "02")},
        "vendor": {("IBM", "03")},
    }
    assert "IBM 2013-03: sample failed (bars were asked for from 2013-03-01" in fetched.notes[0]
