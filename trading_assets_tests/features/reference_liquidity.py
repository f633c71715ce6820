"""The formulas of volatility, liquidity and the market around a symbol, for the newest bar.

Written as `reference_formulas` is: from the statements and their sources, with plain loops.
"""

import math

import numpy as np

from trading_assets_tests.features.reference_formulas import (
    Array,
    Formula,
    Past,
    average,
    average_true_range,
    deviation,
    recursive_ema,
    typical_prices,
    z_score,
)


def rows_of(past: Past, bars: int) -> range:
    return range(len(past.close) - bars, len(past.close))


def ewma_volatility(past: Past) -> float:
    weights = [0.94**age for age in range(63)]
    squares = [past.log_return[-1 - age] ** 2 for age in range(63)]
    weighted = math.fsum(w * s for w, s in zip(weights, squares, strict=True))
    return math.sqrt(weighted / math.fsum(weights))


def parkinson_21(past: Past) -> float:
    ranges = [math.log(past.high[-k] / past.low[-k]) ** 2 for k in range(1, 22)]
    return math.sqrt(average(ranges) / (4.0 * math.log(2.0)))


def garman_klass_21(past: Past) -> float:
    terms = [
        math.log(past.high[-k] / past.low[-k]) ** 2 / 2.0
        - (2.0 * math.log(2.0) - 1.0) * math.log(past.close[-k] / past.open[-k]) ** 2
        for k in range(1, 22)
    ]
    return math.sqrt(average(terms))


def yang_zhang_21(past: Past) -> float:
    n = 21
    overnight = past.overnight_gap[-n:]
    up, down, day = (
        np.log(column[-n:] / past.open[-n:]) for column in (past.high, past.low, past.close)
    )
    rogers_satchell = average(up * (up - day) + down * (down - day))
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    variance = deviation(overnight, 1) ** 2 + k * deviation(day, 1) ** 2
    return math.sqrt(variance + (1.0 - k) * rogers_satchell)


def percent_b(past: Past) -> float:
    window = past.close[-20:]
    spread = deviation(window)
    return (window[-1] - (average(window) - 2.0 * spread)) / (4.0 * spread)


def bollinger_width(past: Past) -> float:
    return 4.0 * deviation(past.close[-20:]) / average(past.close[-20:])


def keltner_width(past: Past) -> float:
    return 4.0 * average_true_range(past, 10) / recursive_ema(past.close, 20)[-1]


def volatility_of_volatility(past: Past) -> float:
    window = [ewma_volatility(past.before(k)) for k in range(63)]
    return deviation(window) / average(window)


def semi_deviation_ratio(past: Past) -> float:
    window = past.log_return[-63:]
    below = average([min(r, 0.0) ** 2 for r in window])
    return math.sqrt(below / average(window**2))


def obv_change_10(past: Past) -> float:
    signs = np.sign(np.diff(past.close)[-10:])
    return math.fsum(signs * past.volume[-10:]) / math.fsum(past.volume[-10:])


def chaikin_money_flow(past: Past) -> float:
    flow = 0.0
    for i in rows_of(past, 20):
        high, low, close = past.high[i], past.low[i], past.close[i]
        if high > low:
            flow += ((close - low) - (high - close)) / (high - low) * past.volume[i]
    return flow / math.fsum(past.volume[-20:])


def vwap_distance(past: Past) -> float:
    money = math.fsum(typical_prices(past)[-20:] * past.volume[-20:])
    return math.log(past.close[-1] / (money / math.fsum(past.volume[-20:])))


def edge_spread(past: Past, bars: int = 21) -> float:
    """The efficient combination of moments over `bars` pairs of bars, with the square's sign."""
    o, h, low, c = (np.log(x[-bars - 1 :]) for x in (past.open, past.high, past.low, past.close))
    m = (h + low) / 2.0
    pairs = range(1, bars + 1)
    # Bars that stay at the close before say nothing of the spread.
    moves = [float(h[t] != low[t] or low[t] != c[t - 1]) for t in pairs]

    def share_off_the_edges(price: Array, lag: int) -> float:
        edges = [
            moves[t - 1]
            * (float(price[t - lag] != h[t - lag]) + float(price[t - lag] != low[t - lag]))
            for t in pairs
        ]
        return average(edges) / 2.0

    p_moves = average(moves)
    p_open, p_close = share_off_the_edges(o, 0), share_off_the_edges(c, 1)
    if sum(moves) < 2.0 or p_open == 0.0 or p_close == 0.0:
        return math.nan

    def centred(values: list[float]) -> list[float]:
        middle = average(values)
        return [r - move * middle / p_moves for r, move in zip(values, moves, strict=True)]

    from_open = centred([m[t] - o[t] for t in pairs])
    to_middle = centred([m[t] - c[t - 1] for t in pairs])
    to_open = centred([o[t] - c[t - 1] for t in pairs])
    first: list[float] = []
    second: list[float] = []
    for t, om, cm, co in zip(pairs, from_open, to_middle, to_open, strict=True):
        open_to_middle, middle_to_close = o[t] - m[t - 1], c[t - 1] - m[t - 1]
        gap = o[t] - c[t - 1]
        first.append(-2.0 / p_open * om * open_to_middle - 2.0 / p_close * cm * middle_to_close)
        second.append(-2.0 / p_open * om * gap - 2.0 / p_close * co * middle_to_close)
    one, two = average(first), average(second)
    one_variance, two_variance = deviation(first) ** 2, deviation(second) ** 2
    total = one_variance + two_variance
    square = (two_variance * one + one_variance * two) / total if total > 0.0 else (one + two) / 2.0
    return math.copysign(math.sqrt(abs(square)), square)


