"""What a model says of rows, before it is stated in returns."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CandidateName = Literal["network", "logistic", "boosting", "prior"]
CANDIDATES: tuple[CandidateName, ...] = get_args(CandidateName)


@dataclass(frozen=True, slots=True)
class Predictions:
    """Classes of rows, and the mean, the noise and the error of their scaled returns.

    Attributes
    ----------
    probabilities : float64 (n, 3)
        Of the classes down, flat and up.
    mean : float64 (n,)
        Expected scaled return: the return over the horizon over `volatility * sqrt(horizon)`.
    noise : float64 (n,)
        Aleatoric part: standard deviation of the scaled return around its true mean.
    error : float64 (n,)
        Epistemic part: standard deviation of `mean` as an estimate.
    mutual_information : float64 (n,)
        Epistemic part of the entropy of the classes, nats; 0 of a model that has one opinion.
    """

    probabilities: Array
    mean: Array
    noise: Array
    error: Array
    mutual_information: Array

    @property
    def deviation(self) -> Array:
        """Standard deviation of the scaled return as predicted, noise and error together."""
        return np.sqrt(self.noise**2 + self.error**2)

    def __len__(self) -> int:
        return len(self.mean)

    def where(self, is_kept: NDArray[np.bool_]) -> "Predictions":
        """Return the rows for which `is_kept` (n,) holds."""
        columns = (getattr(self, field.name)[is_kept] for field in fields(Predictions))
        return Predictions(*columns)

    def with_probabilities(self, probabilities: Array) -> "Predictions":
        """Return the same with other class probabilities (n, 3)."""
        return replace(self, probabilities=probabilities)


def join_predictions(parts: Sequence[Predictions]) -> Predictions:
    """Return predictions of rows that were made in parts, one after the other."""
    return Predictions(
        *(
            np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(Predictions)
        )
    )
