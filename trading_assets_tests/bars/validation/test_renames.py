"""D2: a rename is judged under the tickers of the day, and is neither a gap nor a jump."""

from datetime import date, timedelta

import polars as pl
import pytest

from trading_assets.bars.actions.companies import bars_by_company
from trading_assets.bars.longer_bars import build_declared_bars
from trading_assets.bars.validation.bars import ValidatedMonths, validate_bars
from trading_assets.bars.validation.plausibility import OUTLIER, SPLIT_LIKE, STALE
from trading_assets_tests.bars.actions.test_renames import renames
from trading_assets_tests.bars.validation.example_clean_bars import (
    NOW,
    clean_bars,
    clean_spec,
    months_of,
)

DAY, FUND_ENDS = date(2019, 11, 6), date(2019, 10, 9)
SPEC = clean_spec(universe=["FB", "META"], bar_length="1h")
ACTIONS = renames(("FB", DAY, "META"))
SESSION, SYMBOL = pl.col("session"), pl.col("symbol")
# The company trades at about 100 under both tickers, the fund that was called META before at 5.
WALK = clean_bars(clean_spec(universe=["META"], bar_length="1h"))
PRICES = ("open", "high", "low", "close")
FUND = WALK.filter(SESSION <= FUND_ENDS).with_columns(pl.col(name) / 20 for name in PRICES)
COMPANY = WALK.with_columns(
    pl.when(SESSION < DAY).then(pl.lit("FB")).otherwise(SYMBOL).alias("symbol")
)
ROWS = pl.concat([COMPANY, FUND])
FIRST = {"FB": SPEC.start, "META": SPEC.start}


def validated(rows: pl.DataFrame = ROWS, actions: pl.DataFrame = ACTIONS) -> ValidatedMonths:
    return validate_bars(rows, actions, SPEC, months_of(SPEC), FIRST, NOW)


def test_nothing_is_missing_after_the_old_ticker_or_before_the_new_one() -> None:
    found = validated()
    assert found.failed_months == []
    assert found.missing.is_empty()
    expected, passed = found.summary.select("expected", "expected_and_passed").sum().row(0)
    assert expected == passed == len(COMPANY)
    assert found.summary["received"].sum() == len(ROWS)
    unknown = validated(actions=ACTIONS.clear())
    assert set(unknown.missing["symbol"]) == {"FB", "META"}
    assert unknown.failed_months == months_of(SPEC)


def test_a_bar_that_is_missing_on_the_day_of_the_rename_is_missed_under_the_new_ticker() -> None:
    found = validated(ROWS.filter(SESSION != DAY))
    assert found.missing.select("symbol", "session").unique().rows() == [("META", DAY)]


def test_a_rename_is_no_jump() -> None:
    odd = (OUTLIER, SPLIT_LIKE)
    assert validated().warnings.filter(pl.col("rule").is_in(odd)).is_empty()
    without = validated(actions=ACTIONS.clear()).warnings
    assert set(without.filter(pl.col("rule").is_in(odd))["session"]) == {DAY}


def test_a_jump_and_a_stale_run_across_a_rename_are_found_under_the_ticker_of_the_day() -> None:
    fallen = ROWS.with_columns(
        pl.when((SESSION >= DAY) & (SYMBOL == "META")).then(pl.col(name) / 2).otherwise(name)
        for name in PRICES
    )
    found = validated(fallen).warnings.filter(rule=SPLIT_LIKE)
    assert found.select("symbol", "session").rows() == [("META", DAY)]
    night = SESSION.is_between(DAY - timedelta(days=1), DAY)
    stale = ROWS.with_columns(
        pl.when(night).then(100.0).otherwise(name).alias(name) for name in PRICES
    )
    [run] = validated(stale).warnings.filter(rule=STALE).iter_rows(named=True)
    assert (run["symbol"], run["session"]) == ("META", DAY)
    assert run["value"].endswith("in 14 bars")


@pytest.mark.parametrize(("day", "ticker"), [(DAY - timedelta(days=1), "FB"), (DAY, "META")])
def test_quarantine_keeps_the_ticker_of_the_day(day: date, ticker: str) -> None:
    first = pl.col("event_time") == pl.col("event_time").filter(day == SESSION).min()
    broken = ROWS.with_columns(
        pl.when(first & (ticker == SYMBOL)).then(-1.0).otherwise("low").alias("low")
    )
    found = validated(broken)
    assert set(found.quarantine["symbol"]) == {ticker}
    assert found.summary["quarantined"].sum() == 1


def test_longer_bars_are_built_before_companies_are_told_apart() -> None:
    spec = clean_spec(universe=["FB", "META"], bar_length="1d", fetched_bar_length="1h")
    found = validate_bars(ROWS, ACTIONS, spec, months_of(spec), FIRST, NOW)
    daily = bars_by_company(build_declared_bars(found.rows, ROWS, spec, NOW), ACTIONS)
    whole = clean_spec(universe=["META"], bar_length="1d", fetched_bar_length="1h")
    control = validate_bars(WALK, ACTIONS.clear(), whole, months_of(whole), FIRST, NOW)
    expected = build_declared_bars(control.rows, WALK, whole, NOW)
    assert daily.filter(symbol="META").equals(expected)
    assert set(daily["symbol"]) == {"META", "META-201911"}
