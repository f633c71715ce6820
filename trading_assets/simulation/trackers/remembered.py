"""What is remembered of one account, as JSON values that a session's record can hold."""

from collections.abc import Mapping, Sequence

import numpy as np

from trading_assets.errors import DataError, shown
from trading_assets.simulation.terms import Floats
from trading_assets.simulation.trackers.card import TrackerCard
from trading_assets.simulation.trackers.registry import tracker_of_card
from trading_assets.simulation.trackers.tracker import Memory

Remembered = Mapping[str, Sequence[float]]
"""State of each tracker by its name."""


def remember_nothing(cards: Sequence[TrackerCard]) -> dict[str, list[float]]:
    """Return what is remembered of an account that was just opened."""
    return _written(Memory([tracker_of_card(card) for card in cards], 1))


def remember_bar(
    cards: Sequence[TrackerCard], remembered: Remembered, net_return: float, traded: float
) -> dict[str, list[float]]:
    """Return what is remembered after a bar.

    Parameters
    ----------
    cards : sequence of TrackerCard
        What a policy observes.
    remembered : mapping of str to sequence of float
        What was remembered before.
    net_return : float
        Change of equity from close to close, as a fraction of the equity before or of the notional.
    traded : float
        Sum of absolute traded values, as a fraction of the same.

    Raises
    ------
    DataError
        If a state is missing or does not fit, or a number is not finite.
    """
    if not np.isfinite([net_return, traded]).all():
        msg = (
            f"a bar returned {net_return} and traded {traded}; expected finite fractions of equity:"
            " settle the session first"
        )
        raise DataError(msg)
    memory = _read(cards, remembered)
    memory.advance(np.array([net_return]), np.array([traded]))
    return _written(memory)


def show_remembered(cards: Sequence[TrackerCard], remembered: Remembered | None) -> Floats:
    """Return what a policy sees of an account's memory, float64 (1, sum of inputs).

    Raises
    ------
    DataError
        If it is missing although the policy observes trackers, or a state does not fit.
    """
    if not cards:
        return np.zeros((1, 0))
    if remembered is None:
        names = ", ".join(card.name for card in cards)
        msg = (
            f"the policy observes {names} of its account and nothing is remembered of it; expected"
            " the state of each: carry it from session to session, from that of a new account on"
        )
        raise DataError(msg)
    return _read(cards, remembered).show()


def _read(cards: Sequence[TrackerCard], remembered: Remembered) -> Memory:
    memory = Memory([tracker_of_card(card) for card in cards], 1)
    for name, start in memory.states.items():
        state = remembered.get(name, ())
        if len(state) != start.shape[1] or not np.isfinite(state).all():
            msg = (
                f"{shown(list(state))} is remembered of {name}; expected {start.shape[1]} finite"
                " numbers: remember the account anew"
            )
            raise DataError(msg)
        memory.states[name] = np.array(state, dtype=np.float64)[None]
    return memory


def _written(memory: Memory) -> dict[str, list[float]]:
    return {name: state[0].tolist() for name, state in memory.states.items()}
