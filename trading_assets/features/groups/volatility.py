"""Volatility: how far a price moves, whichever way."""

import math

from trading_assets.features.definition import Family, FeatureDefinition, bars_parameter
from trading_assets.features.expressions import Column
from trading_assets.features.operations import (
    CLOSE,
    HIGH,
    LOG_CLOSE,
    LOG_HIGH,
    LOG_LOW,
    LOG_OPEN,
    LOG_RETURN,
    LOW,
    OVERNIGHT_GAP,
    decayed_mean,
    deviation,
    divide,
    exponential_mean,
    mean_of,
    negative,
    rolling_mean,
    square_root,
    true_range,
    wilder_mean,
    z_score,
)

_GROUP = "volatility"
_A_BAR = "fraction a bar"

LOG_RANGE = LOG_HIGH - LOG_LOW
INTRADAY = LOG_CLOSE - LOG_OPEN
# RiskMetrics (1996) weights of the last 63 returns.
EWMA_VOLATILITY = square_root(decayed_mean(LOG_RETURN * LOG_RETURN, 0.94, 63))


def average_true_range(bars: int) -> Column:
    """Return Wilder's average of the true range."""
    return wilder_mean(true_range(HIGH, LOW, CLOSE), bars)


def _garman_klass(bars: int) -> Column:
    # Garman and Klass, On the Estimation of Security Price Volatilities, J. Business 53 (1980).
    daily = 0.5 * (LOG_RANGE * LOG_RANGE) - (2.0 * math.log(2.0) - 1.0) * (INTRADAY * INTRADAY)
    return square_root(rolling_mean(daily, bars))


def _yang_zhang(bars: int) -> Column:
    # Yang and Zhang, Drift-Independent Volatility Estimation, J. Business 73 (2000).
    weight = 0.34 / (1.34 + (bars + 1.0) / (bars - 1.0))
    unbiased = bars / (bars - 1.0)
    overnight, intraday = deviation(OVERNIGHT_GAP, bars), deviation(INTRADAY, bars)
    up, down = LOG_HIGH - LOG_OPEN, LOG_LOW - LOG_OPEN
    range_part = rolling_mean(up * (up - INTRADAY) + down * (down - INTRADAY), bars)
    return square_root(
        unbiased * (overnight * overnight)
        + (weight * unbiased) * (intraday * intraday)
        + (1.0 - weight) * range_part
    )


def _semi_deviation_ratio(bars: int) -> Column:
    falls = negative(LOG_RETURN)
    downward = square_root(rolling_mean(falls * falls, bars))
    return divide(downward, square_root(rolling_mean(LOG_RETURN * LOG_RETURN, bars)))


def _keltner_width(bars: int, range_bars: int) -> Column:
    return divide(4.0 * average_true_range(range_bars), exponential_mean(CLOSE, bars))


FAMILIES = (
    Family(
        "parkinson",
        _GROUP,
        "sqrt(mean ln(high / low)^2 / (4 ln 2)) of {bars} bars (Parkinson 1980)",
        _A_BAR,
        (bars_parameter(),),
        lambda bars: square_root(
            rolling_mean(LOG_RANGE * LOG_RANGE, bars) * (1.0 / (4.0 * math.log(2.0)))
        ),
        standard=((21,),),
    ),
    Family(
        "garman_klass",
        _GROUP,
        "sqrt(mean(ln(high / low)^2 / 2 - (2 ln 2 - 1) ln(close / open)^2)) of {bars} bars",
        _A_BAR,
        (bars_parameter(),),
        _garman_klass,
        standard=((21,),),
    ),
    Family(
        "yang_zhang",
        _GROUP,
        "overnight, open-to-close and Rogers-Satchell variance of {bars} bars (Yang, Zhang 2000)",
        _A_BAR,
        (bars_parameter(3),),
        _yang_zhang,
        standard=((21,),),
    ),
    Family(
        "atr_percent",
        _GROUP,
        "100 * Wilder average of the true range over {bars} bars / close",
        "percent",
        (bars_parameter(2, 28),),
        lambda bars: 100.0 * divide(average_true_range(bars), CLOSE),
        standard=((14,),),
    ),
    Family(
        "bollinger_percent_b",
        _GROUP,
        "(close - (mean - 2 sd)) / (4 sd) of {bars} closes; 0.5 when sd is 0",
        "1",
        (bars_parameter(),),
        lambda bars: 0.25 * z_score(CLOSE, bars) + 0.5,
        standard=((20,),),
    ),
    Family(
        "bollinger_width",
        _GROUP,
        "4 sd / mean of {bars} closes",
        "fraction",
        (bars_parameter(),),
        lambda bars: divide(4.0 * deviation(CLOSE, bars), mean_of(CLOSE, bars)),
        standard=((20,),),
    ),
    Family(
        "keltner_width",
        _GROUP,
        "4 * Wilder average of the true range over {range_bars} bars / EMA(close, {bars})",
        "fraction",
        (bars_parameter(2, 30), bars_parameter(2, 28, "range_bars")),
        _keltner_width,
        named={"keltner_width_20": (20, 10)},
    ),
    Family(
        "volatility_of_volatility",
        _GROUP,
        "sd / mean over {bars} bars of the EWMA volatility",
        "1",
        (bars_parameter(5, 189),),
        lambda bars: divide(deviation(EWMA_VOLATILITY, bars), mean_of(EWMA_VOLATILITY, bars)),
        standard=((63,),),
    ),
    Family(
        "semi_deviation_ratio",
        _GROUP,
        "sqrt(mean min(r, 0)^2 / mean r^2) of {bars} returns; 0 where all are 0",
        "1",
        (bars_parameter(5),),
        _semi_deviation_ratio,
        standard=((63,),),
    ),
)

FEATURES = (
    FeatureDefinition(
        "ewma_volatility",
        _GROUP,
        "sqrt(sum w_k r_(t-k)^2), w_k ~ 0.94^k over 63 returns, sum w = 1",
        _A_BAR,
        EWMA_VOLATILITY,
    ),
)

FURTHER = (FeatureDefinition("high_low_range", _GROUP, "ln(high / low)", "log ratio", LOG_RANGE),)
