"""A range of months is fetched at once and folded into what each month has."""

from datetime import UTC, date, datetime, timedelta

import pytest

from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.bars.months import Month, fetch_months
from trading_assets.bars.sources.sample import SampleBars
from trading_assets.errors import DataError
from trading_assets.market_data import MarketDataSpec

NOW = datetime(2026, 1, 2, tzinfo=UTC)
JANUARY = Month("2008-01-01", date(2008, 1, 1), date(2008, 1, 31))
FEBRUARY = Month("2008-02-01", date(2008, 2, 1), date(2008, 2, 29))


@pytest.fixture
def source() -> SampleBars:
    spec = MarketDataSpec.model_validate(
        {
            "source": {"kind": "sample"},
            "universe": ["IBM", "MSFT"],
            "start": "2008-01-01",
            "end": "2008-03-31",
        }
    )
    return SampleBars(spec, get_calendar("XNYS"))


def test_each_month_gets_its_own_sessions(source: SampleBars) -> None:
    fetched = fetch_months(source, [JANUARY, FEBRUARY], {}, NOW)
    assert {key: len(bars.rows) for key, bars in fetched.items()} == {
        "2008-01-01": 42,
        "2008-02-01": 40,
    }


def test_fetching_again_later_changes_nothing(source: SampleBars) -> None:
    first = fetch_months(source, [JANUARY], {}, NOW)
    again = fetch_months(source, [JANUARY], first, NOW + timedelta(days=1))
    assert again["2008-01-01"].rows.equals(first["2008-01-01"].rows)


def test_a_range_without_a_known_bar_is_an_error(source: SampleBars) -> None:
    with pytest.raises(DataError, match="choose a range with closed sessions"):
        fetch_months(source, [JANUARY], {}, datetime(2007, 12, 1, tzinfo=UTC))
