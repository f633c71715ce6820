"""A trained policy as data: a small tanh network, rebuilt from safetensors and a JSON card."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from trading_assets.encoder_specs import EncoderSpec
from trading_assets.errors import DataError, shown
from trading_assets.policy.decision_rules import DecisionRules
from trading_assets.policy.encoding import encode, encoder_of_card, encoder_shapes, n_outputs
from trading_assets.policy.model_cards import (
    PolicyCard,
    canonical_json,
    parse_json,
    read_written,
)
from trading_assets.policy.recurrence import memory_shapes, recall
from trading_assets.simulation.core import Floats

FORMAT = 3
WEIGHTS_FILE = "weights.safetensors"
CARD_FILE = "card.json"
_LAYERS = ("hidden_0", "hidden_1", "action")
_ENCODER, _MEMORY = "encoder.", "memory."
_OUTPUTS = ("clip", "tanh", "levels")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A policy's validation score at one point of its training.

    Attributes
    ----------
    steps : int
        Environment steps taken before.
    score : float
        Mean reward per bar of the deterministic policy on the validation window.
    constraint_share : float, optional
        Mean of what a constraint measures there over its limit; the limit is kept up to 1.
    multiplier : float, optional
        The constraint's multiplier at that point.
    """

    steps: int
    score: float
    constraint_share: float | None = None
    multiplier: float | None = None

    @property
    def keeps_constraint(self) -> bool:
        """Whether the validation window's constraint is kept, or there is none."""
        return self.constraint_share is None or self.constraint_share <= 1.0

    def to_card(self) -> list[float]:
        """Return the values that there are, in order."""
        values = (self.steps, self.score, self.constraint_share, self.multiplier)
        return [value for value in values if value is not None]


