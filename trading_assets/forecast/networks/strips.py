"""LSTM and attention over strips of overlapping windows, by kernels, with their gradients."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from trading_assets.forecast.networks.compiled.pooling import reverse_pooling, run_pooling
from trading_assets.forecast.networks.compiled.recurrence import (
    reverse_recurrence,
    run_recurrence,
)

Tensor = NDArray[np.float32]


def recur_strips(bars: torch.Tensor, lstm: nn.LSTM, length: int) -> torch.Tensor:
    """Return the LSTM's states of every window, each started from a state of 0.

    Parameters
    ----------
    bars : float32 (S, L + T - 1, C)
        Convolved bars of strips.
    lstm : LSTM
        One layer of U units.
    length : int
        L, windows of a strip; a multiple of 4.

    Returns
    -------
    float32 (S, T, L, U)
        State after each bar of each window.
    """
    order = _gate_order(lstm.hidden_size)
    named = dict(lstm.named_parameters())
    bias = (named["bias_ih_l0"] + named["bias_hh_l0"])[order]
    gates = functional.linear(bars, named["weight_ih_l0"][order], bias)
    weight = named["weight_hh_l0"][order].t().contiguous()
    return _apply(_Recurrence, gates, weight, length)


def attend_strips(states: torch.Tensor, attention: nn.MultiheadAttention) -> torch.Tensor:
    """Return what the last bar of each window attends to, float32 (S, L, U).

    Parameters
    ----------
    states : float32 (S, T, L, U)
        Normalised states.
    attention : MultiheadAttention
        Of H heads. The bias of its keys adds the same to every score and changes nothing.
    """
    units, heads = attention.embed_dim, attention.num_heads
    by_query, by_key, by_value = attention.in_proj_weight.view(3, heads, units // heads, units)
    bias = attention.in_proj_bias.view(3, heads, units // heads)
    last = states[:, -1]
    asked = torch.einsum("slu,hku->slhk", last, by_query) + bias[0]
    queries = torch.einsum("slhk,hku->slhu", asked, by_key) * (units // heads) ** -0.5
    pooled = _apply(_Pooling, states, queries)
    answers = torch.einsum("slhu,hku->slhk", pooled, by_value) + bias[2]
    return attention.out_proj(answers.flatten(2))


class _Recurrence(torch.autograd.Function):
    """Kernels of the LSTM as one operation."""

    @staticmethod
    def forward(ctx: Any, bars: torch.Tensor, weight: torch.Tensor, length: int) -> torch.Tensor:  # noqa: ANN401  torch's own
        n_strips, total, width = bars.shape
        n_bars, units = total - length + 1, width // 4
        gates = np.empty((n_strips, n_bars, length, width), np.float32)
        cells = np.empty((n_strips, n_bars + 1, length, units), np.float32)
        states = np.empty_like(cells)
        run_recurrence(_array(bars), _array(weight), gates, cells, states)
        ctx.save_for_backward(bars, weight)
        ctx.kept = (gates, cells, states)
        return torch.from_numpy(states[:, 1:])

    @staticmethod
    def backward(
        ctx: Any,  # noqa: ANN401  torch's own
        *gradients: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        bars, weight = ctx.saved_tensors
        of_bars, of_weight = torch.zeros_like(bars), torch.zeros_like(weight)
        gates, cells, states = ctx.kept
        reverse_recurrence(
            _array(gradients[0]),
            _array(weight),
            gates,
            cells,
            states,
            of_bars.numpy(),
            of_weight.numpy(),
        )
        return of_bars, of_weight, None


class _Pooling(torch.autograd.Function):
    """Kernels of the attention's weighted means as one operation."""

    @staticmethod
    def forward(ctx: Any, states: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:  # noqa: ANN401  torch's own
        n_strips, length, heads, _ = queries.shape
        weights = np.empty((n_strips, length, heads, states.shape[1]), np.float32)
        pooled = np.empty(queries.shape, np.float32)
        run_pooling(_array(states), _array(queries), weights, pooled)
        ctx.save_for_backward(states, queries)
        ctx.weights = weights
        return torch.from_numpy(pooled)

    @staticmethod
    def backward(
        ctx: Any,  # noqa: ANN401  torch's own
        *gradients: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        states, queries = ctx.saved_tensors
        shape = torch.contiguous_format
        of_states = torch.zeros_like(states, memory_format=shape)
        of_queries = torch.zeros_like(queries, memory_format=shape)
        reverse_pooling(
            _array(gradients[0]),
            _array(states),
            _array(queries),
            ctx.weights,
            of_states.numpy(),
            of_queries.numpy(),
        )
        return of_states, of_queries


def _apply(function: type[torch.autograd.Function], *values: Any) -> torch.Tensor:  # noqa: ANN401  torch's own
    result: torch.Tensor = function.apply(*values)
    return result


def _array(tensor: torch.Tensor) -> Tensor:
    return tensor.detach().contiguous().numpy()


def _gate_order(units: int) -> torch.Tensor:
    """Return where the kernels' gates stand among torch's, where the output comes last."""
    gates = torch.arange(4 * units).view(4, units)
    return torch.cat([gates[0], gates[1], gates[3], gates[2]])
