from collections.abc import Mapping, Sequence
from dataclasses import fields

import numpy as np
import polars as pl
import pytest

from trading_assets.features.adjustment import list_actions
from trading_assets.features.catalogue import FEATURES, STANDARD
from trading_assets.features.compiled.machine import find_known
from trading_assets.features.engine import (
    NEVER,
    build_engine,
)
from trading_assets.features.inputs import MARKET_INPUTS, own_inputs, prepare_symbols
from trading_assets.features.windows import VOLATILITY_COLUMN
from trading_assets_tests.features.reference_formulas import FORMULAS, Past
from trading_assets_tests.features.reference_liquidity import LIQUIDITY
from trading_assets_tests.features.synthetic_bars import make_actions, make_bars, split_bars

REFERENCES = FORMULAS | LIQUIDITY
# Their weights fade for ever; the reference starts its averages another way.
FADING = frozenset({"gap_in_ranges", "adx_14", "plus_di_14", "minus_di_14", "rsi_7", "rsi_14",
                    "macd_line", "macd_signal", "macd_histogram", "stochastic_rsi_14", "fisher_9",
                    "atr_percent_14", "keltner_width_20"})  # fmt: skip
OF_BARS = tuple(name for name, feature in STANDARD.items() if not feature.series)
OF_PRICES = tuple(n for n in OF_BARS if not n.startswith(("weekday", "bars_since", "regime")))
ROWS = make_bars(("AAA",), 600).sort("session")
Columns = Mapping[str, np.ndarray]


def columns_of(rows: pl.DataFrame, actions: pl.DataFrame | None = None) -> Columns:
    """Every input of the catalogue's own features, with a made-up market."""
    entitled = {} if actions is None else list_actions(actions)
    (symbol,) = prepare_symbols(rows, entitled)
    rng = np.random.default_rng(11)
    names = build_engine(OF_BARS).program.inputs
    columns = own_inputs(symbol, names, {})
    market = {name: rng.normal(0.0, 0.01, rows.height) for name in sorted(MARKET_INPUTS)}
    for values in market.values():
        values[0] = np.nan
    return columns | market


def unscaled(names: Sequence[str], columns: Columns) -> dict[str, np.ndarray]:
    engine = build_engine(tuple(names))
    rows = len(columns["close"])
    table = np.empty((engine.n_slots, rows))
    for slot, name in enumerate(engine.program.inputs):
        table[slot] = columns[name]
    known = find_known(table[: len(engine.program.inputs)], rows, NEVER)
    first, counts_from = engine.known_from(known)
    engine.run(table, first, 0, rows)
    counts = np.arange(rows) >= counts_from[:, None]
    values = np.where(counts, table[engine.slots], np.nan)
    return dict(zip(engine.names, values, strict=True))


def bouncing_rows() -> pl.DataFrame:
    """Bars whose trades alternate between bid and ask, some of them without a trade or a range."""
    rng = np.random.default_rng(4)
    count = ROWS.height
    bounce = np.exp(0.01 * rng.choice([-1.0, 1.0], (2, count)))
    volume = np.where(rng.random(count) < 0.1, 0.0, ROWS["volume"].to_numpy())
    opening, close = ROWS["open"].to_numpy() * bounce[0], ROWS["close"].to_numpy() * bounce[1]
    highest = np.maximum(opening, close) * np.exp(rng.exponential(0.003, count))
    lowest = np.minimum(opening, close) / np.exp(rng.exponential(0.003, count))
    is_flat = rng.random(count) < 0.05
    return ROWS.with_columns(
        pl.Series("open", np.where(is_flat, close, opening)),
        pl.Series("high", np.where(is_flat, close, highest)),
        pl.Series("low", np.where(is_flat, close, lowest)),
        pl.Series("close", close),
        pl.Series("volume", volume),
    )


BOUNCING = bouncing_rows()


@pytest.fixture(scope="module")
def computed() -> list[tuple[Past, dict[str, np.ndarray]]]:
    """Columns and all values of smooth and of bouncing bars."""
    found = []
    for rows in (ROWS, BOUNCING):
        columns = columns_of(rows)
        past = Past(**{field.name: columns[field.name] for field in fields(Past)})
        names = tuple(name for name in FEATURES if name in REFERENCES)
        found.append((past, unscaled(names, columns)))
    return found


