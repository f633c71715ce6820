import gzip
import shutil
import time
import unicodedata
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.bars.calendars.grid import bar_closes
from trading_assets.bars.sources.build import build_source
from trading_assets.bars.sources.source import FetchedBars
from trading_assets.errors import DataError, UserError
from trading_assets.market_data import MarketDataSpec
from trading_assets_tests.bars.example_bars import CALENDAR, NOW, make_spec

START, END = date(2024, 1, 2), date(2024, 1, 31)
DAILY = """symbol,time,open,high,low,close,volume
AAPL,2024-01-02,10,12,9,11,100
AAPL,2024-01-03,11,13,10,12,200
MSFT,2024-01-02,20,22,19,21,300
"""


def files_spec(folder: Path, universe: tuple[str, ...] = ("AAPL", "MSFT"), **changes: Any):
    spec = {name: changes.pop(name) for name in ("bar_length", "calendar") if name in changes}
    source = {"kind": "files", "folder": str(folder), "feed": "vendor", **changes}
    return make_spec(source=source, universe=universe, start=START, end=END, **spec)


def fetch(spec: MarketDataSpec, start: date = START, end: date = END) -> FetchedBars:
    return build_source(spec, get_calendar(spec.calendar), {}).fetch(start, end, NOW)


def closes(fetched: FetchedBars) -> list[tuple[Any, ...]]:
    return fetched.rows.select("symbol", "session", "close").rows()


EXPECTED = [
    ("AAPL", date(2024, 1, 2), 11.0),
    ("AAPL", date(2024, 1, 3), 12.0),
    ("MSFT", date(2024, 1, 2), 21.0),
]


def test_daily_bars_of_a_csv_carry_the_feed_and_the_close(tmp_path: Path) -> None:
    (tmp_path / "dump.csv").write_text(DAILY)
    fetched = fetch(files_spec(tmp_path))
    assert closes(fetched) == EXPECTED
    row = fetched.rows.row(0, named=True)
    assert (row["feed"], row["adjustment"], row["revision"]) == ("vendor", "raw", 0)
    assert row["event_time"] == datetime(2024, 1, 2, 21, tzinfo=UTC)
    assert row["vendor_adjusted_close"] is None
    assert fetched.actions.is_empty()
    assert fetched.series.is_empty()


def test_csv_compressed_csv_and_parquet_may_lie_side_by_side(tmp_path: Path) -> None:
    lines = DAILY.splitlines(keepends=True)
    (tmp_path / "a.csv").write_text(lines[0] + lines[1])
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress((lines[0] + lines[2]).encode()))
    (tmp_path / "README.md").write_text("about")
    pl.read_csv((lines[0] + lines[3]).encode(), try_parse_dates=True).write_parquet(
        tmp_path / "c.parquet"
    )
    assert closes(fetch(files_spec(tmp_path))) == EXPECTED


