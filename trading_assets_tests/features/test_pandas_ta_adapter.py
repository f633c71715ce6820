import sys

import numpy as np
import pandas as pd
import pytest

from trading_assets.errors import DataError
from trading_assets.features import pandas_ta_adapter as adapter
from trading_assets.features.adjustment import SymbolBars, adjust_forward
from trading_assets.features.pandas_ta_adapter import compute_indicator, compute_indicators
from trading_assets.features.pandas_ta_table import OUTPUTS
from trading_assets_tests.features.synthetic_bars import make_bars

_, LIBRARY = adapter._libraries()
FIELDS = ("open", "high", "low", "close", "volume")
# Remembered until the next reversal, which may take longer than in the bars of one test.
LONG_EVENTS = {"ta_ht_trendmode", "ta_sarext"}
# Total-return bars that a feature may look back to, see windows.LOOKBACK_BARS.
WINDOW = 504


def bars_of(columns: dict[str, np.ndarray]) -> SymbolBars:
    """Return bars of these arrays; whatever tries to write to one fails."""
    for column in columns.values():
        column.flags.writeable = False
    count = len(columns["close"])
    return SymbolBars(
        sessions=np.arange(count).astype("datetime64[D]"),
        dollar_volume=columns["close"] * columns["volume"],
        log_return=np.full(count, np.nan),
        overnight_gap=np.full(count, np.nan),
        **columns,
    )


def part(bars: SymbolBars, rows: slice) -> SymbolBars:
    return bars_of({name: getattr(bars, name)[rows].copy() for name in FIELDS})


def random_bars(seed: int, count: int) -> SymbolBars:
    return part(adjust_forward(make_bars(("AAA",), count, seed=seed), ()), slice(None))


def noise_after(bars: SymbolBars, row: int, seed: int) -> SymbolBars:
    noise = random_bars(seed, len(bars.close))
    columns = {name: getattr(bars, name).copy() for name in FIELDS}
    for name in FIELDS:
        columns[name][row + 1 :] = 5.0 * getattr(noise, name)[row + 1 :]
    return bars_of(columns)


def raw_values(bars: SymbolBars) -> dict[str, np.ndarray]:
    """Return every output over all rows, also those where its lookback is not yet full."""
    results: dict[str, dict[str, np.ndarray]] = {}
    values = {}
    for name, output in OUTPUTS.items():
        if output.indicator not in results:
            results[output.indicator] = adapter._call_library(output, bars)
        raw = adapter._pick_output(output, results[output.indicator])
        values[name] = np.diff(raw, prepend=np.nan) if output.is_differenced else raw
    return values


def allowed_error(column: np.ndarray) -> float:
    middle = float(np.nanmedian(np.abs(column)))
    return 1e-6 * (middle or 1.0)


@pytest.fixture(scope="module")
def long_bars() -> SymbolBars:
    return random_bars(7, 1200)


@pytest.fixture(scope="module")
def long_raw(long_bars: SymbolBars) -> dict[str, np.ndarray]:
    with pytest.MonkeyPatch.context() as patch:
        # An import of TA-Lib fails.
        patch.setitem(sys.modules, "talib", None)
        return raw_values(long_bars)


@pytest.mark.parametrize("treatment", ["removed", "replaced by noise"])
def test_no_value_changes_when_later_bars_are(treatment: str):
    bars = random_bars(3, 540)
    full = compute_indicators(list(OUTPUTS), bars)
    for row in np.random.default_rng(4).integers(445, 535, 3):
        known = slice(0, int(row) + 1)
        changed = part(bars, known) if treatment == "removed" else noise_after(bars, int(row), 9)
        again = compute_indicators(list(OUTPUTS), changed)
        differing = [
            name
            for name in OUTPUTS
            if not np.array_equal(full[name][known], again[name][known], equal_nan=True)
        ]
        assert differing == [], row


def test_two_years_of_bars_give_the_value_that_all_bars_give(
    long_bars: SymbolBars, long_raw: dict[str, np.ndarray]
):
    window = compute_indicators(list(OUTPUTS), part(long_bars, slice(-WINDOW, None)))
    errors = {name: abs(window[name][-1] - long_raw[name][-1]) for name in OUTPUTS}
    assert {
        name: error for name, error in errors.items() if not error <= allowed_error(long_raw[name])
    } == {}


