"""The formulas of returns, trend and oscillators as they are printed, for the newest bar.

Each is written from the stated formula and its source, not from the code that is tested: plain
loops over the bars that a formula names. `Past` ends with the bar whose value is asked for.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Past:
    """Columns of one symbol up to and including the bar of the value, arrays (T,)."""

    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array
    dollar_volume: Array
    log_return: Array
    overnight_gap: Array
    market_return: Array
    sector_return: Array

    def until(self, row: int) -> "Past":
        return replace(self, **{f.name: getattr(self, f.name)[: row + 1] for f in fields(self)})

    def before(self, bars: int) -> "Past":
        return self.until(len(self.close) - 1 - bars)


Formula = Callable[[Past], float]


def average(values: Sequence[float] | Array) -> float:
    return math.fsum(values) / len(values)


def deviation(values: Sequence[float] | Array, lost: int = 0) -> float:
    middle = average(values)
    return math.sqrt(math.fsum((x - middle) ** 2 for x in values) / (len(values) - lost))


def z_score(values: Array) -> float:
    return (values[-1] - average(values)) / deviation(values)


def cut_ema(values: Array, bars: int) -> float:
    decay = 1.0 - 2.0 / (bars + 1.0)
    newest_first = values[::-1][: min(4 * bars, 252)]
    weights = [decay**age for age in range(len(newest_first))]
    return math.fsum(w * x for w, x in zip(weights, newest_first, strict=True)) / math.fsum(weights)


def recursive_ema(values: Sequence[float] | Array, bars: int) -> list[float]:
    found = [float(values[0])]
    for value in values[1:]:
        found.append(found[-1] + 2.0 / (bars + 1.0) * (value - found[-1]))
    return found


def wilder(values: Sequence[float] | Array, bars: int) -> list[float]:
    """Wilder's average from the bar at which the first `bars` values are known."""
    found = [average(values[:bars])]
    for value in values[bars:]:
        found.append((found[-1] * (bars - 1) + value) / bars)
    return found


def true_ranges(past: Past) -> list[float]:
    """From the second bar on."""
    return [
        max(past.high[i], past.close[i - 1]) - min(past.low[i], past.close[i - 1])
        for i in range(1, len(past.close))
    ]


def average_true_range(past: Past, bars: int) -> float:
    return wilder(true_ranges(past), bars)[-1]


def typical_prices(past: Past) -> Array:
    return (past.high + past.low + past.close) / 3.0


def log_return(bars: int) -> Formula:
    return lambda past: math.fsum(past.log_return[-bars:])


def momentum_12_1(past: Past) -> float:
    return math.log(past.close[-22] / past.close[-253])


def gap_in_ranges(past: Past) -> float:
    return (past.open[-1] - past.close[-2]) / average_true_range(past.before(1), 14)


def skewness(past: Past) -> float:
    window = past.log_return[-63:]
    middle, spread = average(window), deviation(window)
    return average([((r - middle) / spread) ** 3 for r in window])


def ema_ratio(bars: int) -> Formula:
    return lambda past: past.close[-1] / cut_ema(past.close, bars) - 1.0


def macd_lines(past: Past) -> tuple[float, float]:
    fast, slow = recursive_ema(past.close, 12), recursive_ema(past.close, 26)
    line = [a - b for a, b in zip(fast, slow, strict=True)]
    return line[-1], recursive_ema(line, 9)[-1]


def macd_line(past: Past) -> float:
    return macd_lines(past)[0] / average_true_range(past, 14)


def macd_signal(past: Past) -> float:
    return macd_lines(past)[1] / average_true_range(past, 14)


def macd_histogram(past: Past) -> float:
    line, signal = macd_lines(past)
    return (line - signal) / average_true_range(past, 14)


def directions(past: Past) -> list[tuple[float, float]]:
    """Wilder's +DI and -DI of 14 bars, percent, of each bar from the first that has them."""
    up: list[float] = []
    down: list[float] = []
    for i in range(1, len(past.close)):
        rise = past.high[i] - past.high[i - 1]
        fall = past.low[i - 1] - past.low[i]
        up.append(rise if rise > fall and rise > 0.0 else 0.0)
        down.append(fall if fall > rise and fall > 0.0 else 0.0)
    averages = (wilder(column, 14) for column in (up, down, true_ranges(past)))
    return [(100.0 * p / r, 100.0 * m / r) for p, m, r in zip(*averages, strict=True)]


def adx_14(past: Past) -> float:
    return wilder([100.0 * abs(p - m) / (p + m) for p, m in directions(past)], 14)[-1]


def aroon_oscillator_25(past: Past) -> float:
    highs, lows = past.high[-26:].tolist(), past.low[-26:].tolist()
    since_high = 25 - highs.index(max(highs))
    since_low = 25 - lows.index(min(lows))
    return 100.0 * (since_low - since_high) / 25.0


def line_certainty_21(past: Past) -> float:
    y = [math.log(price) for price in past.close[-21:]]
    x = list(range(21))
    x_mean, y_mean = average(x), average(y)
    spread = math.fsum((a - x_mean) ** 2 for a in x)
    slope = math.fsum((a - x_mean) * (b - y_mean) for a, b in zip(x, y, strict=True)) / spread
    residuals = [b - y_mean - slope * (a - x_mean) for a, b in zip(x, y, strict=True)]
    variance = math.fsum(e * e for e in residuals) / (21 - 2)
    return slope / math.sqrt(variance / spread)


