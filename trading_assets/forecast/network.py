"""The forecasting network: causal convolution, LSTM, attention of the last bar, two heads."""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

KERNEL_BARS = 3
# Keeps the variance head inside exp(+-5), where gradients stay finite.
_LOG_VARIANCE_LIMIT = 5.0


class NetworkOutput(NamedTuple):
    """Class logits (n, 3), mean (n,) and log variance (n,) of the scaled return."""

    logits: torch.Tensor
    mean: torch.Tensor
    log_variance: torch.Tensor


class ForecastNetwork(nn.Module):
    """Maps a window of features and masks to classes and moments of the scaled return.

    Parameters
    ----------
    n_values, n_masks : int
        Input channels: features or their principal components first, then masks.
    hidden_units : int
        Channels of the convolution and units of LSTM, attention and dense layer.
    """

    def __init__(self, n_values: int, n_masks: int, hidden_units: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(n_values + n_masks, hidden_units, KERNEL_BARS)
        self.lstm = nn.LSTM(hidden_units, hidden_units, batch_first=True)
        self.attention = nn.MultiheadAttention(
            hidden_units, attention_heads(hidden_units), batch_first=True
        )
        self.norm = nn.LayerNorm(hidden_units)
        self.dense = nn.Linear(hidden_units, hidden_units)
        self.classes = nn.Linear(hidden_units, 3)
        self.moments = nn.Linear(hidden_units, 2)
        with torch.no_grad():
            # Masks have no effect but the one that training finds.
            self.convolution.weight[:, n_values:] = 0.0
            # Training starts from equal class probabilities, mean 0 and variance 1.
            for head in (self.classes, self.moments):
                head.weight.zero_()
                head.bias.zero_()

    def forward(self, windows: torch.Tensor) -> NetworkOutput:
        """Return the output for windows float32 (n, I, window_bars), oldest bar first."""
        padded = functional.pad(windows, (KERNEL_BARS - 1, 0))
        states = torch.relu(self.convolution(padded)).transpose(1, 2)  # (n, window_bars, hidden)
        states, _ = self.lstm(states)
        last = states[:, -1:]
        attended, _ = self.attention(last, states, states, need_weights=False)
        dense = torch.relu(self.dense(self.norm((last + attended)[:, 0])))
        mean, log_variance = self.moments(dense).unbind(1)
        return NetworkOutput(
            self.classes(dense),
            mean,
            log_variance.clamp(-_LOG_VARIANCE_LIMIT, _LOG_VARIANCE_LIMIT),
        )


def attention_heads(hidden_units: int) -> int:
    """Return the largest of 8, 4, 2, 1 heads that divides the hidden units into at least 2."""
    return next(
        h for h in (8, 4, 2, 1) if hidden_units % h == 0 and (hidden_units >= 2 * h or h == 1)
    )


def forecast_loss(
    output: NetworkOutput, classes: torch.Tensor, scaled_returns: torch.Tensor
) -> torch.Tensor:
    """Return cross-entropy + 0.5 beta-NLL (beta 0.5) of the scaled return.

    Source: Seitzer et al., On the Pitfalls of Heteroscedastic Uncertainty Estimation, ICLR 2022.
    """
    variance = output.log_variance.exp()
    squares = (scaled_returns - output.mean) ** 2
    likelihood = 0.5 * (output.log_variance + squares / variance)
    beta_nll = (variance.detach().sqrt() * likelihood).mean()
    return functional.cross_entropy(output.logits, classes) + 0.5 * beta_nll
