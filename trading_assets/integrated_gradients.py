"""Integrated gradients: what each input adds to an output, from a baseline to what was seen.

The gradient is integrated along the straight line from the baseline by Gauss-Legendre quadrature
(captum). A line whose contributions do not add up to the change of the output, since it crosses a
kink or turns sharply, is cut in halves, and they in theirs, until they do.
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

# captum rounds quadrature weights to float32: those of 16 points still add up to 1.
_POINTS, _MOST_HALVINGS = 16, 12
# What many stretches of a line miss may add up: they then have to miss less.
_MOST_TIGHTENINGS = 5
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
        summed = self.contributions.sum(axis=tuple(range(2, self.contributions.ndim)))
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
        Remainder, by the scale of `completeness_error`, up to which a row is done.

    Returns
    -------
    Attributions
        Sums are exact but for the quadrature; `completeness_error` says how far.
    """
    seen = torch.from_numpy(np.ascontiguousarray(inputs))
    start = torch.from_numpy(np.ascontiguousarray(baseline, dtype=inputs.dtype))[None]
    line = _Line(
        start.expand_as(seen),
        seen,
        tuple(torch.from_numpy(np.ascontiguousarray(each)) for each in carried),
    )
    outputs, at_baseline = _outputs(function, line.end, line), _outputs(function, line.start, line)
    contributions = np.zeros((*outputs.shape, *inputs.shape[1:]))
    found = Attributions(contributions, outputs, at_baseline)
    for output, scale in enumerate(found.scale):
        allowed = tolerance * float(scale)
        left = np.arange(len(seen))
        for tightening in range(_MOST_TIGHTENINGS):
            stretch = _Stretch(function, output, allowed / 2**tightening)
            for rows in _parts(left, _POINTS * seen[:1].numel()):
                contributions[rows, output] = stretch.integrate(line.of(rows))
            left = np.flatnonzero(np.abs(found.remainders[:, output]) > allowed)
    return found


@dataclass(frozen=True, slots=True)
class _Line:
    """Ends of some rows' lines, and what is held fixed along them."""

    start: Tensor
    end: Tensor
    held: tuple[Tensor, ...]

    def of(self, rows: NDArray[np.intp]) -> "_Line":
        """Return the lines of some rows."""
        return _Line(self.start[rows], self.end[rows], tuple(held[rows] for held in self.held))

    def halves(self) -> "_Line":
        """Return the first half of each line, then the second half of each."""
        middle = 0.5 * (self.start + self.end)
        return _Line(
            torch.cat([self.start, middle]),
            torch.cat([middle, self.end]),
            tuple(torch.cat([held, held]) for held in self.held),
        )


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Integrates one output of a function up to a remainder, in the output's unit."""

    function: Callable[..., Tensor]
    output: int
    allowed: float

    def integrate(self, line: _Line, halvings: int = 0) -> Floats:
        """Return contributions (n, ...) along lines."""
        found = self._quadrature(line)
        if halvings < _MOST_HALVINGS:
            change = self._value(line.end, line) - self._value(line.start, line)
            missed = np.abs(change - found.reshape(len(found), -1).sum(axis=1))
            left = np.flatnonzero(missed > self.allowed)
            if len(left):
                halves = self.integrate(line.of(left).halves(), halvings + 1)
                found[left] = halves[: len(left)] + halves[len(left) :]
        return found

    def _value(self, place: Tensor, line: _Line) -> Floats:
        return _outputs(self.function, place, line)[:, self.output]

    def _quadrature(self, line: _Line) -> Floats:
        from captum.attr import IntegratedGradients

        method: Any = IntegratedGradients(self.function)
        found: Tensor = method.attribute(
            line.end,
            baselines=line.start,
            target=self.output,
            additional_forward_args=line.held or None,
            n_steps=_POINTS,
            method="gausslegendre",
        )
        return found.detach().double().numpy()


def _outputs(function: Callable[..., Tensor], place: Tensor, line: _Line) -> Floats:
    with torch.no_grad():
        return function(place, *line.held).double().numpy()


def _parts(rows: NDArray[np.intp], numbers_a_row: int) -> list[NDArray[np.intp]]:
    n_parts = -(-len(rows) * numbers_a_row // _NUMBERS_AT_ONCE)
    return np.array_split(rows, min(n_parts, len(rows))) if len(rows) else []