def test_as_many_bars_as_the_lookback_are_enough_and_one_less_gives_nan(
    long_bars: SymbolBars, long_raw: dict[str, np.ndarray]
):
    by_lookback: dict[int, list[str]] = {}
    for name, output in OUTPUTS.items():
        by_lookback.setdefault(output.lookback_bars, []).append(name)
    for lookback, names in by_lookback.items():
        stop = 1000 + lookback % 50
        values = compute_indicators(names, part(long_bars, slice(stop - lookback, stop)))
        fewer = compute_indicators(names, part(long_bars, slice(stop - lookback + 1, stop)))
        for name in names:
            error = abs(values[name][-1] - long_raw[name][stop - 1])
            assert error <= allowed_error(long_raw[name]), name
            assert np.isnan(fewer[name]).all(), name


def test_the_table_is_what_the_library_gives(
    long_bars: SymbolBars, long_raw: dict[str, np.ndarray]
):
    measured = dict.fromkeys(OUTPUTS, 1)
    for start in (150, 390, 655):
        late = raw_values(part(long_bars, slice(start, None)))
        for name in OUTPUTS:
            whole = long_raw[name][start:]
            is_equal = np.abs(late[name] - whole) <= allowed_error(long_raw[name])
            # Row 0 stands for "equal from the first bar on".
            enough = 1 + int(np.flatnonzero(np.append(True, ~is_equal))[-1])
            measured[name] = max(measured[name], enough)
    wrong = {
        name: (bars, OUTPUTS[name].lookback_bars)
        for name, bars in measured.items()
        if not bars <= OUTPUTS[name].lookback_bars <= (3 * bars + 45) * (1 + (name in LONG_EVENTS))
    }
    assert wrong == {}


def test_a_feature_has_a_value_at_every_bar_after_its_lookback(long_raw: dict[str, np.ndarray]):
    assert [
        name
        for name, column in long_raw.items()
        if not np.isfinite(column[OUTPUTS[name].lookback_bars - 1 :]).all()
    ] == []


def test_outputs_are_what_their_names_say():
    bars = random_bars(11, 300)
    names = (
        "sma log_return obv donchian_upper donchian_lower bbands_upper bbands_width aroon_up rsi"
        " stoch_k dpo ichimoku_kijun rainbow_2"
    )
    values = compute_indicators([f"ta_{name}" for name in names.split()], bars)
    last = {name: float(values[f"ta_{name}"][-1]) for name in names.split()}
    close, high, low = bars.close, bars.high, bars.low
    mean, spread = close[-5:].mean(), close[-5:].std()
    assert last["sma"] == pytest.approx(close[-10:].mean())
    assert last["log_return"] == pytest.approx(np.log(close[-1] / close[-2]))
    assert last["obv"] == pytest.approx(np.sign(close[-1] - close[-2]) * bars.volume[-1])
    assert last["donchian_upper"] == high[-20:].max()
    assert last["donchian_lower"] == low[-20:].min()
    assert last["bbands_upper"] == pytest.approx(mean + 2 * spread)
    assert last["bbands_width"] == pytest.approx(100 * 4 * spread / mean)
    assert last["aroon_up"] == pytest.approx(100 * np.argmax(high[-15:]) / 14)
    assert last["rsi"] == compute_indicator("rsi", bars, 14)[-1]
    lowest = np.array([low[286 - k : 300 - k].min() for k in range(3)])
    highest = np.array([high[286 - k : 300 - k].max() for k in range(3)])
    fast = 100 * (close[[-1, -2, -3]] - lowest) / (highest - lowest)
    assert last["stoch_k"] == pytest.approx(fast.mean())
    assert last["dpo"] == pytest.approx(close[-1] - close[-31:-11].mean())
    assert last["ichimoku_kijun"] == pytest.approx((high[-26:].max() + low[-26:].min()) / 2)
    assert last["rainbow_2"] == pytest.approx((close[-3:] * [0.25, 0.5, 0.25]).sum())


