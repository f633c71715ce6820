import math
import re
from collections.abc import Callable
from dataclasses import replace
from inspect import getsource
from itertools import pairwise

import numpy as np
import pytest

from trading_assets.features import expressions, operations
from trading_assets.features.compiled import machine
from trading_assets.features.compiled.machine import execute
from trading_assets.features.compiled.streaming import collect_rows
from trading_assets.features.expressions import Column, Operation, bar_input
from trading_assets.features.operations import CLOSE, HIGH, LOW
from trading_assets.features.program import Program, build_program, first_rows
from trading_assets_tests.features.reference_formulas import Past
from trading_assets_tests.features.reference_liquidity import edge_spread
from trading_assets_tests.features.reference_scaling import scale_rows

Columns = dict[str, np.ndarray]
ROWS = 300
# `late` is known from row 5 on.
STARTS = {"x": 0, "y": 0, "share": 0, "volume": 0, "late": 5}
X, Y, SHARE, VOLUME, LATE = map(bar_input, STARTS)


def make_columns() -> Columns:
    """Inputs with ties, zeros of both signs and stretches of one value."""
    rng = np.random.default_rng(6)
    x = np.round(rng.normal(0.0, 2.0, ROWS), 1)
    x[100:140] = 0.7
    y = np.round(rng.normal(1.0, 2.0, ROWS), 1)
    y[120:150] = 0.0
    late = rng.normal(size=ROWS)
    late[: STARTS["late"]] = np.nan
    close = 50.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, ROWS)))
    opening = close * np.exp(rng.normal(0.0, 0.01, ROWS))
    volume = np.where(rng.random(ROWS) < 0.3, 0.0, rng.integers(1, 1000, ROWS).astype(float))
    volume[200:230] = 0.0
    flat = rng.random(ROWS) < 0.1
    return {
        "x": x,
        "y": y,
        "share": np.clip(rng.normal(0.5, 0.5, ROWS), 0.0, 1.0),
        "volume": volume,
        "late": late,
        "open": np.where(flat, close, opening),
        "high": np.where(flat, close, np.maximum(opening, close) * 1.002),
        "low": np.where(flat, close, np.minimum(opening, close) / 1.003),
        "close": close,
    }


COLUMNS = make_columns()


def window(name: str, t: int, bars: int) -> list[float]:
    return COLUMNS[name][t - bars + 1 : t + 1].tolist()


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def sd(values: list[float]) -> float:
    return math.sqrt(mean([(v - mean(values)) ** 2 for v in values]))


def co(t: int, bars: int) -> float:
    x, y = window("x", t, bars), window("y", t, bars)
    return mean([(a - mean(x)) * (b - mean(y)) for a, b in zip(x, y, strict=True)])


def skew(t: int) -> float:
    x = window("x", t, 9)
    return mean([(v - mean(x)) ** 3 for v in x]) / sd(x) ** 3 if sd(x) > 1e-12 else 0.0


def age(t: int, bars: int, best: Callable[[list[float]], float]) -> float:
    newest_first = window("x", t, bars)[::-1]
    return float(newest_first.index(best(newest_first)))


def line(t: int, bars: int) -> tuple[float, float]:
    values = window("x", t, bars)
    (slope, level), rest, *_ = np.polyfit(np.arange(bars), values, 1, full=True)
    del level
    spread = sum((k - (bars - 1) / 2) ** 2 for k in range(bars))
    if sd(values) < 1e-12:
        return 0.0, 0.0
    return slope, slope / math.sqrt(rest[0] / (bars - 2) / spread)


def fractional(t: int) -> float:
    weight, total = 1.0, 0.0
    for k in range(12):
        total += weight * COLUMNS["x"][t - k]
        weight *= -(0.4 - k) / (k + 1)
    return total


def smoothed(t: int) -> float:
    level = COLUMNS["late"][5]
    for u in range(6, t + 1):
        level = 0.8 * level + 0.2 * COLUMNS["late"][u]
    return level


def fisher(t: int) -> tuple[float, float]:
    transformed = position = 0.0
    for u in range(t + 1):
        position = 0.33 * 2.0 * (COLUMNS["share"][u] - 0.5) + 0.67 * position
        position = max(-0.999, min(0.999, position))
        transformed = math.atanh(position) + 0.5 * transformed
    return transformed, position


