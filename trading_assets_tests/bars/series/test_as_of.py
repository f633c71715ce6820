from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.bars.series.as_of import series_as_of
from trading_assets.errors import UserError
from trading_assets.schema import TABLES, UTC_TIME
from trading_assets_tests.bars.example_bars import CALENDAR
from trading_assets_tests.bars.series.example_series import (
    fetch,
    series_spec,
    table_rows,
    utc,
    write_csv,
)

Q1, Q2 = utc("2020-04-01T04:00"), utc("2020-07-01T04:00")


def row(symbol: str, event: datetime, known: str, revision: int, value: float, name: str = "eps"):
    moment = utc(known)
    session = next(
        s
        for s in CALENDAR.sessions(moment.date(), moment.date() + timedelta(days=9))
        if CALENDAR.close_time(s) >= moment
    )
    return name, symbol, session, event, moment, revision, value


def decisions_at(*pairs: tuple[str, str]) -> pl.DataFrame:
    return pl.DataFrame(
        {"symbol": [s for s, _ in pairs], "decision_time": [utc(t) for _, t in pairs]},
        schema={"symbol": pl.String, "decision_time": UTC_TIME},
    )


def test_a_decision_sees_what_was_known_at_its_moment_and_not_later() -> None:
    series = table_rows([row("IBM", Q1, "2020-04-20T20:10", 0, 1.8)])
    decisions = decisions_at(
        ("IBM", "2020-04-20T20:10"), ("IBM", "2020-04-20T20:09"), ("AAPL", "2020-05-01T20:00")
    )
    assert series_as_of(series, decisions)["eps"].to_list() == [1.8, None, None]


def test_the_newest_vintage_known_at_the_moment_counts() -> None:
    series = table_rows(
        [
            row("*", Q1, "2020-06-25T12:30", 2, -5.1, "gdp"),
            row("*", Q1, "2020-04-29T12:30", 0, -4.8, "gdp"),
            row("*", Q1, "2020-05-28T12:30", 1, -5.0, "gdp"),
        ]
    )
    moments = ("2020-05-01T20:00", "2020-06-01T20:00", "2020-12-31T21:00", "2020-04-01T20:00")
    decisions = decisions_at(*[("IBM", moment) for moment in moments])
    assert series_as_of(series, decisions)["gdp"].to_list() == [-4.8, -5.0, -5.1, None]


def test_a_late_revision_of_an_older_period_does_not_hide_the_newer_one() -> None:
    series = table_rows(
        [
            row("*", Q1, "2020-04-29T12:30", 0, -4.8, "gdp"),
            row("*", Q2, "2020-07-30T12:30", 0, -32.9, "gdp"),
            row("*", Q1, "2020-09-30T12:30", 1, -5.0, "gdp"),
        ]
    )
    assert series_as_of(series, decisions_at(("IBM", "2020-12-31T21:00")))["gdp"][0] == -32.9


def test_a_late_correction_of_an_older_vintage_does_not_hide_the_newer_one() -> None:
    first = row("*", Q1, "2020-04-29T12:30", 0, -4.8, "gdp")
    second = row("*", Q1, "2020-05-28T12:30", 1, -5.0, "gdp")
    correction = (*first[:4], utc("2020-08-01T00:00"), 1, -4.7)
    series = table_rows([first, second, correction])
    decisions = decisions_at(("IBM", "2020-05-01T20:00"), ("IBM", "2020-12-31T21:00"))
    assert series_as_of(series, decisions)["gdp"].to_list() == [-4.8, -5.0]


def test_a_series_of_the_market_counts_for_all_symbols_without_one_of_their_own() -> None:
    series = table_rows(
        [
            row("*", Q1, "2020-04-20T12:00", 0, 0.1, "mood"),
            row("IBM", Q1, "2020-05-20T12:00", 0, 0.9, "mood"),
        ]
    )
    decisions = decisions_at(
        ("IBM", "2020-05-01T20:00"), ("IBM", "2020-06-01T20:00"), ("AAPL", "2020-06-01T20:00")
    )
    assert series_as_of(series, decisions)["mood"].to_list() == [0.1, 0.9, 0.1]


