"""Corporate actions that a vendor's files hold beside its bars."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from trading_assets.bars.actions.corporate_actions import check_actions
from trading_assets.bars.sources.build import build_source
from trading_assets.bars.sources.contract import check_source
from trading_assets.errors import DataError, UserError
from trading_assets.market_data import MarketDataSpec
from trading_assets_tests.bars.example_bars import CALENDAR, NOW, make_spec

START, END = date(2022, 6, 1), date(2022, 6, 30)
HEADER = "symbol,ex_date,kind,split_ratio,cash_usd,new_symbol\n"
ALL_KINDS = (
    HEADER
    + "FB,2022-06-02,split,0.1,,\n"
    + "FB,2022-06-03,dividend,,0.7,\n"
    + "FB,2022-06-06,spin_off,,5.5,\n"
    + "FB,2022-06-09,rename,,,META\n"
    + "ZZZ,2022-06-09,dividend,,1,\n"
)


def spec_of(folder: Path, universe: tuple[str, ...] = ("FB", "META"), **actions: Any):
    bars = folder / "bars"
    bars.mkdir(exist_ok=True)
    days = CALENDAR.sessions(START, END)
    table = pl.DataFrame(
        {
            "symbol": ["FB" if day < date(2022, 6, 9) else "META" for day in days],
            "time": days,
            **{name: [10.0] * len(days) for name in ("open", "high", "low", "close")},
            "volume": [5.0] * len(days),
        }
    )
    table.write_csv(bars / "bars.csv")
    source = {
        "kind": "files",
        "folder": str(bars),
        "feed": "vendor",
        "actions": {"file": str(folder / "actions.csv"), **actions},
    }
    return make_spec(source=source, universe=universe, start=START, end=END)


def fetch(spec: MarketDataSpec, as_of: datetime = NOW, end: date = END) -> pl.DataFrame:
    return build_source(spec, CALENDAR, {}).fetch(START, end, as_of).actions


def fetched(folder: Path, text: str, **actions: Any) -> pl.DataFrame:
    (folder / "actions.csv").write_text(text)
    return fetch(spec_of(folder, **actions))


def test_actions_of_all_kinds_are_read(tmp_path: Path) -> None:
    found = fetched(tmp_path, ALL_KINDS)
    columns = ("symbol", "ex_date", "kind", "split_ratio", "cash_usd", "new_symbol")
    assert found.select(columns).rows() == [
        ("FB", date(2022, 6, 2), "split", 0.1, 0.0, None),
        ("FB", date(2022, 6, 3), "dividend", 1.0, 0.7, None),
        ("FB", date(2022, 6, 6), "spin_off", 1.0, 5.5, None),
        ("FB", date(2022, 6, 9), "rename", 1.0, 0.0, "META"),
    ]
    assert check_actions(found) == []


def test_an_action_counts_as_known_from_the_open_and_a_spin_offs_worth_from_the_close(
    tmp_path: Path,
) -> None:
    found = fetched(tmp_path, ALL_KINDS)
    assert found["knowledge_time"].to_list() == [
        datetime(2022, 6, 2, 13, 30, tzinfo=UTC),
        datetime(2022, 6, 3, 13, 30, tzinfo=UTC),
        datetime(2022, 6, 6, 20, 15, tzinfo=UTC),
        datetime(2022, 6, 9, 13, 30, tzinfo=UTC),
    ]


def test_an_ex_date_without_a_session_is_known_at_the_next_open(tmp_path: Path) -> None:
    [known] = fetched(tmp_path, HEADER + "FB,2022-06-04,split,2,,\n")["knowledge_time"]
    assert known == datetime(2022, 6, 6, 13, 30, tzinfo=UTC)


def test_what_a_file_says_of_its_announcement_counts(tmp_path: Path) -> None:
    text = "symbol,ex_date,kind,split_ratio,knowledge_time\n"
    text += "FB,2022-06-02,split,2,2022-05-20T21:00:00Z\n"
    text += "FB,2022-06-10,split,3,2022-06-08\n"
    text += "META,2022-06-13,split,3,\n"
    found = fetched(tmp_path, text)
    assert found["knowledge_time"].to_list() == [
        datetime(2022, 5, 20, 21, tzinfo=UTC),
        datetime(2022, 6, 9, 4, tzinfo=UTC),
        datetime(2022, 6, 13, 13, 30, tzinfo=UTC),
    ]
    early = fetch(spec_of(tmp_path), as_of=datetime(2022, 6, 9, 3, 59, tzinfo=UTC))
    assert early["ex_date"].to_list() == [date(2022, 6, 2)]


def test_only_actions_of_the_range_are_fetched(tmp_path: Path) -> None:
    (tmp_path / "actions.csv").write_text(ALL_KINDS)
    found = fetch(spec_of(tmp_path), end=date(2022, 6, 3))
    assert found["ex_date"].to_list() == [date(2022, 6, 2), date(2022, 6, 3)]


def test_a_rename_concerns_whoever_asks_for_either_ticker(tmp_path: Path) -> None:
    (tmp_path / "actions.csv").write_text(ALL_KINDS)
    found = fetch(spec_of(tmp_path, universe=("META",)))
    assert found.select("symbol", "new_symbol").rows() == [("FB", "META")]


def test_a_column_map_and_words_of_the_vendor_read_any_layout(tmp_path: Path) -> None:
    rows = {
        "Ticker": [" FB "],
        "Ex": [date(2022, 6, 2)],
        "Type": ["Forward Split"],
        "Factor": [2],
    }
    pl.DataFrame(rows).write_parquet(tmp_path / "actions.parquet")
    columns = {"symbol": "Ticker", "ex_date": "Ex", "kind": "Type", "split_ratio": "Factor"}
    spec = spec_of(
        tmp_path,
        file=str(tmp_path / "actions.parquet"),
        columns=columns,
        kinds={"Forward Split": "split"},
    )
    assert fetch(spec).select("symbol", "kind", "split_ratio").rows() == [("FB", "split", 2.0)]


def test_a_file_of_actions_among_the_bars_is_no_file_of_bars(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, file=str(tmp_path / "bars" / "actions.csv"))
    (tmp_path / "bars" / "actions.csv").write_text(ALL_KINDS)
    assert len(fetch(spec)) == 4


def test_the_source_keeps_every_promise_with_actions(tmp_path: Path) -> None:
    (tmp_path / "actions.csv").write_text(ALL_KINDS)
    spec = spec_of(tmp_path)
    assert check_source(build_source(spec, CALENDAR, {}), spec, CALENDAR, START, END, NOW) == []


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("FB,2022-06-02,merger,,,", "kind was 'merger'; expected split, dividend, spin_off"),
        ("FB,2022-06-02,split,1,,", "split_ratio was '1.0'; expected of a split the new shares"),
        ("FB,2022-06-02,split,-2,,", "split_ratio was '-2.0'; expected of a split"),
        ("FB,2022-06-02,split,,,", "split_ratio was '1.0'; expected of a split"),
        ("FB,2022-06-02,split,2:1,,", "split_ratio was '2:1'; expected a number"),
        ("FB,2022-06-02,dividend,2,1,", "split_ratio was '2.0'; expected"),
        ("FB,2022-06-02,dividend,,,", "cash_usd was '0.0'; expected of a dividend or spin-off"),
        ("FB,2022-06-02,dividend,,nan,", "cash_usd was 'nan'; expected of a dividend"),
        ("FB,2022-06-02,rename,,,", "new_symbol was empty; expected of a rename another ticker"),
        ("FB,2022-06-02,rename,,,FB", "new_symbol was 'FB'; expected of a rename another"),
        ("FB,2022-06-02,rename,,,me ta", "new_symbol was 'me ta'; expected of a rename"),
        ("FB,2022-06-02,split,2,,META", "new_symbol was 'META'; expected of a rename another"),
        ("FB,02.06.2022,split,2,,", "ex_date was '02.06.2022'; expected a date such as"),
        (",2022-06-02,split,2,,", "symbol was empty; expected a ticker such as BRK.B"),
        ("../x,2022-06-02,split,2,,", "symbol was '../x'; expected a ticker"),
    ],
)
def test_a_bad_row_is_named_with_its_value_and_what_was_expected(
    row: str, sentence: str, tmp_path: Path
) -> None:
    good = "META,2022-06-13,split,2,,\n"
    with pytest.raises(DataError) as refusal:
        fetched(tmp_path, HEADER + good + row + "\n")
    assert f"actions.csv row 2: {sentence}" in str(refusal.value)
    assert str(refusal.value).endswith("so correct the row or leave it out")


def test_two_rows_of_one_action_are_refused(tmp_path: Path) -> None:
    row = "FB,2022-06-03,dividend,,0.7,\n"
    with pytest.raises(
        DataError, match=r"row 1 and 1 more: ex_date was '2022-06-03'; expected one"
    ):
        fetched(tmp_path, HEADER + row + row)


def test_an_announcement_without_a_readable_time_is_refused(tmp_path: Path) -> None:
    text = "symbol,ex_date,kind,split_ratio,knowledge_time\nFB,2022-06-02,split,2,soon\n"
    with pytest.raises(DataError, match=r"row 1: knowledge_time was 'soon'; expected a date"):
        fetched(tmp_path, text)


def test_a_file_or_column_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"actions\.csv is no file to read; expected an existing"):
        fetch(spec_of(tmp_path))
    with pytest.raises(UserError, match=r"actions\.csv lacks the columns kind; it has symbol"):
        fetched(tmp_path, "symbol,ex_date\nFB,2022-06-02\n")
    with pytest.raises(UserError, match="lacks the columns Cash"):
        fetched(tmp_path, ALL_KINDS, columns={"cash_usd": "Cash"})
