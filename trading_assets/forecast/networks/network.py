"""The forecasting network: causal convolutions, LSTM, attention of the last bar, two heads."""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from trading_assets.forecast.networks.strips import attend_strips, recur_strips
from trading_assets.forecast_specs import KERNEL_BARS, NetworkSizes

# Keeps the variance head inside exp(+-5), where gradients stay finite.
LOG_VARIANCE_LIMIT = 5.0


class NetworkOutput(NamedTuple):
    """Class logits (..., 3), mean (...) and log variance (...) of the scaled return."""

    logits: torch.Tensor
    mean: torch.Tensor
    log_variance: torch.Tensor


class ForecastNetwork(nn.Module):
    """Maps a window of features and masks to classes and moments of the scaled return.

    The convolutions look back only and start where their kernels are full, so the LSTM runs over
    `window_bars - 4` bars. The last state attends to all of them.

    Parameters
    ----------
    n_values, n_masks : int
        Input channels: features or their principal components first, then masks.
    sizes : NetworkSizes
        Channels and units.
    """

    def __init__(self, n_values: int, n_masks: int, sizes: NetworkSizes) -> None:
        super().__init__()
        first, second = sizes.filters
        units = sizes.lstm_units
        self.sizes = sizes
        self.first = nn.Conv1d(n_values + n_masks, first, KERNEL_BARS)
        self.second = nn.Conv1d(first, second, KERNEL_BARS)
        self.lstm = nn.LSTM(second, units, batch_first=True)
        self.attention = nn.MultiheadAttention(units, sizes.attention_heads, batch_first=True)
        self.state_norm = nn.LayerNorm(units)
        self.norm = nn.LayerNorm(units)
        self.dense = nn.Linear(units, sizes.dense_units)
        self.classes = nn.Linear(sizes.dense_units, 3)
        self.moments = nn.Linear(sizes.dense_units, 2)
        with torch.no_grad():
            # Masks have no effect but the one that training finds.
            self.first.weight[:, n_values:] = 0.0
            # Training starts from equal class probabilities, mean 0 and variance 1.
            for head in (self.classes, self.moments):
                head.weight.zero_()
                head.bias.zero_()

    def forward(self, windows: torch.Tensor) -> NetworkOutput:
        """Return the output (n,) for windows float32 (n, I, window_bars), oldest bar first."""
        return self.read(self.encode(windows))

    def encode(self, windows: torch.Tensor) -> torch.Tensor:
        """Return the last layer before the heads, float32 (n, dense_units), of windows."""
        states, _ = self.lstm(self._convolve(windows).transpose(1, 2))
        states = self.state_norm(states)
        last = states[:, -1:]
        attended, _ = self.attention(last, states, states, need_weights=False)
        return self._finish(last[:, 0], attended[:, 0])

    def encode_strips(self, strips: torch.Tensor, window_bars: int) -> torch.Tensor:
        """Return what `encode` does, (S x L, dense_units), for all windows of strips.

        Parameters
        ----------
        strips : float32 (S, I, L + window_bars - 1)
            Bars of one symbol in a row; their L windows overlap and are encoded together.
        window_bars : int
            Bars of a window.
        """
        length = strips.shape[2] - window_bars + 1
        if not self._has_kernels(strips, length):
            windows = strips.unfold(2, window_bars, 1).transpose(1, 2)
            return self.encode(windows.reshape(-1, strips.shape[1], window_bars))
        bars = self._convolve(strips).transpose(1, 2)
        states = self.state_norm(recur_strips(bars, self.lstm, length))
        last = states[:, -1]
        attended = attend_strips(states, self.attention)
        return self._finish(last, attended).flatten(0, 1)

    def read(self, encoded: torch.Tensor) -> NetworkOutput:
        """Return the output (...) of the last layer (..., dense_units)."""
        mean, log_variance = self.moments(encoded).unbind(-1)
        limited = log_variance.clamp(-LOG_VARIANCE_LIMIT, LOG_VARIANCE_LIMIT)
        return NetworkOutput(self.classes(encoded), mean, limited)

    def _convolve(self, bars: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.second(torch.relu(self.first(bars))))

    def _finish(self, last: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.dense(self.norm(last + attended)))

    def _has_kernels(self, strips: torch.Tensor, length: int) -> bool:
        # Kernels take windows by fours, and beat the library's matrix products for few units.
        is_suited = self.sizes.lstm_units % 4 == 0 and self.sizes.lstm_units <= 64
        return strips.device.type == "cpu" and length % 4 == 0 and is_suited


def count_parameters(sizes: NetworkSizes, width: int) -> int:
    """Return the parameters of a network of so many inputs."""
    with torch.device("meta"):
        network = ForecastNetwork(width, 0, sizes)
    return sum(weight.numel() for weight in network.parameters())


def forecast_loss(
    output: NetworkOutput,
    classes: torch.Tensor,
    scaled_returns: torch.Tensor,
    weights: torch.Tensor,
) -> torch.Tensor:
    """Return the weighted mean of cross-entropy + 0.5 beta-NLL (beta 0.5) of the scaled return.

    Source: Seitzer et al., On the Pitfalls of Heteroscedastic Uncertainty Estimation, ICLR 2022.

    Parameters
    ----------
    output : NetworkOutput
        Of n rows.
    classes : int64 (n,)
        Classes.
    scaled_returns : float32 (n,)
        Scaled returns.
    weights : float32 (n,)
        What rows count for; those of 0 are not looked at.
    """
    variance = output.log_variance.exp()
    squares = (scaled_returns - output.mean) ** 2
    likelihood = 0.5 * (output.log_variance + squares / variance)
    beta_nll = variance.detach().sqrt() * likelihood
    entropy = functional.cross_entropy(output.logits, classes, reduction="none")
    return ((entropy + 0.5 * beta_nll) * weights).sum() / weights.sum()
