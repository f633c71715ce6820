import hashlib
import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load, save

from trading_assets.errors import DataError
from trading_assets.forecast.calibration import log_loss
from trading_assets.forecast.class_rules import TercileRule
from trading_assets.forecast.forecaster import CARD_FILE, WEIGHTS_FILE, Forecaster
from trading_assets.forecast.labels import compute_labels
from trading_assets.forecast.train import train_forecaster
from trading_assets_tests.features.synthetic_bars import NO_ACTIONS
from trading_assets_tests.forecast.planted_market import NAMES, SPEC, PlantedMarket, make_market


def train(market: PlantedMarket, **changes: object) -> Forecaster:
    features, bars = market.up_to_validation()
    return train_forecaster(
        features,
        bars,
        NO_ACTIONS,
        market.train,
        market.validation,
        SPEC.model_copy(update=changes),
        NAMES,
    )


def out_of_sample(forecaster: Forecaster, market: PlantedMarket) -> tuple[float, float]:
    """Return log-loss and the correlation of expected with realised return on the test window."""
    forecasts = forecaster.predict(market.features, market.test)
    labels = compute_labels(market.bars, NO_ACTIONS, SPEC.horizon_bars)
    rows = forecasts.join(labels, on=["symbol", "session"])
    scaled = rows["forward_return"].to_numpy() / (0.01 * np.sqrt(SPEC.horizon_bars))
    classes = TercileRule(**forecaster.card["class_rule"]).classify(scaled)
    probabilities = rows.select("p_down", "p_flat", "p_up").to_numpy().astype(np.float64)
    correlation = np.corrcoef(rows["expected_return"].to_numpy(), scaled)[0, 1]
    return log_loss(probabilities, classes), float(correlation)


@pytest.fixture(scope="module")
def market() -> PlantedMarket:
    return make_market(0.6)


@pytest.fixture(scope="module")
def forecaster(market: PlantedMarket) -> Forecaster:
    return train(market)


def test_a_planted_signal_is_forecast_out_of_sample(forecaster: Forecaster, market: PlantedMarket):
    loss, correlation = out_of_sample(forecaster, market)
    assert loss < np.log(3.0) - 0.03
    # One bar's correlation of 0.6 is 0.6 / sqrt(3) = 0.35 over three bars.
    assert correlation == pytest.approx(0.35, abs=0.12)


def test_noise_is_not_claimed_to_be_forecastable():
    market = make_market(0.0, seed=11)
    forecaster = train(market)
    loss, correlation = out_of_sample(forecaster, market)
    assert loss == pytest.approx(np.log(3.0), abs=0.01)
    assert abs(correlation) < 0.2
    metrics = forecaster.card["metrics"]
    assert metrics[forecaster.card["served"]]["log_loss"] > np.log(3.0) - 0.02
    low, high = metrics[forecaster.card["served"]]["accuracy_interval"]
    assert low < 1.0 / 3.0 < high


def test_the_served_model_has_the_lower_validation_log_loss(forecaster: Forecaster):
    card = forecaster.card
    both = {name: card["metrics"][name]["log_loss"] for name in ("network", "logistic")}
    assert card["served"] == min(both, key=lambda name: both[name])
    assert card["metrics"]["prior_log_loss"] == pytest.approx(np.log(3.0), abs=0.02)


def test_more_epochs_let_the_network_learn_the_signal():
    trained = train(make_market(0.6, count=1000), epochs=12, learning_rate=1e-2)
    # Seeds 0 to 4 gain 0.007 to 0.035 nats, this one 0.022; two epochs of it gain nothing.
    assert trained.card["metrics"]["network"]["log_loss"] < np.log(3.0) - 0.015


def test_barriers_tell_the_classes_where_they_are_declared(market: PlantedMarket):
    trained = train(market, epochs=1, labels="triple_barrier")
    rule = trained.card["class_rule"]
    assert rule["kind"] == "barriers"
    # Highs and lows reach a barrier that a third of the closes at the horizon would not.
    assert 0.5 < rule["width"] < 1.5
    assert trained.card["metrics"]["train_class_shares"][1] == pytest.approx(1 / 3, abs=1e-3)
    files = trained.to_files()
    assert Forecaster.from_files(files).to_files() == files


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(market: PlantedMarket):
    first = train(market, epochs=1)
    torch.manual_seed(99)
    again = train(market, epochs=1)
    assert first.to_files() == again.to_files()
    assert train(market, epochs=1, seed=1).to_files() != first.to_files()


