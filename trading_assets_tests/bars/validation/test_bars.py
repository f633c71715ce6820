from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from trading_assets.bars.calendars.coverage import missing_sessions
from trading_assets.bars.sources.build import build_source
from trading_assets.bars.validation.bars import ValidatedMonths, validate_bars
from trading_assets.bars.validation.plausibility import OUTLIER, SPLIT_LIKE, STALE
from trading_assets.schema import TABLES, SchemaError, conform
from trading_assets_tests.bars.example_bars import CALENDAR, NOW, make_rows, make_spec

SPEC = make_spec(
    universe=("A", "B"),
    start=date(2010, 3, 1),
    end=date(2010, 4, 30),
    validation={"max_quarantine_share": 0.05, "max_missing_share": 0.05},
)
ROWS = make_rows(SPEC, date(2010, 3, 1), date(2010, 4, 30))
NO_ACTIONS = TABLES["corporate_actions"].empty()
MARCH, APRIL = "2010-03-01", "2010-04-01"
LISTED = {"A": date(2010, 3, 1), "B": date(2010, 3, 1)}
ODD = (pl.col("symbol") == "A") & (pl.col("session") == date(2010, 3, 9))


def validate(rows: pl.DataFrame, as_of: datetime = NOW, **first: date) -> ValidatedMonths:
    return validate_bars(rows, NO_ACTIONS, SPEC, [MARCH, APRIL], LISTED | first, as_of)


def changed(**values: object) -> pl.DataFrame:
    """Return the rows with one bar's columns replaced."""
    columns = [
        pl.when(ODD).then(pl.lit(value)).otherwise(pl.col(name)).cast(ROWS.schema[name]).alias(name)
        for name, value in values.items()
    ]
    return ROWS.with_columns(columns)


def test_clean_rows_pass_unchanged() -> None:
    found = validate(ROWS)
    assert found.quarantine.is_empty()
    assert found.failed_months == []
    assert found.data_quality_pct == 100.0
    expected = ROWS.select(TABLES["validated_bars"].names).sort("symbol", "event_time")
    assert found.rows.equals(expected)
    assert (
        pl.concat(month.rows for month in found.months.values())
        .sort("symbol", "event_time")
        .equals(expected)
    )


@pytest.mark.parametrize(
    ("rule", "value", "row"),
    [
        ("prices_are_positive_and_finite", "open 0.0", {"open": 0.0, "low": -1.0}),
        ("prices_are_positive_and_finite", "close NaN", {"close": float("nan")}),
        ("prices_are_positive_and_finite", "high inf", {"high": float("inf")}),
        ("prices_are_positive_and_finite", "low null", {"low": None}),
        ("low_is_not_above_open_and_close", "low 200.0", {"low": 200.0, "high": 300.0}),
        ("low_is_not_above_open_and_close", "close 99.0", {"close": 99.0}),
        ("high_is_not_below_open_and_close", "close 199.0", {"close": 199.0}),
        ("high_is_not_below_open_and_close", "high 20.0", {"low": 10.0, "high": 20.0}),
        ("volume_is_not_negative", "volume -1.0", {"volume": -1.0}),
        ("volume_is_not_negative", "volume null", {"volume": None}),
        ("bar_was_traded", "volume 0.0", {"volume": 0.0}),
        ("session_is_on_the_calendar", "session 2010-03-07", {"session": date(2010, 3, 7)}),
        (
            "bar_ends_on_the_grid",
            "event_time",
            {"event_time": datetime(2010, 3, 9, 5, tzinfo=UTC)},
        ),
        (
            "bar_is_known_only_after_it_ends",
            "before",
            {"knowledge_time": datetime(2010, 3, 9, 20, tzinfo=UTC)},
        ),
        ("bar_is_of_the_declared_kind", "feed other", {"feed": "other"}),
        ("bar_is_of_the_declared_kind", "adjustment all", {"adjustment": "all"}),
        ("symbol_is_in_the_universe", "symbol Z", {"symbol": "Z"}),
    ],
)
def test_a_row_that_breaks_a_rule_is_quarantined_with_rule_value_and_reason(
    rule: str, value: str, row: dict[str, object]
) -> None:
    rows = changed(**row)
    found = validate(rows)
    broken = found.quarantine.filter(rule=rule)
    assert len(broken) == 1
    assert value in broken["value"][0] + broken["reason"][0]
    assert len(found.rows) == len(rows) - 1
    assert conform("quarantine", found.quarantine).equals(found.quarantine)
    # All the other rows are what they were.
    untouched = ROWS.filter(~ODD).select(TABLES["validated_bars"].names)
    assert found.rows.equals(untouched.sort("symbol", "event_time"))


