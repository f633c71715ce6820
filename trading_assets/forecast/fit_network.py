"""Trains the network: seeded, on one thread, stopped by purged validation log-loss."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from trading_assets.forecast.calibration import class_probabilities, log_loss
from trading_assets.forecast.dataset import Rows, gather_windows
from trading_assets.forecast.network import ForecastNetwork, NetworkOutput, forecast_loss
from trading_assets.strategy import ForecastSpec

Array = NDArray[np.float64]

PATIENCE_EPOCHS = 3
# Scaled returns beyond are cut for the regression head, so that one crash does not rule it.
RETURN_CLIP = 5.0
_GRADIENT_NORM = 1.0


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """Rows of a panel with their classes int64 (n,) and scaled returns float64 (n,)."""

    rows: Rows
    classes: NDArray[np.int64]
    scaled_returns: Array


@dataclass(frozen=True, slots=True)
class FittedNetwork:
    """The best epoch's network and the validation log-loss after each epoch."""

    network: ForecastNetwork
    epoch_log_loss: list[float]


@contextmanager
def one_seeded_thread(seed: int) -> Generator[torch.Generator]:
    """Run torch on one thread with its own seed; the caller's threads and seed come back after.

    Yields the generator that shuffles batches; modules built inside draw from the local seed.
    """
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield torch.Generator().manual_seed(seed)
        finally:
            torch.set_num_threads(threads)


def fit_network(
    inputs: torch.Tensor,
    n_masks: int,
    train: LabelledRows,
    validation: LabelledRows,
    spec: ForecastSpec,
    seed: int,
) -> FittedNetwork:
    """Return the network of the epoch with the least validation log-loss.

    Parameters
    ----------
    inputs : float32 (N, I, T)
        Transformed features, then their masks.
    n_masks : int
        How many of the inputs are masks.
    train, validation : LabelledRows
        Purged rows; validation chooses the epoch and stops training after 3 without progress.
    spec : ForecastSpec
        Sizes, epochs, batch size and step size.
    seed : int
        Seed of weights and batches; the same seed gives the same bytes.
    """
    with one_seeded_thread(seed) as generator:
        network = ForecastNetwork(inputs.shape[1] - n_masks, n_masks, spec.hidden_units)
        optimizer = torch.optim.Adam(network.parameters(), lr=spec.learning_rate)
        losses: list[float] = []
        best = _copy_state(network)
        for _ in range(spec.epochs):
            _train_epoch(network, optimizer, inputs, train, spec, generator)
            logits = run_network(network, inputs, validation.rows, spec.window_bars).logits
            probabilities = class_probabilities(logits.double().numpy())
            losses.append(log_loss(probabilities, validation.classes))
            if losses[-1] == min(losses):
                best = _copy_state(network)
            if len(losses) - 1 - int(np.argmin(losses)) >= PATIENCE_EPOCHS:
                break
        network.load_state_dict(best)
    return FittedNetwork(network.eval(), losses)


def run_network(
    network: ForecastNetwork,
    inputs: torch.Tensor,
    rows: Rows,
    window_bars: int,
    batch_rows: int = 512,
) -> NetworkOutput:
    """Return the network's output for `rows`, in batches, without gradients."""
    network.eval()
    outputs: list[NetworkOutput] = []
    with torch.no_grad():
        for start in range(0, len(rows), batch_rows):
            part = slice(start, start + batch_rows)
            batch = Rows(rows.symbol[part], rows.session[part])
            outputs.append(network(gather_windows(inputs, batch, window_bars)))
    if not outputs:
        empty = torch.empty(0)
        return NetworkOutput(torch.empty((0, 3)), empty, empty)
    return NetworkOutput(*(torch.cat(column) for column in zip(*outputs, strict=True)))


def _train_epoch(
    network: ForecastNetwork,
    optimizer: torch.optim.Optimizer,
    inputs: torch.Tensor,
    train: LabelledRows,
    spec: ForecastSpec,
    generator: torch.Generator,
) -> None:
    network.train()
    classes = torch.from_numpy(train.classes)
    clipped = np.clip(train.scaled_returns, -RETURN_CLIP, RETURN_CLIP)
    targets = torch.from_numpy(clipped.astype(np.float32))
    order = torch.randperm(len(train.rows), generator=generator)
    for chosen in order.split(spec.batch_size):
        picked = chosen.numpy()
        batch = Rows(train.rows.symbol[picked], train.rows.session[picked])
        output = network(gather_windows(inputs, batch, spec.window_bars))
        loss = forecast_loss(output, classes[chosen], targets[chosen])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(network.parameters(), _GRADIENT_NORM)
        optimizer.step()


def _copy_state(network: ForecastNetwork) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}
