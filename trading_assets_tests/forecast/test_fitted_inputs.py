import hashlib
import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from safetensors.torch import load, save

from trading_assets.errors import DataError, UserError
from trading_assets.forecast.cross_fit import cross_fit
from trading_assets.forecast.dataset import build_panel, find_known, find_usable
from trading_assets.forecast.forecaster import CARD_FILE, WEIGHTS_FILE, Forecaster
from trading_assets.forecast.train import train_forecaster
from trading_assets.forecast_specs import ForecastSpec
from trading_assets_tests.forecast.planted_market import NAMES, SPEC, PlantedMarket, make_market

FULL = SPEC.model_copy(
    update={
        "epochs": 1,
        "clip_quantile": 0.01,
        "principal_components": 3,
        "fractional_difference": True,
    }
)

SAID = ("symbol", "session", "p_down", "p_flat", "p_up", "expected_return", "sigma_return")


def with_gaps(market: PlantedMarket) -> PlantedMarket:
    """Return the market with `noise_1` null in every seventh row and `noise_2` in all."""
    gap = pl.int_range(pl.len()) % 7 == 0
    features = market.features.with_columns(
        pl.when(gap).then(None).otherwise(pl.col("noise_1")).alias("noise_1"),
        pl.lit(None, pl.Float32).alias("noise_2"),
    )
    return PlantedMarket(market.bars, features, market.train, market.validation, market.test)


def train(market: PlantedMarket, spec: ForecastSpec = FULL) -> Forecaster:
    return train_forecaster(market.up_to_validation(), market.train, market.validation, spec, NAMES)


@pytest.fixture(scope="module")
def market() -> PlantedMarket:
    return with_gaps(make_market(0.6, count=700))


@pytest.fixture(scope="module")
def forecaster(market: PlantedMarket) -> Forecaster:
    return train(market)


def fitted_values(forecaster: Forecaster) -> tuple[dict[str, bytes], object, object]:
    files = forecaster.to_files()
    tensors = load(files[WEIGHTS_FILE])
    arrays = {n: v.numpy().tobytes() for n, v in tensors.items() if n.startswith("inputs.")}
    card = forecaster.card
    return arrays, card["inputs"], card["class_rule"]


def test_the_card_tells_what_was_fitted(forecaster: Forecaster):
    inputs = forecaster.card["inputs"]
    assert inputs["names"] == [*NAMES, "fractional_difference"]
    assert inputs["dropped"] == ["noise_2"]
    assert inputs["masked"] == ["noise_1", "fractional_difference"]
    assert inputs["clip_quantile"] == 0.01
    assert inputs["principal_components"] == 3
    assert 0.0 <= inputs["fractional_order"] <= 1.0
    assert forecaster.card["declared"]["fractional_difference"] is True
    arrays, _, _ = fitted_values(forecaster)
    assert len(arrays) == 5


def test_no_row_after_the_train_window_changes_a_fitted_value(
    forecaster: Forecaster, market: PlantedMarket
):
    is_later = pl.col("session") > market.train[-1]
    rng = np.random.default_rng(0)
    features = market.features.with_columns(
        pl.when(is_later)
        .then(pl.Series(rng.normal(5.0, 30.0, market.features.height), dtype=pl.Float32))
        .otherwise(pl.col(name))
        .alias(name)
        for name in NAMES
    )
    bars = market.bars.with_columns(
        pl.when(is_later)
        .then(pl.col(name) * pl.Series(rng.uniform(0.5, 2.0, market.bars.height)))
        .otherwise(pl.col(name))
        .alias(name)
        for name in ("open", "close")
    )
    changed = PlantedMarket(bars, features, market.train, market.validation, market.test)
    other = train(changed)
    assert fitted_values(other) == fitted_values(forecaster)
    assert other.card["metrics"] != forecaster.card["metrics"]


def test_a_row_of_the_train_window_changes_the_fitted_values(
    forecaster: Forecaster, market: PlantedMarket
):
    first = pl.col("session") == market.train[20]
    features = market.features.with_columns(
        pl.when(first).then(4.0).otherwise(pl.col("planted")).cast(pl.Float32).alias("planted")
    )
    changed = PlantedMarket(market.bars, features, market.train, market.validation, market.test)
    arrays, _, _ = fitted_values(train(changed))
    assert arrays["inputs.centre"] != fitted_values(forecaster)[0]["inputs.centre"]


def test_predicting_in_another_order_gives_the_same_bytes_and_learns_nothing(
    forecaster: Forecaster, market: PlantedMarket
):
    files = forecaster.to_files()
    together = forecaster.predict(market.tables(), market.test)
    for day in reversed(market.test[::25]):
        alone = forecaster.predict(market.tables(), [day])
        own = together.filter(pl.col("session") == day)
        assert alone.select(SAID).equals(own.select(SAID))
    assert forecaster.to_files() == files


def test_a_forecaster_of_files_predicts_the_same_bytes(
    forecaster: Forecaster, market: PlantedMarket
):
    loaded = Forecaster.from_files(forecaster.to_files())
    assert loaded.to_files() == forecaster.to_files()
    same = loaded.predict(market.tables(), market.test)
    assert same.equals(forecaster.predict(market.tables(), market.test))
    assert same["p_up"].n_unique() > 100


