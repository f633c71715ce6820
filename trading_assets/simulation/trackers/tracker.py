"""What every tracker does, and the states of several trackers side by side.

A tracker is a function of net returns and traded shares alone, so that a session that trades live
carries the same numbers as a training episode.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from trading_assets.simulation.terms import Floats


class Tracker(Protocol):
    """Remembers something of K accounts; a frozen dataclass whose fields are its parameters."""

    @property
    def name(self) -> str:
        """Name under which declarations ask for it."""
        ...

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of what it shows a policy."""
        ...

    def start(self, rng: np.random.Generator | None) -> Floats:
        """Return the state of a new account, float64 (n_state,).

        Parameters
        ----------
        rng : Generator, optional
            Given at the start of a training episode, for what differs from episode to episode;
            absent, the state is the declared one.
        """
        ...

    def advance(self, state: Floats, net_return: Floats, traded: Floats) -> Floats:
        """Return the states after a bar, float64 (K, n_state).

        Parameters
        ----------
        state : float64 (K, n_state)
            States before; not written to.
        net_return, traded : float64 (K,)
            Return after all costs and traded value, as fractions of equity or of the notional.
        """
        ...

    def show(self, state: Floats) -> Floats:
        """Return what a policy sees of the states, float64 (K, len(inputs)), of order 1."""
        ...


class Memory:
    """The states of several trackers for K accounts, side by side.

    Parameters
    ----------
    trackers : sequence of Tracker
        In order of what is shown.
    n_accounts : int
        K.

    Attributes
    ----------
    states : dict of str to float64 (K, n_state)
        State of each tracker by its name.
    """

    def __init__(self, trackers: Sequence[Tracker], n_accounts: int) -> None:
        self.trackers = tuple(trackers)
        self.states = {t.name: np.tile(t.start(None), (n_accounts, 1)) for t in self.trackers}

    def of(self, accounts: slice | np.ndarray) -> "Memory":
        """Return the memory of some accounts."""
        part = Memory(self.trackers, 0)
        part.states = {name: state[accounts] for name, state in self.states.items()}
        return part

    def start(
        self, accounts: slice | np.ndarray, rngs: Sequence[np.random.Generator] | None = None
    ) -> None:
        """Forget what happened to some accounts.

        Parameters
        ----------
        accounts : slice or int64 (M,)
            Which accounts.
        rngs : sequence of Generator, optional
            One for each of them where training episodes start; each draws in order of trackers.
        """
        for tracker in self.trackers:
            state = self.states[tracker.name]
            if rngs is None:
                state[accounts] = tracker.start(None)
            else:
                state[accounts] = np.stack([tracker.start(rng) for rng in rngs])

    def advance(self, net_return: Floats, traded: Floats) -> dict[str, Floats]:
        """Remember a bar; return the states before it by tracker."""
        before = self.states
        self.states = {t.name: t.advance(before[t.name], net_return, traded) for t in self.trackers}
        return before

    def show(self) -> Floats:
        """Return what a policy sees, float64 (K, sum of inputs)."""
        shown = [t.show(self.states[t.name]) for t in self.trackers]
        return np.concatenate(shown, axis=1)
