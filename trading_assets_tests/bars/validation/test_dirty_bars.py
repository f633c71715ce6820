"""Every kind of fault that real feeds have, injected into clean bars: each is caught by name."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from trading_assets.bars.validation.bars import ValidatedMonths, validate_bars
from trading_assets.bars.validation.expectations import judge
from trading_assets.bars.validation.plausibility import LATE, OUTLIER, SPLIT_LIKE, STALE
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES, SchemaError, column_problems
from trading_assets_tests.bars.validation.example_clean_bars import (
    NO_ACTIONS,
    NOW,
    clean_bars,
    clean_spec,
    months_of,
)

SPEC = clean_spec()
ROWS = clean_bars(SPEC)
MONTHS = months_of(SPEC)
OCTOBER, NOVEMBER = MONTHS
LISTED = {"A": SPEC.start, "B": SPEC.start}
NAMES = TABLES["validated_bars"].names
DAY = date(2019, 11, 12)
# The sixtieth bar of A on DAY, and where it stands.
ODD_TIME = ROWS.filter(symbol="A", session=DAY)["event_time"][60]
IS_ODD = (pl.col("symbol") == "A") & (pl.col("event_time") == ODD_TIME)
AFTER = (pl.col("symbol") == "A") & (pl.col("session") >= DAY)
PRICES = ("open", "high", "low", "close")


def validate(rows: pl.DataFrame, spec: MarketDataSpec = SPEC) -> ValidatedMonths:
    return validate_bars(rows, NO_ACTIONS, spec, MONTHS, LISTED, NOW)


def with_odd(**values: object) -> pl.DataFrame:
    return ROWS.with_columns(
        pl.when(IS_ODD)
        .then(pl.lit(value))
        .otherwise(pl.col(name))
        .cast(ROWS[name].dtype)
        .alias(name)
        for name, value in values.items()
    )


def shifted(name: str, by: timedelta) -> pl.DataFrame:
    return ROWS.with_columns(pl.when(IS_ODD).then(pl.col(name) + by).otherwise(pl.col(name)))


ROW_FAULTS: dict[str, tuple[str, Callable[[], pl.DataFrame]]] = {
    "NaN price": ("prices_are_positive_and_finite", lambda: with_odd(open=float("nan"))),
    "infinite price": ("prices_are_positive_and_finite", lambda: with_odd(high=float("inf"))),
    "zero price": ("prices_are_positive_and_finite", lambda: with_odd(low=0.0)),
    "negative price": ("prices_are_positive_and_finite", lambda: with_odd(low=-3.0)),
    "no price": ("prices_are_positive_and_finite", lambda: with_odd(close=None)),
    "high below low": ("high_is_not_below_open_and_close", lambda: with_odd(high=1.0)),
    "close above high": ("high_is_not_below_open_and_close", lambda: with_odd(close=900.0)),
    "close below low": ("low_is_not_above_open_and_close", lambda: with_odd(close=0.5)),
    "open below low": ("low_is_not_above_open_and_close", lambda: with_odd(open=0.5)),
    "negative volume": ("volume_is_not_negative", lambda: with_odd(volume=-1.0)),
    "NaN volume": ("volume_is_not_negative", lambda: with_odd(volume=float("nan"))),
    "no trade": ("bar_was_traded", lambda: with_odd(volume=0.0)),
    "off the grid": (
        "bar_ends_on_the_grid",
        lambda: shifted("event_time", timedelta(seconds=30)),
    ),
    "after the close of a half day": (
        "bar_ends_on_the_grid",
        lambda: with_odd(
            session=date(2019, 11, 29), event_time=datetime(2019, 11, 29, 20, tzinfo=UTC)
        ),
    ),
    "on a Sunday": ("session_is_on_the_calendar", lambda: with_odd(session=date(2019, 11, 10))),
    "from the future": (
        "bar_is_not_from_the_future",
        lambda: with_odd(event_time=NOW + timedelta(days=1)),
    ),
    "known before it ends": (
        "bar_is_known_only_after_it_ends",
        lambda: shifted("knowledge_time", timedelta(minutes=-16)),
    ),
    "feed of another vendor": ("bar_is_of_the_declared_kind", lambda: with_odd(feed="other")),
    "adjusted price": ("bar_is_of_the_declared_kind", lambda: with_odd(adjustment="split")),
    "other bar length": ("bar_is_of_the_declared_kind", lambda: with_odd(bar_length="1m")),
    "unknown symbol": ("symbol_is_in_the_universe", lambda: with_odd(symbol="ZZ")),
    "two versions at once": (
        "bar_is_unique",
        lambda: pl.concat([ROWS, with_odd(volume=7.0).filter(IS_ODD)]),
    ),
}


@pytest.mark.parametrize("fault", ROW_FAULTS)
def test_a_bad_row_goes_to_quarantine_by_name_and_the_others_pass_unchanged(fault: str) -> None:
    rule, inject = ROW_FAULTS[fault]
    found = validate(inject())
    assert rule in found.quarantine["rule"].to_list()
    assert found.quarantine["value"].str.len_chars().min() > 0
    assert found.quarantine["reason"].str.len_chars().min() > 0
    assert found.rows.equals(ROWS.filter(~IS_ODD).select(NAMES))
    assert found.rule_counts[rule].sum() == 1
    assert found.data_quality_pct == pytest.approx(100 * (1 - 1 / len(ROWS)))


def scaled(factor: float, when: pl.Expr) -> pl.DataFrame:
    return ROWS.with_columns(
        pl.when(when).then(pl.col(name) * factor).otherwise(pl.col(name)) for name in PRICES
    )


def stuck() -> pl.DataFrame:
    is_stuck = IS_ODD | (
        (pl.col("symbol") == "A")
        & (pl.col("event_time") > ODD_TIME)
        & (pl.col("event_time") < ODD_TIME + timedelta(days=1, hours=1))
    )
    price = ROWS.filter(IS_ODD)["close"][0]
    return ROWS.with_columns(
        pl.when(is_stuck).then(pl.lit(price)).otherwise(pl.col(name)).alias(name) for name in PRICES
    )


@pytest.mark.parametrize(
    ("rule", "inject", "evidence"),
    [
        (SPLIT_LIKE, lambda: scaled(1 / 2, AFTER), "near 0.5"),
        (SPLIT_LIKE, lambda: scaled(10, AFTER), "near 10.0"),
        (SPLIT_LIKE, lambda: scaled(2 / 3, AFTER), "near 0.6667"),
        (OUTLIER, lambda: scaled(0.82, AFTER), "total return -1"),
        (OUTLIER, lambda: scaled(1.05, IS_ODD), "total return 4.98 %, robust sigma 0.09 %"),
        (STALE, stuck, "close 91.98785095649104 in 90 bars"),
        (LATE, lambda: shifted("knowledge_time", timedelta(minutes=90)), "1 bars up to 105 min"),
    ],
)
def test_an_odd_bar_is_reported_with_evidence_and_stays(
    rule: str, inject: Callable[[], pl.DataFrame], evidence: str
) -> None:
    rows = inject()
    found = validate(rows)
    assert evidence in found.warnings.filter(rule=rule)["value"][0]
    assert found.rows.equals(rows.select(NAMES))
    assert found.failed_months == []
    assert found.data_quality_pct == 100.0


def test_a_gap_counts_as_missing_and_a_long_one_refuses_its_month() -> None:
    found = validate(ROWS.filter(~IS_ODD))
    assert found.missing.select("symbol", "event_time").rows() == [("A", ODD_TIME)]
    assert found.failed_months == []
    gap = AFTER & (pl.col("session") < date(2019, 11, 15))
    assert validate(ROWS.filter(~gap)).failed_months == [NOVEMBER]


def test_a_halt_without_rows_is_missing_and_one_that_repeats_prices_is_quarantined() -> None:
    halted = (pl.col("symbol") == "B") & pl.col("event_time").is_between(
        ODD_TIME, ODD_TIME + timedelta(minutes=29)
    )
    assert validate(ROWS.filter(~halted)).summary["missing"].to_list() == [0, 6]
    repeated = ROWS.with_columns(pl.when(halted).then(0.0).otherwise("volume").alias("volume"))
    found = validate(repeated)
    assert found.rule_counts["bar_was_traded"].to_list() == [0, 6]
    assert found.summary["missing"].to_list() == [0, 0]


def test_a_time_without_a_zone_is_refused_as_a_whole() -> None:
    naive = ROWS.with_columns(pl.col("event_time").dt.replace_time_zone(None))
    assert "event_time" in column_problems("raw_bars", naive)[0]
    with pytest.raises(SchemaError, match="event_time"):
        validate(naive)


def test_a_revised_bar_replaces_the_earlier_one_only_once_it_is_known() -> None:
    later = NOW + timedelta(hours=1)
    revised = ROWS.filter(IS_ODD).with_columns(
        pl.col("volume") + 1, revision=pl.lit(1, pl.Int32), knowledge_time=pl.lit(later)
    )
    rows = pl.concat([ROWS, revised.cast(dict(ROWS.schema))])
    before = validate(rows)
    assert before.rows.equals(ROWS.select(NAMES))
    after = validate_bars(rows, NO_ACTIONS, SPEC, MONTHS, LISTED, later)
    assert after.rows.filter(IS_ODD).select("revision", "knowledge_time").row(0) == (1, later)
    assert after.rows.filter(~IS_ODD).equals(ROWS.filter(~IS_ODD).select(NAMES))
    assert after.summary["revised"].to_list() == [0, 1]
    # A correction comes later than its bar by nature.
    assert after.warnings.is_empty()


def test_a_bad_revision_is_quarantined_and_the_earlier_one_does_not_come_back() -> None:
    bad = with_odd(revision=1, volume=-1.0).filter(IS_ODD)
    found = validate(pl.concat([ROWS, bad]))
    assert found.quarantine.select("rule", "revision").rows() == [("volume_is_not_negative", 1)]
    assert found.rows.filter(IS_ODD).is_empty()


FALLBACK = clean_spec(fallback={"kind": "yfinance"})


def test_a_month_of_the_fallback_alone_passes() -> None:
    other = pl.when(pl.col("session") < date(2019, 11, 1)).then(pl.lit("yfinance"))
    rows = ROWS.with_columns(other.otherwise("feed").alias("feed"))
    assert validate(rows, FALLBACK).quarantine.is_empty()
    assert len(validate(rows).quarantine) == rows.filter(feed="yfinance").height


def test_the_fallback_does_not_fill_holes_in_a_month_of_the_source() -> None:
    found = validate(with_odd(feed="yfinance"), FALLBACK)
    assert found.quarantine.select("rule", "symbol").rows() == [("feeds_are_not_mixed", "A")]
    assert found.rows["feed"].unique().to_list() == ["vendor"]


def test_the_source_supersedes_bars_that_the_fallback_delivered_before() -> None:
    found = validate(pl.concat([ROWS.with_columns(feed=pl.lit("yfinance")), ROWS]), FALLBACK)
    assert found.rows.equals(ROWS.select(NAMES))
    assert found.failed_months == []
    assert found.summary["revised"].sum() == len(ROWS)


def dirty() -> pl.DataFrame:
    """Return rows with a dozen faults of different bars and sessions."""
    faults = [inject() for _, inject in ROW_FAULTS.values()]
    odd = pl.concat([rows.filter(~rows.hash_rows().is_in(ROWS.hash_rows())) for rows in faults])
    days = [date(2019, 10, 1) + timedelta(days=n) for n in range(28)]
    return pl.concat([ROWS.filter(~pl.col("session").is_in(days[6:10])), odd.unique()])


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_the_input_changes_nothing(seed: int) -> None:
    rows = dirty()
    shuffled = rows.sample(fraction=1, shuffle=True, seed=seed)
    expected, found = validate(rows), validate(shuffled)
    assert expected.quarantine["rule"].n_unique() == 12
    for name in ("rows", "quarantine", "warnings", "missing", "summary", "rule_counts"):
        assert getattr(found, name).equals(getattr(expected, name)), name


def test_whole_copies_of_rows_change_no_bar_and_no_verdict_and_are_reported() -> None:
    rng = np.random.default_rng(3)
    rows = dirty()
    again = pl.concat([rows, rows.filter(pl.Series(rng.random(len(rows)) < 0.5))])
    expected, found = validate(rows), validate(again)
    assert found.rows.equals(expected.rows)
    assert found.quarantine.equals(expected.quarantine)
    assert found.missing.equals(expected.missing)
    assert found.failed_months == expected.failed_months
    assert found.data_quality_pct == expected.data_quality_pct
    # Rows of other months than those asked for are not counted.
    inside = again.filter(pl.col("session").is_between(SPEC.start, SPEC.end))
    assert found.summary["repeated"].sum() == len(inside) - len(inside.unique())
    assert expected.summary["repeated"].sum() == 0


def test_later_bars_change_nothing_about_earlier_ones() -> None:
    rng = np.random.default_rng(4)
    end = date(2019, 11, 14)
    noise = pl.Series(np.exp(rng.normal(0, 0.3, len(ROWS))))
    wild = dirty_after(end, noise)
    jump = scaled(1.05, IS_ODD)
    later = pl.col("session") > end
    perturbed = pl.concat([jump.filter(~later), wild.filter(later)])
    expected, found = validate(jump), validate(perturbed)
    early = pl.col("session").is_between(date(2019, 10, 20), end)
    assert len(expected.warnings.filter(early)) == 2
    for name in ("rows", "warnings", "quarantine"):
        assert getattr(found, name).filter(early).equals(getattr(expected, name).filter(early))


def dirty_after(end: date, noise: pl.Series) -> pl.DataFrame:
    factor = pl.when(pl.col("session") > end).then(noise).otherwise(1.0)
    return ROWS.with_columns(pl.col(name) * factor for name in PRICES)


def test_faults_fail_the_checks_that_are_named_after_them() -> None:
    rows = pl.concat(
        [
            dirty().filter(~IS_ODD),
            ROWS.filter(IS_ODD),
            ROWS.filter(IS_ODD).with_columns(pl.col("ingest_time") - timedelta(days=1)),
        ],
        how="vertical_relaxed",
    )
    failed = {result.name for result in judge(validate(rows)) if not result.passed}
    assert failed >= {
        "sessions_have_bars",
        "every_expected_bar_passed",
        "no_bar_is_quarantined",
        "bars_are_on_the_calendar",
        "bars_are_delivered_once",
    }
    assert "prices_are_positive_and_finite" not in failed
