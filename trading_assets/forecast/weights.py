"""The arrays of a forecaster, packed as safetensors and checked when they are read."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from trading_assets.errors import DataError
from trading_assets.forecast.card import ForecasterCard
from trading_assets.forecast.fit_network import one_seeded_thread
from trading_assets.forecast.gate_model import GateModel
from trading_assets.forecast.network import ForecastNetwork
from trading_assets.forecast.transforms import FoldTransforms, count_inputs, input_shapes


@dataclass(frozen=True, slots=True)
class FittedModels:
    """The parts of a forecaster that are arrays."""

    transforms: FoldTransforms
    network: ForecastNetwork
    gate: GateModel

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return every array by its name in `weights.safetensors`."""
        named = self.transforms.tensors()
        named |= {f"logistic.{name}": getattr(self.gate, name) for name in _GATE_TENSORS}
        named |= {f"network.{name}": value for name, value in self.network.state_dict().items()}
        return {name: value.contiguous() for name, value in named.items()}

    def pack(self) -> bytes:
        """Return the tensors as the bytes of `weights.safetensors`."""
        return save(self.tensors())


_GATE_TENSORS = ("class_weight", "class_bias", "mean_weight", "mean_bias", "log_variance")


def restore_models(card: ForecasterCard, weights: bytes) -> FittedModels:
    """Return the models of a weights file, or refuse a file that does not fit its card.

    Raises
    ------
    DataError
        If the hash differs from the card's, the file is damaged, tensors have other names or shapes
        than the card's architecture, or hold nan or infinity.
    """
    digest = hashlib.sha256(weights).hexdigest()
    if digest != card.weights_sha256:
        msg = (
            f"forecaster weights have sha256 {digest[:12]}, the card says"
            f" {card.weights_sha256[:12]}; expected the same: train the forecaster again"
        )
        raise DataError(msg)
    try:
        tensors = load(weights)
    except SafetensorError as error:
        msg = f"forecaster weights cannot be read ({error}); train the forecaster again"
        raise DataError(msg) from error
    width, n_masks = count_inputs(card.inputs), len(card.inputs.masked)
    # Built only for the shapes: the seed keeps the caller's random state as it was.
    with one_seeded_thread(card.seed):
        network = ForecastNetwork(width - n_masks, n_masks, card.architecture.hidden_units)
    shapes = {
        **input_shapes(card.inputs),
        "logistic.class_weight": (3, width),
        "logistic.class_bias": (3,),
        "logistic.mean_weight": (width,),
        "logistic.mean_bias": (),
        "logistic.log_variance": (),
        **{f"network.{name}": tuple(v.shape) for name, v in network.state_dict().items()},
    }
    _require_tensors(tensors, shapes)
    network.load_state_dict({n: tensors[f"network.{n}"] for n in network.state_dict()})
    return FittedModels(
        FoldTransforms.from_card(card.inputs, tensors),
        network.eval(),
        GateModel(**{name: tensors[f"logistic.{name}"] for name in _GATE_TENSORS}),
    )


def _require_tensors(
    tensors: Mapping[str, torch.Tensor], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    different = sorted(set(tensors) ^ set(shapes))
    if different:
        msg = (
            f"forecaster weights differ from the card's architecture in {', '.join(different)};"
            f" expected the same tensors: train the forecaster again"
        )
        raise DataError(msg)
    for name, shape in shapes.items():
        if tuple(tensors[name].shape) != shape:
            msg = (
                f"forecaster weight {name} had shape {tuple(tensors[name].shape)}; expected"
                f" {shape}: train the forecaster again"
            )
            raise DataError(msg)
        if not bool(torch.isfinite(tensors[name]).all()):
            msg = f"forecaster weight {name} holds nan or infinity; train the forecaster again"
            raise DataError(msg)
