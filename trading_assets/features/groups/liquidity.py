"""Volume and liquidity: how much is traded, and what a trade costs or moves."""

import math

from trading_assets.features.definition import Family, FeatureDefinition, bars_parameter
from trading_assets.features.expressions import Column
from trading_assets.features.groups.volatility import LOG_RANGE
from trading_assets.features.operations import (
    CLOSE,
    DOLLAR_VOLUME,
    HIGH,
    LOG_CLOSE,
    LOG_HIGH,
    LOG_LOW,
    LOG_RETURN,
    LOW,
    VOLUME,
    absolute,
    change,
    covariance,
    deviation,
    divide,
    edge_spread,
    exponential,
    informed_flow,
    lag,
    log,
    maximum,
    minimum,
    normal_probability,
    regression_slope,
    rolling_mean,
    rolling_sum,
    sign,
    square_root,
    z_score,
)

_GROUP = "liquidity"
_LEAST_AMIHUD = 1e-18
_SPREAD = "fraction of the price"
_SIGMA_BARS = 21
_TYPICAL = (HIGH + LOW + CLOSE) * (1.0 / 3.0)


def _bought_less_sold() -> Column:
    # Bulk volume classification: Easley, Lopez de Prado, O'Hara, J. Portf. Management (2013).
    surprise = divide(LOG_RETURN, deviation(LOG_RETURN, _SIGMA_BARS))
    return 2.0 * normal_probability(surprise) - 1.0


def _close_location() -> Column:
    return divide(2.0 * CLOSE - HIGH - LOW, HIGH - LOW)


def _amihud(bars: int) -> Column:
    # Bars without trades count neither as liquid nor as illiquid.
    ratios = rolling_sum(divide(absolute(LOG_RETURN), DOLLAR_VOLUME), bars)
    return log(divide(ratios, rolling_sum(sign(DOLLAR_VOLUME), bars)), _LEAST_AMIHUD)


def _corwin_schultz(bars: int) -> Column:
    # Corwin and Schultz, A Simple Way to Estimate Bid-Ask Spreads, J. Finance 67 (2012).
    k = 3.0 - 2.0 * math.sqrt(2.0)
    squared = LOG_RANGE * LOG_RANGE
    beta = squared + lag(squared, 1)
    both = maximum(LOG_HIGH, lag(LOG_HIGH, 1)) - minimum(LOG_LOW, lag(LOG_LOW, 1))
    alpha = square_root(beta) * ((math.sqrt(2.0) - 1.0) / k) - absolute(both) * (1.0 / math.sqrt(k))
    grown = exponential(alpha)
    return rolling_mean(2.0 * divide(grown - 1.0, grown + 1.0), bars)


def _abdi_ranaldo(bars: int) -> Column:
    # Abdi and Ranaldo, A Simple Estimation of Bid-Ask Spreads, RFS 30 (2017), one bar late.
    before, middle = lag(LOG_CLOSE, 1), 0.5 * (LOG_HIGH + LOG_LOW)
    return square_root(4.0 * rolling_mean((before - lag(middle, 1)) * (before - middle), bars))


def _roll(bars: int) -> Column:
    # Roll, A Simple Implicit Measure of the Effective Bid-Ask Spread, J. Finance 39 (1984).
    return 2.0 * square_root(-covariance(LOG_RETURN, lag(LOG_RETURN, 1), bars))


def _kyle(bars: int) -> Column:
    flow_in_billions = _bought_less_sold() * DOLLAR_VOLUME * 1e-9
    return regression_slope(LOG_RETURN, flow_in_billions, bars)


def _on_balance_change(bars: int) -> Column:
    return divide(rolling_sum(sign(change(CLOSE)) * VOLUME, bars), rolling_sum(VOLUME, bars))


def _signed_imbalance(bars: int) -> Column:
    return divide(rolling_sum(_bought_less_sold() * VOLUME, bars), rolling_sum(VOLUME, bars))