def test_one_sided_outputs_become_one_line_and_counts_have_zeros():
    bars = random_bars(12, 400)
    values = compute_indicators(["ta_psar_stop", "ta_td_seq_up", "ta_td_seq_down"], bars)
    up, down, stop = (values[name] for name in ("ta_td_seq_up", "ta_td_seq_down", "ta_psar_stop"))
    rising = np.concatenate((np.full(4, False), bars.close[4:] > bars.close[:-4]))
    np.testing.assert_array_equal(up[20:] > 0, rising[20:])
    np.testing.assert_array_equal(down[20:] > 0, ~rising[20:])
    below = stop[140:] < bars.close[140:]
    assert np.isfinite(stop[140:]).all()
    assert 0.1 < below.mean() < 0.9


def test_a_candle_that_swallows_the_one_before_is_engulfing():
    flat = {name: np.full(20, 10.0) for name in FIELDS}
    flat["open"][-2:], flat["close"][-2:] = (10.0, 8.0), (9.0, 11.0)
    flat["high"][-2:], flat["low"][-2:] = (10.1, 11.1), (8.9, 7.9)
    values = compute_indicators(["ta_cdl_engulfing", "ta_cdl_inside"], bars_of(flat))
    assert values["ta_cdl_engulfing"][-1] == 100.0
    assert values["ta_cdl_inside"][-1] == 0.0


@pytest.mark.parametrize("still", ["prices", "volume", "both"])
def test_still_bars_give_nan_but_no_infinity_and_no_warning(still: str):
    bars = random_bars(13, 470)
    columns = {name: getattr(bars, name).copy() for name in FIELDS}
    if still != "volume":
        columns |= {name: np.full(470, 20.0) for name in ("open", "high", "low", "close")}
    if still != "prices":
        columns["volume"] = np.zeros(470)
    values = compute_indicators(list(OUTPUTS), bars_of(columns))
    assert not any(np.isinf(column).any() for column in values.values())
    assert values["ta_sma"][-1] == pytest.approx(columns["close"][-10:].mean())


def test_few_bars_give_nan_instead_of_a_library_error():
    for count in (0, 1, 2, 20):
        values = compute_indicators(list(OUTPUTS), part(random_bars(1, 30), slice(0, count)))
        assert all(column.shape == (count,) for column in values.values())
        assert all(column.dtype == np.float64 for column in values.values())
        for name, column in values.items():
            assert np.isnan(column[: OUTPUTS[name].lookback_bars - 1]).all(), name


def test_an_indicator_is_computed_once_for_all_of_its_outputs(monkeypatch: pytest.MonkeyPatch):
    calls: list[dict[str, object]] = []
    macd = LIBRARY.macd

    def counted(**inputs: object) -> object:
        calls.append(inputs)
        return macd(**inputs)

    monkeypatch.setattr(LIBRARY, "macd", counted)
    names = ["ta_macd_signal", "ta_macd_macd", "ta_macd_hist"]
    values = compute_indicators(names, random_bars(2, 400))
    assert list(values) == names
    assert len(calls) == 1
    assert calls[0]["talib"] is False
    line = values["ta_macd_macd"] - values["ta_macd_signal"]
    np.testing.assert_allclose(values["ta_macd_hist"][-100:], line[-100:], rtol=1e-9)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (ValueError("no"), r"indicator rsi failed on 300 bars \(no\)"),
        (pd.Series(np.ones(299)), "indicator rsi returned 299 values for 300 bars"),
    ],
)
def test_a_failing_indicator_is_named(
    monkeypatch: pytest.MonkeyPatch, answer: object, sentence: str
):
    def fail(**_: object) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(LIBRARY, "rsi", fail)
    with pytest.raises(DataError, match=sentence):
        compute_indicators(["ta_rsi"], random_bars(2, 300))


def test_a_renamed_column_is_reported_and_no_result_is_nan(monkeypatch: pytest.MonkeyPatch):
    bars = random_bars(2, 300)
    frame = pd.DataFrame({"MACDX_1": np.ones(300)})
    monkeypatch.setattr(LIBRARY, "macd", lambda **_: frame)
    with pytest.raises(DataError, match="returned columns MACDX, MACDX_1; expected MACD:"):
        compute_indicators(["ta_macd_macd"], bars)
    monkeypatch.setattr(LIBRARY, "macd", lambda **_: None)
    assert np.isnan(compute_indicators(["ta_macd_macd"], bars)["ta_macd_macd"]).all()
