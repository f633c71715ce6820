"""Trains an ensemble: members side by side, each seeded, stopped by purged log-loss."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from trading_assets.forecast.calibration import class_probabilities, log_loss
from trading_assets.forecast.networks.averaged_weights import AveragedWeights
from trading_assets.forecast.networks.network import (
    ForecastNetwork,
    NetworkOutput,
    forecast_loss,
)
from trading_assets.forecast.networks.strip_rows import LabelledRows, StripTable
from trading_assets.forecast.seeded_thread import one_seeded_thread
from trading_assets.forecast_specs import ForecastSpec

Array = NDArray[np.float64]

# Scaled returns beyond are cut for the regression head, so that one crash does not rule it.
RETURN_CLIP = 5.0
# Sessions that are drawn together when a member's rows are resampled, in horizons.
BLOCK_HORIZONS = 4
_GRADIENT_NORM = 1.0


@dataclass(frozen=True, slots=True)
class FittedEnsemble:
    """Members, each of its best epoch, and each one's stopping log-loss after every epoch."""

    networks: tuple[ForecastNetwork, ...]
    epoch_log_loss: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class EnsembleTask:
    """What an ensemble is trained on.

    Attributes
    ----------
    inputs : float32 (N, I, T)
        Transformed features, then their masks.
    n_masks : int
        How many of the inputs are masks.
    train, stopping : LabelledRows
        Purged rows; `stopping` chooses each member's epoch, and ends what does not progress.
    spec : ForecastSpec
        Sizes, epochs, batches and step size.
    seed : int
        Of weights, batches and resampling; the same seed gives the same bytes.
    threads : int
        Members trained at a time; changes nothing but the time.
    """

    inputs: torch.Tensor
    n_masks: int
    train: LabelledRows
    stopping: LabelledRows
    spec: ForecastSpec
    seed: int
    threads: int = 1


def pick_device() -> torch.device:
    """Return the GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fit_ensemble(task: EnsembleTask) -> FittedEnsemble:
    """Return the trained members, on the CPU."""
    networks: list[ForecastNetwork] = []
    for member in range(task.spec.members):
        # Weights are drawn one member after the other: the generator that layers draw from is one.
        with one_seeded_thread(_member_seed(task.seed, member)):
            width = task.inputs.shape[1] - task.n_masks
            networks.append(ForecastNetwork(width, task.n_masks, task.spec.sizes))
    table = StripTable(task.inputs, task.spec.window_bars)
    device = pick_device()
    table.move_to(device)
    members = [
        _Member(task, table, network.to(device), number) for number, network in enumerate(networks)
    ]
    _train_in_turns(members, min(task.threads, len(members)))
    trained = tuple(member.finish().to("cpu").eval() for member in members)
    return FittedEnsemble(trained, tuple(tuple(member.losses) for member in members))


def run_network(
    network: ForecastNetwork, table: StripTable, labelled: LabelledRows, batch_rows: int = 512
) -> NetworkOutput:
    """Return the network's output for rows, on the CPU, without gradients or dropout."""
    n_rows = len(labelled)
    logits, mean, log_variance = torch.zeros((n_rows, 3)), torch.zeros(n_rows), torch.zeros(n_rows)
    with torch.no_grad():
        for bars, numbers in table.cover(labelled.rows, batch_rows):
            output = network.read(network.encode_strips(bars, table.window_bars))
            is_row = numbers >= 0
            rows, kept = torch.from_numpy(numbers[is_row]), torch.from_numpy(np.flatnonzero(is_row))
            logits[rows] = output.logits.cpu()[kept]
            mean[rows] = output.mean.cpu()[kept]
            log_variance[rows] = output.log_variance.cpu()[kept]
    return NetworkOutput(logits, mean, log_variance)


def resample_rows(
    labelled: LabelledRows, block_sessions: int, generator: np.random.Generator
) -> LabelledRows:
    """Return the rows with weights by how often their block of sessions was drawn.

    As many blocks as there are, drawn with replacement; a block is of all symbols, whose returns
    are alike on a day. Weights keep their mean of 1.
    """
    block = labelled.rows.session // block_sessions
    numbers, place = np.unique(block, return_inverse=True)
    drawn = np.bincount(generator.integers(len(numbers), size=len(numbers)), minlength=len(numbers))
    weights = labelled.weights * drawn[place]
    return replace(labelled, weights=weights / weights.mean())


def _member_seed(seed: int, member: int) -> int:
    return int(np.random.SeedSequence([seed, member]).generate_state(1)[0])


