import io
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from trading_assets.errors import DataError, UserError
from trading_assets.source_specs import FilesSeries
from trading_assets_tests.bars.example_bars import CALENDAR, NOW
from trading_assets_tests.bars.series.example_series import (
    END,
    START,
    fetch,
    series_spec,
    utc,
    write_csv,
)

HEADER = "series,symbol,reference_time,knowledge_time,value"
FILE = {"kind": "files", "file": "macro.csv"}


def fetched(folder: Path, *lines: str, **declared: object) -> pl.DataFrame:
    write_csv(folder / "macro.csv", *lines)
    return fetch(series_spec(folder, {**FILE, **declared}))


def test_vintages_are_revisions_in_order_of_their_publication(tmp_path: Path) -> None:
    rows = fetched(
        tmp_path,
        HEADER,
        "gdp,*,2020-03-31,2020-06-25T12:30:00Z,-5.0",
        "gdp,*,2020-03-31,2020-04-29T12:30:00Z,-4.8",
        "gdp,*,2020-03-31,2020-05-28T12:30:00Z,-5.0",
    )
    assert rows["revision"].to_list() == [0, 1, 2]
    assert rows["value"].to_list() == [-4.8, -5.0, -5.0]
    assert rows["session"].to_list() == [date(2020, 4, 29), date(2020, 5, 28), date(2020, 6, 25)]
    assert set(rows["event_time"]) == {utc("2020-04-01T04:00")}
    assert set(rows["ingest_time"]) == {NOW}


@pytest.mark.parametrize(
    ("knowledge", "session"),
    [
        ("2020-07-02T20:00:00Z", date(2020, 7, 2)),
        ("2020-07-02T20:00:00.000001Z", date(2020, 7, 6)),
        ("2020-07-02T15:59:00-04:00", date(2020, 7, 2)),
        ("2020-11-27T13:01:00-05:00", date(2020, 11, 30)),
        ("2020-07-02", date(2020, 7, 6)),
        ("2020-07-04T12:00:00Z", date(2020, 7, 6)),
    ],
    ids=[
        "at the close",
        "after the close before a holiday",
        "with an offset",
        "after a half day",
        "a date is known when its day is over",
        "on a holiday",
    ],
)
def test_a_value_belongs_to_the_first_session_at_whose_close_it_was_known(
    tmp_path: Path, knowledge: str, session: date
) -> None:
    rows = fetched(tmp_path, HEADER, f"rate,*,2020-06-30,{knowledge},1.5")
    assert rows["session"].to_list() == [session]


@pytest.mark.parametrize(
    ("period", "end"),
    [
        ("day", "2020-02-02T05:00"),
        ("week", "2020-02-03T05:00"),
        ("month", "2020-03-01T05:00"),
        ("quarter", "2020-04-01T04:00"),
        ("year", "2021-01-01T05:00"),
    ],
)
def test_a_reference_date_stands_for_the_whole_period_that_it_labels(
    tmp_path: Path, period: str, end: str
) -> None:
    write_csv(tmp_path / "macro.csv", HEADER, "cpi,*,2020-02-01,2021-03-01T00:00:00Z,1")
    spec = series_spec(tmp_path, {**FILE, "reference_is": period})
    rows = fetch(spec, end=date(2021, 12, 31))
    assert rows["event_time"].to_list() == [utc(end)]


def test_a_month_labelled_by_its_first_day_cannot_be_known_before_its_end(tmp_path: Path) -> None:
    line = "cpi,*,2020-02-01,2020-02-20T13:30:00Z,1"
    assert len(fetched(tmp_path, HEADER, line)) == 1
    with pytest.raises(DataError, match=r"cpi for the period to 2020-03-01 .* it would leak"):
        fetched(tmp_path, HEADER, line, reference_is="month")