def test_rows_and_columns_of_the_decisions_stay_as_they_were() -> None:
    series = table_rows(
        [
            row("*", Q1, "2020-04-20T12:00", 0, 1.0, name)
            for name in ("zinc", "position", "everyone")
        ]
    )
    decisions = decisions_at(
        ("IBM", "2020-06-01T20:00"), ("AAPL", "2020-03-01T20:00"), ("IBM", "2020-06-01T20:00")
    ).with_columns(weight=pl.Series([3.0, 1.0, 2.0]))
    joined = series_as_of(series, decisions)
    assert joined.select(decisions.columns).equals(decisions)
    assert joined.columns[3:] == ["everyone", "position", "zinc"]
    assert joined["zinc"].to_list() == [1.0, None, 1.0]
    assert series_as_of(TABLES["series"].empty(), decisions).equals(decisions)
    assert series_as_of(series, decisions.clear()).height == 0


@pytest.mark.parametrize(
    ("decisions", "sentence"),
    [
        (pl.DataFrame({"symbol": ["IBM"]}), "decisions lack decision_time"),
        (
            pl.DataFrame({"symbol": ["IBM"], "decision_time": [datetime(2020, 1, 1)]}),  # noqa: DTZ001
            "decision_time was Datetime",
        ),
        (
            decisions_at(("IBM", "2020-06-01T20:00")).with_columns(eps=1.0),
            "have a column eps, as a series is called",
        ),
    ],
)
def test_decisions_that_cannot_be_joined_are_refused(
    decisions: pl.DataFrame, sentence: str
) -> None:
    series = table_rows([row("IBM", Q1, "2020-04-20T20:10", 0, 1.8)])
    with pytest.raises(UserError, match=sentence):
        series_as_of(series, decisions)


def naive_value(series: pl.DataFrame, name: str, symbol: str, moment: datetime) -> float | None:
    """Return by plain Python what `series_as_of` joins."""
    for owner in (symbol, "*"):
        known = [
            (each["event_time"], each["session"], each["revision"], each["value"])
            for each in series.iter_rows(named=True)
            if (each["series"], each["symbol"]) == (name, owner)
            and each["knowledge_time"] <= moment
        ]
        if known:
            return max(known)[3]
    return None


vintages = st.dictionaries(
    st.tuples(
        st.sampled_from(["cpi", "eps"]),
        st.sampled_from(["*", "IBM", "AAPL"]),
        st.integers(1, 9).map(lambda n: date(2020, n, 15)),
        st.integers(0, 150),
        st.sampled_from(["12:30:00", "15:00:00", "20:00:00"]),
    ),
    st.floats(-9, 9, allow_nan=False),
    max_size=25,
)
moments = st.lists(
    st.tuples(
        st.sampled_from(["IBM", "AAPL"]),
        st.integers(0, 360),
        st.sampled_from(["12:29:59", "12:30:00", "20:00:00", "20:15:00"]),
    ),
    min_size=25,
    max_size=40,
)


def fetched(folder: Path, published: dict) -> pl.DataFrame:
    lines = [
        f"{name},{symbol},{reference},{reference + timedelta(days=1 + lag)}T{clock}Z,{value}"
        for (name, symbol, reference, lag, clock), value in published.items()
    ]
    write_csv(folder / "s.csv", "series,symbol,reference_time,knowledge_time,value", *lines)
    spec = series_spec(folder, {"kind": "files", "file": "s.csv"})
    return fetch(spec, date(2020, 1, 2), date(2021, 6, 30))


def decisions_of(picked: list[tuple[str, int, str]]) -> pl.DataFrame:
    return decisions_at(
        *(
            (symbol, f"{date(2020, 1, 2) + timedelta(days=n)}T{clock}")
            for symbol, n, clock in picked
        )
    )


