"""The linear gate: multinomial logistic regression and Bayesian ridge on the last bar's inputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from trading_assets.forecast.calibration import class_probabilities
from trading_assets.forecast.gates.ridge import Ridge
from trading_assets.forecast.gates.rowwise import combine, require_width
from trading_assets.forecast.gates.stored import Stored, as_tensors, read_arrays, require_least
from trading_assets.forecast.predictions import Predictions

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LogisticGate:
    """Logits linear in the inputs, float64 `class_weight` (3, I) and `class_bias` (3,), a ridge."""

    class_weight: Array
    class_bias: Array
    ridge: Ridge

    name: ClassVar[str] = "logistic"

    def probabilities(self, inputs: Array) -> Array:
        """Return class probabilities (n, 3) at inputs (n, I)."""
        return class_probabilities(combine(inputs, self.class_weight, self.class_bias))

    def predict(self, inputs: Array) -> Predictions:
        """Return what the models say at inputs (n, I).

        Raises
        ------
        DataError
            If there are other inputs than the models were fitted on.
        """
        require_width(self.name, inputs, len(self.ridge.weight))
        count = len(inputs)
        return Predictions(
            probabilities=self.probabilities(inputs),
            mean=self.ridge.mean(inputs),
            noise=np.full(count, self.ridge.noise),
            error=self.ridge.error(inputs),
            mutual_information=np.zeros(count),
        )

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the arrays by their names in `weights.safetensors`."""
        ridge = self.ridge
        return as_tensors(
            self.name,
            {
                "class_weight": self.class_weight,
                "class_bias": self.class_bias,
                "mean_weight": ridge.weight,
                "mean_bias": np.array(ridge.bias),
                "centre": ridge.centre,
                "error_factor": ridge.error_factor,
                "least_error": np.array(ridge.least_error),
                "noise": np.array(ridge.noise),
            },
        )


def restore_logistic(tensors: Mapping[str, torch.Tensor], n_inputs: int) -> LogisticGate:
    """Return the linear gate of a weights file's tensors, of so many inputs.

    Raises
    ------
    DataError
        If they are not those of a linear gate.
    """
    one, of_inputs = Stored(()), Stored((n_inputs,))
    arrays = read_arrays(
        tensors,
        LogisticGate.name,
        {
            "class_weight": Stored((3, n_inputs)),
            "class_bias": Stored((3,)),
            "mean_weight": of_inputs,
            "mean_bias": one,
            "centre": of_inputs,
            "error_factor": Stored((n_inputs, n_inputs)),
            "least_error": one,
            "noise": one,
        },
    )
    for positive in ("least_error", "noise"):
        require_least(f"{LogisticGate.name}.{positive}", arrays[positive], 0.0)
    ridge = Ridge(
        weight=arrays["mean_weight"],
        bias=float(arrays["mean_bias"]),
        centre=arrays["centre"],
        error_factor=arrays["error_factor"],
        least_error=float(arrays["least_error"]),
        noise=float(arrays["noise"]),
    )
    return LogisticGate(arrays["class_weight"], arrays["class_bias"], ridge)
