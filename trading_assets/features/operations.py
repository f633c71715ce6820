"""The vocabulary of formulas: each function returns an expression, nothing is computed here."""

from trading_assets.features.expressions import Column, Operation, apply, bar_input

OPEN, HIGH, LOW, CLOSE = map(bar_input, ("open", "high", "low", "close"))
VOLUME, DOLLAR_VOLUME = bar_input("volume"), bar_input("dollar_volume")
LOG_RETURN = bar_input("log_return", delay=1)
OVERNIGHT_GAP = bar_input("overnight_gap", delay=1)

_DIVIDE = Operation("divide", 4, scales=(0, 1))
_MAXIMUM = Operation("maximum", 5)
_MINIMUM = Operation("minimum", 6)
_LOG = Operation("log", 7)
_EXPONENTIAL = Operation("exponential", 8)
_SQUARE_ROOT = Operation("square_root", 9)
_ABSOLUTE = Operation("absolute", 10)
_SIGN = Operation("sign", 11)
_NORMAL_PROBABILITY = Operation("normal_probability", 12)
_POSITIVE = Operation("positive", 13)
_NEGATIVE = Operation("negative", 14)
_LAG = Operation("lag", 20)
_CHANGE = Operation("change", 21)
_ROLLING_SUM = Operation("rolling_sum", 22, scales=(1,))
_DECAYED_SUM = Operation("decayed_sum", 23, scales=(2,))
_MOMENTS = Operation("moments", 24, n_outputs=2)
_COMOMENTS = Operation("comoments", 25, n_outputs=3)
_HIGHEST = Operation("highest", 26)
_LOWEST = Operation("lowest", 27)
_MEAN_DISTANCE = Operation("mean_distance", 28)
_LINE = Operation("line", 29, n_outputs=2)
_FRACTIONAL_DIFFERENCE = Operation("fractional_difference", 30)
_ROWS_SINCE_HIGHEST = Operation("rows_since_highest", 31)
_ROWS_SINCE_LOWEST = Operation("rows_since_lowest", 32)
_SKEWNESS = Operation("skewness", 33)
SMOOTH = Operation("smooth", 40)
_ACCUMULATE = Operation("accumulate", 41)
_FISHER = Operation("fisher", 42, n_outputs=2)
_STOP_AND_REVERSE = Operation("stop_and_reverse", 43, n_outputs=4)
_TRUE_RANGE = Operation("true_range", 60)
_DIRECTIONAL_MOVEMENT = Operation("directional_movement", 61, n_outputs=2)
_EDGE_SPREAD = Operation("edge_spread", 62)
_INFORMED_FLOW = Operation("informed_flow", 63)

_FISHER_FADING = (0.67, 0.5)
# A parabolic stop forgets where it started at its turns, which come far more often than this.
_STOP_MEMORY_BARS = 252


def divide(x: Column, y: Column, otherwise: float = 0.0) -> Column:
    """Return x / y, `otherwise` where y is 0."""
    return apply(_DIVIDE, x, y, parameters=(otherwise, 1.0))


def maximum(x: Column, y: Column) -> Column:
    """Return the larger of two."""
    return apply(_MAXIMUM, x, y)


def minimum(x: Column, y: Column) -> Column:
    """Return the smaller of two."""
    return apply(_MINIMUM, x, y)


def log(x: Column, least: float = 1e-300) -> Column:
    """Return the natural logarithm, of `least` where x is below."""
    return apply(_LOG, x, parameters=(least,))


LOG_OPEN, LOG_HIGH, LOG_LOW, LOG_CLOSE = map(log, (OPEN, HIGH, LOW, CLOSE))


def exponential(x: Column) -> Column:
    """Return e to the power of x."""
    return apply(_EXPONENTIAL, x)


def square_root(x: Column) -> Column:
    """Return the square root, 0 of negative values."""
    return apply(_SQUARE_ROOT, x)


def absolute(x: Column) -> Column:
    """Return the absolute value."""
    return apply(_ABSOLUTE, x)