def test_a_column_map_reads_any_layout(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(
        "\ufeffkurs;Tag;hoch;tief;erster;umsatz;Ticker;bereinigt\n"
        "11,5;02.01.2024;12;9;10;1e3;AAPL;5,75\n"
    )
    names = {
        "time": "Tag", "open": "erster", "high": "hoch", "low": "tief", "close": "kurs",
        "volume": "umsatz", "symbol": "Ticker", "vendor_adjusted_close": "bereinigt",
    }  # fmt: skip
    spec = files_spec(
        tmp_path, columns=names, time_format="%d.%m.%Y", separator=";", decimal_comma=True
    )
    row = fetch(spec).rows.row(0, named=True)
    assert [row[name] for name in ("open", "high", "low", "close", "volume")] == [
        10.0, 12.0, 9.0, 11.5, 1000.0
    ]  # fmt: skip
    assert row["vendor_adjusted_close"] == 5.75


def test_the_folder_is_meant_against_the_declaration(tmp_path: Path) -> None:
    (tmp_path / "dump").mkdir()
    (tmp_path / "dump" / "x.csv").write_text(DAILY)
    declared = files_spec(Path("dump")).model_dump(exclude_defaults=True)
    spec = MarketDataSpec.model_validate(declared, context={"folder": tmp_path})
    assert closes(fetch(spec)) == EXPECTED


def test_symbols_come_from_file_names_and_other_files_are_not_read(tmp_path: Path) -> None:
    body = "time,open,high,low,close,volume\n2024-01-02,1,1,1,{},5\n"
    (tmp_path / "BRK.B.csv").write_text(body.format(1))
    (tmp_path / "BTC%2FUSD.csv").write_text(body.format(2))
    (tmp_path / "TSLA.csv").write_text("no table at all")
    spec = files_spec(tmp_path, ("BRK.B", "BTC/USD"), symbol_from="file_name")
    assert [row[0] for row in closes(fetch(spec))] == ["BRK.B", "BTC/USD"]


HOSTILE = [
    "a/../../x", "/etc/x", "A'); DROP TABLE bars--", "aapl", "😀", "A" * 17, "A B", "%2E%2E%2FX",
    "%00A", unicodedata.normalize("NFD", "Å"),
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_name_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / (name.replace("/", "%2F") + ".csv")).write_text(DAILY)
    with pytest.raises(DataError, match=r"^file name .* is no symbol; expected") as refusal:
        fetch(files_spec(tmp_path, symbol_from="file_name"))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", [*HOSTILE, "A\0B", "", "x" * 10_000])
def test_rows_of_a_hostile_symbol_are_not_delivered(tmp_path: Path, name: str) -> None:
    table = pl.read_csv(DAILY.encode(), try_parse_dates=True)
    hostile = table.with_columns(pl.lit(name).alias("symbol")).head(1)
    pl.concat([table, hostile]).write_parquet(tmp_path / "x.parquet")
    assert closes(fetch(files_spec(tmp_path))) == EXPECTED
    hostile.write_parquet(tmp_path / "x.parquet")
    with pytest.raises(DataError, match="hold no symbol of the universe"):
        fetch(files_spec(tmp_path))


def test_a_symbol_is_normalized_before_it_is_compared(tmp_path: Path) -> None:
    # U+212A, the Kelvin sign, is a K once normalized.
    text = DAILY.replace("AAPL", "\u212a").replace("MSFT", " M")
    (tmp_path / "x.csv").write_text(text, encoding="utf-8")
    assert [row[0] for row in closes(fetch(files_spec(tmp_path, ("K", "M"))))] == ["K", "K", "M"]


MINUTE = "symbol,time,open,high,low,close,volume\nAAPL,{},1,1,1,1,5\n"


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("2024-01-02T14:30:00Z", {}),
        ("2024-01-02 14:30", {}),
        ("2024-01-02T14:30:00.000", {}),
        ("2024-01-02T09:30:00-05:00", {}),
        ("2024-01-02 09:30:00", {"time_zone": "America/New_York"}),
        (
            "01/02/2024 9:30 AM",
            {"time_zone": "America/New_York", "time_format": "%m/%d/%Y %I:%M %p"},
        ),
        ("20240102 093000 -0500", {"time_format": "%Y%m%d %H%M%S %z"}),
        ("1704205800", {"time_format": "%s"}),
    ],
)  # fmt: skip
def test_times_of_any_form_and_zone_become_the_bars_close(
    tmp_path: Path, text: str, options: dict[str, str]
) -> None:
    (tmp_path / "x.csv").write_text(MINUTE.format(text))
    spec = files_spec(tmp_path, bar_length="1m", time_is="bar_open", **options)
    assert fetch(spec).rows["event_time"].to_list() == [datetime(2024, 1, 2, 14, 31, tzinfo=UTC)]
    closing = files_spec(tmp_path, bar_length="1m", time_is="bar_close", **options)
    assert fetch(closing).rows["event_time"].to_list() == [datetime(2024, 1, 2, 14, 30, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("dtype", "zone"),
    [
        (pl.Datetime("ns", "UTC"), "UTC"),
        (pl.Datetime("ms"), "UTC"),
        (pl.Datetime("us", "America/New_York"), "UTC"),
        (pl.String(), "UTC"),
    ],
)
def test_parquet_times_of_any_type_are_read(tmp_path: Path, dtype: pl.DataType, zone: str) -> None:
    moment = pl.Series("time", [datetime(2024, 1, 2, 14, 31, tzinfo=UTC)])
    if isinstance(dtype, pl.Datetime) and dtype.time_zone not in (None, "UTC"):
        moment = moment.dt.convert_time_zone(dtype.time_zone)
    elif dtype == pl.String():
        moment = moment.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    elif isinstance(dtype, pl.Datetime) and dtype.time_zone is None:
        moment = moment.dt.replace_time_zone(None)
    table = pl.DataFrame(
        {"symbol": "AAPL", "open": 1, "high": 1, "low": 1, "close": 1, "volume": 5}
    )
    table.with_columns(moment.cast(dtype)).write_parquet(tmp_path / "x.parquet")
    spec = files_spec(tmp_path, bar_length="1m", time_is="bar_close", time_zone=zone)
    assert fetch(spec).rows["event_time"].to_list() == [datetime(2024, 1, 2, 14, 31, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("2024-01-02", {}),
        ("2024-01-02T00:00:00", {}),
        ("2024-01-02T00:00:00+09:00", {}),
        ("2024-01-02T05:00:00Z", {"time_is": "bar_open"}),
        ("2024-01-02T21:00:00Z", {"time_is": "bar_close"}),
        ("2024-01-02 16:00", {"time_is": "bar_close", "time_zone": "America/New_York"}),
    ],
)
def test_a_daily_bar_finds_its_session(tmp_path: Path, text: str, options: dict[str, str]) -> None:
    (tmp_path / "x.csv").write_text(MINUTE.format(text))
    rows = fetch(files_spec(tmp_path, **options)).rows
    assert rows["session"].to_list() == [date(2024, 1, 2)]
    assert rows["event_time"].to_list() == [datetime(2024, 1, 2, 21, tzinfo=UTC)]


def test_a_day_of_crypto_that_ends_at_midnight_is_the_day_before(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(MINUTE.format("2024-01-07T00:00:00Z"))
    rows = fetch(files_spec(tmp_path, calendar="24/7", time_is="bar_close")).rows
    assert rows["session"].to_list() == [date(2024, 1, 6)]


def test_a_range_is_the_slice_of_the_whole(tmp_path: Path) -> None:
    grid = bar_closes(CALENDAR, CALENDAR.sessions(START, END), "1h")
    table = grid.select(
        pl.lit("AAPL").alias("symbol"), pl.col("bar_open").alias("time"),
        *(pl.lit(1.0).alias(name) for name in ("open", "high", "low", "close", "volume")),
    )  # fmt: skip
    table.write_parquet(tmp_path / "x.parquet")
    spec = files_spec(tmp_path, bar_length="1h", time_is="bar_open")
    whole = fetch(spec).rows
    assert whole["event_time"].to_list() == grid["event_time"].to_list()
    part = fetch(spec, date(2024, 1, 8), date(2024, 1, 9)).rows
    assert part.equals(
        whole.filter(pl.col("session").is_between(date(2024, 1, 8), date(2024, 1, 9)))
    )


@pytest.mark.parametrize("gap", ["", "nan", "NaN", " N/A ", "-", "null"])
def test_a_price_that_is_missing_becomes_null(tmp_path: Path, gap: str) -> None:
    (tmp_path / "x.csv").write_text(DAILY.replace(",10,12", f",{gap}, 12"))
    assert fetch(files_spec(tmp_path)).rows.select("open", "high").row(0) == (None, 12.0)


FAULTS = {
    "text in a price": (
        DAILY.replace(",13,", ",1O,"),
        r"x\.csv row 2: column high was '1O'; expected a number.* so correct the row",
    ),
    "a missing column": (
        DAILY.replace("volume", "vol"),
        r"x\.csv lacks the column volume; it has symbol, .*vol, so name .* volume: vol",
    ),
    "a day that does not exist": (
        DAILY.replace("2024-01-03", "2024-01-32"),
        r"x\.csv row 2: column time was '2024-01-32'; expected ISO 8601.*time_format",
    ),
    "no time": (
        DAILY.replace("2024-01-03", ""),
        r"x\.csv row 2: column time was (empty|''); expected ISO 8601",
    ),
    "an empty file": ("", r"x\.csv cannot be read \(.*\); replace the file, or narrow `pattern`"),
    "a ragged line": (
        DAILY + "AAPL,2024-01-05,1,1,1,1,1,1,1\n",
        r"x\.csv cannot be read \(.*\); replace the file",
    ),
    "another universe": (
        DAILY.replace("AAPL", "aapl").replace("MSFT", "msft"),
        r"hold no symbol of the universe \(AAPL, MSFT\); expected them in column symbol, which has"
        r" 'aapl', 'msft', so check `universe`",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_file_column_and_remedy(tmp_path: Path, fault: str) -> None:
    text, sentence = FAULTS[fault]
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(DataError, match=sentence) as refusal:
        fetch(files_spec(tmp_path))
    assert "\n" not in str(refusal.value)


def test_of_many_files_the_bad_one_is_named(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.csv").write_text(DAILY)
    (tmp_path / "b.csv").write_text(DAILY.replace(",13,", ",?,"))
    with pytest.raises(DataError, match=r"b\.csv row 2: column high"):
        fetch(files_spec(tmp_path))


@pytest.mark.parametrize("name", ["x.parquet", "x.csv.gz"])
def test_a_damaged_file_is_refused(tmp_path: Path, name: str) -> None:
    rows = pl.concat([pl.read_csv(DAILY.encode(), try_parse_dates=True)] * 500)
    whole = tmp_path / name
    if name.endswith("gz"):
        whole.write_bytes(gzip.compress(rows.write_csv().encode()))
    else:
        rows.write_parquet(whole)
    content = whole.read_bytes()
    for cut in (0, 4, len(content) // 2, len(content) - 3):
        whole.write_bytes(content[:cut])
        with pytest.raises(DataError, match=r"cannot be read \(.*\); replace the file"):
            fetch(files_spec(tmp_path))


def test_a_missing_folder_and_an_empty_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere is no folder; expected .* check `folder`"):
        fetch(files_spec(tmp_path / "nowhere"))
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"has no file \* that ends in .*check `folder`"):
        fetch(files_spec(tmp_path))


@pytest.mark.parametrize("text", ["2024-11-03 01:30:00", "2024-03-10 02:30:00"])
def test_a_local_time_that_clocks_skip_or_repeat_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.csv").write_text(MINUTE.format(text))
    spec = files_spec(
        tmp_path, calendar="24/7", bar_length="1m", time_is="bar_close",
        time_zone="America/New_York",
    )  # fmt: skip
    with pytest.raises(DataError, match=r"x\.csv row 1: column time was .* America/New_York skips"):
        fetch(spec)


def test_a_date_is_no_minute_bar(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"time_is was session for bars of 1m; expected bar_open"):
        build_source(files_spec(tmp_path, bar_length="1m"), CALENDAR, {})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"pattern": "../*.csv"}, "expected a glob inside the folder"),
        ({"pattern": "/etc/*"}, "expected a glob inside the folder"),
        ({"time_zone": "Mars/Olympus"}, "expected a name such as America/New_York"),
        ({"columns": {"price": "p"}}, "Input should be 'symbol', 'time'"),
        ({"columns": {"symbol": "s"}, "symbol_from": "file_name"}, "expected one of the two"),
        ({"decimal_comma": True}, "expected another separator"),
    ],
)
def test_a_declaration_that_cannot_be_meant_is_refused(
    change: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValidationError, match=sentence):
        files_spec(Path("x"), **change)


CELLS = st.sampled_from(
    ["AAPL", "MSFT", "2024-01-02", "2024-01-03", "1", "-1", "1e400", "nan", "", '"', "9" * 400]
) | st.text(max_size=12)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(CELLS, min_size=7, max_size=7), max_size=4))
def test_no_content_crashes_or_passes_as_another_symbol(
    tmp_path_factory: pytest.TempPathFactory, cells: list[list[str]]
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    head = DAILY.splitlines(keepends=True)[0]
    text = head + "".join(",".join(row) + "\n" for row in cells)
    (folder / "x.csv").write_text(text, encoding="utf-8", errors="replace")
    refusal, symbols = "", set[str]()
    try:
        symbols = set(fetch(files_spec(folder)).rows["symbol"])
    except DataError as error:
        refusal = str(error)
    assert "\n" not in refusal
    assert symbols <= {"AAPL", "MSFT"}


def test_a_year_of_minute_bars_of_14_symbols_is_read_in_two_seconds(tmp_path: Path) -> None:
    grid = bar_closes(CALENDAR, CALENDAR.sessions(date(2024, 1, 1), date(2024, 12, 31)), "1m")
    rng = np.random.default_rng(3)
    universe = tuple(f"S{n}" for n in range(14))
    close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 5e-4, len(grid)))), 2)
    grid.select(pl.col("bar_open").alias("time")).with_columns(
        open=close, high=close, low=close, close=close, volume=pl.lit(1000.0)
    ).write_csv(tmp_path / "S0.csv", datetime_format="%Y-%m-%dT%H:%M:%SZ")
    for symbol in universe[1:]:
        shutil.copy(tmp_path / "S0.csv", tmp_path / f"{symbol}.csv")
    spec = files_spec(
        tmp_path, universe, bar_length="1m", time_is="bar_open", symbol_from="file_name"
    )
    durations: list[float] = []
    for _ in range(2):
        started = time.process_time()
        rows = fetch(spec, date(2024, 1, 1), date(2024, 12, 31)).rows
        durations.append(time.process_time() - started)
    assert len(rows) == 14 * len(grid) > 1_350_000
    # Processor seconds: a busy machine makes no test fail.
    assert min(durations) < 2.5
