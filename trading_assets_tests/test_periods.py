"""The partition axes as dates."""

from datetime import UTC, date, datetime

import pytest

from trading_assets.market_data import MarketDataSpec
from trading_assets.periods import Axis, Periods, Span, add_months
from trading_assets.strategy import FoldsSpec

NOW = datetime(2024, 7, 10, 15, tzinfo=UTC)


def market(end: str | None) -> MarketDataSpec:
    values = {"source": {"kind": "sample"}, "universe": ["IBM"], "start": "2020-01-15", "end": end}
    return MarketDataSpec.model_validate(values)


def folds(period: str, first: str, last: str | None = None) -> FoldsSpec:
    return FoldsSpec.model_validate({"period": period, "first": first, "last": last})


def test_months_of_live_data_include_the_open_month() -> None:
    keys = Periods(market(None)).keys(Axis.MONTH, NOW)
    assert (keys[0], keys[-1], len(keys)) == ("2020-01-01", "2024-07-01", 55)


def test_months_of_a_replay_end_with_its_data() -> None:
    keys = Periods(market("2021-03-01")).keys(Axis.MONTH, NOW)
    assert keys[-1] == "2021-03-01"


def test_a_fold_exists_only_when_its_test_window_has_ended() -> None:
    periods = Periods(market(None), folds("quarter", "2023-01-01"))
    assert periods.keys(Axis.FOLD, NOW)[-1] == "2024-04-01"
    before = datetime(2024, 6, 30, 12, tzinfo=UTC)
    assert periods.keys(Axis.FOLD, before)[-1] == "2024-01-01"


def test_a_replay_has_no_fold_that_its_data_does_not_cover() -> None:
    periods = Periods(market("2023-09-29"), folds("quarter", "2023-01-01"))
    assert periods.keys(Axis.FOLD, NOW) == ["2023-01-01", "2023-04-01"]


def test_the_last_declared_fold_is_the_last() -> None:
    periods = Periods(market(None), folds("year", "2021-01-01", "2022-01-01"))
    assert periods.keys(Axis.FOLD, NOW) == ["2021-01-01", "2022-01-01"]


def test_sessions_of_live_data_include_today_and_skip_holidays() -> None:
    periods = Periods(market(None), folds("year", "2023-01-01"))
    keys = periods.keys(Axis.SESSION, NOW)
    assert keys[-1] == "2024-07-10"
    assert "2024-07-04" not in keys
    assert keys[0] == "2023-01-03"


def test_a_sunday_has_no_session() -> None:
    periods = Periods(market(None), folds("year", "2023-01-01"))
    assert periods.keys(Axis.SESSION, datetime(2024, 7, 7, 15, tzinfo=UTC))[-1] == "2024-07-05"


@pytest.mark.parametrize(
    ("axis", "key", "offsets", "expected"),
    [
        (Axis.MONTH, "2024-03-01", (-24, 0), (date(2022, 3, 1), date(2024, 3, 31))),
        (Axis.FOLD, "2024-04-01", (-12, -1), (date(2021, 4, 1), date(2024, 3, 31))),
        (Axis.FOLD, "2024-04-01", (0, 0), (date(2024, 4, 1), date(2024, 6, 30))),
        (Axis.SESSION, "2024-07-08", (-1, -1), (date(2024, 7, 5), date(2024, 7, 5))),
        (Axis.SESSION, "2024-07-05", (-1, -1), (date(2024, 7, 3), date(2024, 7, 3))),
    ],
)
def test_offsets_move_whole_partitions(
    axis: Axis, key: str, offsets: tuple[int, int], expected: tuple[date, date]
) -> None:
    periods = Periods(market(None), folds("quarter", "2023-01-01"))
    assert periods.span(axis, key, *offsets) == Span(*expected)


def test_a_year_fold_spans_its_year() -> None:
    periods = Periods(market(None), folds("year", "2023-01-01"))
    assert periods.span(Axis.FOLD, "2023-01-01", -3, -1) == Span(
        date(2020, 1, 1), date(2022, 12, 31)
    )


def test_months_are_added_across_years() -> None:
    assert add_months(date(2023, 11, 17), 3) == date(2024, 2, 1)
    assert add_months(date(2023, 1, 31), -1) == date(2022, 12, 1)
