"""What encoders make of windows, in numpy: the same bits for a window in any batch.

Weights are those of `policy.encoders`, by the names they have there.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from trading_assets.encoder_specs import (
    CnnEncoderSpec,
    EncoderSpec,
    GraphEncoderSpec,
    LstmEncoderSpec,
)
from trading_assets.errors import DataError, shown
from trading_assets.policy.recurrence import Shape, memory_shapes, recall
from trading_assets.simulation.core import Floats

STRIDE = 2
# Slope below 0 of what attention scores are made of.
LEAK = 0.2

Tensors = Mapping[str, NDArray[np.float32]]


def encoder_of_card(card: Mapping[str, Any] | None) -> EncoderSpec | None:
    """Return the encoder that a policy's card names, if any.

    Raises
    ------
    DataError
        If there is none of that kind or its sizes are not what they may be.
    """
    if card is None:
        return None
    try:
        return TypeAdapter[EncoderSpec](EncoderSpec).validate_python(dict(card))
    except ValidationError as error:
        msg = (
            f"a policy's encoder was {shown(dict(card))}, which is none of this version; train"
            " again"
        )
        raise DataError(msg) from error


def n_outputs(spec: EncoderSpec) -> int:
    """Return how many numbers are left of a symbol's window."""
    if isinstance(spec, GraphEncoderSpec):
        return spec.units
    return spec.outputs if isinstance(spec, CnnEncoderSpec) else spec.hidden_units


def n_places(spec: CnnEncoderSpec, window_bars: int) -> tuple[int, int]:
    """Return the lengths of the two convolutions' outputs."""
    first = (window_bars - spec.kernel_bars) // STRIDE + 1
    return first, (first - spec.kernel_bars) // STRIDE + 1


def encoder_shapes(
    spec: EncoderSpec, window_bars: int, n_symbols: int, n_inputs: int
) -> dict[str, Shape]:
    """Return the shape of each tensor of an encoder of `n_inputs` numbers a symbol and bar."""
    if isinstance(spec, GraphEncoderSpec):
        return _graph_shapes(spec, n_symbols, window_bars * n_inputs)
    if isinstance(spec, LstmEncoderSpec):
        shapes = memory_shapes(spec.hidden_units, n_inputs)
        return {f"lstm.{name}": shape for name, shape in shapes.items()}
    channels, kernel = spec.channels, spec.kernel_bars
    sizes = {
        "first": (channels, kernel * n_inputs),
        "second": (channels, kernel * channels),
        "last": (spec.outputs, n_places(spec, window_bars)[1] * channels),
    }
    shapes = {}
    for name, (above, below) in sizes.items():
        shapes |= {f"{name}.weight": (above, below), f"{name}.bias": (above,)}
    return shapes


def _graph_shapes(spec: GraphEncoderSpec, n_symbols: int, n_inputs: int) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {"graph": (n_symbols, n_symbols)}
    for layer, below in (("first", n_inputs), ("second", spec.units)):
        for part in ("own", "others", *(("asks", "answers") if spec.attention else ())):
            shapes[f"{layer}.{part}.weight"] = (spec.units, below)
            shapes[f"{layer}.{part}.bias"] = (spec.units,)
        if spec.attention:
            shapes[f"{layer}.score.weight"] = (1, spec.units)
    return shapes


def encode(spec: EncoderSpec, tensors: Tensors, windows: Floats) -> Floats:
    """Return what an encoder makes of each symbol's window, symbol after symbol.

    Parameters
    ----------
    spec : EncoderSpec
        What it is.
    tensors : mapping of str to float32 array
        Its weights, as `encoder_shapes` names them.
    windows : float64 (K, W, N, F)
        Windows of bars, the newest last, known at its close.

    Returns
    -------
    float64 (K, N x outputs)
        Numbers in [-1, 1].
    """
    weights = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
    if isinstance(spec, GraphEncoderSpec):
        return _exchange(spec, weights, windows)
    apart = windows.swapaxes(1, 2).reshape(-1, windows.shape[1], windows.shape[3])
    encoded = (
        _convolve(spec, weights, apart)
        if isinstance(spec, CnnEncoderSpec)
        else _remember(spec, weights, apart)
    )
    return encoded.reshape(len(windows), -1)


def _convolve(spec: CnnEncoderSpec, weights: Mapping[str, Floats], windows: Floats) -> Floats:
    layer = windows
    for name in ("first", "second"):
        # (places, inputs, kernel) of each window, as `torch.Tensor.unfold` lays it out.
        parts = sliding_window_view(layer, spec.kernel_bars, axis=1)[:, ::STRIDE]
        parts = parts.reshape(*parts.shape[:2], -1)
        layer = np.maximum(_dense(weights, name, parts), 0.0)
    return np.tanh(_dense(weights, "last", layer.reshape(len(layer), 1, -1)))[:, 0]


def _exchange(spec: GraphEncoderSpec, weights: Mapping[str, Floats], windows: Floats) -> Floats:
    layer = windows.swapaxes(1, 2).reshape(len(windows), windows.shape[2], -1)
    for name in ("first", "second"):
        share = weights["graph"]
        if spec.attention:
            asks = _dense(weights, f"{name}.asks", layer)
            answers = _dense(weights, f"{name}.answers", layer)
            pairs = asks[:, :, None] + answers[:, None]
            pairs = np.where(pairs > 0.0, pairs, LEAK * pairs)
            score = np.matmul(pairs, weights[f"{name}.score.weight"].T)[..., 0]
            score = np.where(share > 0.0, score, -np.inf)
            share = share * np.exp(score - score.max(axis=-1, keepdims=True))
            share = share / share.sum(axis=-1, keepdims=True)
        seen = np.matmul(share, _dense(weights, f"{name}.others", layer))
        layer = np.tanh(_dense(weights, f"{name}.own", layer) + seen)
    return layer.reshape(len(windows), -1)


def _remember(spec: LstmEncoderSpec, weights: Mapping[str, Floats], windows: Floats) -> Floats:
    tensors = {name.removeprefix("lstm."): weight for name, weight in weights.items()}
    memory = np.zeros((len(windows), 2 * spec.hidden_units))
    hidden = memory[:, : spec.hidden_units]
    for place in range(windows.shape[1]):
        hidden, memory = recall(tensors, windows[:, place], memory)
    return hidden


def _dense(weights: Mapping[str, Floats], name: str, layer: Floats) -> Floats:
    # One product for each window: the number of windows then rounds none of them.
    return np.matmul(layer, weights[f"{name}.weight"].T) + weights[f"{name}.bias"]
