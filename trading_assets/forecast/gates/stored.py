"""Arrays of gate models as tensors of a weights file, checked when they are read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from trading_assets.errors import DataError

_REMEDY = "train the forecaster again"


@dataclass(frozen=True, slots=True)
class Stored:
    """How an array is stored; a length of None is open."""

    shape: tuple[int | None, ...]
    dtype: torch.dtype = torch.float64

    def fits(self, tensor: torch.Tensor) -> bool:
        """Return whether type and shape of a tensor are these."""
        return (
            tensor.dtype == self.dtype
            and tensor.dim() == len(self.shape)
            and all(n in (None, m) for n, m in zip(self.shape, tensor.shape, strict=True))
        )

    def __str__(self) -> str:
        lengths = ", ".join("any" if n is None else str(n) for n in self.shape)
        return f"{str(self.dtype).removeprefix('torch.')} ({lengths})"


def read_arrays(
    tensors: Mapping[str, torch.Tensor], prefix: str, stored: Mapping[str, Stored]
) -> dict[str, NDArray[Any]]:
    """Return the arrays of all tensors `<prefix>.<name>`, by name.

    Raises
    ------
    DataError
        If one is missing or unknown, has another type or shape, or holds nan or infinity.
    """
    found = {n.removeprefix(f"{prefix}.") for n in tensors if n.startswith(f"{prefix}.")}
    different = sorted(f"{prefix}.{name}" for name in found ^ set(stored))
    if different:
        msg = (
            f"forecaster weights differ from the gate model {prefix} in {', '.join(different)};"
            f" expected the same tensors: {_REMEDY}"
        )
        raise DataError(msg)
    arrays: dict[str, NDArray[Any]] = {}
    for name, expected in stored.items():
        tensor = tensors[f"{prefix}.{name}"]
        if not expected.fits(tensor):
            actual = Stored(tuple(tensor.shape), tensor.dtype)
            msg = f"forecaster weight {prefix}.{name} was {actual}; expected {expected}: {_REMEDY}"
            raise DataError(msg)
        if not bool(torch.isfinite(tensor).all()):
            msg = f"forecaster weight {prefix}.{name} holds nan or infinity; {_REMEDY}"
            raise DataError(msg)
        arrays[name] = tensor.numpy()
    return arrays


def require_least(name: str, array: NDArray[Any], least: float) -> None:
    """Refuse a weight with an element below `least`."""
    lowest = array.min(initial=np.inf)
    if lowest < least:
        msg = f"forecaster weight {name} was {lowest}; expected at least {least}: {_REMEDY}"
        raise DataError(msg)


def as_tensors(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, torch.Tensor]:
    """Return tensors `<prefix>.<name>` of arrays."""
    return {
        # A copy, since torch refuses to share what numpy does not let it write.
        f"{prefix}.{name}": torch.from_numpy(np.array(array, order="C"))
        for name, array in arrays.items()
    }
