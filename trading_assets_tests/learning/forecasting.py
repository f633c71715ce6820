"""Figures of the forecaster on worlds whose best forecast is known.

World W5: 60,000 windows to learn from, the signal hidden in one of 78 features. Accuracy, log-loss
and calibration are of later rows, which no model has seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import softmax

from trading_assets.cores import usable_cores
from trading_assets.forecast.dataset import Rows, rows_at
from trading_assets.forecast.forecaster import Forecaster
from trading_assets.forecast.networks.serving import NetworkEnsemble
from trading_assets.forecast.scores import expected_calibration_error, log_loss
from trading_assets.forecast.tables import ForecastTables
from trading_assets.forecast.train import train_forecaster
from trading_assets.forecast_specs import ForecastSpec
from trading_assets_tests.benchmarks.figures import Figure, keep
from trading_assets_tests.features.synthetic_bars import NO_ACTIONS
from trading_assets_tests.forecast.broken_series import (
    adaptive_misses,
    draw_series,
    frozen_misses,
    window_coverage,
)
from trading_assets_tests.learning.signal_tables import SignalTables, SignalWorld, draw_tables

Classes = NDArray[np.int64]

N_SYMBOLS, N_FEATURES, WINDOW_BARS = 20, 78, 60
TRAIN_SESSIONS, VALIDATION_SESSIONS, TEST_SESSIONS = 3_064, 600, 1_500
SPEC = ForecastSpec(labels="fixed_horizon", horizon_bars=5, network="compact", epochs=6)
STRONG_IC = 0.2
ACI_BARS, ACI_SEEDS = 5_000, tuple(range(10))


@dataclass(frozen=True)
class Learned:
    """How the network's forecasts of later rows compare with the best there are.

    Attributes
    ----------
    accuracy, best_accuracy : float
        Share of rows whose class was named.
    standard_error : float
        Of the accuracy, labels over h bars counting as one row each.
    loss, best_loss : float
        Log-loss, nats.
    calibration_error : float
        After the temperature.
    mean_member_loss : float
        Log-loss of the members by themselves, on average, before the temperature.
    ensemble_loss : float
        That of their mixture, before the temperature.
    """

    accuracy: float
    best_accuracy: float
    standard_error: float
    loss: float
    best_loss: float
    calibration_error: float
    mean_member_loss: float
    ensemble_loss: float


def learn_signal(information_coefficient: float, seed: int) -> Learned:
    """Train the compact ensemble on a world, and try it on later rows."""
    world = SignalWorld(information_coefficient)
    n_sessions = TRAIN_SESSIONS + VALIDATION_SESSIONS + TEST_SESSIONS
    tables = draw_tables(world, N_SYMBOLS, n_sessions, N_FEATURES, seed)
    ends = TRAIN_SESSIONS, TRAIN_SESSIONS + VALIDATION_SESSIONS
    train, validation = tables.sessions[: ends[0]], tables.sessions[ends[0] : ends[1]]
    known = pl.col("session") <= validation[-1]
    forecaster = train_forecaster(
        ForecastTables(tables.features.filter(known), tables.bars.filter(known), NO_ACTIONS),
        train,
        validation,
        SPEC.model_copy(update={"seed": seed}),
        tables.names,
        candidates=("network",),
        threads=usable_cores(),
    )
    return _try(world, tables, forecaster, ends[1])


def _try(world: SignalWorld, tables: SignalTables, forecaster: Forecaster, first: int) -> Learned:
    test = tables.sessions[first : -world.horizon_bars]
    given = ForecastTables(tables.features, tables.bars, NO_ACTIONS)
    rows = forecaster.predict(given, test)
    said = rows.select("p_down", "p_flat", "p_up").to_numpy().astype(np.float64)
    said /= said.sum(axis=1, keepdims=True)
    rule = forecaster.class_rule
    assert rule.kind == "terciles"
    # Rows are in order of symbol and session, as are these.
    scaled = tables.scaled_returns(world.horizon_bars)[:, first : first + len(test)].ravel()
    classes = rule.classify(scaled)
    signal = tables.signal[first : first + len(test)].T.ravel()
    best = world.best_probabilities(signal, (rule.lower, rule.upper))
    accuracy = float((said.argmax(axis=1) == classes).mean())
    mean_member_loss, ensemble_loss = _member_losses(forecaster, given, test, classes)
    independent = len(classes) / world.horizon_bars
    return Learned(
        accuracy=accuracy,
        best_accuracy=float((best.argmax(axis=1) == classes).mean()),
        standard_error=float(np.sqrt(accuracy * (1.0 - accuracy) / independent)),
        loss=log_loss(said, classes),
        best_loss=log_loss(best, classes),
        calibration_error=expected_calibration_error(said, classes),
        mean_member_loss=mean_member_loss,
        ensemble_loss=ensemble_loss,
    )


def _member_losses(
    forecaster: Forecaster, given: ForecastTables, test: Sequence[date], classes: Classes
) -> tuple[float, float]:
    """Return the log-loss of the members on average and of their mixture, both untempered."""
    training = forecaster.training
    assert training is not None
    network = training.candidates["network"]
    assert isinstance(network, NetworkEnsemble)
    panel, inputs = forecaster.model_inputs(given)
    rows = rows_at(panel, test, WINDOW_BARS, np.ones(N_FEATURES, dtype=np.bool_))
    by_symbol = np.lexsort((rows.session, rows.symbol))
    outputs = network.outputs(inputs, Rows(rows.symbol[by_symbol], rows.session[by_symbol]))
    each = softmax(outputs.logits.astype(np.float64), axis=-1)
    losses = [log_loss(found, classes) for found in each]
    return float(np.mean(losses)), log_loss(each.mean(axis=0), classes)


def learn_forecasts(seeds: Sequence[int]) -> list[str]:
    """Train on a world with a signal and on one without, print each seed, and keep the figures."""
    print("| IC | seed | accuracy | best | s.e. | log-loss | best | ECE | members | ensemble |")
    print("| --- " * 10 + "|")
    found: dict[float, list[Learned]] = {}
    for information in (STRONG_IC, 0.0):
        found[information] = [show_learned(information, seed) for seed in seeds]
    strong, silent = found[STRONG_IC], found[0.0]
    accuracy = float(np.median([one.accuracy for one in strong]))
    share = float(np.median([one.accuracy / one.best_accuracy for one in strong]))
    gap = float(np.median([one.loss - one.best_loss for one in strong]))
    error = max(one.calibration_error for one in strong)
    worst = max(abs(one.accuracy - 1.0 / 3.0) / one.standard_error for one in silent)
    gain = min(one.mean_member_loss - one.ensemble_loss for one in (*strong, *silent))
    kept = (
        (Figure("forecast.accuracy_ic20", accuracy, "share", limit=0.42), accuracy >= 0.42),
        (Figure("forecast.share_of_bayes", share, "share", limit=0.95), share >= 0.95),
        (Figure("forecast.logloss_gap", gap, "nats", limit=0.010), gap <= 0.010),
        (Figure("forecast.ece", error, "share", limit=0.03), error <= 0.03),
        (Figure("forecast.accuracy_ic0_errors", worst, "s.e.", limit=3.0), worst <= 3.0),
        (Figure("forecast.ensemble_gain", gain, "nats", limit=0.0), gain >= 0.0),
    )
    return _keep(kept)


def show_learned(information_coefficient: float, seed: int) -> Learned:
    """Train one seed, and print its row of the table."""
    one = learn_signal(information_coefficient, seed)
    print(
        f"| {information_coefficient} | {seed} | {one.accuracy:.4f} | {one.best_accuracy:.4f} |"
        f" {one.standard_error:.4f} | {one.loss:.4f} | {one.best_loss:.4f} |"
        f" {one.calibration_error:.4f} | {one.mean_member_loss:.4f} | {one.ensemble_loss:.4f} |",
        flush=True,
    )
    return one


def learn_coverage() -> list[str]:
    """Break the variance of a series half-way, and keep what intervals cover all the same."""
    print("| horizon | seed | coverage % | worst 250 bars % | frozen after the break % |")
    print("| --- " * 5 + "|")
    overall: list[float] = []
    windows: list[float] = []
    for horizon_bars in (1, SPEC.horizon_bars):
        for seed in ACI_SEEDS:
            series = draw_series(seed, ACI_BARS, horizon_bars)
            missed = adaptive_misses(series)
            covered = 100.0 * (1.0 - missed.mean())
            worst = 100.0 * window_coverage(missed).min()
            frozen = 100.0 * (1.0 - frozen_misses(series)[ACI_BARS // 2 :].mean())
            print(f"| {horizon_bars} | {seed} | {covered:.2f} | {worst:.2f} | {frozen:.1f} |")
            overall.append(float(covered))
            windows.append(float(worst))
    farthest = overall[int(np.argmax(np.abs(np.array(overall) - 90.0)))]
    least = min(windows)
    kept = (
        (Figure("forecast.aci_coverage_pct", farthest, "%", limit=90.0), abs(farthest - 90) <= 1.5),
        (Figure("forecast.aci_worst250_pct", least, "%", limit=85.0), least >= 85.0),
    )
    return _keep(kept)


def _keep(kept: Sequence[tuple[Figure, bool]]) -> list[str]:
    """Keep figures and return the names of those that are missed."""
    for figure, _ in kept:
        keep(figure)
    return [figure.figure for figure, is_reached in kept if not is_reached]