def sign(x: Column) -> Column:
    """Return 1, 0 or -1."""
    return apply(_SIGN, x)


def normal_probability(x: Column) -> Column:
    """Return the standard normal distribution function."""
    return apply(_NORMAL_PROBABILITY, x)


def positive(x: Column) -> Column:
    """Return x where it is above 0, else 0."""
    return apply(_POSITIVE, x)


def negative(x: Column) -> Column:
    """Return -x where x is below 0, else 0."""
    return apply(_NEGATIVE, x)


def lag(x: Column, bars: int) -> Column:
    """Return the value `bars` rows ago."""
    return apply(_LAG, x, parameters=(bars,), bars=bars)


def change(x: Column, bars: int = 1) -> Column:
    """Return the value less that of `bars` rows ago."""
    return apply(_CHANGE, x, parameters=(bars,), bars=bars)


def rolling_sum(x: Column, bars: int) -> Column:
    """Return the sum of the last `bars` values."""
    return apply(_ROLLING_SUM, x, parameters=(bars, 1.0), bars=bars - 1)


def rolling_mean(x: Column, bars: int) -> Column:
    """Return the mean of the last `bars` values."""
    return rolling_sum(x, bars) * (1.0 / bars)


def decayed_mean(x: Column, factor: float, bars: int) -> Column:
    """Return the mean of the last values weighted by factor^age, of `bars` values."""
    total = apply(_DECAYED_SUM, x, parameters=(factor, bars, 1.0), bars=bars - 1)
    return total * ((1.0 - factor) / (1.0 - factor**bars))


def mean_of(x: Column, bars: int) -> Column:
    """Return the mean of the last values, to the last digits of a large level."""
    return apply(_MOMENTS, x, parameters=(bars,), bars=bars - 1)


def deviation(x: Column, bars: int) -> Column:
    """Return the standard deviation (ddof 0) of the last values."""
    return apply(_MOMENTS, x, parameters=(bars,), bars=bars - 1, output=1)


def skewness(x: Column, bars: int) -> Column:
    """Return the third standardised moment of the last values, 0 where they are equal."""
    return apply(_SKEWNESS, x, parameters=(bars,), bars=bars - 1)


def z_score(x: Column, bars: int) -> Column:
    """Return (value - mean) / standard deviation of the last values, 0 where they are equal."""
    return divide(x - mean_of(x, bars), deviation(x, bars))


def covariance(x: Column, y: Column, bars: int) -> Column:
    """Return the covariance (ddof 0) of the last values, 0 where one is constant."""
    return apply(_COMOMENTS, x, y, parameters=(bars,), bars=bars - 1)


def regression_slope(x: Column, y: Column, bars: int) -> Column:
    """Return the slope of x on y over the last values, 0 where y is constant."""
    variance = apply(_COMOMENTS, x, y, parameters=(bars,), bars=bars - 1, output=2)
    return divide(covariance(x, y, bars), variance)


def highest(x: Column, bars: int) -> Column:
    """Return the highest of the last values."""
    return apply(_HIGHEST, x, parameters=(bars,), bars=bars - 1)


def bars_since_highest(x: Column, bars: int) -> Column:
    """Return how many rows ago the highest of the last values was; the newest of equal ones."""
    return apply(_ROWS_SINCE_HIGHEST, x, parameters=(bars,), bars=bars - 1)


def lowest(x: Column, bars: int) -> Column:
    """Return the lowest of the last values."""
    return apply(_LOWEST, x, parameters=(bars,), bars=bars - 1)


def bars_since_lowest(x: Column, bars: int) -> Column:
    """Return how many rows ago the lowest of the last values was; the newest of equal ones."""
    return apply(_ROWS_SINCE_LOWEST, x, parameters=(bars,), bars=bars - 1)


def range_position(x: Column, high: Column, low: Column, bars: int, flat: float = 0.0) -> Column:
    """Return where x stands between the lowest low (0) and the highest high (1), else `flat`."""
    floor = lowest(low, bars)
    return divide(x - floor, highest(high, bars) - floor, flat)


