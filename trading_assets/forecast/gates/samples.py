"""What gate models are fitted on: the last bar's inputs and the labels of rows."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from trading_assets.errors import DataError
from trading_assets.forecast.labels import CLASS_NAMES

Array = NDArray[np.float64]
Classes = NDArray[np.int64]
Index = NDArray[np.int64]

# Parameters take no more than this share of what the observations can tell of the noise.
_LEAST_FREE_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Samples:
    """Rows with their labels.

    Attributes
    ----------
    inputs : float64 (n, I)
        Model inputs of the rows' own bars.
    classes : int64 (n,)
        0 down, 1 flat, 2 up.
    scaled_returns : float64 (n,)
        Return over the horizon over `volatility * sqrt(horizon)`.
    weights : float64 (n,)
        What a row counts, of mean 1.
    sessions : int64 (n,)
        Position of each row's session; rows of one session are not independent of each other.
    observations : float
        Independent observations that the rows carry, see `count_independent`.
    """

    inputs: Array
    classes: Classes
    scaled_returns: Array
    weights: Array
    sessions: Index
    observations: float

    def __len__(self) -> int:
        return len(self.classes)

    def require_classes(self) -> None:
        """Refuse rows among which a class does not occur."""
        present = {*np.unique(self.classes).tolist()}
        absent = [name for k, name in enumerate(CLASS_NAMES) if k not in present]
        if absent:
            msg = (
                f"class {', '.join(absent)} is absent from {len(self)} train labels; expected each"
                f" class: lengthen folds.train_months, or look for stale prices"
            )
            raise DataError(msg)

    def log_loss(self, probabilities: Array) -> float:
        """Return the weighted mean negative log probability (n, 3) of the classes, nats."""
        chosen = probabilities[np.arange(len(self)), self.classes]
        return float(np.average(-np.log(np.maximum(chosen, 1e-12)), weights=self.weights))

    def squared_error(self, mean: Array) -> float:
        """Return the weighted mean square of what `mean` (n,) leaves of the scaled returns."""
        return float(np.average((self.scaled_returns - mean) ** 2, weights=self.weights))

    def residual_deviation(self, mean: Array, parameters: float) -> float:
        """Return the deviation of the scaled returns around a mean of so many parameters.

        As many observations as parameters explain themselves, which is made up for.
        """
        free = max(self.observations - parameters, _LEAST_FREE_SHARE * self.observations)
        return float(np.sqrt(self.squared_error(mean) * self.observations / free))


@contextmanager
def one_thread() -> Generator[None]:
    """Run linear algebra and compiled loops on one thread: last bits depend on their number."""
    with threadpool_limits(1):
        yield