def test_a_row_known_before_its_reference_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="known at 2020-01-30 12:00 UTC, before its period ends"):
        fetched(tmp_path, HEADER, "cpi,*,2020-01-31,2020-01-30T12:00:00Z,1")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("cpi,*,2020-01-31,2020-02-03T08:30:00,1", "knowledge_time was '2020-02-03T08:30:00'"),
        ("cpi,*,2020-01-31T16:00,2020-02-03,1", "reference_time was '2020-01-31T16:00'"),
        ("cpi,*,soon,2020-02-03,1", "row 1: reference_time was 'soon'; expected a date"),
        ("cpi,*,,2020-02-03,1", "reference_time was 'None'"),
        ("cpi,*,0001-01-01T00:00:00+23:00,2020-02-03,1", "reference_time was '0001"),
        ("cpi,*,2020-01-31,2020-02-03,n/a", "row 1: value was 'n/a'; expected a finite number"),
        ("cpi,*,2020-01-31,2020-02-03,", "value was None"),
        ("cpi,*,2020-01-31,2020-02-03,inf", "value was 'inf'"),
        ("cpi,*,2020-01-31,2020-02-03,nan", "value was 'nan'"),
        ("CPI,*,2020-01-31,2020-02-03,1", "series was 'CPI'.*name it under `names`"),
        (",*,2020-01-31,2020-02-03,1", "series was None"),
        ("../x,*,2020-01-31,2020-02-03,1", r"series was '\.\./x'"),
        ("cpi,,2020-01-31,2020-02-03,1", "symbol was empty"),
    ],
)
def test_a_row_that_is_no_vintage_is_refused_with_its_place(
    tmp_path: Path, line: str, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        fetched(tmp_path, HEADER, line)


def test_two_values_of_one_vintage_are_refused_and_a_repeated_row_counts_once(
    tmp_path: Path,
) -> None:
    line = "cpi,*,2020-01-31,2020-02-13T13:30:00Z,1.5"
    assert len(fetched(tmp_path, HEADER, line, line)) == 1
    with pytest.raises(DataError, match=r"has the values 1\.5 and 1\.6, both known at"):
        fetched(tmp_path, HEADER, line, line.replace("1.5", "1.6"))


def test_columns_names_and_constants_come_from_the_declaration(tmp_path: Path) -> None:
    rows = fetched(
        tmp_path,
        "id,period,released,figure",
        "GDPC1,2020-03-31,2020-04-29T12:30:00Z,-4.8",
        columns={
            "series": "id",
            "reference_time": "period",
            "knowledge_time": "released",
            "value": "figure",
        },
        names={"GDPC1": "gdp"},
    )
    assert rows.select("series", "symbol", "value").rows() == [("gdp", "*", -4.8)]
    rows = fetched(
        tmp_path,
        "reference_time,value",
        "2020-03-31,2.5",
        series="eps",
        symbol="IBM",
        release_lag_days=30,
    )
    assert rows.select("series", "symbol").rows() == [("eps", "IBM")]
    assert rows["knowledge_time"].to_list() == [utc("2020-05-01T04:00")]


def test_fundamentals_are_kept_for_the_universe_only(tmp_path: Path) -> None:
    rows = fetched(
        tmp_path,
        HEADER,
        "eps,IBM,2020-03-31,2020-04-20T20:10:00Z,1.84",
        "eps,ZZZ,2020-03-31,not even a time,x",
        "rate,*,2020-03-31,2020-04-20T20:10:00Z,0.25",
    )
    assert rows.select("series", "symbol").rows() == [("eps", "IBM"), ("rate", "*")]


def test_parquet_types_are_read_as_they_are(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "series": ["cpi", "cpi"],
            "reference_time": [date(2020, 1, 31), date(2020, 2, 29)],
            "knowledge_time": [datetime(2020, 2, 13, 13, 30, tzinfo=UTC)] * 2,
            "value": [1, 2],
        }
    ).with_columns(pl.col("knowledge_time").dt.offset_by(pl.Series(["0d", "27d"])))
    source = {**FILE, "file": "macro.parquet"}
    frame.write_parquet(tmp_path / "macro.parquet")
    rows = fetch(series_spec(tmp_path, source))
    assert rows["value"].to_list() == [1.0, 2.0]
    assert rows["knowledge_time"].to_list() == [utc("2020-02-13T13:30"), utc("2020-03-11T13:30")]
    frame.with_columns(pl.col("knowledge_time").dt.replace_time_zone(None)).write_parquet(
        tmp_path / "macro.parquet"
    )
    with pytest.raises(DataError, match="knowledge_time was '2020-02-13 13:30:00'; expected"):
        fetch(series_spec(tmp_path, source))
    frame.with_columns(value=pl.lit(value=True)).write_parquet(tmp_path / "macro.parquet")
    with pytest.raises(DataError, match="value was True"):
        fetch(series_spec(tmp_path, source))