@settings(max_examples=20, deadline=None)
@given(published=vintages, picked=moments)
def test_values_equal_those_of_data_cut_at_the_decision(
    tmp_path_factory: pytest.TempPathFactory,
    published: dict,
    picked: list[tuple[str, int, str]],
) -> None:
    series = fetched(tmp_path_factory.mktemp("cut"), published)
    decisions = decisions_of(picked)
    joined = series_as_of(series, decisions)
    names = series["series"].unique().sort().to_list()
    for position, (symbol, moment) in enumerate(decisions.iter_rows()):
        cut = series.filter(pl.col("knowledge_time") <= moment)
        alone = series_as_of(cut, decisions[position])
        for name in names:
            value = joined[name][position]
            assert (alone[name][0] if name in alone.columns else None) == value
            assert naive_value(series, name, symbol, moment) == value


@settings(max_examples=30, deadline=None)
@given(published=vintages.filter(bool), picked=moments, data=st.data())
def test_to_move_a_row_behind_a_decision_changes_no_earlier_output(
    tmp_path_factory: pytest.TempPathFactory,
    published: dict,
    picked: list[tuple[str, int, str]],
    data: st.DataObject,
) -> None:
    series = fetched(tmp_path_factory.mktemp("shift"), published)
    if series.is_empty():
        return
    decisions = decisions_of(picked)
    moved = data.draw(st.integers(0, len(series) - 1))
    minutes = data.draw(st.integers(1, 600_000))
    noise = data.draw(st.floats(-99, 99, allow_nan=False))
    original = series["knowledge_time"][moved]
    is_moved = pl.int_range(pl.len()) == moved
    shifted = series.with_columns(
        pl.when(is_moved)
        .then(pl.col("knowledge_time") + timedelta(minutes=minutes))
        .otherwise("knowledge_time")
        .alias("knowledge_time"),
        pl.when(is_moved).then(pl.lit(noise)).otherwise("value").alias("value"),
    )
    before = decisions.filter(pl.col("decision_time") < original)
    assert series_as_of(shifted, before).equals(series_as_of(series, before))


def test_the_joined_values_of_arch_equal_those_of_data_cut_at_25_random_moments() -> None:
    spec = series_spec(
        Path(), {"kind": "arch", "data": "default"}, {"kind": "arch", "data": "sp500"}
    )
    series = fetch(spec, date(2007, 1, 2), date(2010, 12, 31))
    rng = np.random.default_rng(11)
    first = utc("2007-02-01T00:00")
    picked = [first + timedelta(minutes=int(n)) for n in rng.integers(0, 2_000_000, 40)]
    decisions = pl.DataFrame(
        {"symbol": "IBM", "decision_time": picked},
        schema={"symbol": pl.String, "decision_time": UTC_TIME},
    )
    joined = series_as_of(series, decisions)
    assert joined.null_count().sum_horizontal()[0] == 0
    alone = [
        series_as_of(series.filter(pl.col("knowledge_time") <= moment), decisions[n])
        for n, moment in enumerate(picked)
    ]
    assert pl.concat(alone).equals(joined)


def test_a_large_panel_is_joined_quickly() -> None:
    rng = np.random.default_rng(5)
    n_rows, n_symbols = 50_000, 100
    known = [utc("2010-01-04T12:00") + timedelta(minutes=20 * n) for n in range(n_rows)]
    series = pl.DataFrame(
        {
            "series": "eps",
            "symbol": [f"S{n % n_symbols}" for n in range(n_rows)],
            "session": date(2010, 1, 4),
            "event_time": known,
            "knowledge_time": known,
            "ingest_time": known,
            "revision": 0,
            "value": rng.normal(size=n_rows),
        },
        schema={column.name: column.dtype for column in TABLES["series"].columns},
    )
    decisions = pl.DataFrame(
        {
            "symbol": [f"S{n % n_symbols}" for n in range(100_000)],
            "decision_time": [known[n % n_rows] for n in range(100_000)],
        },
        schema={"symbol": pl.String, "decision_time": UTC_TIME},
    )
    begin = datetime.now(known[0].tzinfo)
    joined = series_as_of(series, decisions)
    assert datetime.now(known[0].tzinfo) - begin < timedelta(seconds=5)
    assert joined.height == 100_000
