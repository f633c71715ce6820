import numpy as np
import polars as pl
import pytest

from trading_assets.errors import UserError
from trading_assets.features.adjustment import SymbolBars, adjust_forward
from trading_assets.features.catalogue import FEATURES
from trading_assets.features.formulas import FORMULAS, ewma_volatility
from trading_assets.features.pandas_ta_adapter import LOOK_AHEAD, compute_indicator
from trading_assets.features.rolling import rolling_sum, z_score
from trading_assets.features.scaling import scale_rows
from trading_assets_tests.features.synthetic_bars import make_bars

ROWS = make_bars(("AAA",), 600).sort("session")


@pytest.fixture(scope="module")
def bars() -> SymbolBars:
    return adjust_forward(ROWS, ())


def closes() -> np.ndarray:
    return ROWS["close"].to_numpy()


def test_log_returns_and_momentum_are_price_ratios(bars: SymbolBars):
    price = closes()
    for k in (1, 2, 5, 10, 21, 63):
        value = FORMULAS[f"log_return_{k}"](bars)[-1]
        assert value == pytest.approx(np.log(price[-1] / price[-1 - k]))
    assert FORMULAS["momentum_12_1"](bars)[-1] == pytest.approx(np.log(price[-22] / price[-253]))


def test_gap_and_intraday_return_make_up_the_return(bars: SymbolBars):
    both = FORMULAS["overnight_gap"](bars) + FORMULAS["intraday_return"](bars)
    np.testing.assert_allclose(both[1:], bars.log_return[1:], atol=1e-12)


@pytest.mark.parametrize(
    ("feature", "indicator", "length"),
    [("adx_14", "adx", 14), ("mfi_14", "mfi", 14), ("atr_percent_14", "atr", 14)],
)
def test_own_formulas_agree_with_the_library(
    bars: SymbolBars, feature: str, indicator: str, length: int
):
    own = FORMULAS[feature](bars)
    library = compute_indicator(indicator, bars, length)
    if indicator == "atr":
        library = 100.0 * library / bars.close
    warm = FEATURES[feature].lookback_bars
    np.testing.assert_allclose(own[warm:], library[warm:], rtol=2e-6)


def test_rsi_and_cci_match_their_definitions(bars: SymbolBars):
    typical = (bars.high + bars.low + bars.close) / 3.0
    window = typical[-20:]
    deviation = np.abs(window - window.mean()).mean()
    expected = (typical[-1] - window.mean()) / (0.015 * deviation)
    assert FORMULAS["cci_20"](bars)[-1] == pytest.approx(expected, rel=1e-9)
    change = np.diff(bars.close)
    up = down = 0.0
    for step in change:
        up += (max(step, 0.0) - up) / 14
        down += (max(-step, 0.0) - down) / 14
    assert FORMULAS["rsi_14"](bars)[-1] == pytest.approx(100.0 * up / (up + down), rel=1e-6)


def test_volatility_estimators_recover_the_volatility_of_simulated_prices():
    rng = np.random.default_rng(5)
    steps = rng.normal(0.0, 0.01 / np.sqrt(500), (300, 500))
    path = 100.0 * np.exp(np.cumsum(steps.ravel())).reshape(300, 500)
    opening = np.concatenate(([100.0], path[:-1, -1]))
    simulated = ROWS.head(300).with_columns(
        open=pl.Series(opening),
        high=pl.Series(np.maximum(path.max(axis=1), opening)),
        low=pl.Series(np.minimum(path.min(axis=1), opening)),
        close=pl.Series(path[:, -1]),
    )
    result = adjust_forward(simulated, ())
    for name in ("parkinson_21", "garman_klass_21"):
        assert np.nanmean(FORMULAS[name](result)) == pytest.approx(0.01, rel=0.08)
    assert np.nanmean(ewma_volatility(result)) == pytest.approx(0.01, rel=0.08)


def test_percent_b_is_one_at_the_upper_band(bars: SymbolBars):
    window = closes()[-20:]
    expected = (window[-1] - (window.mean() - 2 * window.std())) / (4 * window.std())
    assert FORMULAS["bollinger_percent_b_20"](bars)[-1] == pytest.approx(expected)


def test_weekdays_lie_on_a_circle(bars: SymbolBars):
    weekday = np.array([day.weekday() for day in ROWS["session"].to_list()])
    angle = np.arctan2(FORMULAS["weekday_sin"](bars), FORMULAS["weekday_cos"](bars))
    np.testing.assert_allclose(np.round(angle / (2 * np.pi / 5)) % 5, weekday)


def test_amihud_leaves_out_bars_without_volume():
    idle = ROWS.with_row_index("row").with_columns(
        pl.when(pl.col("row") % 3 == 0).then(0.0).otherwise(pl.col("volume")).alias("volume")
    )
    result = adjust_forward(idle, ())
    is_traded = result.dollar_volume[-21:] > 0
    dollars = result.dollar_volume[-21:][is_traded]
    expected = np.log((np.abs(result.log_return[-21:])[is_traded] / dollars).mean())
    assert FORMULAS["amihud_21"](result)[-1] == pytest.approx(expected)


@pytest.mark.parametrize("name", sorted(LOOK_AHEAD))
def test_indicators_that_look_ahead_are_refused_by_name(bars: SymbolBars, name: str):
    with pytest.raises(UserError, match=f"{name} uses later bars"):
        compute_indicator(name, bars, 14)


def test_an_unadapted_indicator_is_refused(bars: SymbolBars):
    with pytest.raises(UserError, match="expected one of rsi"):
        compute_indicator("nothing", bars, 14)


def test_short_history_gives_nan_instead_of_a_library_error():
    short = adjust_forward(ROWS.head(10), ())
    assert np.isnan(compute_indicator("rsi", short, 14)).all()


def test_a_rolling_sum_forgets_what_left_the_window():
    values = np.concatenate(([1e20], np.full(30, 0.1)))
    assert rolling_sum(values, 10)[-1] == rolling_sum(values[-10:], 10)[-1]


def test_a_z_score_of_equal_values_is_zero():
    assert set(z_score(np.full(40, 3.3), 20)[19:]) == {0.0}


def test_scaling_is_the_robust_score_of_the_window():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(200, 3))
    values[:50, 1] = np.nan
    rows = np.array([40, 120, 199])
    scaled = scale_rows(values, rows, 100)
    window = values[100:200, 0]
    median = np.median(window)
    expected = (values[199, 0] - median) / (1.4826 * np.median(np.abs(window - median)))
    assert scaled[2, 0] == pytest.approx(expected)
    known = values[50:121, 1]
    middle = np.median(known)
    expected = (values[120, 1] - middle) / (1.4826 * np.median(np.abs(known - middle)))
    assert scaled[1, 1] == pytest.approx(expected)
    assert np.isnan(scaled[0]).all()


def test_scaling_a_mostly_constant_window_gives_zero_or_the_clip():
    values = np.full((100, 1), 2.0)
    values[-1] = 2.5
    scaled = scale_rows(values, np.array([98, 99]), 80)
    assert scaled[:, 0].tolist() == [0.0, 5.0]
