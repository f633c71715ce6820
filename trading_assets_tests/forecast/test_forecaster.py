from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load

from trading_assets.errors import DataError
from trading_assets.forecast.class_rules import TercileRule
from trading_assets.forecast.dataset import Rows, rows_at
from trading_assets.forecast.forecaster import WEIGHTS_FILE, Forecaster
from trading_assets.forecast.labels import compute_labels
from trading_assets.forecast.networks.serving import NetworkEnsemble
from trading_assets.forecast.predictions import CANDIDATES, CandidateName, Predictions
from trading_assets.forecast.scores import log_loss
from trading_assets.schema import conform
from trading_assets_tests.features.synthetic_bars import NO_ACTIONS
from trading_assets_tests.forecast.planted_market import (
    NAMES,
    SPEC,
    PlantedMarket,
    make_market,
    train,
)


def out_of_sample(forecaster: Forecaster, market: PlantedMarket) -> tuple[float, float]:
    """Return log-loss and the correlation of expected with realised return on the test window."""
    forecasts = forecaster.predict(market.tables(), market.test)
    labels = compute_labels(market.bars, NO_ACTIONS, SPEC.horizon_bars)
    rows = forecasts.join(labels, on=["symbol", "session"])
    scaled = rows["forward_return"].to_numpy() / (0.01 * np.sqrt(SPEC.horizon_bars))
    classes = TercileRule(**forecaster.card["class_rule"]).classify(scaled)
    probabilities = rows.select("p_down", "p_flat", "p_up").to_numpy().astype(np.float64)
    expected = rows["expected_return"].to_numpy()
    # A prior expects the same of every row, which correlates with nothing.
    correlation = np.corrcoef(expected, scaled)[0, 1] if np.ptp(expected) > 0.0 else 0.0
    return log_loss(probabilities, classes), float(correlation)


@pytest.fixture(scope="module")
def market() -> PlantedMarket:
    return make_market(0.6)


@pytest.fixture(scope="module")
def forecaster(market: PlantedMarket) -> Forecaster:
    return train(market)


@pytest.fixture(scope="module")
def network(market: PlantedMarket) -> Forecaster:
    return train(market, ["network"])


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
    served = forecaster.card["metrics"]["candidates"][forecaster.served]
    assert served["log_loss"] > np.log(3.0) - 0.02
    low, high = served["accuracy_interval"]
    assert low < 1.0 / 3.0 < high


def test_the_network_serves_what_only_a_window_shows():
    # Gates see the last bar, whose feature says nothing of a return that goes with an older one.
    market = make_market(0.8, count=1000, lag_bars=3)
    trained = train(market, epochs=12, learning_rate=1e-2)
    card = trained.card
    losses = {name: found["log_loss"] for name, found in card["metrics"]["candidates"].items()}
    assert trained.served == "network"
    assert losses["network"] < np.log(3.0) - 0.2
    assert min(losses["logistic"], losses["boosting"]) > np.log(3.0) - 0.01
    assert card["metrics"]["network_over_logistic"]["p_value"] < 0.01
    assert card["reason"].endswith("and no gate is better")
    assert out_of_sample(trained, market)[0] < np.log(3.0) - 0.2


def test_the_card_tells_every_candidate_and_why_one_serves(forecaster: Forecaster):
    card = forecaster.card
    losses = {name: found["log_loss"] for name, found in card["metrics"]["candidates"].items()}
    assert set(losses) == set(CANDIDATES)
    assert losses["prior"] == pytest.approx(np.log(3.0), abs=0.02)
    gates = {name: loss for name, loss in losses.items() if name != "network"}
    assert card["served"] == min(gates, key=lambda name: gates[name])
    assert card["reason"].endswith("is the best gate")
    assert "not with p below 0.05" in card["reason"]
    assert card["metrics"]["network_over_logistic"]["p_value"] > 0.05
    assert len(card["metrics"]["epoch_log_loss"]) == SPEC.members


@pytest.mark.parametrize("labels", ["fixed_horizon", "triple_barrier"])
def test_classes_are_told_by_the_declared_labels(market: PlantedMarket, labels: str):
    trained = train(market, ["logistic"], labels=labels)
    rule, shares = trained.card["class_rule"], trained.card["metrics"]["train_class_shares"]
    assert sum(shares) == pytest.approx(1.0)
    assert shares[1] == pytest.approx(1 / 3, abs=1e-2)
    if labels == "triple_barrier":
        assert rule["kind"] == "barriers"
        # Highs and lows reach a barrier that a third of the closes at the horizon would not.
        assert 0.5 < rule["width"] < 1.5
        assert trained.card["metrics"]["both_touched_rows"] > 0
    files = trained.to_files()
    loaded = Forecaster.from_files(files)
    assert loaded.to_files() == files
    table = loaded.predict(market.tables(), market.test)
    assert table.height == 3 * len(market.test)
    # The mean is that of the return over the whole horizon, whatever tells the classes.
    realised = compute_labels(market.bars, NO_ACTIONS, SPEC.horizon_bars)
    rows = table.join(realised, on=["symbol", "session"])
    assert np.corrcoef(rows["expected_return"], rows["forward_return"])[0, 1] > 0.2


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(market: PlantedMarket):
    first = train(market, epochs=1)
    torch.manual_seed(99)
    again = train(market, epochs=1)
    assert first.to_files() == again.to_files()
    assert train(market, epochs=1, seed=1).to_files() != first.to_files()


