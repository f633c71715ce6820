"""Forecasts held against what came: figures, pictures, and what MLflow keeps."""

from dataclasses import replace

import numpy as np
import onnxruntime
import polars as pl
import pytest

from trading_assets.errors import DataError
from trading_assets.forecast.class_rules import TercileRule
from trading_assets.forecast.evaluation import evaluate_forecasts
from trading_assets.forecast.forecaster import Forecaster
from trading_assets.forecast.labels import compute_labels
from trading_assets.forecast.plots import plot_forecasts, rolling_mean
from trading_assets.forecast.report import (
    ONNX_FILE,
    PLOT_FILE,
    draw_forecaster,
    logged_curves,
    logged_files,
    logged_kept,
    logged_tags,
    show_judging,
)
from trading_assets_tests.features.synthetic_bars import NO_ACTIONS
from trading_assets_tests.forecast.planted_market import (
    SPEC,
    PlantedMarket,
    make_market,
    train,
)

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def market() -> PlantedMarket:
    return make_market(0.6)


@pytest.fixture(scope="module")
def network(market: PlantedMarket) -> Forecaster:
    return train(market, ["network"])


@pytest.fixture(scope="module")
def forecasts(market: PlantedMarket, network: Forecaster) -> pl.DataFrame:
    return network.predict(market.tables(), market.test)


def test_figures_are_those_of_the_labels_that_have_ended(
    market: PlantedMarket, network: Forecaster, forecasts: pl.DataFrame
):
    found = evaluate_forecasts(market.tables(), forecasts, network)
    assert found is not None
    labels = compute_labels(market.bars, NO_ACTIONS, SPEC.horizon_bars)
    rows = forecasts.join(labels, on=["symbol", "session"]).drop_nulls("forward_return")
    assert 0 < len(rows) < len(forecasts)
    earned = rows["forward_return"].to_numpy()
    classes = TercileRule(**network.card["class_rule"]).classify(
        earned / (0.01 * np.sqrt(SPEC.horizon_bars))
    )
    said = rows.select("p_down", "p_flat", "p_up").to_numpy().astype(np.float64)
    of_truth = said[np.arange(len(said)), classes]
    low, high = rows["interval_low"].to_numpy(), rows["interval_high"].to_numpy()
    # A bit a class, of the lowest the first.
    held = (rows["prediction_set"].to_numpy() >> classes) & 1
    figures = found.figures
    assert figures["accuracy"] == pytest.approx((said.argmax(axis=1) == classes).mean())
    assert figures["accuracy_low"] < figures["accuracy"] < figures["accuracy_high"]
    assert figures["log_loss"] == pytest.approx(-np.log(of_truth).mean(), abs=1e-6)
    assert figures["interval_coverage"] == pytest.approx(
        ((earned >= low) & (earned <= high)).mean()
    )
    assert figures["interval_half_width"] == pytest.approx(0.5 * (high - low).mean())
    assert figures["set_coverage"] == pytest.approx(held.mean())
    assert figures["abstains"] == pytest.approx(rows["abstains"].mean())
    assert found.shown.confusion.sum() == len(rows)
    assert len(found.track.sessions) == rows["session"].n_unique()
    assert found.track.covered.mean() == pytest.approx(figures["interval_coverage"])


def test_forecasts_whose_labels_live_on_are_not_judged(
    market: PlantedMarket, network: Forecaster, forecasts: pl.DataFrame
):
    newest = forecasts.filter(pl.col("session") == pl.col("session").max())
    assert evaluate_forecasts(market.tables(), newest, network) is None


def test_forecasts_of_a_better_model_score_better(market: PlantedMarket):
    logistic = train(market, ["logistic"])
    said = logistic.predict(market.tables(), market.test)
    turned = said.with_columns(-pl.col("expected_return"), p_down="p_up", p_up="p_down")
    right = evaluate_forecasts(market.tables(), said, logistic)
    wrong = evaluate_forecasts(market.tables(), turned, logistic)
    assert right is not None
    assert wrong is not None
    assert right.figures["log_loss"] < right.figures["log_loss_of_prior"] - 0.03
    assert wrong.figures["log_loss"] > wrong.figures["log_loss_of_prior"] + 0.03
    assert right.figures["ic_t"] > 3.0
    assert wrong.figures["ic"] == pytest.approx(-right.figures["ic"])


def test_pictures_are_drawn_of_what_was_found(
    market: PlantedMarket, network: Forecaster, forecasts: pl.DataFrame
):
    found = evaluate_forecasts(market.tables(), forecasts, network)
    assert found is not None
    drawn = plot_forecasts(found.shown, found.track)
    assert drawn.startswith(PNG)
    worse = replace(found.track, covered=0.5 * found.track.covered)
    assert plot_forecasts(found.shown, worse) != drawn
    assert draw_forecaster(network, show_judging(network)).startswith(PNG)


def test_a_forecaster_read_from_files_has_no_judging_days_to_draw(network: Forecaster):
    with pytest.raises(DataError, match=r"read from files; expected one that was just trained"):
        show_judging(Forecaster.from_files(network.to_files()))


def test_mlflow_is_given_curves_tags_and_a_network_that_runs(network: Forecaster):
    curves = list(logged_curves(network))
    stored = network.card["metrics"]["epoch_log_loss"]
    assert [epoch for epoch, _ in curves] == [1, 2]
    assert curves[1][1]["stopping_log_loss_member_1"] == stored[1][1]
    tags = logged_tags(network)
    assert tags["served"] == "network"
    assert len(tags["features_sha256"]) == 64
    files = logged_files(network, b"picture")
    assert files[PLOT_FILE] == b"picture"
    session = onnxruntime.InferenceSession(files[ONNX_FILE], providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_outputs()] == ["logits", "mean", "log_variance"]


def test_the_curve_of_accuracy_by_confidence_ends_with_all_rows(network: Forecaster):
    shown = show_judging(network)
    points = dict(logged_kept(shown))
    assert list(points) == list(range(5, 101, 5))
    assert points[100]["accuracy_of_most_confident"] == pytest.approx(
        network.card["metrics"]["candidates"]["network"]["accuracy"]
    )
    half = shown.kept_accuracy[shown.kept_share >= 0.5][0]
    assert points[50]["accuracy_of_most_confident"] == half


def test_a_rolling_mean_starts_with_what_there_is():
    assert rolling_mean(np.array([1.0, 3.0, 5.0]), 2).tolist() == [1.0, 2.0, 4.0]
