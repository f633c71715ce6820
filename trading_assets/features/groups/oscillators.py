"""Oscillators: where a price stands within its recent range."""

from trading_assets.features.definition import Family, bars_parameter
from trading_assets.features.expressions import Column
from trading_assets.features.operations import (
    CLOSE,
    HIGH,
    LOW,
    VOLUME,
    change,
    divide,
    fisher_transform,
    lag,
    maximum,
    mean_distance,
    mean_of,
    minimum,
    negative,
    positive,
    range_position,
    rolling_mean,
    rolling_sum,
    sign,
    wilder_mean,
)

_GROUP = "oscillators"
_PERCENT = "0..100"
_TYPICAL = (HIGH + LOW + CLOSE) * (1.0 / 3.0)


def relative_strength(bars: int) -> Column:
    """Return Wilder's relative strength index; 50 where nothing moved."""
    moves = change(CLOSE)
    rises, falls = wilder_mean(positive(moves), bars), wilder_mean(negative(moves), bars)
    return 100.0 * divide(rises, rises + falls, 0.5)


def stochastic_k(bars: int, smoothing: int) -> Column:
    """Return 100 * the position in the range of the last bars, averaged; 0 in a flat range."""
    return 100.0 * rolling_mean(range_position(CLOSE, HIGH, LOW, bars), smoothing)


def stochastic_rsi(bars: int) -> Column:
    """Return where the relative strength stands in its own range of as many bars."""
    strength = relative_strength(bars)
    return 100.0 * range_position(strength, strength, strength, bars)


def commodity_channel(bars: int) -> Column:
    """Return (typical price - mean) / (0.015 mean distance); 0 where nothing moved."""
    distance = mean_distance(_TYPICAL, bars)
    return divide(_TYPICAL - mean_of(_TYPICAL, bars), 0.015 * distance)


def williams_r(bars: int) -> Column:
    """Return 100 * the position in the range of the last bars less 100; 0 in a flat range."""
    return 100.0 * range_position(CLOSE, HIGH, LOW, bars, flat=1.0) - 100.0


def rate_of_change(bars: int) -> Column:
    """Return the change of the close in percent."""
    return 100.0 * divide(CLOSE, lag(CLOSE, bars), 1.0) - 100.0


def _chande_momentum(bars: int) -> Column:
    moves = change(CLOSE)
    rises, falls = rolling_sum(positive(moves), bars), rolling_sum(negative(moves), bars)
    return 100.0 * divide(rises - falls, rises + falls)


def money_flow(bars: int) -> Column:
    """Return 100 * rising / all money flow; 50 where there was none."""
    direction = sign(change(_TYPICAL))
    flow = _TYPICAL * VOLUME
    rising = rolling_sum(positive(direction) * flow, bars)
    return 100.0 * divide(rising, rolling_sum(direction * direction * flow, bars), 0.5)


def ultimate_oscillator(short: int, middle: int, long: int) -> Column:
    """Return Williams' weighting of buying pressure over three windows."""
    before = lag(CLOSE, 1)
    floor = minimum(LOW, before)
    pressure, reach = CLOSE - floor, maximum(HIGH, before) - floor
    parts = [
        divide(rolling_sum(pressure, bars), rolling_sum(reach, bars))
        for bars in (short, middle, long)
    ]
    return (4.0 * parts[0] + 2.0 * parts[1] + parts[2]) * (100.0 / 7.0)


def _fisher(bars: int) -> Column:
    middle = 0.5 * (HIGH + LOW)
    return fisher_transform(range_position(middle, middle, middle, bars, flat=0.5))


_WILDER = bars_parameter(2, 28)
_WINDOW = bars_parameter()

FAMILIES = (
    Family(
        "rsi",
        _GROUP,
        "relative strength index of {bars} bars (Wilder 1978)",
        _PERCENT,
        (_WILDER,),
        relative_strength,
        standard=((7,), (14,)),
    ),
    Family(
        "stochastic_k",
        _GROUP,
        "mean of {smoothing} bars of 100 (close - lowest) / (highest - lowest) of {bars} bars",
        _PERCENT,
        (_WINDOW, bars_parameter(1, 10, "smoothing")),
        stochastic_k,
        named={"stochastic_k_14": (14, 3)},
    ),
    Family(
        "stochastic_d",
        _GROUP,
        "mean of {smoothing} bars of stochastic_k of {bars} bars",
        _PERCENT,
        (_WINDOW, bars_parameter(1, 10, "smoothing")),
        lambda bars, smoothing: rolling_mean(stochastic_k(bars, smoothing), smoothing),
        named={"stochastic_d_14": (14, 3)},
    ),
    Family(
        "stochastic_rsi",
        _GROUP,
        "100 * position of the relative strength of {bars} bars in its range of {bars} bars",
        _PERCENT,
        (_WILDER,),
        stochastic_rsi,
        standard=((14,),),
    ),
    Family(
        "cci",
        _GROUP,
        "(typical price - mean) / (0.015 mean distance) of {bars} bars (Lambert 1980)",
        "1",
        (_WINDOW,),
        commodity_channel,
        standard=((20,),),
    ),
    Family(
        "williams_r",
        _GROUP,
        "100 (close - highest) / (highest - lowest) of {bars} bars; 0 in a flat range",
        "-100..0",
        (_WINDOW,),
        williams_r,
        standard=((14,),),
    ),
    Family(
        "roc",
        _GROUP,
        "100 (close / close of {bars} bars ago - 1)",
        "percent",
        (_WINDOW,),
        rate_of_change,
        standard=((12,),),
    ),
    Family(
        "cmo",
        _GROUP,
        "100 (rises - falls) / (rises + falls), sums of {bars} bars (Chande 1994)",
        "-100..100",
        (_WINDOW,),
        _chande_momentum,
        standard=((20,),),
    ),
    Family(
        "mfi",
        _GROUP,
        "100 * rising / all money flow of {bars} bars; 50 without",
        _PERCENT,
        (_WINDOW,),
        money_flow,
        standard=((14,),),
    ),
    Family(
        "ultimate_oscillator",
        _GROUP,
        "buying pressure / true range of {short}, {middle}, {long} bars, weighted 4, 2, 1",
        _PERCENT,
        (bars_parameter(2, 60, "short"), bars_parameter(2, 120, "middle"),
         bars_parameter(2, 252, "long")),
        ultimate_oscillator,
        named={"ultimate_oscillator": (7, 14, 28)},
        rising=3,
    ),
    Family(
        "fisher",
        _GROUP,
        "Fisher transform of the midpoint's position in its range of {bars} bars (Ehlers 2002)",
        "1",
        (bars_parameter(2, 200),),
        _fisher,
        standard=((9,),),
    ),
)  # fmt: skip
