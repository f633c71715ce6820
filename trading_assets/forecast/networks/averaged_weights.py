"""A running average of weights, which predicts better than the last of them."""

import copy

import torch

from trading_assets.forecast.networks.network import ForecastNetwork

AVERAGE_DECAY = 0.995


class AveragedWeights:
    """A running average of a network's weights, which forgets what was long ago.

    Labels of returns are mostly noise, which pulls weights about from step to step; their average
    predicts better than the last of them. Source: Polyak and Juditsky, Acceleration of Stochastic
    Approximation by Averaging, SIAM J. Control Optim. 30 (1992).
    """

    def __init__(self, network: ForecastNetwork) -> None:
        self.network = copy.deepcopy(network)
        self._steps = 0

    def add(self, network: ForecastNetwork) -> None:
        """Move the average towards the network's weights."""
        self._steps += 1
        # Short trainings average over their last tenth, long ones over about 200 steps.
        share = max(1.0 - AVERAGE_DECAY, 9.0 / (self._steps + 9.0))
        with torch.no_grad():
            for kept, value in zip(self.network.parameters(), network.parameters(), strict=True):
                kept.lerp_(value, share)