def test_threads_change_no_byte(market: PlantedMarket, network: Forecaster):
    side_by_side = train(market, ["network"], threads=2)
    assert side_by_side.to_files() == network.to_files()


def test_members_learn_from_other_rows_where_blocks_are_drawn(
    market: PlantedMarket, network: Forecaster
):
    drawn = train(market, ["network"], resampling="blocks")
    plain = train(market, ["network"], resampling="none")
    assert plain.to_files()[WEIGHTS_FILE] == network.to_files()[WEIGHTS_FILE]
    assert drawn.to_files()[WEIGHTS_FILE] != network.to_files()[WEIGHTS_FILE]
    for trained in (drawn, plain):
        # Weights and batches of their own set members apart either way.
        tensors = load(trained.to_files()[WEIGHTS_FILE])
        assert not torch.equal(tensors["network.0.dense.weight"], tensors["network.1.dense.weight"])
        table = trained.predict(market.tables(), market.test)
        assert (table["sigma_expected_return"] > 0.0).all()


def test_one_network_tells_its_error_by_dropout(market: PlantedMarket):
    alone = train(market, ["network"], members=1, dropout_passes=4, epochs=1)
    tensors = load(alone.to_files()[WEIGHTS_FILE])
    assert tensors["network.masks"].shape == (4, 24)
    table = alone.predict(market.tables(), market.test)
    assert (table["sigma_expected_return"] > 0.0).all()
    again = Forecaster.from_files(alone.to_files())
    assert again.predict(market.tables(), market.test).equals(table)


@pytest.mark.parametrize("served", CANDIDATES)
def test_rows_count_by_how_unique_their_labels_are(market: PlantedMarket, served: CandidateName):
    equal = train(market, [served], sample_weights="equal", labels="triple_barrier", epochs=1)
    unique = train(market, [served], labels="triple_barrier", epochs=1)
    assert equal.to_files()[WEIGHTS_FILE] != unique.to_files()[WEIGHTS_FILE]
    if served == "prior":
        shares = load(equal.to_files()[WEIGHTS_FILE])["prior.shares"]
        np.testing.assert_allclose(shares, equal.prior, rtol=1e-12)
        # Labels that live to the horizon overlap most, and those are the flat ones.
        assert load(unique.to_files()[WEIGHTS_FILE])["prior.shares"][1] < unique.prior[1] - 0.02


