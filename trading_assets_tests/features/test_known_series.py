"""What features may know of declared series: the newest vintage known with each bar."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.bars.series.as_of import series_as_of
from trading_assets.bars.series.readers import fetch_series
from trading_assets.bars.sources.sample import SampleBars
from trading_assets.feature_specs import FeaturesSpec
from trading_assets.features.causality import find_leaks
from trading_assets.features.compute import compute_features, compute_month
from trading_assets.features.known_series import known_values, list_lines
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES
from trading_assets_tests.features.synthetic_bars import (
    NO_ACTIONS,
    close_time,
    make_bars,
    weekdays,
)

BARS = make_bars(("AAA", "BBB"), count=30)
DAYS = weekdays(date(2004, 1, 1), 30)
LAG = timedelta(minutes=15)

Vintage = tuple[str, date, date, datetime, int, float]


def table(*rows: Vintage) -> pl.DataFrame:
    """Return table `series` from symbol, period, session, knowledge_time, revision and value."""
    return pl.DataFrame(
        [
            ("gdp", symbol, session, close_time(period), known, known, revision, value)
            for symbol, period, session, known, revision, value in rows
        ],
        schema=TABLES["series"].empty().schema,
        orient="row",
    )


def values(series: pl.DataFrame, symbol: str = "AAA", bars: pl.DataFrame = BARS) -> list[float]:
    rows = bars.filter(symbol=symbol).sort("session")
    lines = list_lines(series, {"gdp"}, DAYS[0], DAYS[-1])
    return known_values(lines, "gdp", rows).tolist()


def vintage(
    at: int, value: float, period: int = 0, symbol: str = "*", revision: int = 0
) -> Vintage:
    return (symbol, DAYS[period], DAYS[at], close_time(DAYS[at]), revision, value)


def test_a_value_counts_from_its_session_on_for_every_symbol() -> None:
    series = table(vintage(3, 7.0))
    for symbol in ("AAA", "BBB"):
        found = values(series, symbol)
        assert np.isnan(found[:3]).all()
        assert found[3:] == [7.0] * 27


def test_a_revised_figure_replaces_the_first_from_its_publication_on() -> None:
    found = values(table(vintage(9, 8.0, revision=1), vintage(3, 7.0)))
    assert (found[8], found[9], found[-1]) == (7.0, 8.0, 8.0)


def test_a_late_revision_of_an_older_period_replaces_nothing() -> None:
    rows = (vintage(3, 7.0), vintage(5, 9.0, period=4), vintage(8, 1.0, revision=1))
    assert values(table(*rows))[5:] == [9.0] * 25


def test_a_symbols_own_value_counts_before_that_of_the_market() -> None:
    series = table(vintage(3, 7.0), vintage(6, 2.0, symbol="BBB"))
    assert values(series, "AAA")[6] == 7.0
    assert values(series, "BBB")[5:7] == [7.0, 2.0]


def test_a_correction_of_a_session_counts_from_when_it_was_known() -> None:
    late = ("*", DAYS[0], DAYS[3], close_time(DAYS[6]), 1, 8.0)
    found = values(table(vintage(3, 7.0), late))
    assert (found[5], found[6]) == (7.0, 8.0)


def test_what_is_published_between_close_and_bar_waits_for_the_next_session() -> None:
    after_close = ("*", DAYS[0], DAYS[4], close_time(DAYS[3]) + LAG / 2, 0, 7.0)
    found = values(table(after_close))
    assert np.isnan(found[3])
    assert found[4] == 7.0


def test_a_bar_that_was_corrected_later_knows_nothing_of_later_sessions() -> None:
    is_late = (pl.col("session") == DAYS[5]) & (pl.col("symbol") == "AAA")
    corrected = close_time(DAYS[20])
    bars = BARS.with_columns(
        pl.when(is_late).then(pl.lit(corrected)).otherwise("knowledge_time").alias("knowledge_time")
    )
    series = table(vintage(3, 7.0), vintage(8, 9.0, period=7))
    assert values(series, bars=bars) == pytest.approx(values(series), nan_ok=True)
    # What was put right in a session that the bar has seen, it may know.
    known = ("*", DAYS[0], DAYS[3], close_time(DAYS[10]), 1, 8.0)
    found = values(table(vintage(3, 7.0), known), bars=bars)
    assert found[4:7] == [7.0, 8.0, 7.0]


def test_a_value_from_before_the_window_is_not_known_however_far_a_table_reaches() -> None:
    series = table(vintage(3, 7.0), vintage(6, 8.0, period=5))
    lines = list_lines(series, {"gdp"}, DAYS[5], DAYS[-1])
    found = known_values(lines, "gdp", BARS.filter(symbol="AAA").sort("session")).tolist()
    assert np.isnan(found[:6]).all()
    assert found[6:] == [8.0] * 24


days = st.integers(0, 29)
vintages = st.builds(
    lambda period, delay, lag, symbol, value: (
        symbol,
        DAYS[period],
        DAYS[min(29, period + delay)],
        close_time(DAYS[min(29, period + delay)]) + timedelta(days=lag),
        0,
        value,
    ),
    days,
    st.integers(0, 5),
    st.integers(0, 4),
    st.sampled_from(["*", "AAA", "BBB"]),
    st.floats(-9, 9),
)


def distinct(rows: list[Vintage]) -> pl.DataFrame:
    frame = table(*rows).unique(
        ["symbol", "event_time", "session"], keep="first", maintain_order=True
    )
    return frame.with_columns(
        pl.int_range(pl.len(), dtype=pl.Int32).over("symbol", "event_time").alias("revision")
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(vintages, max_size=25))
def test_features_know_what_a_decision_at_the_bars_knowledge_time_knows(
    rows: list[Vintage],
) -> None:
    series = distinct(rows)
    for symbol in ("AAA", "BBB"):
        own = BARS.filter(symbol=symbol).sort("session")
        asked = own.select("symbol", decision_time="knowledge_time")
        known = series_as_of(series, asked)
        expected = known["gdp"].to_numpy() if "gdp" in known.columns else np.full(30, np.nan)
        np.testing.assert_array_equal(values(series, symbol), expected)


@settings(max_examples=60, deadline=None)
@given(st.lists(vintages, min_size=1, max_size=25), days, st.integers(0, 2**32 - 1))
def test_vintages_known_later_leave_every_earlier_row_as_it_was(
    rows: list[Vintage], moment: int, seed: int
) -> None:
    """Perturb everything known after t: rows up to t are equal to the last bit."""
    series = distinct(rows)
    cut = close_time(DAYS[moment]) + LAG
    is_later = (pl.col("knowledge_time") > cut) | (pl.col("session") > DAYS[moment])
    noise = pl.Series(np.random.default_rng(seed).normal(size=len(series)))
    scrambled = series.with_columns(pl.when(is_later).then(noise).otherwise("value").alias("value"))
    for changed in (series.filter(~is_later), scrambled):
        for symbol in ("AAA", "BBB"):
            before = np.array(values(series, symbol)[: moment + 1])
            np.testing.assert_array_equal(np.array(values(changed, symbol)[: moment + 1]), before)


def test_a_series_of_arch_becomes_a_feature_without_a_leak() -> None:
    spec = MarketDataSpec.model_validate(
        {
            "source": {"kind": "sample"},
            "universe": ["IBM", "MSFT"],
            "series": [{"kind": "arch", "data": "default"}],
            "start": "2002-01-02",
            "end": "2004-06-30",
        }
    )
    calendar = get_calendar("XNYS")
    now = datetime(2026, 1, 5, tzinfo=UTC)
    start, end = date(2002, 1, 2), date(2004, 6, 30)
    rows = SampleBars(spec, calendar).fetch(start, end, now).rows
    bars = rows.select(TABLES["validated_bars"].names)
    series = fetch_series(spec, calendar, start, end, now)
    features = FeaturesSpec(names=("series_baa_yield", "log_return_1"), scale_bars=120)
    month = compute_month(bars, NO_ACTIONS, series, features, date(2004, 5, 1))
    assert month["series_baa_yield"].null_count() == 0
    assert month["series_baa_yield"].n_unique() > 1
    by_symbol = month.partition_by("symbol", maintain_order=True)
    assert by_symbol[0]["series_baa_yield"].equals(by_symbol[1]["series_baa_yield"])
    # The window reaches back 25 months, however far back the table does.
    recent = series.filter(pl.col("session") >= date(2002, 5, 1))
    assert compute_month(bars, NO_ACTIONS, recent, features, date(2004, 5, 1)).equals(month)
    sessions = bars["session"].unique().sort().to_list()[-60:]

    def compute(b: pl.DataFrame, a: pl.DataFrame, s: pl.DataFrame) -> pl.DataFrame:
        return compute_features(b, a, s, features, sessions)

    assert find_leaks(compute, bars, NO_ACTIONS, series, [sessions[20], sessions[41]]) == []
