"""Encoders as trained: windows of bars to a few numbers for each symbol, with shared weights.

`policy.encoding` does the same in numpy where policies act.
"""

import torch
from torch import Tensor, nn

from trading_assets.encoder_specs import CnnEncoderSpec, EncoderSpec, LstmEncoderSpec
from trading_assets.policy.encoding import STRIDE, n_outputs, n_places


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
    """

    def __init__(self, spec: EncoderSpec, window_bars: int, n_symbols: int, n_inputs: int) -> None:
        super().__init__()
        self.window_bars = window_bars
        self.n_symbols = n_symbols
        self.n_inputs = n_inputs
        self.n_features = n_symbols * n_outputs(spec)
        self.spec = spec
        if isinstance(spec, LstmEncoderSpec):
            self.lstm = nn.LSTM(n_inputs, spec.hidden_units, batch_first=True)
        else:
            width = n_places(spec, window_bars)[1] * spec.channels
            self.first = nn.Linear(spec.kernel_bars * n_inputs, spec.channels)
            self.second = nn.Linear(spec.kernel_bars * spec.channels, spec.channels)
            self.last = nn.Linear(width, spec.outputs)

    def forward(self, windows: Tensor) -> Tensor:
        """Return what is left of the windows, the same weights for every symbol."""
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
