"""The gate of boosted trees on the last bar's inputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from trading_assets.forecast.calibration import class_probabilities
from trading_assets.forecast.gates.rowwise import require_width, sum_columns
from trading_assets.forecast.gates.stored import Stored, as_tensors, read_arrays, require_least
from trading_assets.forecast.gates.trees import Trees, restore_trees, stored_trees
from trading_assets.forecast.predictions import Predictions

Array = NDArray[np.float64]

# Regressions of resampled sessions, from whose differences the error is told.
MEMBERS = 5


@dataclass(frozen=True, slots=True)
class BoostingGate:
    """Trees of three logits, of the mean, and of the means of `MEMBERS` resampled train windows.

    Attributes
    ----------
    classes, mean, members : Trees
        Of 3, 1 and `MEMBERS` columns.
    noise : float
        Standard deviation of what a member's mean leaves of rows it was not fitted on.
    least_error : float
        Standard error of the level, which members may agree on by chance.
    n_inputs : int
        Inputs the trees were grown on.
    """

    classes: Trees
    mean: Trees
    members: Trees
    noise: float
    least_error: float
    n_inputs: int

    name: ClassVar[str] = "boosting"

    def predict(self, inputs: Array) -> Predictions:
        """Return what the trees say at inputs (n, I).

        Raises
        ------
        DataError
            If there are other inputs than the trees were grown on.
        """
        require_width(self.name, inputs, self.n_inputs)
        count = len(inputs)
        return Predictions(
            probabilities=class_probabilities(self.classes.sums(inputs)),
            mean=self.mean.sums(inputs)[:, 0],
            noise=np.full(count, self.noise),
            error=self._error(inputs),
            mutual_information=np.zeros(count),
        )

    def _error(self, inputs: Array) -> Array:
        means = self.members.sums(inputs)
        centred = means - sum_columns(means)[:, None] / MEMBERS
        variance = sum_columns(centred**2) / (MEMBERS - 1)
        return np.maximum(np.sqrt(variance), self.least_error)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the arrays by their names in `weights.safetensors`."""
        scalars = {name: np.array(getattr(self, name)) for name in _SCALARS}
        named = as_tensors(self.name, scalars)
        for part in _COLUMNS:
            trees: Trees = getattr(self, part)
            named |= trees.tensors(f"{self.name}.{part}")
        return named


_SCALARS = ("noise", "least_error")
_COLUMNS: Mapping[str, int] = {"classes": 3, "mean": 1, "members": MEMBERS}


def restore_boosting(tensors: Mapping[str, torch.Tensor], n_inputs: int) -> BoostingGate:
    """Return the boosting gate of a weights file's tensors, of so many inputs.

    Raises
    ------
    DataError
        If they are not those of trees on so many inputs.
    """
    prefix = BoostingGate.name
    stored: dict[str, Stored] = {name: Stored(()) for name in _SCALARS}
    for part, columns in _COLUMNS.items():
        stored |= {f"{part}.{name}": array for name, array in stored_trees(columns).items()}
    arrays = read_arrays(tensors, prefix, stored)
    for name in _SCALARS:
        require_least(f"{prefix}.{name}", arrays[name], 0.0)
    parts: dict[str, Trees] = {}
    for part, columns in _COLUMNS.items():
        own = {name: arrays[f"{part}.{name}"] for name in stored_trees(columns)}
        parts[part] = restore_trees(f"{prefix}.{part}", own, n_inputs)
    return BoostingGate(
        **parts,
        noise=float(arrays["noise"]),
        least_error=float(arrays["least_error"]),
        n_inputs=n_inputs,
    )
