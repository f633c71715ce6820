"""What policies remember of a paper account, carried from record to record."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from trading_assets.forecast.conformal_state import ConformalState
from trading_assets.policy.acting import Carried, carry_nothing
from trading_assets.policy.bundle import Bundle
from trading_assets.simulation.trackers.card import TrackerCard
from trading_assets.simulation.trackers.remembered import (
    Remembered,
    remember_bar,
    remember_nothing,
)

# In a record's summary, where its policies remember anything.
MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class AccountMemory:
    """Trackers that a session's policies observe, and their states when it was decided.

    Attributes
    ----------
    cards : tuple of TrackerCard
        The trackers.
    states : mapping of str to sequence of float
        Their states at the close before the session.
    bundle : str
        Digest of the bundle that decides.
    carried : sequence of sequence of float
        What its members carried to that close.
    forecast_state : mapping
        What its forecaster's intervals go on from; empty where they start anew.
    """

    cards: tuple[TrackerCard, ...]
    states: Remembered
    bundle: str = ""
    carried: Carried = ()
    forecast_state: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def to_summary(
        self, carried_on: Carried = (), forecast_state: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return what a record's summary holds of it; nothing where nothing is remembered.

        `carried_on` is what the members carry after the decision, `forecast_state` what intervals
        go on from.
        """
        if not self.cards and not any(self.carried) and not forecast_state:
            return {}
        states = {name: list(state) for name, state in self.states.items()}
        kept: dict[str, Any] = {
            "trackers": [asdict(card) for card in self.cards],
            "decided": states,
        }
        if any(self.carried):
            kept |= {
                "bundle": self.bundle,
                "carried": [list(memory) for memory in self.carried],
                "carried_on": [list(memory) for memory in carried_on],
            }
        if forecast_state:
            kept |= {"bundle": self.bundle, "forecast_state": dict(forecast_state)}
        return {MEMORY: kept}


def memory_before(summary: Mapping[str, Any] | None, bundle: Bundle) -> AccountMemory:
    """Return what a session's policies remember of the account.

    Parameters
    ----------
    summary : mapping, optional
        Summary of the settled session before, if there was one.
    bundle : Bundle
        What decides. Trackers other than those of the session before, and members of another
        bundle, know nothing of the account, as at the start of a training episode.
    """
    kept: Mapping[str, Any] = {} if summary is None else summary.get(MEMORY, {})
    is_settled = "settled" in kept
    cards = tuple(bundle.rules.trackers)
    before = tuple(TrackerCard.from_card(card) for card in kept.get("trackers", ()))
    is_known = is_settled and before == cards
    states: Remembered = kept["settled"] if is_known else remember_nothing(cards)
    carried: Carried = carry_nothing(bundle.members)
    forecast_state: Mapping[str, Any] = {}
    if kept.get("bundle") == bundle.digest:
        # Intervals learn from returns, whether or not the account was settled.
        forecast_state = kept.get("forecast_state", {})
        carried = kept.get("carried_on", carried) if is_settled else carried
    return AccountMemory(cards, states, bundle.digest, carried, forecast_state)


def rename_memory(summary: Mapping[str, Any], current: Mapping[str, str]) -> dict[str, Any]:
    """Return what a record's summary holds once companies are called as `current` says.

    Forecasts wait for their outcome under a symbol; all else is of the account as a whole.
    """
    kept = summary.get(MEMORY, {})
    if not kept.get("forecast_state"):
        return {}
    state = ConformalState.from_json(json.dumps(kept["forecast_state"]).encode())
    renamed = state.rename(current).model_dump(mode="json")
    return {MEMORY: {**kept, "forecast_state": renamed}}


def memory_after(summary: Mapping[str, Any], net_return: float, traded: float) -> dict[str, Any]:
    """Return what a record's summary holds once the session is settled.

    Parameters
    ----------
    summary : mapping
        Of the decided record.
    net_return, traded : float
        Change of equity and traded value, as fractions of the equity before or of the notional.
    """
    kept = summary.get(MEMORY)
    if kept is None:
        return {}
    cards = [TrackerCard.from_card(card) for card in kept["trackers"]]
    settled = remember_bar(cards, kept["decided"], net_return, traded)
    return {MEMORY: {**kept, "settled": settled}}
