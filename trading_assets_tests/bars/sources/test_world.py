from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.bars.sources.build import build_source
from trading_assets.bars.sources.source import FetchedBars
from trading_assets.errors import UserError
from trading_assets.market_data import MarketDataSpec
from trading_assets_tests.bars.example_bars import CALENDAR, NOW, make_spec

START = date(2005, 1, 3)


def world(**source: float) -> MarketDataSpec:
    values = {"kind": "world", "seed": 7, **source}
    return make_spec(source=values, universe=("W1",), start=START, end=None)


def fetch(spec: MarketDataSpec, start: date, end: date, as_of: datetime = NOW) -> FetchedBars:
    return build_source(spec, CALENDAR, {}).fetch(start, end, as_of)


LONG = fetch(world(), START, date(2025, 12, 31))


@settings(max_examples=40, deadline=None)
@given(
    start=st.dates(START, date(2015, 1, 1)),
    end=st.dates(START, date(2025, 12, 31)),
)
def test_any_range_is_the_slice_of_the_whole_history(start: date, end: date) -> None:
    part = fetch(world(), start, end)
    within = pl.col("session").is_between(start, end)
    assert part.rows.equals(LONG.rows.filter(within))
    assert part.series.equals(LONG.series.filter(within))


def test_a_bar_opens_where_the_one_before_closed() -> None:
    rows = LONG.rows
    assert rows["open"][0] == 100.0
    assert rows["open"].slice(1).equals(rows["close"].head(len(rows) - 1).alias("open"))
    assert rows["high"].equals(rows.select(pl.max_horizontal("open", "close")).to_series())
    assert rows["low"].equals(rows.select(pl.min_horizontal("open", "close")).to_series())
    assert rows["volume"].n_unique() == 1


def test_the_signal_and_the_returns_follow_the_declared_law() -> None:
    spec = world(information_coefficient=0.3, persistence=0.9, volatility=0.01)
    fetched = fetch(spec, START, date(2025, 12, 31))
    signal = fetched.series["value"].to_numpy()
    close = fetched.rows["close"].to_numpy()
    returns = close[1:] / close[:-1] - 1
    slope, residual = np.polyfit(signal[:-1], returns, 1, full=True)[:2]
    sigma = np.sqrt(residual[0] / len(returns))
    # 5,280 bars: standard errors 0.014 sigma of the slope, 1 % of sigma, 0.006 of persistence.
    assert slope[0] == pytest.approx(0.003, abs=4 * 0.00014)
    assert sigma == pytest.approx(0.01, rel=0.04)
    assert np.corrcoef(signal[:-1], signal[1:])[0, 1] == pytest.approx(0.9, abs=4 * 0.006)
    assert signal.std() == pytest.approx(1.0, abs=4 * 0.044)


def test_the_signal_of_a_session_moves_the_return_of_the_next() -> None:
    quiet, alive = (
        fetch(world(information_coefficient=ic), START, date(2006, 12, 29)) for ic in (0.0, 0.3)
    )
    returns = [
        each.rows["close"].to_numpy() / each.rows["open"].to_numpy() - 1 for each in (quiet, alive)
    ]
    signal = alive.series["value"].to_numpy()
    np.testing.assert_allclose((returns[1] - returns[0])[1:], 0.003 * signal[:-1], atol=1e-12)
    assert returns[0][0] == returns[1][0]


def test_the_first_signal_is_drawn_from_the_stationary_law() -> None:
    first = [fetch(world(seed=seed), START, START).series["value"][0] for seed in range(200)]
    assert np.std(first) == pytest.approx(1.0, abs=4 / np.sqrt(400))


def test_the_signal_is_known_after_the_close_it_describes() -> None:
    row = LONG.series.row(0, named=True)
    assert (row["series"], row["symbol"], row["session"]) == ("signal", "W1", START)
    assert row["event_time"] == datetime(2005, 1, 3, 21, 0, tzinfo=UTC)
    assert row["knowledge_time"] == datetime(2005, 1, 3, 21, 15, tzinfo=UTC)


def test_what_is_not_published_is_not_delivered() -> None:
    as_of = datetime(2005, 1, 5, 21, 14, tzinfo=UTC)
    fetched = fetch(world(), START, date(2005, 1, 31), as_of)
    assert fetched.rows["session"].max() == date(2005, 1, 4)
    assert fetched.series["session"].max() == date(2005, 1, 4)


def test_another_seed_gives_another_world() -> None:
    other = fetch(world(seed=8), START, date(2005, 1, 31))
    assert other.rows["close"].is_in(LONG.rows["close"].implode()).sum() == 0


def test_two_symbols_are_refused() -> None:
    spec = make_spec(source={"kind": "world"}, universe=("W1", "W2"))
    with pytest.raises(UserError, match="W1, W2; expected exactly one symbol"):
        build_source(spec, CALENDAR, {})


def test_a_volatility_that_kills_the_price_is_refused() -> None:
    with pytest.raises(UserError, match=r"volatility 0\.9 gives a return of"):
        fetch(world(volatility=0.9), START, date(2025, 12, 31))