def test_a_bar_from_the_future_is_quarantined() -> None:
    as_of = datetime(2010, 4, 20, 12, tzinfo=UTC)
    early = ROWS.with_columns(knowledge_time=pl.col("event_time").dt.offset_by("-60d"))
    found = validate(early.filter(pl.col("session") <= date(2010, 4, 20)), as_of)
    rules = found.quarantine.filter(rule="bar_is_not_from_the_future")
    assert rules["session"].unique().to_list() == [date(2010, 4, 20)]


def test_a_bar_that_occurs_twice_is_quarantined_and_refuses_its_month() -> None:
    found = validate(pl.concat([ROWS, changed(close=101.5).filter(ODD)]))
    assert found.quarantine["rule"].to_list() == ["bar_is_unique"]
    assert found.rows.filter(ODD).is_empty()
    assert found.failed_months == [MARCH]
    assert "2010-03 holds bars more than once: A 2010-03-09" in found.months[MARCH].reasons[0]


def test_a_copy_from_another_feed_does_not_condemn_the_declared_one() -> None:
    found = validate(pl.concat([ROWS, changed(feed="sip").filter(ODD)]))
    assert found.quarantine["rule"].to_list() == ["bar_is_of_the_declared_kind"]
    assert len(found.rows.filter(ODD)) == 1


def test_only_the_newest_revision_is_judged() -> None:
    corrected = changed(revision=1, close=101.5).filter(ODD)
    broken_before = changed(low=200.0, high=300.0)
    found = validate(pl.concat([broken_before, corrected]))
    assert found.quarantine.is_empty()
    assert found.rows.filter(ODD).select("close", "revision").row(0) == (101.5, 1)


def test_a_revision_that_is_not_yet_known_is_ignored() -> None:
    later = NOW + timedelta(days=1)
    found = validate(pl.concat([ROWS, changed(revision=1, knowledge_time=later).filter(ODD)]))
    assert found.rows.filter(ODD)["revision"].to_list() == [0]


def test_too_many_missing_bars_refuse_the_month_and_are_named() -> None:
    found = validate(ROWS.filter(~pl.col("session").is_between(date(2010, 3, 8), date(2010, 3, 9))))
    assert found.failed_months == [MARCH]
    assert found.months[MARCH].reasons == [
        "2010-03 lacks 4 of 46 expected bars (8.7%, expected at most 5.0%):"
        " A 2010-03-08, A 2010-03-09, B 2010-03-08, B 2010-03-09"
    ]
    assert found.months[APRIL].passed
    assert found.summary["data_quality_pct"].to_list() == [pytest.approx(100 * 42 / 46), 100.0]


def test_one_missing_bar_within_the_bound_lowers_the_quality_only() -> None:
    found = validate(ROWS.filter(~ODD))
    assert found.failed_months == []
    assert found.summary["missing"].to_list() == [1, 0]
    assert found.data_quality_pct == pytest.approx(100 * 87 / 88)


def test_too_many_quarantined_bars_refuse_the_month() -> None:
    bad = pl.col("session") < date(2010, 3, 4)
    volume = pl.when(bad).then(0.0).otherwise(pl.col("volume"))
    found = validate(ROWS.with_columns(volume=volume))
    assert found.failed_months == [MARCH]
    assert (
        "6 of 46 bars in quarantine (13.0%, expected at most 5.0%) for bar_was_traded"
        in (found.months[MARCH].reasons[0])
    )
    # A quarantined bar was received, so it is not missing as well.
    assert found.summary["missing"].to_list() == [0, 0]


def test_nothing_is_expected_before_a_symbol_is_listed() -> None:
    listed = date(2010, 3, 22)
    rows = ROWS.filter((pl.col("symbol") == "A") | (pl.col("session") >= listed))
    assert validate(rows, B=listed).data_quality_pct == 100.0
    assert validate(rows).failed_months == [MARCH]


def test_nothing_is_expected_after_the_last_completed_session() -> None:
    as_of = datetime(2010, 4, 8, 20, 14, tzinfo=UTC)
    found = validate(ROWS.filter(pl.col("knowledge_time") <= as_of), as_of)
    assert found.failed_months == []
    assert found.summary["expected"].to_list() == [46, 8]


def test_a_month_without_any_row_is_refused() -> None:
    found = validate(ROWS.filter(pl.col("session") < date(2010, 4, 1)))
    assert found.failed_months == [APRIL]
    assert found.months[APRIL].rows.is_empty()


def test_an_outlying_return_is_a_warning_and_stays() -> None:
    found = validate(changed(open=150.0, high=151.0, low=149.0, close=150.0))
    assert found.quarantine.is_empty()
    assert found.failed_months == []
    outliers = found.warnings.filter(rule=OUTLIER)
    assert outliers["session"].to_list() == [date(2010, 3, 9), date(2010, 3, 10)]
    assert "total return 49.25 %, robust sigma" in outliers["value"][0]
    assert found.summary["outlier_returns"].to_list() == [2, 0]


