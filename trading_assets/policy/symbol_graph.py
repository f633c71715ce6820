"""What symbols see of each other: the graph of an encoder, from the train window alone."""

import numpy as np
from numpy.typing import NDArray

from trading_assets.encoder_specs import EncoderSpec, GraphEncoderSpec
from trading_assets.policy.training import Training
from trading_assets.simulation.core import Floats


def symbol_graph(training: Training) -> NDArray[np.float32] | None:
    """Return shares of what each symbol sees, its own included; None if the encoder has no graph.

    Returns
    -------
    float32 (N, N)
        Rows of shares that add to 1. Shares are those of positive correlations, of the mean
        covariance that was known at the decisions of the train window; or equal within a sector.
    """
    spec: EncoderSpec | None = training.agent.encoder
    if not isinstance(spec, GraphEncoderSpec):
        return None
    bonds = _correlations(training) if spec.edges == "correlation" else _sectors(training)
    return (bonds / bonds.sum(axis=1, keepdims=True)).astype(np.float32)


def _correlations(training: Training) -> Floats:
    covariance, episodes = training.task.covariance, training.episodes
    if len(covariance) > 1:
        covariance = covariance[episodes.first_row : episodes.last_row]
    mean = covariance.mean(axis=0)
    deviation = np.sqrt(np.diag(mean))
    scale = np.outer(deviation, deviation)
    bonds = np.divide(mean, scale, out=np.zeros_like(mean), where=scale > 0.0)
    # A symbol that is not listed yet sees itself alone.
    np.fill_diagonal(bonds, 1.0)
    return np.maximum(bonds, 0.0)


def _sectors(training: Training) -> Floats:
    n_symbols = len(training.rules.symbols)
    sectors = np.array(training.sectors or range(n_symbols))
    return (sectors[:, None] == sectors).astype(np.float64)