def test_a_missing_file_or_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"macro\.csv is no file to read"):
        fetch(series_spec(tmp_path, FILE))
    with pytest.raises(UserError, match="lacks the columns series, knowledge_time; it has"):
        fetched(tmp_path, "reference_time,value", "2020-01-31,1")
    with pytest.raises(UserError, match="lacks the columns ticker"):
        fetched(tmp_path, HEADER, "cpi,*,2020-01-31,2020-02-13,1", columns={"symbol": "ticker"})


def test_a_column_and_a_constant_for_the_same_thing_are_refused() -> None:
    with pytest.raises(ValidationError, match="columns names series, and cpi is declared"):
        FilesSeries(kind="files", file="x.csv", series="cpi", columns={"series": "id"})


@pytest.mark.parametrize("name", ["macro.parquet", "macro.csv"])
def test_a_damaged_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\xfe\x00PAR1 no table\n1,2,3,4,5,6")
    with pytest.raises(UserError, match=r"cannot be read|lacks the columns"):
        fetch(series_spec(tmp_path, {**FILE, "file": name}))


cells = st.sampled_from(
    [
        *("cpi", "*", "IBM", "", "2020-01-31", "2020-02-13T13:30:00Z", "1", "-1e999", "\0", "é"),
        *("A\u030a", "9999-12-31", "2020-02-30", "2020-W05-5", '"', "'); DROP TABLE--", "x" * 9999),
    ]
) | st.text(max_size=5)


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(lines=st.lists(st.lists(cells, min_size=4, max_size=6), max_size=4))
def test_hostile_cells_are_refused_or_make_a_valid_table(
    tmp_path: Path, lines: list[list[str]]
) -> None:
    text = "\n".join([HEADER, *(",".join(line) for line in lines)])
    (tmp_path / "macro.csv").write_bytes(text.encode(errors="surrogatepass"))
    try:
        rows = fetch(series_spec(tmp_path, FILE))
    except UserError:
        return
    assert rows["value"].is_finite().all()
    assert rows["series"].str.contains("^[a-z][a-z0-9_]{0,39}$").all()
    assert rows["symbol"].is_in(["AAPL", "IBM", "*"]).all()
    assert (rows["knowledge_time"] >= rows["event_time"]).all()


extremes = st.dates() | st.just(date(9999, 12, 31)) | st.none()


@settings(max_examples=60, deadline=None)
@given(days=st.lists(st.tuples(extremes, extremes), max_size=4))
def test_extreme_dates_of_parquet_are_refused_or_make_a_valid_table(
    tmp_path_factory: pytest.TempPathFactory, days: list[tuple[date | None, date | None]]
) -> None:
    folder = tmp_path_factory.mktemp("extremes")
    frame = pl.DataFrame(
        {"reference_time": [a for a, _ in days], "knowledge_time": [b for _, b in days]},
        schema={"reference_time": pl.Date, "knowledge_time": pl.Date},
    ).with_columns(series=pl.lit("cpi"), value=pl.lit(1.0))
    content = io.BytesIO()
    frame.write_parquet(content)
    (folder / "macro.parquet").write_bytes(content.getvalue())
    try:
        rows = fetch(series_spec(folder, {**FILE, "file": "macro.parquet"}))
    except UserError:
        return
    assert (rows["knowledge_time"] >= rows["event_time"]).all()


random_vintages = st.dictionaries(
    st.tuples(st.dates(date(2019, 11, 1), date(2020, 3, 31)), st.integers(0, 120)),
    st.floats(-9, 9),
    max_size=12,
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(vintages=random_vintages, start=st.dates(START, END), days=st.integers(0, 200))
def test_any_range_is_the_restriction_of_the_whole(
    tmp_path: Path, vintages: dict[tuple[date, int], float], start: date, days: int
) -> None:
    lines = [
        f"cpi,*,{day},{CALENDAR.close_time(date(2020, 8, 3)).replace(microsecond=n)},{value}"
        if n % 5 == 0
        else f"cpi,*,{day},{date.fromordinal(day.toordinal() + n)},{value}"
        for (day, n), value in vintages.items()
    ]
    write_csv(tmp_path / "macro.csv", HEADER, *lines)
    spec = series_spec(tmp_path, FILE)
    end = min(END, date.fromordinal(start.toordinal() + days))
    part = fetch(spec, start, end)
    assert part.equals(fetch(spec).filter(pl.col("session").is_between(start, end)))
    as_of = CALENDAR.close_time(date(2020, 3, 9))
    early = fetch(spec, as_of=as_of)
    assert early.drop("ingest_time").equals(
        fetch(spec).filter(pl.col("knowledge_time") <= as_of).drop("ingest_time")
    )
