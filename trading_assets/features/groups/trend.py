"""Trend: which way a price has been going, and how surely."""

from trading_assets.features.definition import Family, FeatureDefinition, bars_parameter
from trading_assets.features.expressions import Column
from trading_assets.features.groups.volatility import average_true_range
from trading_assets.features.operations import (
    CLOSE,
    HIGH,
    LOG_CLOSE,
    LOW,
    absolute,
    bars_since_highest,
    bars_since_lowest,
    decayed_mean,
    divide,
    exponential_mean,
    falling_movement,
    line_certainty,
    parabolic_side,
    rising_movement,
    wilder_mean,
)

_GROUP = "trend"
_LONGEST_MEAN = 252
_RANGE_BARS = 14


def _mean_ratio(bars: int) -> Column:
    # Cut off, because an average of 200 bars without end would still know of bars years ago.
    kept = min(4 * bars, _LONGEST_MEAN)
    return divide(CLOSE, decayed_mean(CLOSE, 1.0 - 2.0 / (bars + 1.0), kept), 1.0) - 1.0


def macd_line(fast: int, slow: int) -> Column:
    """Return the difference of two exponential moving averages of the close."""
    return exponential_mean(CLOSE, fast) - exponential_mean(CLOSE, slow)


def _in_ranges(x: Column) -> Column:
    return divide(x, average_true_range(_RANGE_BARS))


def _macd_signal(fast: int, slow: int, signal: int) -> Column:
    return _in_ranges(exponential_mean(macd_line(fast, slow), signal))


def _macd_histogram(fast: int, slow: int, signal: int) -> Column:
    line = macd_line(fast, slow)
    return _in_ranges(line - exponential_mean(line, signal))


def directional_indicator(bars: int, movement: Column) -> Column:
    """Return 100 * averaged movement / averaged true range."""
    return 100.0 * divide(wilder_mean(movement, bars), average_true_range(bars))


def average_directional_index(bars: int) -> Column:
    """Return Wilder's average directional index; 0 where nothing moved."""
    # The true range divides both directions and so cancels in their ratio.
    plus = wilder_mean(rising_movement(HIGH, LOW), bars)
    minus = wilder_mean(falling_movement(HIGH, LOW), bars)
    return wilder_mean(100.0 * divide(absolute(plus - minus), plus + minus), bars)


def aroon_oscillator(bars: int) -> Column:
    """Return 100 * (age of the lowest low - age of the highest high) / bars."""
    ages = bars_since_lowest(LOW, bars + 1) - bars_since_highest(HIGH, bars + 1)
    return ages * (100.0 / bars)


_FAST = bars_parameter(2, 30, "fast")
_SLOW = bars_parameter(3, 30, "slow")
_SIGNAL = bars_parameter(2, 15, "signal")
_WILDER = bars_parameter(2, 28)
_EMAS = "EMA(close, {fast}) - EMA(close, {slow})"
_IN_RANGES = "/ average true range of 14 bars"

FAMILIES = (
    Family(
        "ema_ratio",
        _GROUP,
        "close / EMA - 1; EMA weights (1 - 2 / ({bars} + 1))^age, cut at 4 * {bars} or 252 bars",
        "fraction",
        (bars_parameter(),),
        _mean_ratio,
        standard=((5,), (10,), (20,), (50,), (200,)),
    ),
    Family(
        "macd_line",
        _GROUP,
        f"({_EMAS}) {_IN_RANGES}",
        "average true ranges",
        (_FAST, _SLOW),
        lambda fast, slow: _in_ranges(macd_line(fast, slow)),
        named={"macd_line": (12, 26)},
        rising=2,
    ),
    Family(
        "macd_signal",
        _GROUP,
        f"EMA of {{signal}} bars of ({_EMAS}) {_IN_RANGES}",
        "average true ranges",
        (_FAST, _SLOW, _SIGNAL),
        _macd_signal,
        named={"macd_signal": (12, 26, 9)},
        rising=2,
    ),
    Family(
        "macd_histogram",
        _GROUP,
        f"({_EMAS}) less its EMA of {{signal}} bars {_IN_RANGES}",
        "average true ranges",
        (_FAST, _SLOW, _SIGNAL),
        _macd_histogram,
        named={"macd_histogram": (12, 26, 9)},
        rising=2,
    ),
    Family(
        "adx",
        _GROUP,
        "average directional index of {bars} bars (Wilder 1978)",
        "0..100",
        (_WILDER,),
        average_directional_index,
        standard=((14,),),
    ),
    Family(
        "plus_di",
        _GROUP,
        "100 * Wilder average of upward movement / of true range, {bars} bars",
        "0..100",
        (_WILDER,),
        lambda bars: directional_indicator(bars, rising_movement(HIGH, LOW)),
        standard=((14,),),
    ),
    Family(
        "minus_di",
        _GROUP,
        "100 * Wilder average of downward movement / of true range, {bars} bars",
        "0..100",
        (_WILDER,),
        lambda bars: directional_indicator(bars, falling_movement(HIGH, LOW)),
        standard=((14,),),
    ),
    Family(
        "aroon_oscillator",
        _GROUP,
        "100 * (bars since lowest low - bars since highest high) / {bars}, of {bars} + 1 bars",
        "-100..100",
        (bars_parameter(2, 251),),
        aroon_oscillator,
        standard=((25,),),
    ),
    Family(
        "line_certainty",
        _GROUP,
        "t statistic of the slope of the least-squares line through {bars} ln closes",
        "1",
        (bars_parameter(4),),
        lambda bars: line_certainty(LOG_CLOSE, bars),
        standard=((21,),),
    ),
)

FEATURES = (
    FeatureDefinition(
        "parabolic_side",
        _GROUP,
        "1 while the parabolic stop (0.02, 0.2) is below the price, -1 above (Wilder 1978)",
        "1 or -1",
        parabolic_side(HIGH, LOW),
        is_scaled=False,
    ),
)
