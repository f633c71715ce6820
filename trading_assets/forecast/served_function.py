"""Served models as torch functions of their inputs: the same numbers, with gradients.

A function returns for n rows the log-odds of a rise against a fall, as tempered, and the mean
scaled return, (n, 2).
"""

import torch
from torch import Tensor

from trading_assets.forecast.gates.logistic import LogisticGate
from trading_assets.forecast.networks.serving import NetworkEnsemble
from trading_assets.forecast.scores import LEAST_PROBABILITY

OUTPUTS = ("log_odds", "mean")


class NetworkFunction:
    """The network's ensemble, which sees windows float32 (n, I, window_bars).

    Parameters
    ----------
    ensemble : NetworkEnsemble
        Members, and dropout masks if it is one of one.
    temperature : float
        Temperature of its probabilities.
    """

    def __init__(self, ensemble: NetworkEnsemble, temperature: float) -> None:
        self._networks = ensemble.networks
        self._masks = [torch.tensor(mask) for mask in ensemble.masks]
        self._temperature = temperature

    def __call__(self, windows: Tensor) -> Tensor:
        """Return log-odds and mean (n, 2) of windows."""
        logits: list[Tensor] = []
        means: list[Tensor] = []
        for network in self._networks:
            encoded = network.encode(windows)
            for masked in [encoded * mask for mask in self._masks] or [encoded]:
                said = network.read(masked)
                logits.append(said.logits)
                means.append(said.mean)
        mixed = torch.softmax(torch.stack(logits), dim=-1).mean(dim=0)
        logs = torch.log(mixed.clamp(min=LEAST_PROBABILITY))
        log_odds = (logs[:, 2] - logs[:, 0]) / self._temperature
        return torch.stack([log_odds, torch.stack(means).mean(dim=0)], dim=1)


class LogisticFunction:
    """The linear gate, which sees the last bar's inputs float64 (n, I); linear, so exact.

    Parameters
    ----------
    gate : LogisticGate
        The gate.
    temperature : float
        Temperature of its probabilities.
    """

    def __init__(self, gate: LogisticGate, temperature: float) -> None:
        odds = (gate.class_weight[2] - gate.class_weight[0]) / temperature
        level = (gate.class_bias[2] - gate.class_bias[0]) / temperature
        self._weight = torch.stack([torch.tensor(odds), torch.tensor(gate.ridge.weight)])
        self._bias = torch.tensor([level, gate.ridge.bias], dtype=torch.float64)

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return log-odds and mean (n, 2) of inputs."""
        return inputs @ self._weight.T + self._bias
