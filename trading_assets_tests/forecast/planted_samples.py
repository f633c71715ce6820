"""Samples of gate models whose forecastable share is known, with labels that overlap."""

from collections.abc import Callable

import numpy as np

from trading_assets.forecast.gates.samples import Samples

Array = np.ndarray
# Terciles of a standard normal return.
EDGES = (-0.4307, 0.4307)


def make_samples(
    expect: Callable[[Array], Array],
    sessions: int,
    *,
    seed: int,
    symbols: int = 5,
    width: int = 6,
    horizon: int = 5,
) -> tuple[Samples, Array]:
    """Return rows, oldest first, and the true mean (n,) of their scaled returns.

    The next bar's return, of deviation 1, has mean `expect(inputs)`, inputs (n, width) are standard
    normal, and a label sums `horizon` returns.
    """
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(sessions, symbols, width))
    noise = rng.normal(size=(sessions + horizon - 1, symbols))
    means = expect(rng.normal(size=((sessions + horizon - 1) * symbols, width)))
    means = means.reshape(-1, symbols)
    means[:sessions] = expect(inputs.reshape(-1, width)).reshape(sessions, symbols)
    returns = means + noise
    scaled = sum(returns[k : k + sessions] for k in range(horizon)) / np.sqrt(horizon)
    scaled = np.asarray(scaled).ravel()
    # Label ends are nearer to one another in some rows than in others.
    weights = rng.uniform(0.5, 1.5, len(scaled))
    samples = Samples(
        inputs=inputs.reshape(-1, width),
        classes=np.digitize(scaled, EDGES),
        scaled_returns=scaled,
        weights=weights / weights.mean(),
        sessions=np.repeat(np.arange(sessions), symbols),
        observations=len(scaled) / horizon,
    )
    return samples, means[:sessions].ravel() / np.sqrt(horizon)