def test_a_price_after_a_session_moves_no_forecast_of_it(
    forecaster: Forecaster, market: PlantedMarket
):
    day = market.test[3]

    def predict(is_tripled: pl.Expr) -> pl.DataFrame:
        close = pl.when(is_tripled).then(pl.col("close") * 3.0).otherwise(pl.col("close"))
        bars = market.bars.with_columns(close.alias("close"))
        return forecaster.predict(replace(market.tables(), bars=bars), [day])

    before = forecaster.predict(market.tables(), [day])
    assert predict(pl.col("session") > day).equals(before)
    assert not predict(pl.col("session") == day).equals(before)


def test_each_part_of_a_cross_fit_fits_its_own_inputs(market: PlantedMarket):
    half = market.train[len(market.train) // 2]
    features = market.features.with_columns(
        pl.when(pl.col("session") >= half).then(pl.col("noise_3")).otherwise(None).alias("noise_3")
    )
    spec = FULL.model_copy(update={"cross_fit_parts": 2, "train_forecasts": "cross_fitted"})
    tables = replace(market.up_to_validation(), features=features)
    found = cross_fit(tables, market.train, spec, NAMES, "network")
    table, card = found.rows, found.card
    early, late = (card["parts"][f"part-{k}"] for k in (0, 1))
    # The part that predicts the late half was trained on the early one, where noise_3 is null.
    assert early["inputs"]["dropped"] == ["noise_2"]
    assert late["inputs"]["dropped"] == ["noise_2", "noise_3"]
    assert early["class_rule"] != late["class_rule"]
    assert early["inputs"]["fractional_order"] is not None
    assert set(table["model"]) == {"part-0", "part-1"}


def test_features_that_never_come_do_not_make_rows_unusable(market: PlantedMarket):
    absent = market.features.with_columns(
        pl.lit(None, pl.Float32).alias(name) for name in NAMES[1:]
    )
    sparse = PlantedMarket(market.bars, absent, market.train, market.validation, market.test)
    trained = train(sparse, SPEC.model_copy(update={"epochs": 1}))
    assert trained.card["inputs"]["dropped"] == list(NAMES[1:])
    assert trained.predict(sparse.tables(), market.test).height == 3 * len(market.test)


def test_only_rows_of_the_train_window_say_which_features_are_counted(market: PlantedMarket):
    late = market.features.with_columns(
        pl.when(pl.col("session") >= market.validation[0]).then(1.0).cast(pl.Float32).alias(name)
        for name in NAMES[1:]
    )
    panel = build_panel(late, NAMES)
    is_counted = find_known(panel, market.train)
    assert is_counted.tolist() == [True, False, False, False]
    assert find_usable(panel, is_counted).all()
    is_usable = find_usable(panel, np.ones(4, np.bool_))
    assert not is_usable[:, : len(market.train)].any()


def test_a_feature_that_comes_after_the_train_rows_makes_none_of_them_unusable(
    market: PlantedMarket,
):
    # Counted from validation on, three of four features would be missing in every train row.
    features = market.features.with_columns(
        pl.when(pl.col("session") >= market.validation[0]).then(pl.col(name)).alias(name)
        for name in NAMES[1:]
    )
    late = replace(market, features=features)
    trained = train(late, SPEC.model_copy(update={"epochs": 1}))
    assert trained.card["inputs"]["dropped"] == list(NAMES[1:])
    assert trained.card["train"][0] == str(market.train[SPEC.window_bars - 1])


def test_more_components_than_features_are_refused_in_training(market: PlantedMarket):
    spec = SPEC.model_copy(update={"principal_components": 4})
    with pytest.raises(UserError, match="principal_components was 4; expected at most 3"):
        train(market, spec)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"names": list(NAMES)}, "inputs.names were 4"),
        ({"fractional_order": None}, "inputs.names were 5"),
        ({"dropped": []}, r"inputs\.centre had shape \(4,\) of .*; expected \(5,\)"),
        ({"clip_quantile": 0.0}, r"differ .* in inputs\.clip"),
        ({"principal_components": 2}, r"inputs.components had shape \(3, 4\)"),
    ],
)
def test_a_card_with_other_inputs_than_the_weights_is_refused(
    forecaster: Forecaster, change: dict[str, object], sentence: str
):
    files = forecaster.to_files()
    card = json.loads(files[CARD_FILE])
    card["inputs"] |= change
    if change.get("names"):
        card["inputs"]["masked"] = ["noise_1"]
    with pytest.raises(DataError, match=sentence):
        Forecaster.from_files({**files, CARD_FILE: json.dumps(card).encode()})


def test_transforms_that_hold_infinity_are_refused(forecaster: Forecaster):
    files = forecaster.to_files()
    tensors = load(files[WEIGHTS_FILE])
    tensors["inputs.clip"][1, 0] = float("inf")
    weights = save(tensors)
    card = json.loads(files[CARD_FILE]) | {"weights_sha256": hashlib.sha256(weights).hexdigest()}
    with pytest.raises(DataError, match=r"inputs\.clip holds nan or infinity"):
        Forecaster.from_files({WEIGHTS_FILE: weights, CARD_FILE: json.dumps(card).encode()})