def test_every_feature_of_bars_has_a_reference():
    no_formula = {"weekday_sin", "weekday_cos", "bars_since_action", "minutes_from_open"}
    of_market = {"regime_calm", "regime_stressed", "mean_correlation_63"}
    given = no_formula | of_market | {"first_component_share_63"}
    expected = {name for name, f in FEATURES.items() if not f.series} - given
    assert set(REFERENCES) == expected | {VOLATILITY_COLUMN}


@pytest.mark.parametrize("name", REFERENCES)
def test_a_feature_is_its_formula(computed: list[tuple[Past, dict[str, np.ndarray]]], name: str):
    tolerance = 1e-6 if name in FADING else 1e-9
    rng = np.random.default_rng(8)
    for past, values in computed:
        rows = [599, *rng.integers(300, 599, 20).tolist()]
        own = np.array([REFERENCES[name](past.until(row)) for row in rows])
        assert np.isfinite(own).all()
        scale = np.median(np.abs(own))
        np.testing.assert_allclose(
            values[name][rows], own, rtol=tolerance, atol=tolerance * scale * 1e-3
        )


@pytest.mark.parametrize("name", REFERENCES)
def test_references_are_not_constant(computed: list[tuple[Past, dict[str, np.ndarray]]], name: str):
    _, values = computed[1]
    known = values[name][~np.isnan(values[name])]
    assert known.std() > 0.0


def test_gap_and_intraday_return_make_up_the_return(
    computed: list[tuple[Past, dict[str, np.ndarray]]],
):
    past, values = computed[0]
    both = values["overnight_gap"] + values["intraday_return"]
    np.testing.assert_allclose(both[1:], past.log_return[1:], atol=1e-12)


def still(rows: pl.DataFrame, first: int, last: int) -> pl.DataFrame:
    """Bars of which rows `first` to `last` repeat the close before."""
    place = np.arange(rows.height)
    is_still = (place >= first) & (place < last)
    price = rows["close"].to_numpy()[first - 1] if first else 50.0
    return rows.with_columns(
        pl.Series(name, np.where(is_still, price, rows[name].to_numpy()))
        for name in ("open", "high", "low", "close")
    )


def idle(rows: pl.DataFrame, is_idle: np.ndarray) -> pl.DataFrame:
    return rows.with_columns(pl.Series("volume", np.where(is_idle, 0.0, rows["volume"].to_numpy())))


def at_price(factor: np.ndarray | float) -> pl.DataFrame:
    return ROWS.with_columns(pl.col(n) * factor for n in ("open", "high", "low", "close"))


def doubling() -> pl.DataFrame:
    price = 2.0 ** (np.arange(600.0) - 300.0)
    return ROWS.with_columns(
        *(pl.Series(name, price) for name in ("open", "high", "close")), pl.Series("low", price / 2)
    )


