"""The prior: what is known of a row before its inputs are looked at."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from trading_assets.forecast.gates.samples import Samples
from trading_assets.forecast.gates.stored import Stored, as_tensors, read_arrays, require_least
from trading_assets.forecast.predictions import Predictions

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PriorGate:
    """Class shares float64 (3,), and of the scaled return mean, noise and error of the mean."""

    shares: Array
    mean: float
    noise: float
    error: float

    name: ClassVar[str] = "prior"

    def predict(self, inputs: Array) -> Predictions:
        """Return the same for every row of `inputs` (n, I)."""
        count = len(inputs)
        return Predictions(
            probabilities=np.tile(self.shares, (count, 1)),
            mean=np.full(count, self.mean),
            noise=np.full(count, self.noise),
            error=np.full(count, self.error),
            mutual_information=np.zeros(count),
        )

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the arrays by their names in `weights.safetensors`."""
        scalars = {name: np.array(getattr(self, name)) for name in _SCALARS}
        return as_tensors(self.name, {"shares": self.shares, **scalars})


_SCALARS = ("mean", "noise", "error")


def fit_prior(train: Samples) -> PriorGate:
    """Return the weighted class shares, mean and deviation of the train rows.

    The error of the mean is its standard error by the independent observations.
    """
    shares = np.bincount(train.classes, train.weights, minlength=3) / train.weights.sum()
    mean = float(np.average(train.scaled_returns, weights=train.weights))
    noise = train.residual_deviation(np.full(len(train), mean), parameters=1.0)
    return PriorGate(shares, mean, noise, noise / float(np.sqrt(train.observations)))


def restore_prior(tensors: Mapping[str, torch.Tensor]) -> PriorGate:
    """Return the prior of a weights file's tensors.

    Raises
    ------
    DataError
        If they are not a prior's.
    """
    name = PriorGate.name
    arrays = read_arrays(tensors, name, {"shares": Stored((3,)), **dict.fromkeys(_SCALARS, _ONE)})
    for positive in ("shares", "noise", "error"):
        require_least(f"{name}.{positive}", arrays[positive], 0.0)
    return PriorGate(arrays["shares"], **{scalar: float(arrays[scalar]) for scalar in _SCALARS})


_ONE = Stored(())
