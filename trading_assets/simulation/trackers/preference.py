"""How much each of several objectives counts in an episode."""

from dataclasses import dataclass

import numpy as np

from trading_assets.simulation.terms import Floats


@dataclass(frozen=True, slots=True)
class Preference:
    """Weights of objectives, drawn for each training episode and declared everywhere else.

    Attributes
    ----------
    objectives : tuple of str
        Names of the objectives.
    weights : tuple of float
        Declared weights, at least 0 and together 1.
    concentration : float
        Of the Dirichlet distribution that training draws from: 1 draws all weights alike, less
        favours single objectives, more favours equal weights.
    """

    objectives: tuple[str, ...]
    weights: tuple[float, ...]
    concentration: float = 1.0

    @property
    def name(self) -> str:
        """`preference`."""
        return "preference"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The weights."""
        return tuple(f"prefers_{objective}" for objective in self.objectives)

    def start(self, rng: np.random.Generator | None) -> Floats:
        """Return the weights of a new account: drawn where a generator is given."""
        if rng is None:
            return np.array(self.weights)
        return rng.dirichlet(np.full(len(self.objectives), self.concentration))

    def advance(self, state: Floats, net_return: Floats, traded: Floats) -> Floats:
        """Return the weights, which no bar changes."""
        del net_return, traded
        return state

    def show(self, state: Floats) -> Floats:
        """Return the weights."""
        return state
