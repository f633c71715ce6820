"""The models a forecaster has to choose from: fitted on the same rows, asked alike."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from trading_assets.forecast.dataset import Rows, last_bars
from trading_assets.forecast.gates.fit_boosting import fit_boosting
from trading_assets.forecast.gates.fit_logistic import fit_logistic
from trading_assets.forecast.gates.gate import GateModel
from trading_assets.forecast.gates.prior import fit_prior
from trading_assets.forecast.gates.samples import Samples
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
        observations=max(1.0, len(labelled) / task.spec.horizon_bars),
    )
