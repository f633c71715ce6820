"""Trained policies as torch functions of what they see: the same numbers, with gradients.

`TrainedPolicy.act_from` decides in numpy, where a row has the same bits in any batch; this is its
double for whoever asks what an action depends on, and never decides.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trading_assets.errors import DataError
from trading_assets.policy.acting import as_ensemble
from trading_assets.policy.encoders import WindowEncoder
from trading_assets.policy.ensemble import Ensemble
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.observation import raw_weights
from trading_assets.simulation.core import Floats

FORM_TOLERANCE = 1e-5
"""Largest difference of weights that counts as the same policy."""


class DifferentiablePolicy(nn.Module):
    """The mean action of one policy, float64.

    Parameters
    ----------
    policy : TrainedPolicy
        A policy whose actions are not chosen among levels.

    Raises
    ------
    DataError
        If its actions are levels, which have no gradient.
    """

    def __init__(self, policy: TrainedPolicy) -> None:
        super().__init__()
        if policy.output == "levels":
            msg = (
                f"a policy of seed {policy.seed} chooses among {len(policy.levels)} levels, which"
                " have no gradient; expected actions that move with what is seen: explain it by"
                " the importance of its inputs"
            )
            raise DataError(msg)
        self.output = policy.output
        self.n_account_inputs = policy.rules.n_account_inputs
        self.layers = nn.ModuleList(
            _linear(policy.tensors, name) for name in ("hidden_0", "hidden_1", "action")
        )
        self.encoder = _encoder(policy)
        self.cell = _memory(policy.tensors)
        self.double().eval().requires_grad_(requires_grad=False)

    def forward(self, observation: Tensor, memory: Tensor) -> Tensor:
        """Return actions (n, N) of observations (n, n_inputs) and memories (n, n_memory)."""
        layer = observation
        if self.encoder is not None:
            length = observation.shape[1] - self.n_account_inputs
            shape = (self.encoder.window_bars, self.encoder.n_symbols, self.encoder.n_inputs)
            windows = observation[:, :length].unflatten(1, shape)
            layer = torch.cat([self.encoder(windows), observation[:, length:]], dim=1)
        if self.cell is not None:
            hidden, cell = memory.chunk(2, dim=1)
            layer = self.cell(layer, (hidden, cell))[0]
        first, second, action = self.layers
        last = action(torch.tanh(second(torch.tanh(first(layer)))))
        return torch.tanh(last) if self.output == "tanh" else last.clamp(-1.0, 1.0)


class DifferentiableEnsemble(nn.Module):
    """The weights before confidence and limits that an ensemble's mean action stands for.

    Parameters
    ----------
    policies : sequence of TrainedPolicy
        Members with the same rules; those of an `Ensemble` count by its weights.

    Raises
    ------
    DataError
        If a member that counts chooses among levels.
    """

    def __init__(self, policies: Sequence[TrainedPolicy]) -> None:
        super().__init__()
        self._ensemble = as_ensemble(policies)
        n_members = len(self._ensemble)
        weights = self._ensemble.weights or (1.0 / n_members,) * n_members
        self._counted = [(place, weight) for place, weight in enumerate(weights) if weight > 0.0]
        self.members = nn.ModuleList(
            DifferentiablePolicy(self._ensemble[place]) for place, _ in self._counted
        )
        self._limits = self._ensemble[0].rules.limits

    def forward(self, observation: Tensor, *memories: Tensor) -> Tensor:
        """Return raw weights (n, N) of observations (n, n_inputs) and each member's memory."""
        actions = [
            weight * member(observation, memories[place])
            for (place, weight), member in zip(self._counted, self.members, strict=True)
        ]
        mean = torch.stack(actions).sum(dim=0)
        if self._limits.is_long_only:
            mean = 0.5 * (mean + 1.0)
        return mean * self._limits.max_weight

    def form_gap(self, observation: NDArray[np.float32], memories: Sequence[Floats]) -> float:
        """Return the largest difference of weights from the form that acts.

        Parameters
        ----------
        observation : float32 (n, n_inputs)
            What was seen.
        memories : sequence of float64 (n, n_memory)
            What each member remembered.
        """
        held = [torch.from_numpy(memory) for memory in memories]
        with torch.no_grad():
            own = self(torch.from_numpy(observation.astype(np.float64)), *held).numpy()
        acted = act_on(self._ensemble, observation, memories)
        return float(np.abs(own - acted).max(initial=0.0))


def act_on(
    ensemble: Ensemble, observation: NDArray[np.float32], memories: Sequence[Floats]
) -> Floats:
    """Return raw weights float64 (n, N) as the ensemble decides them, row by row."""
    actions = [
        policy.act_from(observation, memory)[0]
        for policy, memory in zip(ensemble, memories, strict=True)
    ]
    return raw_weights(ensemble.mix(actions), ensemble[0].rules)


def _linear(tensors: Mapping[str, NDArray[np.float32]], name: str) -> nn.Linear:
    weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(bias)})
    return layer


def _encoder(policy: TrainedPolicy) -> WindowEncoder | None:
    if policy.encoder is None:
        return None
    own = _below(policy.tensors, "encoder.")
    rules = policy.rules
    sizes = (rules.window_bars, len(rules.symbols), rules.n_symbol_inputs)
    encoder = WindowEncoder(policy.encoder, *sizes, own.get("graph"))
    encoder.load_state_dict({name: torch.tensor(tensor) for name, tensor in own.items()})
    return encoder


def _memory(tensors: Mapping[str, NDArray[np.float32]]) -> nn.LSTMCell | None:
    own = _below(tensors, "memory.")
    if not own:
        return None
    n_inputs = own["weight_ih_l0"].shape[1]
    cell = nn.LSTMCell(n_inputs, own["weight_hh_l0"].shape[1])
    cell.load_state_dict({n.removesuffix("_l0"): torch.tensor(t) for n, t in own.items()})
    return cell


def _below(
    tensors: Mapping[str, NDArray[np.float32]], prefix: str
) -> dict[str, NDArray[np.float32]]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