def _average_price_distance(bars: int) -> Column:
    paid, shares = rolling_sum(_TYPICAL * VOLUME, bars), rolling_sum(VOLUME, bars)
    return log(divide(CLOSE, divide(paid, shares), 1.0))


FAMILIES = (
    Family(
        "dollar_volume_z",
        _GROUP,
        "z-score of ln(1 + close * shares) in {bars} bars",
        "sd",
        (bars_parameter(5),),
        lambda bars: z_score(log(DOLLAR_VOLUME + 1.0), bars),
        standard=((63,),),
    ),
    Family(
        "volume_z",
        _GROUP,
        "z-score of ln(1 + split-adjusted shares) in {bars} bars",
        "sd",
        (bars_parameter(5),),
        lambda bars: z_score(log(VOLUME + 1.0), bars),
        standard=((63,),),
    ),
    Family(
        "obv_change",
        _GROUP,
        "sum of sign(close change) * shares / sum of shares, {bars} bars (on-balance volume)",
        "fraction",
        (bars_parameter(),),
        _on_balance_change,
        standard=((10,),),
    ),
    Family(
        "chaikin_money_flow",
        _GROUP,
        "sum of ((close - low) - (high - close)) / (high - low) * shares / shares, {bars} bars",
        "fraction",
        (bars_parameter(),),
        lambda bars: divide(
            rolling_sum(_close_location() * VOLUME, bars), rolling_sum(VOLUME, bars)
        ),
        standard=((20,),),
    ),
    Family(
        "vwap_distance",
        _GROUP,
        "ln(close / volume-weighted typical price of {bars} bars)",
        "log ratio",
        (bars_parameter(),),
        _average_price_distance,
        standard=((20,),),
    ),
    Family(
        "edge_spread",
        _GROUP,
        "spread from open, high, low, close of {bars} bars (Ardia, Guidotti, Kroencke 2024)",
        _SPREAD,
        (bars_parameter(5),),
        edge_spread,
        standard=((21,),),
    ),
    Family(
        "corwin_schultz",
        _GROUP,
        "mean of {bars} bars of the spread from two bars' ranges (Corwin, Schultz 2012)",
        _SPREAD,
        (bars_parameter(),),
        _corwin_schultz,
        standard=((21,),),
    ),
    Family(
        "roll_spread",
        _GROUP,
        "2 sqrt(-cov(r_t, r_t-1)) of {bars} returns, 0 where it is positive (Roll 1984)",
        _SPREAD,
        (bars_parameter(5),),
        _roll,
        standard=((21,),),
    ),
    Family(
        "amihud",
        _GROUP,
        "ln mean(|log return| / dollar volume) of {bars} bars that traded (Amihud 2002)",
        "ln(1 / USD)",
        (bars_parameter(),),
        _amihud,
        standard=((21,),),
    ),
    Family(
        "kyle_lambda",
        _GROUP,
        "slope of log return on signed dollar volume of {bars} bars (Kyle 1985)",
        "log return a billion USD",
        (bars_parameter(5),),
        _kyle,
        standard=((21,),),
    ),
    Family(
        "vpin",
        _GROUP,
        "mean |bought - sold| / volume of {bars} equal slices of the last {bars} bars' volume",
        "fraction",
        (bars_parameter(5),),
        lambda bars: informed_flow(_bought_less_sold() * VOLUME, VOLUME, bars, bars),
        standard=((50,),),
    ),
    Family(
        "signed_volume_imbalance",
        _GROUP,
        "(bought - sold) / volume of {bars} bars, by bulk volume classification",
        "fraction",
        (bars_parameter(),),
        _signed_imbalance,
        standard=((21,),),
    ),
)

FEATURES: tuple[FeatureDefinition, ...] = ()

FURTHER = (
    FeatureDefinition(
        "abdi_ranaldo_21",
        _GROUP,
        "spread from closes and midranges of 21 bars, one bar late (Abdi, Ranaldo 2017)",
        _SPREAD,
        _abdi_ranaldo(21),
    ),
)
