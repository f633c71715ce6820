"""A trained policy as data: a small tanh network, rebuilt from safetensors and a JSON card."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from trading_assets.errors import DataError
from trading_assets.policy.observation import DecisionRules

FORMAT = 2
WEIGHTS_FILE = "weights.safetensors"
CARD_FILE = "card.json"
_LAYERS = ("hidden_0", "hidden_1", "action")
_OUTPUTS = ("clip", "tanh")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A policy's validation score at one point of its training.

    Attributes
    ----------
    steps : int
        Environment steps taken before.
    score : float
        Mean reward per bar of the deterministic policy on the validation window.
    """

    steps: int
    score: float


@dataclass(frozen=True, slots=True)
class TrainedPolicy:
    """The mean action of a trained agent.

    Attributes
    ----------
    rules : DecisionRules
        What it observes and what its actions mean.
    tensors : mapping of str to float32 array
        `<layer>.weight` (outputs, inputs) and `<layer>.bias` of two tanh layers and a linear one.
    algorithm : str
        Learning algorithm.
    seed : int
        Seed of its training.
    history : tuple of Checkpoint
        Validation scores in order of training.
    selected_steps : int
        Checkpoint that was kept.
    output : {"clip", "tanh"}
        How the last layer's values become actions in [-1, 1].
    """

    rules: DecisionRules
    tensors: Mapping[str, NDArray[np.float32]]
    algorithm: str
    seed: int
    history: tuple[Checkpoint, ...]
    selected_steps: int
    output: str = "clip"

    def __post_init__(self) -> None:
        if self.output not in _OUTPUTS:
            msg = f"a policy's output was {self.output!r}; expected one of {', '.join(_OUTPUTS)}"
            raise DataError(msg)
        _check_tensors(self.tensors, self.rules)

    def act(self, observation: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return actions in [-1, 1], float64 (K, N), for observations float32 (K, n_inputs).

        A row's action has the same bits in any batch.
        """
        # A stack of one-row products: one large product would round a row by its neighbours' count.
        layer = observation.astype(np.float64)[:, None, :]
        for name in _LAYERS:
            weight = self.tensors[f"{name}.weight"].astype(np.float64)
            layer = np.matmul(layer, weight.T) + self.tensors[f"{name}.bias"]
            if name != "action":
                layer = np.tanh(layer)
        last = layer[:, 0, :]
        return np.tanh(last) if self.output == "tanh" else np.clip(last, -1.0, 1.0)

    def to_files(self) -> dict[str, bytes]:
        """Return `weights.safetensors` and `card.json`; equal policies give equal bytes."""
        weights = save_tensors({name: np.ascontiguousarray(t) for name, t in self.tensors.items()})
        card = {
            "format": FORMAT,
            "algorithm": self.algorithm,
            "seed": self.seed,
            "output": self.output,
            "shapes": {name: list(t.shape) for name, t in sorted(self.tensors.items())},
            "rules": self.rules.to_card(),
            "history": [[c.steps, c.score] for c in self.history],
            "selected_steps": self.selected_steps,
            "weights_sha256": hashlib.sha256(weights).hexdigest(),
        }
        return {WEIGHTS_FILE: weights, CARD_FILE: canonical_json(card)}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "TrainedPolicy":
        """Return the policy that `to_files` wrote.

        Raises
        ------
        DataError
            If a file is missing, its hash differs from the card's, a shape is wrong or a weight is
            not finite.
        """
        if set(files) != {WEIGHTS_FILE, CARD_FILE}:
            msg = f"policy files were {sorted(files)}; expected {CARD_FILE} and {WEIGHTS_FILE}"
            raise DataError(msg)
        card = parse_json(files[CARD_FILE], CARD_FILE)
        digest = hashlib.sha256(files[WEIGHTS_FILE]).hexdigest()
        if card.get("format") != FORMAT or digest != card.get("weights_sha256"):
            msg = (
                f"{WEIGHTS_FILE} has sha256 {digest} and the card of format {card.get('format')}"
                f" says {card.get('weights_sha256')}; expected equal hashes and format {FORMAT}:"
                " restore the files or train again"
            )
            raise DataError(msg)
        try:
            tensors = load_tensors(files[WEIGHTS_FILE])
        except SafetensorError as error:
            msg = f"{WEIGHTS_FILE} is not a safetensors file ({error}); train again"
            raise DataError(msg) from error
        if {name: list(t.shape) for name, t in sorted(tensors.items())} != card["shapes"]:
            msg = f"shapes in {WEIGHTS_FILE} are not the card's {card['shapes']}; train again"
            raise DataError(msg)
        return cls(
            rules=DecisionRules.from_card(card["rules"]),
            tensors=tensors,
            algorithm=card["algorithm"],
            seed=card["seed"],
            history=tuple(Checkpoint(steps, score) for steps, score in card["history"]),
            selected_steps=card["selected_steps"],
            output=card["output"],
        )


def canonical_json(value: Mapping[str, Any]) -> bytes:
    """Return JSON with sorted keys and no spaces; nan is refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def parse_json(content: bytes, name: str) -> dict[str, Any]:
    """Return a JSON object, or refuse the file by name.

    Raises
    ------
    DataError
        If the content is not a JSON object.
    """
    try:
        value = json.loads(content)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        msg = f"{name} is not JSON ({error}); restore the file or train again"
        raise DataError(msg) from error
    if not isinstance(value, dict):
        msg = f"{name} holds a {type(value).__name__}; expected a JSON object"
        raise DataError(msg)
    return value


def _check_tensors(tensors: Mapping[str, NDArray[np.float32]], rules: DecisionRules) -> None:
    expected = {f"{layer}.{part}" for layer in _LAYERS for part in ("weight", "bias")}
    if set(tensors) != expected:
        msg = f"policy tensors were {sorted(tensors)}; expected {sorted(expected)}"
        raise DataError(msg)
    for name, tensor in tensors.items():
        if tensor.dtype != np.float32 or not np.isfinite(tensor).all():
            msg = f"policy tensor {name} was {tensor.dtype}; expected finite float32: train again"
            raise DataError(msg)
    n_inputs = rules.n_inputs
    for layer in _LAYERS:
        weight, bias = tensors[f"{layer}.weight"], tensors[f"{layer}.bias"]
        n_outputs = len(rules.symbols) if layer == "action" else len(bias)
        if weight.shape != (n_outputs, n_inputs) or bias.shape != (n_outputs,):
            msg = (
                f"policy layer {layer} was {weight.shape} and {bias.shape}; expected"
                f" ({n_outputs}, {n_inputs}) and ({n_outputs},): train again"
            )
            raise DataError(msg)
        n_inputs = n_outputs