def parabolic(t: int) -> tuple[float, float, float, float]:
    """Stop, extreme, acceleration and side, of mirrored prices while short."""
    high, low = COLUMNS["high"], COLUMNS["low"]
    side = 1.0 if max(high[1] - high[0], 0.0) >= low[0] - low[1] else -1.0
    mirrored = {1.0: (high, low), -1.0: (-low, -high)}
    top, bottom = mirrored[side]
    stop, best, pace = bottom[0], top[1], 0.02
    for u in range(2, t + 1):
        stop = min(stop + pace * (best - stop), bottom[u - 1], bottom[u - 2])
        if bottom[u] <= stop:
            stop, side = -max(best, top[u], top[u - 1]), -side
            top, bottom = mirrored[side]
            best, pace = top[u], 0.02
        elif top[u] > best:
            best, pace = top[u], min(pace + 0.02, 0.2)
    return side * stop, side * best, pace, side


def movement(t: int) -> tuple[float, float]:
    up = COLUMNS["high"][t] - COLUMNS["high"][t - 1]
    down = COLUMNS["low"][t - 1] - COLUMNS["low"][t]
    return max(up, 0.0) * (up > down), max(down, 0.0) * (down > up)


def spread(t: int) -> float:
    prices = {name: COLUMNS[name][: t + 1] for name in ("open", "high", "low", "close")}
    others = dict.fromkeys(Past.__dataclass_fields__.keys() - prices.keys(), np.empty(0))
    return edge_spread(Past(**prices, **others), 15)


def flow(t: int) -> float:
    """Every slice cut out of the line of all volume, between its two ends."""
    volumes, shares = window("volume", t, 20), window("share", t, 20)
    total, imbalance = sum(volumes), 0.0
    for place in range(8 if total else 0):
        begin, end = total * place / 8, total * (place + 1) / 8
        passed, net = 0.0, 0.0
        for volume, share in zip(volumes, shares, strict=True):
            inside = max(min(end, passed + volume) - max(begin, passed), 0.0)
            net += inside * share
            passed += volume
        imbalance += abs(net)
    return imbalance / total if total else 0.0


def at(name: str, t: int) -> float:
    return float(COLUMNS[name][t])