@dataclass(frozen=True, slots=True)
class TrainedPolicy:
    """The mean action of a trained agent.

    Attributes
    ----------
    rules : DecisionRules
        What it observes and what its actions mean.
    tensors : mapping of str to float32 array
        `<layer>.weight` (outputs, inputs) and `<layer>.bias` of two tanh layers and a linear one;
        `memory.<name>` of a recurrent layer before them, where there is one.
    algorithm : str
        Learning algorithm.
    seed : int
        Seed of its training.
    history : tuple of Checkpoint
        Validation scores in order of training.
    selected_steps : int
        Checkpoint that was kept.
    output : {"clip", "tanh", "levels"}
        How the last layer's values become actions in [-1, 1]; of levels the one with the largest
        value is taken, symbol by symbol.
    levels : tuple of float
        Actions to choose from; empty but for output `levels`.
    encoder : EncoderSpec, optional
        What windows pass before the first layer; its tensors are named `encoder.<name>`.
    """

    rules: DecisionRules
    tensors: Mapping[str, NDArray[np.float32]]
    algorithm: str
    seed: int
    history: tuple[Checkpoint, ...]
    selected_steps: int
    output: str = "clip"
    levels: tuple[float, ...] = ()
    encoder: EncoderSpec | None = None

    def __post_init__(self) -> None:
        if self.output not in _OUTPUTS:
            names = ", ".join(_OUTPUTS)
            msg = f"a policy's output was {shown(self.output)}; expected {names}: train again"
            raise DataError(msg)
        if bool(self.levels) != (self.output == "levels"):
            msg = f"a policy with output {self.output} had levels {self.levels}; train again"
            raise DataError(msg)
        _check_tensors(self.tensors, self.rules, max(len(self.levels), 1), self.encoder)

    @property
    def kept_checkpoint(self) -> Checkpoint | None:
        """The checkpoint that was kept, if any was scored."""
        return next((c for c in self.history if c.steps == self.selected_steps), None)

    @property
    def n_memory(self) -> int:
        """Numbers that are carried from bar to bar; 0 but for recurrent policies."""
        weight = self.tensors.get(f"{_MEMORY}weight_hh_l0")
        return 0 if weight is None else 2 * weight.shape[1]

    def act(self, observation: NDArray[np.float32]) -> Floats:
        """Return actions in [-1, 1], float64 (K, N), for observations float32 (K, n_inputs).

        A row's action has the same bits in any batch. A recurrent policy answers as at the first
        bar of an account.
        """
        return self.act_from(observation, np.zeros((len(observation), self.n_memory)))[0]

    def act_from(self, observation: NDArray[np.float32], memory: Floats) -> tuple[Floats, Floats]:
        """Return actions and the memory after them, float64 (K, n_memory).

        Parameters
        ----------
        observation : float32 (K, n_inputs)
            What is seen at a close.
        memory : float64 (K, n_memory)
            What was returned at the close before; 0 for a new account.
        """
        seen = self._encoded(observation.astype(np.float64))
        if self.n_memory:
            seen, memory = recall(_below(self.tensors, _MEMORY), seen, memory)
        return self._decide(seen), memory

    def _decide(self, seen: Floats) -> Floats:
        # A stack of one-row products: one large product would round a row by its neighbours' count.
        layer = seen[:, None, :]
        for name in _LAYERS:
            weight = self.tensors[f"{name}.weight"].astype(np.float64)
            layer = np.matmul(layer, weight.T) + self.tensors[f"{name}.bias"]
            if name != "action":
                layer = np.tanh(layer)
        last = layer[:, 0, :]
        if self.output == "levels":
            chosen = last.reshape(len(last), -1, len(self.levels)).argmax(axis=2)
            return np.array(self.levels)[chosen]
        return np.tanh(last) if self.output == "tanh" else np.clip(last, -1.0, 1.0)

    def _encoded(self, observation: Floats) -> Floats:
        """Return what the first layer sees, float64 (K, ...)."""
        if self.encoder is None:
            return observation
        rules = self.rules
        length = observation.shape[1] - rules.n_account_inputs
        shape = (len(observation), rules.window_bars, len(rules.symbols), rules.n_symbol_inputs)
        windows = observation[:, :length].reshape(shape)
        encoded = encode(self.encoder, _below(self.tensors, _ENCODER), windows)
        return np.concatenate([encoded, observation[:, length:]], axis=1)

    def to_files(self) -> dict[str, bytes]:
        """Return `weights.safetensors` and `card.json`; equal policies give equal bytes."""
        weights = save_tensors({name: np.ascontiguousarray(t) for name, t in self.tensors.items()})
        card = {
            "format": FORMAT,
            "algorithm": self.algorithm,
            "seed": self.seed,
            "output": self.output,
            "levels": list(self.levels),
            "encoder": self.encoder and self.encoder.model_dump(mode="json"),
            "shapes": {name: list(t.shape) for name, t in sorted(self.tensors.items())},
            "rules": self.rules.to_card(),
            "history": [point.to_card() for point in self.history],
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
            msg = (
                f"policy files were {shown(sorted(files))}; expected {CARD_FILE} and"
                f" {WEIGHTS_FILE}: restore them or train again"
            )
            raise DataError(msg)
        values = parse_json(files[CARD_FILE], CARD_FILE)
        digest = hashlib.sha256(files[WEIGHTS_FILE]).hexdigest()
        if values.get("format") != FORMAT or digest != values.get("weights_sha256"):
            msg = (
                f"{WEIGHTS_FILE} has sha256 {digest} and the card of format"
                f" {shown(values.get('format'))} says {shown(values.get('weights_sha256'))};"
                f" expected equal hashes and format {FORMAT}: restore the files or train again"
            )
            raise DataError(msg)
        card = read_written(PolicyCard, files[CARD_FILE], CARD_FILE)
        tensors = _read_tensors(files[WEIGHTS_FILE])
        if {name: t.shape for name, t in tensors.items()} != card.shapes:
            msg = (
                f"shapes in {WEIGHTS_FILE} are not the card's {shown(card.shapes)}; expected the"
                " same: restore the files or train again"
            )
            raise DataError(msg)
        return cls(
            rules=DecisionRules.from_card(card.rules),
            tensors=tensors,
            algorithm=card.algorithm,
            seed=card.seed,
            history=tuple(Checkpoint(point[0], *point[1:]) for point in card.history),
            selected_steps=card.selected_steps,
            output=card.output,
            levels=card.levels,
            encoder=encoder_of_card(card.encoder),
        )


def _read_tensors(content: bytes) -> dict[str, NDArray[np.float32]]:
    try:
        return load_tensors(content)
    # Of a type that numpy has not, the library has no name.
    except (SafetensorError, KeyError) as error:
        msg = (
            f"{WEIGHTS_FILE} is not a safetensors file of numpy's types ({shown(str(error))});"
            " restore it or train again"
        )
        raise DataError(msg) from error


def _below(
    tensors: Mapping[str, NDArray[np.float32]], prefix: str
) -> dict[str, NDArray[np.float32]]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _check_tensors(
    tensors: Mapping[str, NDArray[np.float32]],
    rules: DecisionRules,
    n_values: int,
    encoder: EncoderSpec | None,
) -> None:
    shapes: dict[str, tuple[int, ...]] = {}
    n_inputs = rules.n_inputs
    if encoder is not None:
        shapes = {
            _ENCODER + name: shape
            for name, shape in encoder_shapes(
                encoder, rules.window_bars, len(rules.symbols), rules.n_symbol_inputs
            ).items()
        }
        n_inputs = len(rules.symbols) * n_outputs(encoder) + rules.n_account_inputs
    memory = tensors.get(f"{_MEMORY}weight_hh_l0")
    if memory is not None:
        n_units = memory.shape[-1] if memory.ndim else 0
        of_memory = memory_shapes(n_units, n_inputs)
        shapes |= {_MEMORY + name: shape for name, shape in of_memory.items()}
        n_inputs = n_units
    expected = {f"{layer}.{part}" for layer in _LAYERS for part in ("weight", "bias")} | set(shapes)
    if set(tensors) != expected:
        msg = (
            f"policy tensors were {', '.join(map(shown, sorted(tensors)[:9])) or 'none'};"
            f" expected {', '.join(sorted(expected))}: restore the files or train again"
        )
        raise DataError(msg)
    for name, tensor in tensors.items():
        if tensor.dtype != np.float32 or not np.isfinite(tensor).all():
            msg = f"policy tensor {name} was {tensor.dtype}; expected finite float32: train again"
            raise DataError(msg)
    for layer in _LAYERS:
        bias = tensors[f"{layer}.bias"]
        above = len(rules.symbols) * n_values if layer == "action" else bias.size
        shapes |= {f"{layer}.weight": (above, n_inputs), f"{layer}.bias": (above,)}
        n_inputs = above
    for name, shape in shapes.items():
        if tensors[name].shape != shape or not tensors[name].size:
            msg = (
                f"policy tensor {name} was {tensors[name].shape}; expected {shape} and no 0 in it:"
                " train again"
            )
            raise DataError(msg)
