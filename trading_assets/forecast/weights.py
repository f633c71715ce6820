"""The arrays of a forecaster, packed as safetensors and checked when they are read."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from trading_assets.errors import DataError
from trading_assets.forecast.candidates import Candidate, GateCandidate
from trading_assets.forecast.card import ForecasterCard
from trading_assets.forecast.gates.gate import restore_gate
from trading_assets.forecast.networks.serving import ensemble_shapes, restore_ensemble
from trading_assets.forecast.transforms import FoldTransforms, count_inputs, input_shapes

_DOUBLES = ("inputs.components_centre", "inputs.components")


@dataclass(frozen=True, slots=True)
class FittedModels:
    """The parts of a forecaster that are arrays: transforms and the model that serves."""

    transforms: FoldTransforms
    served: Candidate

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return every array by its name in `weights.safetensors`."""
        named = {**self.transforms.tensors(), **self.served.tensors()}
        return {name: value.contiguous() for name, value in named.items()}

    def pack(self) -> bytes:
        """Return the tensors as the bytes of `weights.safetensors`."""
        return save(self.tensors())


def restore_models(card: ForecasterCard, weights: bytes) -> FittedModels:
    """Return the models of a weights file, or refuse a file that does not fit its card.

    Raises
    ------
    DataError
        If the hash differs from the card's, the file is damaged, tensors have other names, shapes
        or types than the card says, or hold nan or infinity.
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
    width = count_inputs(card.inputs)
    shapes = input_shapes(card.inputs)
    sizes = card.architecture
    if card.served == "network":
        passes = sizes.dropout_passes if sizes.members == 1 else 0
        shapes |= ensemble_shapes(sizes.network, width, sizes.members, passes)
        _require_tensors(tensors, shapes)
        served: Candidate = restore_ensemble(
            tensors, sizes.network, sizes.window_bars, sizes.members
        )
    else:
        own = {n: t for n, t in tensors.items() if not n.startswith(f"{card.served}.")}
        _require_tensors(own, shapes)
        served = GateCandidate(restore_gate(card.served, tensors, width))
    return FittedModels(FoldTransforms.from_card(card.inputs, tensors), served)


def _require_tensors(
    tensors: Mapping[str, torch.Tensor], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    different = sorted(set(tensors) ^ set(shapes))
    if different:
        more = f" and {len(different) - 5} more" * (len(different) > 5)
        msg = (
            f"forecaster weights differ from the card's architecture in"
            f" {', '.join(different[:5])}{more}; expected the same tensors: train the forecaster"
            f" again"
        )
        raise DataError(msg)
    for name, shape in shapes.items():
        dtype = torch.float64 if name in _DOUBLES else torch.float32
        if tuple(tensors[name].shape) != shape or tensors[name].dtype != dtype:
            msg = (
                f"forecaster weight {name} had shape {tuple(tensors[name].shape)} of"
                f" {tensors[name].dtype}; expected {shape} of {dtype}: train the forecaster again"
            )
            raise DataError(msg)
        if not bool(torch.isfinite(tensors[name]).all()):
            msg = f"forecaster weight {name} holds nan or infinity; train the forecaster again"
            raise DataError(msg)
