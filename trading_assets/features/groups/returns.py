"""Returns and momentum, splits and dividends included."""

from trading_assets.features.definition import Family, FeatureDefinition, bars_parameter
from trading_assets.features.expressions import Column
from trading_assets.features.groups.volatility import INTRADAY, average_true_range
from trading_assets.features.operations import (
    CLOSE,
    LOG_CLOSE,
    LOG_HIGH,
    LOG_RETURN,
    OPEN,
    OVERNIGHT_GAP,
    divide,
    highest,
    lag,
    rolling_mean,
    rolling_sum,
    sign,
    skewness,
)

_GROUP = "returns"


def _log_return(bars: int) -> Column:
    return LOG_RETURN if bars == 1 else rolling_sum(LOG_RETURN, bars)


def _up_day_share(bars: int) -> Column:
    moves = sign(LOG_RETURN)
    return rolling_mean(0.5 * (moves * moves + moves), bars)


FAMILIES = (
    Family(
        "log_return",
        _GROUP,
        "ln total return over {bars} bars, splits and dividends included",
        "log return",
        (bars_parameter(1),),
        _log_return,
        standard=((1,), (2,), (3,), (5,), (10,), (21,), (63,)),
    ),
    Family(
        "high_distance",
        _GROUP,
        "ln(close / highest high of {bars} bars)",
        "log ratio",
        (bars_parameter(),),
        lambda bars: LOG_CLOSE - highest(LOG_HIGH, bars),
        named={"high_252_distance": (252,)},
    ),
    Family(
        "up_day_share",
        _GROUP,
        "share of {bars} returns above 0",
        "fraction",
        (bars_parameter(),),
        _up_day_share,
        standard=((21,),),
    ),
    Family(
        "skew",
        _GROUP,
        "third standardised moment of {bars} returns; 0 where they are equal",
        "1",
        (bars_parameter(5),),
        lambda bars: skewness(LOG_RETURN, bars),
        standard=((63,),),
    ),
)

FEATURES = (
    FeatureDefinition(
        "momentum_12_1",
        _GROUP,
        "ln total return from bar t-252 to bar t-21",
        "log return",
        lag(rolling_sum(LOG_RETURN, 231), 21),
    ),
    FeatureDefinition(
        "overnight_gap",
        _GROUP,
        "ln((open * split + cash) / previous close)",
        "log return",
        OVERNIGHT_GAP,
    ),
    FeatureDefinition("intraday_return", _GROUP, "ln(close / open)", "log return", INTRADAY),
    FeatureDefinition(
        "gap_in_ranges",
        _GROUP,
        "(open - previous close) / average true range of 14 bars at the previous close",
        "average true ranges",
        divide(OPEN - lag(CLOSE, 1), lag(average_true_range(14), 1)),
    ),
)
