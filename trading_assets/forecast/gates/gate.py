"""What gate models have in common, and how one is brought back from a weights file."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from trading_assets.forecast.gates.boosting import restore_boosting
from trading_assets.forecast.gates.logistic import restore_logistic
from trading_assets.forecast.gates.prior import restore_prior
from trading_assets.forecast.predictions import Predictions

Array = NDArray[np.float64]
GateName = Literal["prior", "logistic", "boosting"]


class GateModel(Protocol):
    """A model of the last bar's inputs; the names of its tensors start with its own."""

    name: ClassVar[str]

    def predict(self, inputs: Array) -> Predictions:
        """Return what the model says at inputs (n, I), each row's bytes as if it were alone.

        Probabilities are untempered.
        """
        ...

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the arrays by their names in `weights.safetensors`."""
        ...


def restore_gate(name: GateName, tensors: Mapping[str, torch.Tensor], n_inputs: int) -> GateModel:
    """Return the gate model of a weights file's tensors; those of other models are passed over.

    Parameters
    ----------
    name : str
        Which one.
    tensors : mapping
        By their names in `weights.safetensors`.
    n_inputs : int
        Inputs of the models, see `transforms.count_inputs`.

    Raises
    ------
    DataError
        If a tensor is missing or unknown, has another type or shape, holds nan or infinity, or if
        a tree leads nowhere.
    """
    if name == "prior":
        return restore_prior(tensors)
    if name == "logistic":
        return restore_logistic(tensors, n_inputs)
    return restore_boosting(tensors, n_inputs)