def test_a_return_that_a_split_explains_is_no_outlier() -> None:
    after = pl.col("session") >= date(2010, 4, 7)
    halved = ROWS.with_columns(
        pl.when(after).then(pl.col(name) / 2).otherwise(pl.col(name)).alias(name)
        for name in ("open", "high", "low", "close")
    )
    split = pl.DataFrame(
        {
            "symbol": ["A", "B"],
            "ex_date": date(2010, 4, 7),
            "kind": "split",
            "split_ratio": 2.0,
            "cash_usd": 0.0,
            "knowledge_time": datetime(2010, 4, 7, 13, 30, tzinfo=UTC),
            "origin": "test",
            "new_symbol": None,
        },
        schema=NO_ACTIONS.schema,
    )
    assert validate(halved).warnings["rule"].to_list() == [SPLIT_LIKE, OUTLIER] * 2
    assert validate_bars(halved, split, SPEC, [MARCH, APRIL], LISTED, NOW).warnings.is_empty()


def test_later_bars_do_not_change_the_judgement_of_earlier_returns() -> None:
    is_jump = (pl.col("symbol") == "A") & (pl.col("session") == date(2010, 3, 24))
    is_wild = (pl.col("session") > date(2010, 3, 25)) & (pl.col("session").dt.day() % 2 == 0)
    raised = pl.when(is_jump).then(20.0).otherwise(0.0)
    calm = ROWS.with_columns(pl.col("high", "close") + raised)
    wild = calm.with_columns(pl.col("high", "close") + pl.when(is_wild).then(60.0).otherwise(0.0))
    early = pl.col("session").is_between(date(2010, 3, 17), date(2010, 3, 25))
    expected = validate(calm).warnings.filter(early)
    assert expected["session"].to_list() == [date(2010, 3, 24), date(2010, 3, 25)]
    assert validate(wild).warnings.filter(early).equals(expected)


def test_a_run_of_equal_closes_is_a_warning() -> None:
    stuck = pl.col("session").is_between(date(2010, 4, 12), date(2010, 4, 16))
    close = pl.when(stuck & (pl.col("symbol") == "B")).then(100.0).otherwise(pl.col("close"))
    found = validate(
        ROWS.with_columns(close=close, low=pl.min_horizontal(close, "low"))
    ).warnings.filter(rule=STALE)
    assert found.select("symbol", "session", "value").rows() == [
        ("B", date(2010, 4, 16), "close 100.0 in 5 bars")
    ]


def test_other_columns_than_the_schemas_are_refused() -> None:
    with pytest.raises(SchemaError, match="lacks volume"):
        validate(ROWS.drop("volume"))


def test_every_bar_of_the_sample_keeps_every_rule() -> None:
    spec = make_spec()
    fetched = build_source(spec, CALENDAR, {}).fetch(date(2000, 3, 1), date(2013, 3, 1), NOW)
    months = fetched.rows["session"].dt.truncate("1mo").unique().sort().dt.to_string("%Y-%m-%d")
    first = dict(fetched.rows.group_by("symbol").agg(pl.col("session").min()).iter_rows())
    found = validate_bars(fetched.rows, fetched.actions, spec, months.to_list(), first, NOW)
    assert found.data_quality_pct == 100.0
    assert found.quarantine.is_empty()
    assert len(found.rows) == 12_154
    assert found.failed_months == []
    # Real days: a profit warning, two quarterly results of GOOG, one each of IBM and MSFT.
    assert found.warnings.select("symbol", "session").rows() == [
        ("AAPL", date(2000, 9, 29)),
        ("GOOG", date(2008, 4, 18)),
        ("GOOG", date(2011, 7, 15)),
        ("IBM", date(2005, 4, 15)),
        ("MSFT", date(2006, 4, 28)),
    ]


def test_missing_sessions_names_the_months_with_gaps() -> None:
    gap = pl.col("session").is_between(date(2010, 3, 8), date(2010, 3, 9))
    sentences = missing_sessions(ROWS.filter(~gap), SPEC, NOW)
    assert sentences == validate(ROWS.filter(~gap)).months[MARCH].reasons
    assert missing_sessions(ROWS, SPEC, NOW) == []
    assert missing_sessions(ROWS.clear(), SPEC, NOW) == []


def test_missing_sessions_does_not_expect_bars_before_a_symbols_first() -> None:
    late = (pl.col("symbol") == "A") | (pl.col("session") >= date(2010, 4, 14))
    assert missing_sessions(ROWS.filter(late), SPEC, NOW) == []
