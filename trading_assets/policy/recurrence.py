"""One bar of a recurrent policy's memory, in numpy: the same bits for an account in any batch.

Weights are those of `torch.nn.LSTM` with one layer.
Source: Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 9 (1997).
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from trading_assets.simulation.core import Floats

Shape = tuple[int, ...]


def memory_shapes(n_units: int, n_inputs: int) -> dict[str, Shape]:
    """Return the shape of each tensor of a memory of `n_units`."""
    gates = 4 * n_units
    return {
        "weight_ih_l0": (gates, n_inputs),
        "weight_hh_l0": (gates, n_units),
        "bias_ih_l0": (gates,),
        "bias_hh_l0": (gates,),
    }


def recall(
    tensors: Mapping[str, NDArray[np.floating]], seen: Floats, memory: Floats
) -> tuple[Floats, Floats]:
    """Return what is passed on, float64 (K, U), and the memory after the bar, float64 (K, 2 U).

    Parameters
    ----------
    tensors : mapping of str to float32 array
        Weights, as `memory_shapes` names them.
    seen : float64 (K, n_inputs)
        What is seen at a close.
    memory : float64 (K, 2 U)
        What was passed on at the close before, then the cells; 0 where nothing was seen yet.
    """
    weights = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
    hidden, cell = np.split(memory, 2, axis=1)
    # One product for each account: the number of accounts then rounds none of them.
    gates = np.matmul(seen[:, None, :], weights["weight_ih_l0"].T)
    gates = gates + np.matmul(hidden[:, None, :], weights["weight_hh_l0"].T)
    gates = gates[:, 0, :] + (weights["bias_ih_l0"] + weights["bias_hh_l0"])
    enter, forget, offered, shown = np.split(gates, 4, axis=1)
    cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(offered)
    hidden = sigmoid(shown) * np.tanh(cell)
    return hidden, np.concatenate([hidden, cell], axis=1)


def sigmoid(values: Floats) -> Floats:
    """Return `1 / (1 + exp(-values))` without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * values))