class _Member:
    """One network in training, an epoch at a time."""

    def __init__(
        self, task: EnsembleTask, table: StripTable, network: ForecastNetwork, number: int
    ) -> None:
        spec = task.spec
        self.losses: list[float] = []
        self._spec, self._table, self._stopping = spec, table, task.stopping
        self._generator = np.random.default_rng([task.seed, number])
        train = task.train
        if spec.members > 1 and spec.resampling == "blocks":
            train = resample_rows(train, BLOCK_HORIZONS * spec.horizon_bars, self._generator)
        clipped = np.clip(train.scaled_returns, -RETURN_CLIP, RETURN_CLIP)
        self._train = replace(train, scaled_returns=clipped)
        self._learner = network, _make_optimizer(network, spec), AveragedWeights(network)
        self._best = _copy_state(network)

    @property
    def is_done(self) -> bool:
        """Whether all epochs have passed, or too many without progress; asked after an epoch."""
        n_epochs = len(self.losses)
        without_progress = n_epochs - 1 - int(np.argmin(self.losses))
        return n_epochs == self._spec.epochs or without_progress >= self._spec.patience_epochs

    def train_epoch(self) -> None:
        """Train one epoch and keep the weights if they are the best so far."""
        moment = len(self.losses), self._generator
        _train_epoch(self._learner, self._table, self._train, self._spec, moment)
        average = self._learner[2].network
        output = run_network(average, self._table, self._stopping)
        probabilities = class_probabilities(output.logits.double().numpy())
        self.losses.append(log_loss(probabilities, self._stopping.classes))
        if self.losses[-1] == min(self.losses):
            self._best = _copy_state(average)

    def finish(self) -> ForecastNetwork:
        """Return the network with its best weights."""
        network = self._learner[0]
        network.load_state_dict(self._best)
        return network


def _train_in_turns(members: Sequence[_Member], threads: int) -> None:
    """Train members epoch by epoch, so that no thread waits for the last whole member."""
    waiting = deque(members)

    def train() -> None:
        # Threads of torch's own are counted for each thread of Python's.
        torch.set_num_threads(1)
        while True:
            try:
                member = waiting.popleft()
            except IndexError:
                return  # each of the other threads holds one, and none is left to begin
            member.train_epoch()
            if not member.is_done:
                waiting.append(member)

    with ThreadPoolExecutor(max(1, threads)) as pool:
        for trained in [pool.submit(train) for _ in range(max(1, threads))]:
            trained.result()


def _make_optimizer(network: ForecastNetwork, spec: ForecastSpec) -> torch.optim.Optimizer:
    # Most features of returns are noise, and the first layer has weights for each of them.
    first = network.first.weight
    others = [weight for weight in network.parameters() if weight is not first]
    groups = [
        {"params": [first], "weight_decay": spec.input_decay},
        {"params": others, "weight_decay": spec.weight_decay},
    ]
    return torch.optim.AdamW(groups, lr=spec.learning_rate, fused=True)


def _train_epoch(
    learner: tuple[ForecastNetwork, torch.optim.Optimizer, AveragedWeights],
    table: StripTable,
    train: LabelledRows,
    spec: ForecastSpec,
    moment: tuple[int, np.random.Generator],
) -> None:
    network, optimizer, average = learner
    epoch, generator = moment
    batches = table.shuffle(train, spec.batch_size, generator)
    for number, batch in enumerate(batches):
        done = (epoch + number / len(batches)) / spec.epochs
        for group in optimizer.param_groups:
            group["lr"] = spec.learning_rate * 0.5 * (1.0 + np.cos(np.pi * done))
        encoded = network.encode_strips(batch.bars, table.window_bars)
        if spec.dropout > 0.0:
            encoded = encoded * dropout_mask(tuple(encoded.shape), spec.dropout, generator).to(
                encoded.device
            )
        loss = forecast_loss(
            network.read(encoded), batch.classes, batch.scaled_returns, batch.weights
        )
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(network.parameters(), _GRADIENT_NORM)
        optimizer.step()
        average.add(network)


def dropout_mask(
    shape: tuple[int, ...], share: float, generator: np.random.Generator
) -> torch.Tensor:
    """Return 0 for a share of units and 1 / (1 - share) for the others, float32."""
    kept = generator.random(shape, dtype=np.float32) >= share
    return torch.from_numpy(kept.astype(np.float32) / np.float32(1.0 - share))


def _copy_state(network: ForecastNetwork) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}
