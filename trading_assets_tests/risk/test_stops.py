"""Stops, held against TA-Lib's average true range and prices by hand."""

import math
from decimal import Decimal

import numpy as np
import pytest
import talib
from pydantic import ValidationError

from trading_assets.errors import DataError
from trading_assets.risk.stops import (
    Holding,
    Stop,
    average_true_range,
    is_stopped,
    place_stop,
    trail_stop,
)
from trading_assets.sizing_specs import StopSpec

SPEC = StopSpec(multiple=3.0, bars=14)


def draw_bars(seed: int, bars: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(0.02 * rng.standard_normal(bars)))
    # A close may lie at an end of its bar, and the next bar may open far from it.
    start = np.concatenate([[100.0], close[:-1]]) * np.exp(0.02 * rng.standard_normal(bars))
    high = np.maximum(close, start) * np.exp(0.005 * rng.random(bars))
    return high, np.minimum(close, start) * np.exp(-0.005 * rng.random(bars)), close


@pytest.mark.parametrize("bars", [1, 2, 14])
@pytest.mark.parametrize("seed", range(3))
def test_the_average_true_range_is_that_of_talib(bars: int, seed: int):
    high, low, close = draw_bars(seed)
    expected = talib.ATR(high, low, close, timeperiod=bars)
    np.testing.assert_allclose(average_true_range(high, low, close, bars), expected, rtol=1e-9)


def test_gaps_count_in_the_true_range():
    close = np.array([10.0, 13.0, 9.0])
    high, low = np.array([10.5, 13.5, 9.5]), np.array([9.5, 12.5, 8.5])
    # From 10 up to 13.5, and from 13 down to 8.5.
    found = average_true_range(high, low, close, 1)
    np.testing.assert_allclose(found, [math.nan, 3.5, 4.5])


@pytest.mark.parametrize("bar", [14, 15, 60])
def test_a_range_does_not_change_with_later_bars(bar: int):
    high, low, close = draw_bars(3)
    found = average_true_range(high, low, close, 14)
    high[bar + 1 :] *= 3.0
    again = average_true_range(high, low, close, 14)
    np.testing.assert_array_equal(found[: bar + 1], again[: bar + 1])
    assert found[bar + 1] != again[bar + 1]


def test_a_stop_lies_three_ranges_from_the_close():
    assert place_stop("long", Decimal("100"), 2.0, SPEC) == Stop("long", Decimal("94.00"))
    assert place_stop("short", Decimal("100"), 2.0, SPEC) == Stop("short", Decimal("106.00"))


def test_a_stop_is_a_whole_tick_away_from_the_close():
    # 100.10 less 3 x 1.2345 is 96.3965, and with it 103.8035.
    assert place_stop("long", Decimal("100.10"), 1.2345, SPEC).price_usd == Decimal("96.39")
    assert place_stop("short", Decimal("100.10"), 1.2345, SPEC).price_usd == Decimal("103.81")
    coarse = StopSpec(tick_usd=Decimal("0.05"))
    assert place_stop("long", Decimal("100.10"), 1.2345, coarse).price_usd == Decimal("96.35")
    tight = place_stop("long", Decimal("100.10"), 1e-9, SPEC)
    assert tight.price_usd == Decimal("100.09")
    assert not is_stopped(tight, Decimal("100.10"), Decimal("100.10"))


def test_a_trailing_stop_follows_the_price_and_never_gives_way():
    stop = place_stop("long", Decimal("100"), 2.0, SPEC)
    prices: list[Decimal] = []
    for close in ("103", "101", "90", "110"):
        stop = trail_stop(stop, Decimal(close), 2.0, SPEC)
        prices.append(stop.price_usd)
    assert prices == [Decimal(97), Decimal(97), Decimal(97), Decimal(104)]
    # A wider range does not loosen it either.
    assert trail_stop(stop, Decimal("110"), 8.0, SPEC) == stop


def test_a_short_trailing_stop_is_the_mirror():
    stop = place_stop("short", Decimal("100"), 2.0, SPEC)
    prices: list[Decimal] = []
    for close in ("97", "99", "110", "90"):
        stop = trail_stop(stop, Decimal(close), 2.0, SPEC)
        prices.append(stop.price_usd)
    assert prices == [Decimal(103), Decimal(103), Decimal(103), Decimal(96)]


@pytest.mark.parametrize(
    ("holding", "low", "high", "is_hit"),
    [
        ("long", "94.01", "120", False),
        ("long", "94.00", "95", True),
        ("long", "80", "82", True),
        ("short", "50", "93.99", False),
        ("short", "93", "94.00", True),
        ("short", "110", "120", True),
    ],
)
def test_a_bar_that_touches_a_stop_is_the_end(holding: Holding, low: str, high: str, is_hit: bool):
    assert is_stopped(Stop(holding, Decimal(94)), Decimal(low), Decimal(high)) is is_hit


def test_prices_and_ranges_that_are_none_are_refused():
    for close in ("0", "-1", "NaN", "Infinity"):
        with pytest.raises(DataError, match="expected a price above 0"):
            place_stop("long", Decimal(close), 1.0, SPEC)
    for average in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(DataError, match="average true range was"):
            place_stop("long", Decimal(100), average, SPEC)
    with pytest.raises(DataError, match=r"stop of a long position was -50\.00 USD"):
        place_stop("long", Decimal(100), 50.0, SPEC)
    with pytest.raises(DataError, match="expected a price above 0: lower"):
        Stop("short", Decimal("NaN"))
    stop = Stop("long", Decimal(94))
    for low, high in (("NaN", "1"), ("1", "Infinity"), ("2", "1")):
        with pytest.raises(DataError, match="low at most high"):
            is_stopped(stop, Decimal(low), Decimal(high))


def test_bars_that_are_none_are_refused():
    high, low, close = draw_bars(0, 20)
    with pytest.raises(DataError, match="bars was 0"):
        average_true_range(high, low, close, 0)
    with pytest.raises(DataError, match="20 bars were given for an average of 20"):
        average_true_range(high, low, close, 20)
    with pytest.raises(DataError, match="expected one price of each"):
        average_true_range(high[1:], low, close, 5)
    for wrong in (math.nan, math.inf, 0.0, -4.0):
        for series in range(3):
            bars = [high.copy(), low.copy(), close.copy()]
            bars[series][7] = wrong
            with pytest.raises(DataError, match="1 of 20 bars had prices"):
                average_true_range(bars[0], bars[1], bars[2], 5)
    with pytest.raises(DataError, match="20 of 20 bars had prices"):
        average_true_range(low, high, close, 5)


@pytest.mark.parametrize(
    "values", [{"multiple": 0}, {"multiple": 21}, {"bars": 0}, {"tick_usd": 0}, {"tick_usd": "NaN"}]
)
def test_declarations_out_of_range_are_refused(values: dict[str, object]):
    with pytest.raises(ValidationError):
        StopSpec.model_validate(values)
