"""Integrated gradients: what each input adds to an output, from a baseline to what was seen.

The gradient is integrated along the straight line from the baseline by Gauss-Legendre quadrature
(captum). Rows whose contributions do not add up to the change of the output, where the line crosses
a kink, are integrated again on twice as many points.
Source: Sundararajan, Taly and Yan, Axiomatic Attribution for Deep Networks, ICML 2017.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]
Values = NDArray[np.floating]

COMPLETENESS_TOLERANCE = 0.01
"""Largest completeness error that counts as an explanation."""

_FIRST_POINTS, _MOST_POINTS = 16, 512
_LEAST_SCALE = 0.01
_NUMBERS_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True)
class Attributions:
    """What inputs add to outputs.

    Attributes
    ----------
    contributions : float64 (n, K, ...)
        Of each input, in the inputs' shape, to each of K outputs.
    outputs, at_baseline : float64 (n, K)
        Outputs at the inputs and at the baseline.
    """

    contributions: Floats
    outputs: Floats
    at_baseline: Floats

    @property
    def remainders(self) -> Floats:
        """What contributions leave of the change of an output, float64 (n, K)."""
        summed = self.contributions.reshape(*self.outputs.shape, -1).sum(axis=-1)
        return self.outputs - self.at_baseline - summed

    @property
    def completeness_error(self) -> float:
        """Largest remainder over the output's mean absolute change; 0 where nothing changes.

        An output that hardly changes counts as if it did by a hundredth of the one that does most.
        """
        return float((np.abs(self.remainders) / self.scale).max(initial=0.0))

    @property
    def scale(self) -> Floats:
        """What remainders are measured by, float64 (K,)."""
        changes = np.abs(self.outputs - self.at_baseline)
        mean = changes.mean(axis=0) if len(changes) else np.zeros(changes.shape[1])
        largest = float(mean.max(initial=0.0))
        return np.maximum(mean, _LEAST_SCALE * largest) if largest > 0.0 else np.ones_like(mean)


def integrate_gradients(
    function: Callable[..., Tensor],
    inputs: Values,
    baseline: Values,
    carried: Sequence[Values] = (),
    tolerance: float = 0.1 * COMPLETENESS_TOLERANCE,
) -> Attributions:
    """Return what each input adds to each output of a differentiable function.

    Parameters
    ----------
    function : callable
        Takes a tensor (n, ...) and one for each of `carried`, (n, ...); returns outputs (n, K).
    inputs : floating (n, ...)
        What was seen; its type is that of the calculation.
    baseline : floating (...)
        What contributions are measured from.
    carried : sequence of floating (n, ...), optional
        Further arguments of the function, held fixed along the line.
    tolerance : float
        Remainder, by the scale of `completeness_error`, up to which a row is done. A function of
        many kinks needs twice the points for half of it.

    Returns
    -------
    Attributions
        Sums are exact but for the quadrature; `completeness_error` says how far.
    """
    seen = torch.from_numpy(np.ascontiguousarray(inputs))
    start = torch.from_numpy(np.ascontiguousarray(baseline, dtype=inputs.dtype))[None]
    held = tuple(torch.from_numpy(np.ascontiguousarray(each)) for each in carried)
    with torch.no_grad():
        outputs = function(seen, *held).double().numpy()
        at_baseline = function(start.expand_as(seen), *held).double().numpy()
    n_rows, n_outputs = outputs.shape
    contributions = np.zeros((n_rows, n_outputs, *inputs.shape[1:]))
    found = Attributions(contributions, outputs, at_baseline)
    allowed = tolerance * found.scale
    points = _FIRST_POINTS
    while points <= _MOST_POINTS:
        is_left = np.abs(found.remainders) > allowed
        if not is_left.any():
            break
        for output in range(n_outputs):
            for rows in _parts(np.flatnonzero(is_left[:, output]), points * seen[0].numel()):
                line = _Line(seen[rows], start.expand_as(seen[rows]), tuple(h[rows] for h in held))
                contributions[rows, output] = _integrate(function, line, output, points)
        points *= 2
    return found


@dataclass(frozen=True, slots=True)
class _Line:
    """Ends of some rows' lines, and what is held fixed along them."""

    end: Tensor
    start: Tensor
    held: tuple[Tensor, ...]


def _integrate(function: Callable[..., Tensor], line: _Line, output: int, points: int) -> Floats:
    from captum.attr import IntegratedGradients

    method: Any = IntegratedGradients(function)
    found: Tensor = method.attribute(
        line.end,
        baselines=line.start,
        target=output,
        additional_forward_args=line.held or None,
        n_steps=points,
        method="gausslegendre",
    )
    return found.detach().double().numpy() / _sum_of_weights(points)


def _sum_of_weights(points: int) -> float:
    # captum rounds quadrature weights to float32, whose sum is not 1: a linear function would be
    # off by that much.
    weights = 0.5 * np.polynomial.legendre.leggauss(points)[1]
    return float(weights.astype(np.float32).astype(np.float64).sum())


def _parts(rows: NDArray[np.intp], numbers_a_row: int) -> list[NDArray[np.intp]]:
    if not len(rows):
        return []
    n_parts = -(-len(rows) * numbers_a_row // _NUMBERS_AT_ONCE)
    return np.array_split(rows, min(n_parts, len(rows)))
