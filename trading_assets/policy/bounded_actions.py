"""Bounds on actions and limits on weights as torch functions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trading_assets.simulation.terms import Floats

Project = Callable[[Floats], Floats]
"""The nearest weights within limits, float64 (K, N), for weights float64 (K, N)."""

# What a saturated action keeps of its gradient. With more, policies that are often at their bounds
# get worse; so they do where only gradients that lead back are passed on, which makes a pull of
# gradients that are noise.
LEAK = 0.02
# Long enough for a projection that is exact to 1e-9, short enough to stay among the same limits.
_STEP = 1e-4


def bound_actions(values: Tensor) -> Tensor:
    """Return values clipped to [-1, 1]; beyond a bound, `LEAK` of the gradient is passed on.

    The exact gradient is 0 there, and an action that is saturated everywhere could not return.
    """
    return _BoundActions.apply(values)  # pyright: ignore[reportReturnType]  torch leaves it open


def limit_weights(raw: Tensor, project: Project) -> Tensor:
    """Return the weights that limits leave of raw ones, with their exact gradient.

    Parameters
    ----------
    raw : (K, N)
        Weights before limits.
    project : callable
        The projection on the limits, which form a convex set with flat faces.
    """
    return _LimitWeights.apply(raw, project)  # pyright: ignore[reportReturnType]  as above


class _BoundActions(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # noqa: ANN401  torch's own context
        ctx.save_for_backward(values)
        return values.clamp(-1.0, 1.0)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:  # noqa: ANN401
        (values,) = ctx.saved_tensors
        slope = grad_outputs[0]
        return torch.where(values.abs() < 1.0, slope, LEAK * slope)


class _LimitWeights(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, raw: Tensor, project: Project) -> Tensor:  # noqa: ANN401
        wanted = raw.detach().double().numpy()
        weights = project(wanted)
        ctx.wanted, ctx.weights, ctx.project = wanted, weights, project
        return torch.from_numpy(weights).to(raw.dtype)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        slope = grad_outputs[0].double().numpy()
        # A projection is the gradient of a convex function: its Jacobian is symmetric, and what it
        # makes of a slope is the change of the result by a short step along that slope.
        largest = np.abs(slope).max(axis=-1, keepdims=True)
        step = np.where(largest > 0.0, _STEP / np.where(largest > 0.0, largest, 1.0), 1.0)
        moved = ctx.project(ctx.wanted - step * slope)
        return torch.from_numpy((ctx.weights - moved) / step).to(grad_outputs[0].dtype), None