DECAY = [0.9**k for k in range(10)]
Case = tuple[Column, Callable[[int], float]]
COMOMENTS = operations.covariance(X, Y, 11)
PARABOLIC = operations.parabolic_stop(HIGH, LOW)
FISHER = operations.fisher_transform(SHARE)
CASES: dict[str, Case] = {
    "add": (X + Y, lambda t: at("x", t) + at("y", t)),
    "subtract": (X - Y, lambda t: at("x", t) - at("y", t)),
    "multiply": (X * Y, lambda t: at("x", t) * at("y", t)),
    "affine": (3.0 - X, lambda t: 3.0 - at("x", t)),
    "affine factor": (2.5 * X, lambda t: 2.5 * at("x", t)),
    "divide": (
        operations.divide(X, Y, 9.0),
        lambda t: at("x", t) / at("y", t) if at("y", t) else 9.0,
    ),
    "maximum": (operations.maximum(X, Y), lambda t: max(at("x", t), at("y", t))),
    "minimum": (operations.minimum(X, Y), lambda t: min(at("x", t), at("y", t))),
    "log": (operations.log(X, 0.01), lambda t: math.log(max(at("x", t), 0.01))),
    "exponential": (operations.exponential(X), lambda t: math.e ** at("x", t)),
    "square_root": (operations.square_root(X), lambda t: max(at("x", t), 0.0) ** 0.5),
    "absolute": (operations.absolute(X), lambda t: max(at("x", t), -at("x", t))),
    "positive": (operations.positive(X), lambda t: max(at("x", t), 0.0)),
    "negative": (operations.negative(X), lambda t: max(-at("x", t), 0.0)),
    "sign": (operations.sign(Y), lambda t: float(np.sign(at("y", t)))),
    "normal_probability": (
        operations.normal_probability(X),
        lambda t: 0.5 + 0.5 * math.erf(at("x", t) / math.sqrt(2.0)),
    ),
    "lag": (operations.lag(X, 7), lambda t: at("x", t - 7)),
    "change": (operations.change(X, 3), lambda t: at("x", t) - at("x", t - 3)),
    "rolling_sum": (operations.rolling_sum(X, 10), lambda t: sum(window("x", t, 10))),
    "rolling_sum late": (operations.rolling_sum(LATE, 4), lambda t: sum(window("late", t, 4))),
    "decayed_sum": (
        operations.decayed_mean(X, 0.9, 10),
        lambda t: float(np.average(window("x", t, 10)[::-1], weights=DECAY)),
    ),
    "mean_of": (operations.mean_of(X, 9), lambda t: mean(window("x", t, 9))),
    "deviation": (operations.deviation(X, 9), lambda t: sd(window("x", t, 9))),
    "skewness": (operations.skewness(X, 9), skew),
    "covariance": (COMOMENTS, lambda t: co(t, 11)),
    "variance x": (replace(COMOMENTS, output=1), lambda t: sd(window("x", t, 11)) ** 2),
    "variance y": (replace(COMOMENTS, output=2), lambda t: sd(window("y", t, 11)) ** 2),
    "highest": (operations.highest(X, 8), lambda t: max(window("x", t, 8))),
    "bars_since_highest": (operations.bars_since_highest(X, 8), lambda t: age(t, 8, max)),
    "lowest": (operations.lowest(X, 8), lambda t: min(window("x", t, 8))),
    "bars_since_lowest": (operations.bars_since_lowest(X, 8), lambda t: age(t, 8, min)),
    "mean_distance": (
        operations.mean_distance(X, 6),
        lambda t: mean([abs(v - mean(window("x", t, 6))) for v in window("x", t, 6)]),
    ),
    "line_slope": (operations.line_slope(X, 10), lambda t: line(t, 10)[0]),
    "line_certainty": (operations.line_certainty(X, 10), lambda t: line(t, 10)[1]),
    "fractional_difference": (operations.fractional_difference(X, 0.4, 12), fractional),
    "smooth": (operations.exponential_mean(LATE, 9), smoothed),
    "accumulate": (operations.accumulate(X), lambda t: sum(COLUMNS["x"][: t + 1])),
    "fisher": (FISHER, lambda t: fisher(t)[0]),
    "fisher position": (replace(FISHER, output=1), lambda t: fisher(t)[1]),
    "parabolic stop": (PARABOLIC, lambda t: parabolic(t)[0]),
    "parabolic extreme": (replace(PARABOLIC, output=1), lambda t: parabolic(t)[1]),
    "parabolic acceleration": (replace(PARABOLIC, output=2), lambda t: parabolic(t)[2]),
    "parabolic side": (operations.parabolic_side(HIGH, LOW), lambda t: parabolic(t)[3]),
    "true_range": (
        operations.true_range(HIGH, LOW, CLOSE),
        lambda t: max(at("high", t), at("close", t - 1)) - min(at("low", t), at("close", t - 1)),
    ),
    "rising_movement": (operations.rising_movement(HIGH, LOW), lambda t: movement(t)[0]),
    "falling_movement": (operations.falling_movement(HIGH, LOW), lambda t: movement(t)[1]),
    "edge_spread": (operations.edge_spread(15), spread),
    "informed_flow": (operations.informed_flow(SHARE * VOLUME, VOLUME, 8, 20), flow),
}


PROGRAM = build_program({name: column for name, (column, _) in CASES.items()})


def fresh_table(program: Program = PROGRAM) -> tuple[np.ndarray, np.ndarray]:
    table = np.full((program.n_slots, ROWS), -7e77)
    for slot, name in enumerate(program.inputs):
        table[slot] = COLUMNS[name]
    return table, first_rows(program, np.array([STARTS.get(name, 0) for name in program.inputs]))


def run(stops: list[int]) -> np.ndarray:
    table, first = fresh_table()
    for start, stop in zip([0, *stops], [*stops, ROWS], strict=True):
        execute(PROGRAM.instructions, PROGRAM.parameters, table, first, start, stop)
    return table


@pytest.fixture(scope="module")
def at_once() -> np.ndarray:
    return run([])


def first_row(column: Column) -> int:
    if column.operation is None:
        return STARTS.get(column.name, 0)
    return column.delay + max(first_row(source) for source in column.inputs)