def test_what_judges_changes_no_model(forecaster: Forecaster, market: PlantedMarket):
    half = market.validation[len(market.validation) // 2]
    factor = pl.Series(np.random.default_rng(0).uniform(0.7, 1.4, market.bars.height))
    is_judging = pl.col("session") >= half
    bars = market.bars.with_columns(
        pl.when(is_judging).then(pl.col(name) * factor).otherwise(pl.col(name)).alias(name)
        for name in ("open", "high", "low", "close")
    )
    other = train(replace(market, bars=bars))
    assert forecaster.training is not None
    assert other.training is not None
    for name, model in forecaster.training.candidates.items():
        changed = other.training.candidates[name].tensors()
        for key, value in model.tensors().items():
            assert torch.equal(changed[key], value)
    before, after = forecaster.card["metrics"], other.card["metrics"]
    assert after["epoch_log_loss"] == before["epoch_log_loss"]
    for name in CANDIDATES:
        assert after["candidates"][name] != before["candidates"][name]
    assert other.start_state != forecaster.start_state


def test_training_leaves_the_callers_seed_and_threads_alone(market: PlantedMarket):
    torch.manual_seed(5)
    expected = torch.rand(3)
    threads = torch.get_num_threads()
    torch.manual_seed(5)
    trained = train(market, epochs=1)
    trained.predict(market.tables(), market.test)
    Forecaster.from_files(trained.to_files())
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("served", CANDIDATES)
def test_forecasts_are_probabilities_and_returns_in_fractions(
    market: PlantedMarket, served: CandidateName
):
    table = train(market, [served], epochs=1).predict(market.tables(), market.test)
    assert conform("forecasts", table).equals(table)
    total = table.select(pl.sum_horizontal("p_down", "p_flat", "p_up")).to_series()
    np.testing.assert_allclose(total, 1.0, atol=1e-6)
    assert set(table["window"]) == {"test"}
    assert set(table["model"]) == {"forecaster"}
    # Volatility of 1 % a bar is about 1.7 % over three bars.
    assert table["sigma_return"].mean() == pytest.approx(0.017, rel=0.2)
    parts = np.hypot(table["sigma_noise"], table["sigma_expected_return"])
    np.testing.assert_allclose(table["sigma_return"], parts, rtol=1e-5)
    assert table.height == 3 * len(market.test)


@pytest.mark.parametrize("served", CANDIDATES)
def test_intervals_lie_around_the_mean_and_sets_hold_a_class(
    market: PlantedMarket, served: CandidateName
):
    table = train(market, [served], epochs=1).predict(market.tables(), market.test)
    low, mean, high = (
        table[name].to_numpy() for name in ("interval_low", "expected_return", "interval_high")
    )
    assert ((low < mean) & (mean < high)).all()
    # In returns: nine of ten lie within some 1.6 deviations of 1.7 %.
    assert (0.5 * (high - low)).mean() == pytest.approx(1.645 * 0.017, rel=0.3)
    np.testing.assert_allclose(mean - low, high - mean, rtol=1e-3)
    sets = table["prediction_set"].to_numpy()
    assert set(sets.tolist()) <= set(range(1, 8))
    sizes = np.array([int(each).bit_count() for each in sets])
    np.testing.assert_array_equal(table["abstains"].to_numpy(), sizes != 1)
    likeliest = table.select("p_down", "p_flat", "p_up").to_numpy().argmax(axis=1)
    assert (sets & (1 << likeliest)).all()


def test_intervals_and_sets_hold_what_they_promise(forecaster: Forecaster, market: PlantedMarket):
    table = forecaster.predict(market.tables(), market.test)
    labels = compute_labels(market.bars, NO_ACTIONS, SPEC.horizon_bars)
    rows = table.join(labels, on=["symbol", "session"])
    earned = rows["forward_return"].to_numpy()
    low, high = rows["interval_low"].to_numpy(), rows["interval_high"].to_numpy()
    assert ((low <= earned) & (earned <= high)).mean() == pytest.approx(0.9, abs=0.06)
    scaled = earned / (0.01 * np.sqrt(SPEC.horizon_bars))
    classes = TercileRule(**forecaster.card["class_rule"]).classify(scaled)
    held = (rows["prediction_set"].to_numpy() & (1 << classes)) != 0
    assert held.mean() == pytest.approx(SPEC.set_coverage, abs=0.06)


@pytest.mark.parametrize("served", CANDIDATES)
def test_the_table_says_what_the_served_model_does_in_returns_and_tempered(
    market: PlantedMarket, served: CandidateName
):
    forecaster = train(market, [served], epochs=1)
    assert forecaster.training is not None
    tables = market.tables()
    panel, inputs = forecaster.model_inputs(tables)
    rows = rows_at(panel, market.test, SPEC.window_bars, np.ones(4, np.bool_))
    said = forecaster.training.candidates[served].predict(inputs, rows)
    raised = said.probabilities ** (1.0 / forecaster.temperature)
    found = forecaster.predict(tables, market.test).sort("session", "symbol")
    expected = raised / raised.sum(axis=1, keepdims=True)
    probabilities = found.select("p_down", "p_flat", "p_up").to_numpy()
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    if served != "prior":
        assert np.abs(said.probabilities - expected).max() > 1e-3
    for column, value in (
        ("expected_return", said.mean),
        ("sigma_noise", said.noise),
        ("sigma_expected_return", said.error),
        ("sigma_return", np.hypot(said.noise, said.error)),
    ):
        scaled = value * 0.01 * np.sqrt(SPEC.horizon_bars)
        np.testing.assert_allclose(found[column], scaled, rtol=1e-5, atol=1e-8)


def test_intervals_start_from_what_was_said_of_the_judging_rows(forecaster: Forecaster):
    assert forecaster.training is not None
    judging, said = forecaster.training.judging, forecaster.training.judged
    misses = np.abs(judging.scaled_returns - said.mean) / np.hypot(said.noise, said.error)
    state = forecaster.start_state
    np.testing.assert_allclose(sorted(state.interval_scores), sorted(misses), rtol=1e-9)
    # A class scores what it and all that are likelier have together, as tempered.
    own = said.probabilities[np.arange(len(judging)), judging.classes]
    at_least = said.probabilities >= own[:, None]
    scores = (said.probabilities * at_least).sum(axis=1)
    np.testing.assert_allclose(sorted(state.set_scores), sorted(scores), rtol=1e-9)
    assert state.issued == ()
    assert state.rule.horizon_bars == SPEC.horizon_bars
    assert (state.interval_alpha, state.set_alpha) == pytest.approx((0.1, 0.4))


def test_each_session_is_predicted_by_itself(
    network: Forecaster, market: PlantedMarket, monkeypatch: pytest.MonkeyPatch
):
    # Bytes may depend on which rows are asked together.
    asked: list[list[int]] = []
    predict = NetworkEnsemble.predict

    def watch(self: NetworkEnsemble, inputs: torch.Tensor, rows: Rows) -> Predictions:
        asked.append(np.unique(rows.session).tolist())
        return predict(self, inputs, rows)

    monkeypatch.setattr(NetworkEnsemble, "predict", watch)
    network.predict(market.tables(), market.test[:7])
    assert [len(sessions) for sessions in asked] == [1] * 7


def test_sessions_of_the_train_window_are_refused(forecaster: Forecaster, market: PlantedMarket):
    with pytest.raises(DataError, match="expected later sessions only"):
        forecaster.predict(market.tables(), [market.validation[-1]])


def test_features_that_do_not_reach_back_a_window_are_refused(
    forecaster: Forecaster, market: PlantedMarket
):
    short = market.features.filter(pl.col("session") >= market.test[0])
    tables = replace(market.tables(), features=short)
    with pytest.raises(DataError, match=r"hold 3 sessions before .* expected at least 7"):
        forecaster.predict(tables, [market.test[3]])


def test_nan_features_are_refused_by_name(market: PlantedMarket):
    broken = market.features.with_columns(
        pl.when(pl.int_range(pl.len()) == 7)
        .then(float("nan"))
        .otherwise(pl.col("noise_2"))
        .cast(pl.Float32)
        .alias("noise_2")
    )
    with pytest.raises(DataError, match="noise_2 is nan or infinite in 1 rows"):
        train(replace(market, features=broken))


def test_a_missing_feature_is_refused_by_name(market: PlantedMarket):
    with pytest.raises(DataError, match="lacks noise_3"):
        train(replace(market, features=market.features.drop("noise_3")))


def test_an_absent_feature_is_masked_instead_of_refused(market: PlantedMarket):
    absent = market.features.with_columns(pl.lit(None, pl.Float32).alias("noise_1"))
    without = replace(market, features=absent)
    table = train(without).predict(without.tables(), market.test)
    assert table["p_up"].is_finite().all()


def test_a_null_never_seen_in_training_moves_no_forecast_but_by_its_zero(
    network: Forecaster, market: PlantedMarket
):
    session = market.test[0]
    is_last = pl.col("session") == session
    centre = load(network.to_files()[WEIGHTS_FILE])["inputs.centre"][1].item()
    as_null, as_mean = (
        market.features.with_columns(
            pl.when(is_last)
            .then(pl.lit(value, pl.Float32))
            .otherwise(pl.col("noise_1"))
            .alias("noise_1")
        )
        for value in (None, centre)
    )
    one, other = (
        network.predict(replace(market.tables(), features=table), [session])
        for table in (as_null, as_mean)
    )
    np.testing.assert_allclose(one["p_up"], other["p_up"], atol=1e-7)


def test_a_symbol_still_warming_up_has_no_forecast(forecaster: Forecaster, market: PlantedMarket):
    is_new = (pl.col("symbol") == "CCC") & (pl.col("session") < market.test[5])
    late = market.features.with_columns(
        pl.when(is_new).then(None).otherwise(pl.col(name)).alias(name) for name in NAMES[:3]
    )
    table = forecaster.predict(replace(market.tables(), features=late), market.test)
    assert table.filter(pl.col("symbol") == "CCC")["session"].min() == market.test[5]


def test_stale_prices_are_refused_as_a_class_that_never_occurs(market: PlantedMarket):
    flat = market.bars.with_columns(pl.lit(5.0).alias(c) for c in ("open", "high", "low", "close"))
    with pytest.raises(DataError, match="stale prices"):
        train(replace(market, bars=flat))


def test_the_card_states_windows_that_end_before_the_test(
    forecaster: Forecaster, market: PlantedMarket
):
    card = forecaster.card
    assert card["train"][1] == str(market.train[-1])
    assert card["validation"] == [str(market.validation[0]), str(market.validation[-1])]
    assert card["parts"] == {"forecaster": {"trained": [[card["train"][0], card["validation"][1]]]}}
    # Intervals start from the close by which the last judging label had ended.
    assert forecaster.start_state.session < market.validation[-1] < market.test[0]