EVERY = np.ones(600, dtype=bool)
DEGENERATE = {
    "one price throughout": still(ROWS, 0, 600),
    "one price and no volume": idle(still(ROWS, 0, 600), EVERY),
    "one price for 100 bars": still(ROWS, 350, 450),
    "no volume": idle(ROWS, EVERY),
    "no volume on every third bar": idle(ROWS, np.arange(600) % 3 == 0),
    "no volume for 100 bars": idle(ROWS, abs(np.arange(600) - 400) < 50),
    "one bar without a range": still(ROWS, 420, 421),
    "a price that doubles every bar": doubling(),
    "a tiny price": at_price(1e-6 / 50.0),
    "a large price": at_price(1e6 / 50.0),
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_bars_give_finite_values_after_warm_up(case: str):
    values = unscaled(OF_BARS, columns_of(DEGENERATE[case]))
    for name in OF_BARS:
        assert np.isfinite(values[name][STANDARD[name].lookback_bars :]).all(), name


def test_a_price_that_stands_still_has_exactly_no_volatility():
    values = unscaled(OF_BARS, columns_of(DEGENERATE["one price throughout"]))
    for name in (VOLATILITY_COLUMN, "ewma_volatility", "parkinson_21", "garman_klass_21",
                 "yang_zhang_21", "atr_percent_14", "bollinger_width_20", "keltner_width_20",
                 "volatility_of_volatility_63", "semi_deviation_ratio_63"):  # fmt: skip
        assert set(values[name][300:]) == {0.0}, name
    stopped = unscaled(OF_BARS, columns_of(DEGENERATE["one price for 100 bars"]))
    assert set(stopped[VOLATILITY_COLUMN][414:450]) == {0.0}


BOUNDS = {
    "up_day_share_21": (0.0, 1.0),
    "rsi_14": (0.0, 100.0),
    "stochastic_k_14": (0.0, 100.0),
    "cmo_20": (-100.0, 100.0),
    "mfi_14": (0.0, 100.0),
    "ultimate_oscillator": (0.0, 100.0),
    "semi_deviation_ratio_63": (0.0, 1.0),
    "obv_change_10": (-1.0, 1.0),
    "chaikin_money_flow_20": (-1.0, 1.0),
    "signed_volume_imbalance_21": (-1.0, 1.0),
    "vpin_50": (0.0, 1.0),
    "vwap_distance_20": (-0.5, 0.5),
}


@pytest.mark.parametrize("case", ["one price for 100 bars", "no volume for 100 bars"])
def test_shares_stay_shares_when_a_market_pauses(case: str):
    # A third of a share makes sums of volume inexact.
    rows = DEGENERATE[case].with_columns(pl.col("volume") / 3.0)
    values = unscaled(OF_BARS, columns_of(rows))
    for name, (least, most) in BOUNDS.items():
        known = values[name][260:]
        assert known.min() >= least - 1e-9, name
        assert known.max() <= most + 1e-9, name


@pytest.mark.parametrize("ratio", [2.0, 3.0])
def test_a_split_leaves_unscaled_values_as_they_are(ratio: float):
    ex_date = ROWS["session"][400]
    actions = make_actions([("AAA", ex_date, "split", ratio, 0.0)])
    plain = unscaled(OF_PRICES, columns_of(ROWS))
    split = unscaled(OF_PRICES, columns_of(split_bars(ROWS, "AAA", ex_date, ratio), actions))
    raw = unscaled(OF_PRICES, columns_of(split_bars(ROWS, "AAA", ex_date, ratio)))
    for name in OF_PRICES:
        known = plain[name][260:]
        scale = np.median(np.abs(known))
        np.testing.assert_allclose(
            split[name][260:], known, rtol=1e-9, atol=1e-9 * scale, err_msg=name
        )
    assert np.abs(raw["log_return_1"] - plain["log_return_1"])[400] > 0.5


def simulated(
    spread: float, trades: float, seed: int, days: int = 253
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Bars of days of 390 minutes, 2 % volatility a day, traded in `trades` of the minutes."""
    rng = np.random.default_rng(seed)
    path = np.cumsum(rng.normal(0.0, 0.02 / np.sqrt(390.0), days * 390)).reshape(days, 390)
    path += np.log1p(0.5 * spread * rng.choice([-1.0, 1.0], (days, 390)))
    is_traded = rng.random((days, 390)) < trades / 390.0
    is_traded[np.arange(days), rng.integers(0, 390, days)] = True
    day = np.arange(days)
    opening = path[day, is_traded.argmax(axis=1)]
    close = path[day, 389 - is_traded[:, ::-1].argmax(axis=1)]
    high = np.where(is_traded, path, -np.inf).max(axis=1)
    low = np.where(is_traded, path, np.inf).min(axis=1)
    return opening, high, low, close


@pytest.mark.parametrize("trades", [390.0, 20.0])
def test_the_spread_of_simulated_trades_is_found_whether_they_are_many_or_few(trades: float):
    feature = "edge_spread_252"
    found = []
    for seed in range(40):
        prices = np.exp(simulated(0.01, trades, seed))
        columns = dict(zip(("open", "high", "low", "close"), prices, strict=True))
        returns = np.concatenate(([np.nan], np.diff(np.log(columns["close"]))))
        found.append(unscaled((feature,), columns | {"log_return": returns})[feature][-1])
    assert np.mean(found) == pytest.approx(0.01, abs=0.0015)


def test_volatility_estimators_recover_the_volatility_of_simulated_prices():
    opening, high, low, close = np.exp(simulated(0.0, 1e9, 5, 600))
    rows = ROWS.with_columns(
        open=pl.Series(opening), high=pl.Series(high), low=pl.Series(low), close=pl.Series(close)
    )
    values = unscaled(OF_BARS, columns_of(rows))
    for name in (VOLATILITY_COLUMN, "parkinson_21", "garman_klass_21", "yang_zhang_21"):
        assert np.nanmean(values[name]) == pytest.approx(0.02, rel=0.08), name


def test_weekdays_lie_on_a_circle():
    weekday = np.array([day.weekday() for day in ROWS["session"].to_list()])
    values = unscaled(("weekday_sin", "weekday_cos"), columns_of(ROWS))
    angle = np.arctan2(values["weekday_sin"], values["weekday_cos"])
    np.testing.assert_allclose(np.round(angle / (2 * np.pi / 5)) % 5, weekday)
