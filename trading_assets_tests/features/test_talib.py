from collections.abc import Collection

import numpy as np
import pytest

from trading_assets.features.compiled.machine import execute
from trading_assets.features.program import build_program, first_rows
from trading_assets_tests.features.shared_indicators import SHARED, talib_columns

pytest.importorskip("talib", reason="TA-Lib is not installed: run `make setup`")

RUN_IN = 2_000
Columns = dict[str, np.ndarray]


def minute_bars(seed: int, count: int = 10_000) -> Columns:
    """One-minute bars of about 5 basis points volatility."""
    rng = np.random.default_rng(seed)
    path = 4.0 + np.cumsum(rng.normal(0.0, 0.0005, count))
    opening = np.concatenate(([path[0]], path[:-1])) + rng.normal(0.0, 0.0001, count)
    top = np.maximum(opening, path) + rng.exponential(0.0003, count)
    bottom = np.minimum(opening, path) - rng.exponential(0.0003, count)
    prices = (opening, top, bottom, path)
    named = dict(zip(("open", "high", "low", "close"), map(np.exp, prices), strict=True))
    return {**named, "volume": np.round(rng.lognormal(7.0, 1.0, count))}


def own_columns(bars: Columns) -> Columns:
    program = build_program(SHARED)
    count = len(bars["close"])
    table = np.empty((program.n_slots, count))
    for slot, name in enumerate(program.inputs):
        table[slot] = bars[name]
    first = first_rows(program, np.zeros(len(program.inputs), dtype=np.int64))
    execute(program.instructions, program.parameters, table, first, 0, count)
    return dict(zip(SHARED, table[program.outputs], strict=True))


def check(bars: Columns, names: Collection[str]) -> None:
    own, golden = own_columns(bars), talib_columns(**bars)
    assert set(own) == set(golden)
    for name in names:
        b = golden[name][RUN_IN:]
        assert np.isfinite(b).all(), name
        allowed = 1e-6 * np.maximum(np.abs(b), np.median(np.abs(b)))
        assert (np.abs(own[name][RUN_IN:] - b) <= allowed).all(), name
        assert b.std() > 0.0, name


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_shared_indicators_are_those_of_talib(seed: int):
    check(minute_bars(seed), SHARED)


def test_prices_in_whole_cents_are_often_equal_and_change_no_agreement():
    bars = minute_bars(4)
    in_cents = {name: np.round(bars[name], 2) for name in ("open", "high", "low", "close")}
    # Whether two typical prices of cents are equal is decided by the rounding of their sums.
    check({**bars, **in_cents}, SHARED.keys() - {"mfi_14"})


def test_there_are_thirty_of_them():
    assert len(SHARED) == 30