def parabolic_side(past: Past) -> float:
    """Wilder's stop-and-reverse system, entered long at the second bar."""
    high, low = past.high, past.low
    is_long, stop, extreme, factor = True, low[0], high[1], 0.02
    for i in range(2, len(high)):
        stop += factor * (extreme - stop)
        # The stop never enters the range of the two bars before.
        edge = min(low[i - 1], low[i - 2]) if is_long else max(high[i - 1], high[i - 2])
        stop = min(stop, edge) if is_long else max(stop, edge)
        if (low[i] if is_long else -high[i]) <= (stop if is_long else -stop):
            is_long, stop, factor = not is_long, extreme, 0.02
            extreme = high[i] if is_long else low[i]
            continue
        farther = max(extreme, high[i]) if is_long else min(extreme, low[i])
        if farther != extreme:
            extreme, factor = farther, min(factor + 0.02, 0.2)
    return 1.0 if is_long else -1.0


def relative_strengths(past: Past, bars: int) -> list[float]:
    change = np.diff(past.close)
    up = wilder([max(c, 0.0) for c in change], bars)
    down = wilder([max(-c, 0.0) for c in change], bars)
    return [100.0 - 100.0 / (1.0 + u / d) for u, d in zip(up, down, strict=True)]


def fast_stochastic(past: Past) -> float:
    lowest, highest = min(past.low[-14:]), max(past.high[-14:])
    return 100.0 * (past.close[-1] - lowest) / (highest - lowest)


def stochastic_k_14(past: Past) -> float:
    return average([fast_stochastic(past.before(k)) for k in range(3)])


def stochastic_d_14(past: Past) -> float:
    return average([stochastic_k_14(past.before(k)) for k in range(3)])


def stochastic_rsi_14(past: Past) -> float:
    window = relative_strengths(past, 14)[-14:]
    return 100.0 * (window[-1] - min(window)) / (max(window) - min(window))


def cci_20(past: Past) -> float:
    window = typical_prices(past)[-20:]
    middle = average(window)
    return (window[-1] - middle) / (0.015 * average([abs(x - middle) for x in window]))


def williams_r_14(past: Past) -> float:
    lowest, highest = min(past.low[-14:]), max(past.high[-14:])
    return 100.0 * (past.close[-1] - highest) / (highest - lowest)


def cmo_20(past: Past) -> float:
    change = np.diff(past.close)[-20:]
    rises = math.fsum(c for c in change if c > 0.0)
    falls = math.fsum(-c for c in change if c < 0.0)
    return 100.0 * (rises - falls) / (rises + falls)


def mfi_14(past: Past) -> float:
    typical = typical_prices(past)
    rising = flow = 0.0
    for i in range(len(typical) - 14, len(typical)):
        money = typical[i] * past.volume[i]
        if typical[i] > typical[i - 1]:
            rising += money
        if typical[i] != typical[i - 1]:
            flow += money
    return 100.0 * rising / flow if flow > 0.0 else 50.0


def ultimate_oscillator(past: Past) -> float:
    total = 0.0
    for bars, weight in ((7, 4.0), (14, 2.0), (28, 1.0)):
        pressure = ranges = 0.0
        for i in range(len(past.close) - bars, len(past.close)):
            true_low = min(past.low[i], past.close[i - 1])
            pressure += past.close[i] - true_low
            ranges += max(past.high[i], past.close[i - 1]) - true_low
        total += weight * pressure / ranges
    return 100.0 * total / 7.0


def fisher_9(past: Past) -> float:
    middle = (past.high + past.low) / 2.0
    value = fisher = 0.0
    for i in range(8, len(middle)):
        window = middle[i - 8 : i + 1]
        place = (middle[i] - min(window)) / (max(window) - min(window))
        value = 0.33 * 2.0 * (place - 0.5) + 0.67 * value
        value = min(max(value, -0.999), 0.999)
        fisher = 0.5 * math.log((1.0 + value) / (1.0 - value)) + 0.5 * fisher
    return fisher


FORMULAS: dict[str, Formula] = {
    **{f"log_return_{bars}": log_return(bars) for bars in (1, 2, 3, 5, 10, 21, 63)},
    "high_252_distance": lambda past: math.log(past.close[-1] / max(past.high[-252:])),
    "up_day_share_21": lambda past: sum(r > 0.0 for r in past.log_return[-21:]) / 21.0,
    "skew_63": skewness,
    "momentum_12_1": momentum_12_1,
    "overnight_gap": lambda past: math.log(past.open[-1] / past.close[-2]),
    "intraday_return": lambda past: math.log(past.close[-1] / past.open[-1]),
    "gap_in_ranges": gap_in_ranges,
    **{f"ema_ratio_{bars}": ema_ratio(bars) for bars in (5, 10, 20, 50, 200)},
    "macd_line": macd_line,
    "macd_signal": macd_signal,
    "macd_histogram": macd_histogram,
    "adx_14": adx_14,
    "plus_di_14": lambda past: directions(past)[-1][0],
    "minus_di_14": lambda past: directions(past)[-1][1],
    "aroon_oscillator_25": aroon_oscillator_25,
    "line_certainty_21": line_certainty_21,
    "parabolic_side": parabolic_side,
    "rsi_7": lambda past: relative_strengths(past, 7)[-1],
    "rsi_14": lambda past: relative_strengths(past, 14)[-1],
    "stochastic_k_14": stochastic_k_14,
    "stochastic_d_14": stochastic_d_14,
    "stochastic_rsi_14": stochastic_rsi_14,
    "cci_20": cci_20,
    "williams_r_14": williams_r_14,
    "roc_12": lambda past: 100.0 * (past.close[-1] / past.close[-13] - 1.0),
    "cmo_20": cmo_20,
    "mfi_14": mfi_14,
    "ultimate_oscillator": ultimate_oscillator,
    "fisher_9": fisher_9,
}
