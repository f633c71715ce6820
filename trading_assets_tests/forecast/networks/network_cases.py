"""Networks with heads that say something, and labelled rows of noise, for tests."""

import numpy as np
import torch

from trading_assets.forecast.dataset import Rows
from trading_assets.forecast.networks.network import ForecastNetwork
from trading_assets.forecast.networks.strip_rows import LabelledRows
from trading_assets.forecast.seeded_thread import one_seeded_thread
from trading_assets.forecast_specs import PRESETS, NetworkSizes

TINY = NetworkSizes(filters=(4, 8), lstm_units=8, attention_heads=2, dense_units=6)


def make_network(
    sizes: NetworkSizes = TINY, width: int = 5, n_masks: int = 0, seed: int = 0
) -> ForecastNetwork:
    """Return a network whose heads were drawn, as if it had been trained."""
    with one_seeded_thread(seed):
        network = ForecastNetwork(width - n_masks, n_masks, sizes)
        for head in (network.classes, network.moments):
            torch.nn.init.normal_(head.weight, std=0.5)
        for norm in (network.state_norm, network.norm):
            torch.nn.init.normal_(norm.weight, mean=1.0, std=0.2)
            torch.nn.init.normal_(norm.bias, std=0.2)
    return network.eval()


def draw(*shape: int, seed: int = 1) -> torch.Tensor:
    """Return standard normal numbers."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def label(rows: Rows, seed: int = 0) -> LabelledRows:
    """Return rows with drawn labels."""
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.5, 1.5, len(rows))
    return LabelledRows(
        rows, rng.integers(3, size=len(rows)), rng.normal(size=len(rows)), weights / weights.mean()
    )


def grid(n_symbols: int, first: int, last: int) -> Rows:
    """Return all symbols' rows from a session up to before another, oldest first."""
    session, symbol = np.divmod(np.arange(n_symbols * (last - first)), n_symbols)
    return Rows(symbol.astype(np.int64), (session + first).astype(np.int64))


__all__ = ["PRESETS", "TINY", "draw", "grid", "label", "make_network"]