def mean_distance(x: Column, bars: int) -> Column:
    """Return the mean distance of the last values from their mean."""
    return apply(_MEAN_DISTANCE, x, mean_of(x, bars), parameters=(bars,), bars=bars - 1)


def line_slope(x: Column, bars: int) -> Column:
    """Return the slope a row of the least-squares line through the last values."""
    return apply(_LINE, x, parameters=(bars,), bars=bars - 1)


def line_certainty(x: Column, bars: int) -> Column:
    """Return the t statistic of that slope, 0 where the values are equal.

    A perfect line has no error to divide by; a millionth of the distances is left as one.
    """
    slope = line_slope(x, bars)
    around = apply(_LINE, x, parameters=(bars,), bars=bars - 1, output=1)
    spread = bars * (bars * bars - 1.0) / 12.0
    rest = maximum(around - spread * (slope * slope), 1e-12 * around)
    return divide(((bars - 2.0) * spread) ** 0.5 * slope, square_root(rest))


def fractional_difference(x: Column, order: float, bars: int) -> Column:
    """Return the difference of a fractional order, of the last `bars` values."""
    return apply(_FRACTIONAL_DIFFERENCE, x, parameters=(order, bars), bars=bars - 1)


def exponential_mean(x: Column, bars: int) -> Column:
    """Return the exponential moving average, weight 2 / (bars + 1)."""
    weight = 2.0 / (bars + 1.0)
    return apply(SMOOTH, x, parameters=(weight,), fading=(1.0 - weight,))


def wilder_mean(x: Column, bars: int) -> Column:
    """Return Wilder's average, weight 1 / bars."""
    return apply(SMOOTH, x, parameters=(1.0 / bars,), fading=(1.0 - 1.0 / bars,))


def accumulate(x: Column) -> Column:
    """Return the sum of all values since the first; only its changes forget where that was."""
    return apply(_ACCUMULATE, x)


def fisher_transform(position: Column) -> Column:
    """Return Ehlers' Fisher transform of a position between 0 and 1."""
    return apply(_FISHER, position, fading=_FISHER_FADING)


def parabolic_stop(high: Column, low: Column, step: float = 0.02, limit: float = 0.2) -> Column:
    """Return the level of Wilder's parabolic stop."""
    return _parabolic(high, low, step, limit, 0)


def parabolic_side(high: Column, low: Column, step: float = 0.02, limit: float = 0.2) -> Column:
    """Return 1 where the parabolic stop is below the price, -1 where it is above."""
    return _parabolic(high, low, step, limit, 3)


def _parabolic(high: Column, low: Column, step: float, limit: float, output: int) -> Column:
    parameters = (step, limit)
    return apply(
        _STOP_AND_REVERSE,
        *(high, low),
        parameters=parameters,
        output=output,
        bars=_STOP_MEMORY_BARS,
        delay=1,
    )


def true_range(high: Column, low: Column, close: Column) -> Column:
    """Return the range of the bar and the close before."""
    return apply(_TRUE_RANGE, high, low, close, bars=1)


def rising_movement(high: Column, low: Column) -> Column:
    """Return Wilder's upward movement."""
    return apply(_DIRECTIONAL_MOVEMENT, high, low, bars=1)


def falling_movement(high: Column, low: Column) -> Column:
    """Return Wilder's downward movement."""
    return apply(_DIRECTIONAL_MOVEMENT, high, low, bars=1, output=1)


def edge_spread(bars: int) -> Column:
    """Return the spread by Ardia, Guidotti and Kroencke (2024), negative where its square is."""
    logs = (LOG_OPEN, LOG_HIGH, LOG_LOW, LOG_CLOSE)
    return apply(_EDGE_SPREAD, *logs, parameters=(bars,), bars=bars)


def informed_flow(signed: Column, volume: Column, buckets: int, bars: int) -> Column:
    """Return the mean imbalance of `buckets` equal slices of the volume of the last bars."""
    return apply(_INFORMED_FLOW, signed, volume, parameters=(buckets, bars), bars=bars - 1)
