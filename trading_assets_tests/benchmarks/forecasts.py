"""Figures of the forecaster: its size, what a forecast takes, and what training it takes.

Training is held against the same members trained as is usual: one after the other, in eager torch
on one thread, each batch of windows drawn at random from one shared tensor.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np
import torch

from trading_assets.cores import usable_cores
from trading_assets.forecast.calibration import class_probabilities, log_loss
from trading_assets.forecast.dataset import Rows, gather_windows
from trading_assets.forecast.networks.averaged_weights import AveragedWeights
from trading_assets.forecast.networks.ensemble import combine_members
from trading_assets.forecast.networks.fit import (
    EnsembleTask,
    FittedEnsemble,
    fit_ensemble,
    run_network,
)
from trading_assets.forecast.networks.network import ForecastNetwork, forecast_loss
from trading_assets.forecast.networks.serving import NetworkEnsemble
from trading_assets.forecast.networks.strip_rows import LabelledRows, StripTable
from trading_assets.forecast.seeded_thread import one_seeded_thread
from trading_assets.forecast_specs import PRESETS, ForecastSpec, NetworkName
from trading_assets_tests.benchmarks.figures import Figure, keep

T = TypeVar("T")

N_FEATURES, WINDOW_BARS, MEMBERS, EPOCHS = 78, 60, 5, 10
N_SYMBOLS, N_TRAIN, N_STOPPING = 4, 3_000, 750
WARM_UP_RUNS, RUNS, WIDE_RUNS = 100, 2_000, 200
PLAIN = "five members one after the other in eager torch, one thread"


def make_networks(preset: NetworkName, count: int) -> list[ForecastNetwork]:
    """Return networks with drawn heads."""
    networks: list[ForecastNetwork] = []
    for seed in range(count):
        with one_seeded_thread(seed):
            network = ForecastNetwork(N_FEATURES, 0, PRESETS[preset])
            for head in (network.classes, network.moments):
                torch.nn.init.normal_(head.weight, std=0.3)
        networks.append(network.eval())
    return networks


def p95_ms(preset: NetworkName, members: int, n_symbols: int, runs: int) -> float:
    """Return the 95th percentile of one forecast of so many symbols, milliseconds."""
    ensemble = NetworkEnsemble(make_networks(preset, members), WINDOW_BARS, ())
    rng = np.random.default_rng(0)
    windows = rng.standard_normal((n_symbols, N_FEATURES, WINDOW_BARS)).astype(np.float32)
    taken: list[float] = []
    for run in range(WARM_UP_RUNS + runs):
        started = time.perf_counter()
        combine_members(ensemble.run(windows))
        if run >= WARM_UP_RUNS:
            taken.append(time.perf_counter() - started)
    return 1e3 * float(np.percentile(taken, 95))


def make_training(threads: int) -> EnsembleTask:
    """Return 12,000 windows of four symbols, whose returns one of 78 features foretells."""
    rng = np.random.default_rng(1)
    n_sessions = WINDOW_BARS - 1 + N_TRAIN + N_STOPPING
    inputs = rng.standard_normal((N_SYMBOLS, N_FEATURES, n_sessions)).astype(np.float32)
    returns = 0.4 * inputs[:, 40] + rng.standard_normal((N_SYMBOLS, n_sessions))
    cuts = np.quantile(returns, (1 / 3, 2 / 3))

    def label(first: int, count: int) -> LabelledRows:
        symbol = np.repeat(np.arange(N_SYMBOLS), count)
        session = np.tile(np.arange(first, first + count), N_SYMBOLS)
        found = returns[symbol, session]
        return LabelledRows(
            Rows(symbol, session), np.digitize(found, cuts), found, np.ones(len(found))
        )

    spec = ForecastSpec(
        members=MEMBERS, epochs=EPOCHS, patience_epochs=EPOCHS, resampling="none", weight_decay=0.1
    )
    first = WINDOW_BARS - 1
    train, stopping = label(first, N_TRAIN), label(first + N_TRAIN, N_STOPPING)
    return EnsembleTask(torch.from_numpy(inputs), 0, train, stopping, spec, 0, threads)


def train_plainly(task: EnsembleTask, seed: int) -> float:
    """Train one member by the same recipe, and return its best stopping loss."""
    spec, train = task.spec, task.train
    with one_seeded_thread(seed) as generator:
        network = ForecastNetwork(N_FEATURES, 0, spec.sizes)
        average = AveragedWeights(network)
        first = network.first.weight
        others = [weight for weight in network.parameters() if weight is not first]
        groups = [
            {"params": [first], "weight_decay": spec.input_decay},
            {"params": others, "weight_decay": spec.weight_decay},
        ]
        optimizer = torch.optim.AdamW(groups, lr=spec.learning_rate)
        classes = torch.from_numpy(train.classes)
        returns = torch.from_numpy(np.clip(train.scaled_returns, -5, 5).astype(np.float32))
        steps = spec.epochs * -(-len(train) // spec.batch_size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        losses: list[float] = []
        for _ in range(spec.epochs):
            for chosen in torch.randperm(len(train), generator=generator).split(spec.batch_size):
                picked = chosen.numpy()
                rows = Rows(train.rows.symbol[picked], train.rows.session[picked])
                encoded = network.encode(gather_windows(task.inputs, rows, spec.window_bars))
                encoded = torch.nn.functional.dropout(encoded, spec.dropout)
                loss = forecast_loss(
                    network.read(encoded), classes[chosen], returns[chosen], torch.ones(len(chosen))
                )
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                average.add(network)
            table = StripTable(task.inputs, spec.window_bars)
            output = run_network(average.network, table, task.stopping)
            found = class_probabilities(output.logits.double().numpy())
            losses.append(log_loss(found, task.stopping.classes))
    return min(losses)


def measure_training() -> None:
    """Train one ensemble both ways, turn by turn, since a machine's speed comes and goes."""
    task = make_training(usable_cores())
    # The kernels are compiled or loaded before anything is measured.
    fit_ensemble(replace(task, spec=task.spec.model_copy(update={"epochs": 1})))
    plain = [_timed(partial(train_plainly, task, 0))]
    ours: list[tuple[float, FittedEnsemble]] = []
    for first in (1, 3):
        ours.append(_timed(partial(fit_ensemble, task)))
        plain += [_timed(partial(train_plainly, task, seed)) for seed in (first, first + 1)]
    ours_s = statistics.mean(seconds for seconds, _ in ours)
    plain_s = sum(seconds for seconds, _ in plain)
    windows = MEMBERS * EPOCHS * len(task.train)
    plain_loss = statistics.mean(loss for _, loss in plain)
    our_loss = statistics.mean(min(losses) for losses in ours[0][1].epoch_log_loss)
    keep(Figure("forecast.train_windows_per_s", windows / ours_s, "windows/s", PLAIN))
    keep(Figure("forecast.train_speedup", plain_s / ours_s, "x", PLAIN, limit=3.0))
    keep(Figure("forecast.train_log_loss", our_loss, "nats", PLAIN, ratio=our_loss / plain_loss))


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    started = time.perf_counter()
    found = work()
    return time.perf_counter() - started, found


def measure_forecasts() -> None:
    """Count the parameters and time forecasts and training."""
    compact = sum(weight.numel() for weight in make_networks("compact", 1)[0].parameters())
    keep(Figure("forecast.params_compact", compact, "parameters", limit=19_843))
    for name, (preset, members, n_symbols, runs, limit) in {
        "compact": ("compact", 1, 1, RUNS, 0.3),
        "ensemble": ("compact", MEMBERS, 1, RUNS, 1.0),
        "production": ("production", 1, 1, RUNS, 2.0),
        "50x5": ("compact", MEMBERS, 50, WIDE_RUNS, 12.0),
    }.items():
        taken = p95_ms(preset, members, n_symbols, runs)
        keep(Figure(f"forecast.p95_ms_{name}", taken, "ms", limit=limit))
    measure_training()


STAGES = {"forecast": measure_forecasts}
