"""Whole months of features, and the evidence that the blocking checks rest on."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from trading_assets.bars.actions.corporate_actions import derive_actions
from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.bars.sources.sample import SampleBars
from trading_assets.feature_specs import FeaturesSpec
from trading_assets.features import months as rooms
from trading_assets.features.months import compute_months
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES

SPEC = FeaturesSpec(names=("log_return_1", "log_return_21", "ewma_volatility"))
MONTHS = {key: date.fromisoformat(key) for key in ("2008-01-01", "2008-02-01", "2008-03-01")}


@pytest.fixture(scope="module")
def tables() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    spec = MarketDataSpec.model_validate(
        {
            "source": {"kind": "sample"},
            "universe": ["IBM", "MSFT"],
            "start": "2005-06-01",
            "end": "2008-03-31",
        }
    )
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    source = SampleBars(spec, get_calendar("XNYS"))
    rows = source.fetch(date(2005, 6, 1), date(2008, 3, 31), moment).rows
    bars = rows.select(TABLES["validated_bars"].names)
    return bars, derive_actions(rows), TABLES["series"].empty()


def test_real_bars_give_no_leak_and_no_gap(tables) -> None:
    computed = compute_months(*tables, SPEC, MONTHS)
    assert (computed.leaks, computed.gaps) == ([], [])
    assert list(computed.months) == list(MONTHS)
    assert {moment[:7] for moment in computed.moments} == {key[:7] for key in MONTHS}
    assert len(computed.moments) == 9
    assert computed.null_share == 0.0


def test_a_range_gives_the_bytes_of_each_month_alone(tables) -> None:
    together = compute_months(*tables, SPEC, MONTHS).months
    for key, first in MONTHS.items():
        alone = compute_months(*tables, SPEC, {key: first}).months[key]
        assert alone.equals(together[key])


def test_a_value_missing_after_the_warm_up_is_named(tables, monkeypatch) -> None:
    compute_month = rooms.compute_month

    def forget_one(*arguments) -> pl.DataFrame:
        frame = compute_month(*arguments)
        holed = pl.when(pl.int_range(pl.len()) == 3).then(None).otherwise(pl.col("log_return_21"))
        return frame.with_columns(holed.alias("log_return_21"))

    monkeypatch.setattr(rooms, "compute_month", forget_one)
    gaps = compute_months(*tables, SPEC, MONTHS).gaps
    assert len(gaps) == 1
    assert "feature log_return_21 is null or infinite in 3 rows" in gaps[0]


def test_a_feature_that_knows_tomorrow_is_named(tables, monkeypatch) -> None:
    compute_features = rooms.compute_features

    def peek(*arguments) -> pl.DataFrame:
        frame = compute_features(*arguments)
        tomorrow = pl.col("log_return_1").shift(-1).over("symbol")
        return frame.with_columns(tomorrow.alias("log_return_1"))

    monkeypatch.setattr(rooms, "compute_features", peek)
    for months in (MONTHS, {"2008-02-01": MONTHS["2008-02-01"]}):
        leaks = compute_months(*tables, SPEC, months).leaks
        # Three moments a month, future removed and replaced.
        assert len(leaks) == 6 * len(months)
        assert all("log_return_1" in leak for leak in leaks)


def test_the_moments_are_the_same_in_every_run_and_lie_in_the_months_computed(tables) -> None:
    for key, first in MONTHS.items():
        moments = [compute_months(*tables, SPEC, {key: first}).moments for _ in range(2)]
        assert moments[0] == moments[1]
        assert {moment[:7] for moment in moments[0]} == {key[:7]}


def test_a_feature_that_knows_an_action_to_come_is_named(tables, monkeypatch) -> None:
    compute_features = rooms.compute_features

    def peek(bars, actions, *others) -> pl.DataFrame:
        frame = compute_features(bars, actions, *others)
        later = actions.filter(pl.col("kind") == "dividend")["cash_usd"].sum()
        return frame.with_columns((pl.col("log_return_1") * later).alias("log_return_1"))

    monkeypatch.setattr(rooms, "compute_features", peek)
    assert len(compute_months(*tables, SPEC, MONTHS).leaks) >= 9
