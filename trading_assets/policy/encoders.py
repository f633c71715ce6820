"""Encoders as trained: windows of bars to a few numbers for each symbol, with shared weights.

`policy.encoding` does the same in numpy where policies act.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trading_assets.encoder_specs import (
    CnnEncoderSpec,
    EncoderSpec,
    GraphEncoderSpec,
    LstmEncoderSpec,
)
from trading_assets.policy.encoding import LEAK, STRIDE, n_outputs, n_places


class WindowEncoder(nn.Module):
    """Turns windows, float32 (B, W, N, F), into float32 (B, N x outputs).

    Parameters
    ----------
    spec : EncoderSpec
        What it is.
    window_bars : int
        W.
    n_symbols, n_inputs : int
        N, and the inputs F of a symbol and bar.
    graph : float32 (N, N), optional
        What symbols see of each other, as `symbol_graph` makes it; needed by graph encoders.
    """

    def __init__(
        self,
        spec: EncoderSpec,
        window_bars: int,
        n_symbols: int,
        n_inputs: int,
        graph: NDArray[np.float32] | None = None,
    ) -> None:
        super().__init__()
        self.window_bars = window_bars
        self.n_symbols = n_symbols
        self.n_inputs = n_inputs
        self.n_features = n_symbols * n_outputs(spec)
        self.spec = spec
        if isinstance(spec, LstmEncoderSpec):
            self.lstm = nn.LSTM(n_inputs, spec.hidden_units, batch_first=True)
        elif isinstance(spec, GraphEncoderSpec):
            # Stored with the weights, and not learnt.
            self.register_buffer("graph", torch.from_numpy(graph))
            self.first = _Exchange(window_bars * n_inputs, spec.units, attends=spec.attention)
            self.second = _Exchange(spec.units, spec.units, attends=spec.attention)
        else:
            width = n_places(spec, window_bars)[1] * spec.channels
            self.first = nn.Linear(spec.kernel_bars * n_inputs, spec.channels)
            self.second = nn.Linear(spec.kernel_bars * spec.channels, spec.channels)
            self.last = nn.Linear(width, spec.outputs)

    def forward(self, windows: Tensor) -> Tensor:
        """Return what is left of the windows, the same weights for every symbol."""
        if isinstance(self.spec, GraphEncoderSpec):
            symbols = windows.transpose(1, 2).flatten(2)
            return self.second(self.first(symbols, self.graph), self.graph).flatten(1)
        apart = windows.transpose(1, 2).flatten(0, 1)
        if isinstance(self.spec, CnnEncoderSpec):
            encoded = self._convolve(apart, self.spec.kernel_bars)
        else:
            encoded = self.lstm(apart)[1][0][0]
        return encoded.reshape(len(windows), -1)

    def _convolve(self, layer: Tensor, kernel_bars: int) -> Tensor:
        for convolution in (self.first, self.second):
            parts = layer.unfold(1, kernel_bars, STRIDE).flatten(2)
            layer = torch.relu(convolution(parts))
        return torch.tanh(self.last(layer.flatten(1)))


class _Exchange(nn.Module):
    """What each symbol has of its own, and the mean of what it sees of others."""

    def __init__(self, n_inputs: int, units: int, *, attends: bool) -> None:
        super().__init__()
        self.own = nn.Linear(n_inputs, units)
        self.others = nn.Linear(n_inputs, units)
        self.attends = attends
        if attends:
            self.asks = nn.Linear(n_inputs, units)
            self.answers = nn.Linear(n_inputs, units)
            self.score = nn.Linear(units, 1, bias=False)

    def forward(self, symbols: Tensor, graph: Tensor) -> Tensor:
        share = graph
        if self.attends:
            # Brody, Alon and Yahav, How Attentive are Graph Attention Networks? ICLR (2022).
            pairs = self.asks(symbols)[:, :, None] + self.answers(symbols)[:, None]
            score = self.score(nn.functional.leaky_relu(pairs, LEAK))[..., 0]
            score = score.masked_fill(graph == 0.0, -torch.inf)
            share = graph * torch.exp(score - score.amax(dim=-1, keepdim=True))
            share = share / share.sum(dim=-1, keepdim=True)
        return torch.tanh(self.own(symbols) + share @ self.others(symbols))