def test_what_judges_changes_no_weight(forecaster: Forecaster, market: PlantedMarket):
    half = market.validation[len(market.validation) // 2]
    factor = pl.Series(np.random.default_rng(0).uniform(0.7, 1.4, market.bars.height))
    is_judging = pl.col("session") >= half
    bars = market.bars.with_columns(
        pl.when(is_judging).then(pl.col(name) * factor).otherwise(pl.col(name)).alias(name)
        for name in ("open", "high", "low", "close")
    )
    other = train(replace(market, bars=bars))
    assert other.to_files()[WEIGHTS_FILE] == forecaster.to_files()[WEIGHTS_FILE]
    card, changed = forecaster.card["metrics"], other.card["metrics"]
    assert changed["epoch_log_loss"] == card["epoch_log_loss"]
    assert changed["network"] != card["network"]
    assert changed["logistic"] != card["logistic"]


def test_training_leaves_the_callers_seed_and_threads_alone(market: PlantedMarket):
    torch.manual_seed(5)
    expected = torch.rand(3)
    threads = torch.get_num_threads()
    torch.manual_seed(5)
    trained = train(market, epochs=1)
    trained.predict(market.features, market.test)
    Forecaster.from_files(trained.to_files())
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


def serve(forecaster: Forecaster, model: str) -> Forecaster:
    files = forecaster.to_files()
    card = json.loads(files[CARD_FILE])
    return Forecaster.from_files(
        {**files, CARD_FILE: json.dumps(card | {"served": model}).encode()}
    )


@pytest.mark.parametrize("model", ["network", "logistic"])
def test_a_session_has_the_same_forecast_alone_and_in_a_range(
    forecaster: Forecaster, market: PlantedMarket, model: str
):
    served = serve(forecaster, model)
    together = served.predict(market.features, market.test)
    for session in market.test[::20]:
        recent = market.features.filter(pl.col("session") <= session)
        days = recent["session"].unique().sort()[-SPEC.window_bars :]
        alone = served.predict(recent.filter(pl.col("session").is_in(days.implode())), [session])
        assert alone.equals(together.filter(pl.col("session") == session))


@pytest.mark.parametrize("model", ["network", "logistic"])
def test_a_forecast_uses_no_later_feature(
    forecaster: Forecaster, market: PlantedMarket, model: str
):
    served = serve(forecaster, model)
    session = market.test[10]
    changed = market.features.with_columns(
        pl.when(pl.col("session") > session)
        .then(-9.0)
        .otherwise(pl.col(name))
        .cast(pl.Float32)
        .alias(name)
        for name in NAMES
    )
    before = served.predict(market.features, [session])
    assert served.predict(changed, [session]).equals(before)
    assert not served.predict(changed, [market.test[11]]).equals(
        served.predict(market.features, [market.test[11]])
    )


def test_forecasts_are_probabilities_and_returns_in_fractions(
    forecaster: Forecaster, market: PlantedMarket
):
    table = forecaster.predict(market.features, market.test)
    total = table.select(pl.sum_horizontal("p_down", "p_flat", "p_up")).to_series()
    np.testing.assert_allclose(total, 1.0, atol=1e-6)
    assert set(table["window"]) == {"test"}
    assert set(table["model"]) == {"forecaster"}
    # Volatility of 1 % a bar is about 1.7 % over three bars.
    assert table["sigma_return"].mean() == pytest.approx(0.017, rel=0.2)
    assert table.height == 3 * len(market.test)


def test_files_round_trip(forecaster: Forecaster, market: PlantedMarket):
    files = forecaster.to_files()
    loaded = Forecaster.from_files(files)
    assert loaded.to_files() == files
    same = loaded.predict(market.features, market.test)
    assert same.equals(forecaster.predict(market.features, market.test))


def tampered(forecaster: Forecaster, change: str) -> dict[str, bytes]:
    files = forecaster.to_files()
    tensors = load(files[WEIGHTS_FILE])
    card = json.loads(files[CARD_FILE])
    if change == "nan":
        tensors["network.dense.bias"][0] = float("nan")
    elif change == "shape":
        tensors["logistic.class_bias"] = torch.zeros(4, dtype=torch.float64)
    elif change == "name":
        tensors["network.extra"] = torch.zeros(1)
    elif change == "features":
        card["feature_names"] = card["feature_names"][::-1]
    elif change == "field":
        card["horizon_bars"] = 0
    elif change == "version":
        card["code_version"] = "0"
    weights = save(tensors)
    card["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    if change == "hash":
        card["weights_sha256"] = "0" * 64
    if change == "torn":
        weights = b"torn"
        card["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    return {WEIGHTS_FILE: weights, CARD_FILE: json.dumps(card).encode()}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("nan", "network.dense.bias holds nan"),
        ("shape", r"logistic.class_bias had shape \(4,\)"),
        ("name", "differ from the card's architecture in network.extra"),
        ("features", "features_sha256 does not fit"),
        ("field", "horizon_bars is wrong"),
        ("version", "code_version was 0"),
        ("hash", "have sha256"),
        ("torn", "cannot be read"),
    ],
)
def test_damaged_files_are_refused(forecaster: Forecaster, change: str, sentence: str):
    with pytest.raises(DataError, match=sentence):
        Forecaster.from_files(tampered(forecaster, change))


def test_a_missing_file_is_refused(forecaster: Forecaster):
    with pytest.raises(DataError, match=r"lacks card.json"):
        Forecaster.from_files({WEIGHTS_FILE: forecaster.to_files()[WEIGHTS_FILE]})


def test_the_card_is_canonical_json(forecaster: Forecaster):
    text = forecaster.to_files()[CARD_FILE]
    assert json.dumps(json.loads(text), sort_keys=True, indent=1).encode() + b"\n" == text


def test_sessions_of_the_train_window_are_refused(forecaster: Forecaster, market: PlantedMarket):
    with pytest.raises(DataError, match="expected later sessions only"):
        forecaster.predict(market.features, [market.validation[-1]])


def test_features_that_do_not_reach_back_a_window_are_refused(
    forecaster: Forecaster, market: PlantedMarket
):
    short = market.features.filter(pl.col("session") >= market.test[0])
    with pytest.raises(DataError, match=r"hold 3 sessions before .* expected at least 7"):
        forecaster.predict(short, [market.test[3]])


def test_nan_features_are_refused_by_name(market: PlantedMarket):
    broken = market.features.with_columns(
        pl.when(pl.int_range(pl.len()) == 7)
        .then(float("nan"))
        .otherwise(pl.col("noise_2"))
        .cast(pl.Float32)
        .alias("noise_2")
    )
    with pytest.raises(DataError, match="noise_2 is nan or infinite in 1 rows"):
        train_forecaster(
            broken, market.bars, NO_ACTIONS, market.train, market.validation, SPEC, NAMES
        )


def test_a_missing_feature_is_refused_by_name(market: PlantedMarket):
    with pytest.raises(DataError, match="lacks noise_3"):
        train_forecaster(
            market.features.drop("noise_3"),
            market.bars,
            NO_ACTIONS,
            market.train,
            market.validation,
            SPEC,
            NAMES,
        )


def test_an_absent_feature_is_masked_instead_of_refused(market: PlantedMarket):
    absent = market.features.with_columns(pl.lit(None, pl.Float32).alias("noise_1"))
    features = absent.filter(pl.col("session") <= market.validation[-1])
    trained = train_forecaster(
        features, market.bars, NO_ACTIONS, market.train, market.validation, SPEC, NAMES
    )
    table = trained.predict(absent, market.test)
    assert table["p_up"].is_finite().all()


def test_a_null_never_seen_in_training_moves_no_forecast_but_by_its_zero(
    forecaster: Forecaster, market: PlantedMarket
):
    served = serve(forecaster, "network")
    session = market.test[0]
    is_last = pl.col("session") == session
    centre = load(served.to_files()[WEIGHTS_FILE])["inputs.centre"][1].item()
    as_null, as_mean = (
        market.features.with_columns(
            pl.when(is_last)
            .then(pl.lit(value, pl.Float32))
            .otherwise(pl.col("noise_1"))
            .alias("noise_1")
        )
        for value in (None, centre)
    )
    one, other = (served.predict(table, [session]) for table in (as_null, as_mean))
    np.testing.assert_allclose(one["p_up"], other["p_up"], atol=1e-7)


def test_a_symbol_still_warming_up_has_no_forecast(forecaster: Forecaster, market: PlantedMarket):
    is_new = (pl.col("symbol") == "CCC") & (pl.col("session") < market.test[5])
    late = market.features.with_columns(
        pl.when(is_new).then(None).otherwise(pl.col(name)).alias(name) for name in NAMES[:3]
    )
    table = forecaster.predict(late, market.test)
    assert table.filter(pl.col("symbol") == "CCC")["session"].min() == market.test[5]


def test_stale_prices_are_refused_as_a_class_that_never_occurs(market: PlantedMarket):
    flat = market.bars.with_columns(pl.lit(5.0).alias(c) for c in ("open", "high", "low", "close"))
    with pytest.raises(DataError, match="stale prices"):
        train_forecaster(
            market.features, flat, NO_ACTIONS, market.train, market.validation, SPEC, NAMES
        )


def test_the_card_states_windows_that_end_before_the_test(
    forecaster: Forecaster, market: PlantedMarket
):
    card = forecaster.card
    assert card["train"][1] == str(market.train[-1])
    assert card["validation"] == [str(market.validation[0]), str(market.validation[-1])]
    assert card["parts"] == {"forecaster": {"trained": [[card["train"][0], card["validation"][1]]]}}
    assert sum(card["metrics"]["train_class_shares"]) == pytest.approx(1.0)
