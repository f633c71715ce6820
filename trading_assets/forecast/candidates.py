"""The models a forecaster has to choose from: fitted on the same rows, asked alike."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.forecast.dataset import Rows, last_bars
from trading_assets.forecast.gates.fit_boosting import fit_boosting
from trading_assets.forecast.gates.fit_logistic import fit_logistic
from trading_assets.forecast.gates.gate import GateModel
from trading_assets.forecast.gates.prior import fit_prior
from trading_assets.forecast.gates.samples import Samples
from trading_assets.forecast.independent_rows import count_independent
from trading_assets.forecast.networks.fit import EnsembleTask, fit_ensemble
from trading_assets.forecast.networks.serving import NetworkEnsemble, draw_masks
from trading_assets.forecast.networks.strip_rows import LabelledRows
from trading_assets.forecast.predictions import CANDIDATES, CandidateName, Predictions


class Candidate(Protocol):
    """A fitted model: predicts rows of a panel of model inputs."""

    def predict(self, inputs: torch.Tensor, rows: Rows) -> Predictions:
        """Return what the model says at `rows` of inputs float32 (N, I, T), untempered."""
        ...

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the arrays by their names in `weights.safetensors`."""
        ...


@dataclass(frozen=True, slots=True)
class GateCandidate:
    """A gate model, which sees the last bar of a row only."""

    gate: GateModel

    def predict(self, inputs: torch.Tensor, rows: Rows) -> Predictions:
        """Return what the model says at `rows` of inputs float32 (N, I, T), untempered."""
        return self.gate.predict(last_bars(inputs, rows).numpy())

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the arrays by their names in `weights.safetensors`."""
        return self.gate.tensors()


@dataclass(frozen=True, slots=True)
class FittedCandidates:
    """Fitted models by name, and the network members' stopping log-loss after each epoch."""

    models: Mapping[CandidateName, Candidate]
    epoch_log_loss: tuple[tuple[float, ...], ...]


def fit_candidates(
    task: EnsembleTask, names: Collection[CandidateName] = CANDIDATES
) -> FittedCandidates:
    """Return the named candidates, fitted on the task's train rows and stopped on its others."""
    models: dict[CandidateName, Candidate] = {}
    curves: tuple[tuple[float, ...], ...] = ()
    if "network" in names:
        spec = task.spec
        fitted = fit_ensemble(task)
        masks = [] if spec.members > 1 else _passes(task)
        models["network"] = NetworkEnsemble(fitted.networks, spec.window_bars, masks)
        curves = fitted.epoch_log_loss
    train, stopping = (_samples(task, rows) for rows in (task.train, task.stopping))
    horizon = task.spec.horizon_bars
    if "logistic" in names:
        models["logistic"] = GateCandidate(fit_logistic(train, stopping))
    if "boosting" in names:
        models["boosting"] = GateCandidate(fit_boosting(train, stopping, horizon, task.seed))
    if "prior" in names:
        models["prior"] = GateCandidate(fit_prior(train))
    return FittedCandidates(models, curves)


def require_candidates(names: Collection[CandidateName]) -> None:
    """Refuse a choice without candidates, or one in which nothing judges the network.

    Raises
    ------
    DataError
        Naming those that were asked for.
    """
    is_judged = "network" not in names or "logistic" in names or len(names) == 1
    if names and is_judged:
        return
    msg = (
        f"candidates were {', '.join(sorted(names)) or 'none'}; expected at least one, and logistic"
        f" beside the network, which is judged against it: name it too"
    )
    raise DataError(msg)


def require_finite(
    name: str,
    epoch_log_loss: Sequence[Sequence[float]],
    said: Mapping[CandidateName, Predictions],
) -> None:
    """Refuse candidates whose training or forecasts are nan or infinite.

    Parameters
    ----------
    name : str
        Forecaster or part that an error names.
    epoch_log_loss : sequence of sequence of float
        Stopping log-loss of each member after each epoch, nats.
    said : mapping of str to Predictions
        Of the judging rows.

    Raises
    ------
    DataError
        Naming the first member or candidate.
    """
    for member, losses in enumerate(epoch_log_loss):
        lost = [epoch for epoch, loss in enumerate(losses, start=1) if not math.isfinite(loss)]
        if lost:
            msg = (
                f"member {member} of the network of {name} had a log-loss of"
                f" {losses[lost[0] - 1]} after epoch {lost[0]}; expected a finite one: {_REMEDY}"
            )
            raise DataError(msg)
    for candidate, found in said.items():
        values = np.column_stack([found.probabilities, found.mean, found.noise, found.error])
        broken = int((~np.isfinite(values)).any(axis=1).sum())
        if broken:
            msg = (
                f"{candidate} of {name} gives {broken} of {len(found)} judging rows forecasts that"
                f" are not finite; expected none: {_REMEDY}"
            )
            raise DataError(msg)


_REMEDY = "lower forecast.learning_rate, or raise forecast.clip_quantile"


def _passes(task: EnsembleTask) -> list[NDArray[np.float32]]:
    spec = task.spec
    return draw_masks(spec.sizes, spec.dropout, spec.dropout_passes, task.seed)


def _samples(task: EnsembleTask, labelled: LabelledRows) -> Samples:
    return Samples(
        inputs=last_bars(task.inputs, labelled.rows).numpy(),
        classes=labelled.classes,
        scaled_returns=labelled.scaled_returns,
        weights=labelled.weights,
        sessions=labelled.rows.session,
        observations=count_independent(
            labelled.scaled_returns, labelled.rows.session, task.spec.horizon_bars
        ),
    )