@pytest.mark.parametrize("name", CASES)
def test_an_operation_is_the_naive_loop(at_once: np.ndarray, name: str):
    column, naive = CASES[name]
    values = at_once[PROGRAM.outputs[list(CASES).index(name)]]
    _, first = fresh_table()
    begin = first[PROGRAM.outputs[list(CASES).index(name)]]
    assert begin == first_row(column)
    assert np.isnan(values[:begin]).all()
    expected = [naive(t) for t in range(begin, ROWS)]
    np.testing.assert_allclose(values[begin:], expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_blocks_of_any_size_give_the_bytes_of_one_call(at_once: np.ndarray, seed: int):
    rng = np.random.default_rng(seed)
    stops = sorted(rng.choice(np.arange(1, ROWS), 12 * seed, replace=False).tolist())
    assert run(stops).tobytes() == at_once.tobytes()


def test_one_row_at_a_time_gives_the_bytes_of_one_call(at_once: np.ndarray):
    assert run(list(range(1, ROWS))).tobytes() == at_once.tobytes()


def test_a_row_does_not_depend_on_later_ones(at_once: np.ndarray):
    table, first = fresh_table()
    table[:, 200:] = 1e9
    execute(PROGRAM.instructions, PROGRAM.parameters, table, first, 0, ROWS)
    assert table[:, :200].tobytes() == at_once[:, :200].tobytes()
    assert table[:, 200:].tobytes() != at_once[:, 200:].tobytes()


def known_operations() -> dict[int, Operation]:
    found = [v for m in (operations, expressions) for v in vars(m).values()]
    return {v.code: v for v in found if isinstance(v, Operation)}


def test_every_operation_has_one_branch_of_the_machine_and_a_case():
    branches = re.findall(r"\bcode == (\d+):", getsource(machine))
    assert len(branches) == len(set(branches))
    assert set(map(int, branches)) == known_operations().keys()
    assert set(PROGRAM.instructions[:, 0].tolist()) == known_operations().keys()


@pytest.mark.parametrize("operation", known_operations().values(), ids=lambda o: o.name)
def test_every_output_of_an_operation_is_written(at_once: np.ndarray, operation: Operation):
    rows = PROGRAM.instructions[PROGRAM.instructions[:, 0] == operation.code]
    # Up to four smoothings are one instruction.
    most = 4 if operation.name == "smooth" else 1
    assert set(rows[:, 3].tolist()) <= {operation.n_outputs * k for k in range(1, most + 1)}
    for slot, count in rows[:, 2:4]:
        assert not (at_once[slot : slot + count] == -7e77).any()


def scaled(values: np.ndarray, bars: int, stops: list[int] | None = None) -> np.ndarray:
    """Columns (F, T) scaled, in one call or in blocks that end at some rows."""
    features, rows = values.shape
    known = np.isnan(values).argmin(axis=1)
    windows, counts = np.full(features, bars), np.full(features, -1)
    ordered = np.empty((features, bars + 1))
    parts = []
    for start, stop in pairwise([0, *(stops or []), rows]):
        out = np.empty((features, stop - start), np.float32)
        slots = np.arange(features)
        collect_rows(values, slots, known, windows, 63, ordered, counts, start, out)
        parts.append(out)
    return np.concatenate(parts, axis=1)


def hostile_columns() -> np.ndarray:
    values = np.random.default_rng(2).standard_t(3, (10, 700))
    values[1] = np.round(values[1])
    values[2] = 1.0
    values[3, ::2] = 0.0
    values[4, :500] = np.nan
    values[5] *= 1e-9
    values[6, 100:140] = np.nan
    values[7] += 1e7
    values[8] = np.arange(700) ** 1.5
    values[9] = -values[8]
    return values


def test_scaling_gives_the_bytes_of_sorting_each_window():
    values = hostile_columns()
    expected = scale_rows(values.T.copy(), np.arange(700), 252).T.astype(np.float32)
    assert np.array_equal(scaled(values, 252), expected, equal_nan=True)
    assert np.isfinite(expected).any(axis=1).all()


def test_scaling_in_blocks_gives_the_bytes_of_one_call():
    values = hostile_columns()
    whole = scaled(values, 100)
    assert scaled(values, 100, [1, 60, 61, 300, 305]).tobytes() == whole.tobytes()
    assert scaled(values, 100, list(range(1, 700))).tobytes() == whole.tobytes()


def test_scaling_is_the_robust_score_of_the_known_values_of_the_window():
    values = np.random.default_rng(2).normal(size=300)
    values[:50] = np.nan
    (found,) = scaled(values[None], 100)
    assert np.isnan(found[:112]).all()
    for row in range(112, 300):
        past = values[max(50, row - 99) : row + 1]
        median = np.median(past)
        score = (values[row] - median) / (1.4826 * np.median(np.abs(past - median)))
        assert found[row] == pytest.approx(np.clip(score, -5.0, 5.0), rel=1e-6)


def test_scaling_a_mostly_constant_window_gives_zero_or_the_clip():
    values = np.full(100, 2.0)
    values[-1] = 2.5
    assert scaled(values[None], 80)[0, -2:].tolist() == [0.0, 5.0]
