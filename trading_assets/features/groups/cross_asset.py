"""A symbol among the others: what is known of the whole market at the bar's close."""

from trading_assets.features.definition import Family, FeatureDefinition, bars_parameter
from trading_assets.features.expressions import Column, bar_input
from trading_assets.features.operations import (
    LOG_RETURN,
    covariance,
    divide,
    mean_of,
    regression_slope,
    rolling_sum,
    square_root,
)

_GROUP = "cross_asset"
STATE_BARS = 63
# A month of at most 31 bars, the rows before it that its regime model is fitted on, the returns of
# the first one's volatility: what the month's last row looks back.
REGIME_BARS = 30 + 378 + 21

MARKET_RETURN = bar_input("market_return", delay=1)
SECTOR_RETURN = bar_input("sector_return", delay=1)
MEAN_CORRELATION = bar_input("mean_correlation", delay=STATE_BARS)
FIRST_COMPONENT_SHARE = bar_input("first_component_share", delay=STATE_BARS)
REGIME_CALM = bar_input("regime_calm", delay=REGIME_BARS)
REGIME_STRESSED = bar_input("regime_stressed", delay=REGIME_BARS)


def _unexplained(bars: int) -> Column:
    # The variance that is left: var r - slope^2 var m = var r - slope cov(r, m).
    explained = regression_slope(LOG_RETURN, MARKET_RETURN, bars) * covariance(
        LOG_RETURN, MARKET_RETURN, bars
    )
    return square_root(covariance(LOG_RETURN, LOG_RETURN, bars) - explained)


def _residual_z(bars: int) -> Column:
    slope = regression_slope(LOG_RETURN, MARKET_RETURN, bars)
    residual = (LOG_RETURN - mean_of(LOG_RETURN, bars)) - slope * (
        MARKET_RETURN - mean_of(MARKET_RETURN, bars)
    )
    return divide(residual, _unexplained(bars))


FAMILIES = (
    Family(
        "beta",
        _GROUP,
        "slope of the return on the universe's mean return, {bars} bars",
        "1",
        (bars_parameter(5),),
        lambda bars: regression_slope(LOG_RETURN, MARKET_RETURN, bars),
        standard=((63,),),
    ),
    Family(
        "idiosyncratic_volatility",
        _GROUP,
        "sd of the return that beta does not explain, {bars} bars",
        "fraction a bar",
        (bars_parameter(5),),
        _unexplained,
        standard=((63,),),
    ),
    Family(
        "residual_z",
        _GROUP,
        "return less beta * the universe's, both less their means, / idiosyncratic sd, {bars} bars",
        "sd",
        (bars_parameter(5),),
        _residual_z,
        standard=((63,),),
    ),
    Family(
        "sector_relative_return",
        _GROUP,
        "ln total return over {bars} bars less the mean one of its sector (else the universe)",
        "log return",
        (bars_parameter(1),),
        lambda bars: rolling_sum(LOG_RETURN - SECTOR_RETURN, bars),
        standard=((21,),),
    ),
)

FEATURES = (
    FeatureDefinition(
        "mean_correlation_63",
        _GROUP,
        "mean correlation of 63 returns over all pairs of the universe; 1 for a single symbol",
        "-1..1",
        MEAN_CORRELATION,
    ),
    FeatureDefinition(
        "first_component_share_63",
        _GROUP,
        "largest eigenvalue of the correlation matrix of 63 returns / number of symbols",
        "fraction",
        FIRST_COMPONENT_SHARE,
    ),
    FeatureDefinition(
        "regime_calm",
        _GROUP,
        "filtered probability of the calmest of three states of the universe's return",
        "probability",
        REGIME_CALM,
        is_scaled=False,
    ),
    FeatureDefinition(
        "regime_stressed",
        _GROUP,
        "filtered probability of the wildest of three states of the universe's return",
        "probability",
        REGIME_STRESSED,
        is_scaled=False,
    ),
)