def corwin_schultz_21(past: Past) -> float:
    """Equations 14 and 18 of the paper; neither moved for gaps nor floored at 0."""
    found: list[float] = []
    root = 3.0 - 2.0 * math.sqrt(2.0)
    for i in rows_of(past, 21):
        one, other = (math.log(past.high[k] / past.low[k]) for k in (i, i - 1))
        beta = one**2 + other**2
        highest, lowest = max(past.high[i - 1 : i + 1]), min(past.low[i - 1 : i + 1])
        gamma = math.log(highest / lowest) ** 2
        alpha = (math.sqrt(2.0 * beta) - math.sqrt(beta)) / root - math.sqrt(gamma / root)
        found.append(2.0 * (math.exp(alpha) - 1.0) / (1.0 + math.exp(alpha)))
    return average(found)


def abdi_ranaldo_21(past: Past) -> float:
    middle = (np.log(past.high) + np.log(past.low)) / 2.0
    close = np.log(past.close)
    last = len(close) - 1
    products = [(close[t] - middle[t]) * (close[t] - middle[t + 1]) for t in range(last - 21, last)]
    return math.sqrt(max(4.0 * average(products), 0.0))


def roll_spread_21(past: Past) -> float:
    now, before = past.log_return[-21:], past.log_return[-22:-1]
    covariance = average((now - average(now)) * (before - average(before)))
    return 2.0 * math.sqrt(max(-covariance, 0.0))


def amihud_21(past: Past) -> float:
    ratios = [
        abs(past.log_return[-k]) / past.dollar_volume[-k]
        for k in range(1, 22)
        if past.dollar_volume[-k] > 0.0
    ]
    return math.log(average(ratios))


def bought_share(past: Past, row: int) -> float:
    """Share of a bar's volume that was bought, of its return in units of 21 returns' sd."""
    scale = deviation(past.log_return[row - 20 : row + 1])
    return 0.5 * (1.0 + math.erf(past.log_return[row] / scale / math.sqrt(2.0)))


def regress(y: Array, x: Array) -> tuple[float, list[float]]:
    """Slope and residuals of the least-squares line of y on x."""
    x_mean, y_mean = average(x), average(y)
    slope = math.fsum((x - x_mean) * (y - y_mean)) / math.fsum((x - x_mean) ** 2)
    return slope, [b - y_mean - slope * (a - x_mean) for a, b in zip(x, y, strict=True)]


def kyle_lambda_21(past: Past) -> float:
    billions = past.dollar_volume / 1e9
    signed = [billions[i] * (2.0 * bought_share(past, i) - 1.0) for i in rows_of(past, 21)]
    return regress(past.log_return[-21:], np.array(signed))[0]


def signed_volume_imbalance_21(past: Past) -> float:
    signed = [past.volume[i] * (2.0 * bought_share(past, i) - 1.0) for i in rows_of(past, 21)]
    return math.fsum(signed) / math.fsum(past.volume[-21:])


def vpin_50(past: Past) -> float:
    slice_size = math.fsum(past.volume[-50:]) / 50.0
    bought = [0.0] * 50
    sold = [0.0] * 50
    filled = 0.0
    for i in rows_of(past, 50):
        left, share = past.volume[i], bought_share(past, i)
        while left > 0.0:
            place = min(int(filled / slice_size + 1e-12), 49)
            room = (place + 1) * slice_size - filled if place < 49 else left
            part = min(left, room)
            bought[place] += part * share
            sold[place] += part * (1.0 - share)
            filled += part
            left -= part
    return average([abs(b - s) / slice_size for b, s in zip(bought, sold, strict=True)])


def market_line(past: Past) -> tuple[float, list[float]]:
    return regress(past.log_return[-63:], past.market_return[-63:])


def idiosyncratic_volatility(past: Past) -> float:
    return deviation(market_line(past)[1])


def residual_z(past: Past) -> float:
    residuals = market_line(past)[1]
    return residuals[-1] / deviation(residuals)


LIQUIDITY: dict[str, Formula] = {
    "ewma_volatility": ewma_volatility,
    "volatility_1d": ewma_volatility,
    "parkinson_21": parkinson_21,
    "garman_klass_21": garman_klass_21,
    "yang_zhang_21": yang_zhang_21,
    "atr_percent_14": lambda past: 100.0 * average_true_range(past, 14) / past.close[-1],
    "bollinger_percent_b_20": percent_b,
    "bollinger_width_20": bollinger_width,
    "keltner_width_20": keltner_width,
    "volatility_of_volatility_63": volatility_of_volatility,
    "semi_deviation_ratio_63": semi_deviation_ratio,
    "high_low_range": lambda past: math.log(past.high[-1] / past.low[-1]),
    "dollar_volume_z_63": lambda past: z_score(np.log(1.0 + past.dollar_volume[-63:])),
    "volume_z_63": lambda past: z_score(np.log(1.0 + past.volume[-63:])),
    "obv_change_10": obv_change_10,
    "chaikin_money_flow_20": chaikin_money_flow,
    "vwap_distance_20": vwap_distance,
    "edge_spread_21": edge_spread,
    "corwin_schultz_21": corwin_schultz_21,
    "abdi_ranaldo_21": abdi_ranaldo_21,
    "roll_spread_21": roll_spread_21,
    "amihud_21": amihud_21,
    "kyle_lambda_21": kyle_lambda_21,
    "vpin_50": vpin_50,
    "signed_volume_imbalance_21": signed_volume_imbalance_21,
    "beta_63": lambda past: market_line(past)[0],
    "idiosyncratic_volatility_63": idiosyncratic_volatility,
    "residual_z_63": residual_z,
    "sector_relative_return_21": lambda past: math.fsum(
        past.log_return[-21:] - past.sector_return[-21:]
    ),
}
