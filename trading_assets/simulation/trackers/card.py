"""Trackers as data: what a trained policy's file says of those that it observes."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, cast

from trading_assets.simulation.trackers.tracker import Tracker


@dataclass(frozen=True, slots=True)
class TrackerCard:
    """A tracker by its name, its parameters and what it shows.

    Attributes
    ----------
    name : str
        Name of the tracker.
    parameters : tuple of (str, value)
        Its parameters in order; values are JSON values, lists as tuples.
    inputs : tuple of str
        Names of what it shows.
    """

    name: str
    parameters: tuple[tuple[str, Any], ...]
    inputs: tuple[str, ...]

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> "TrackerCard":
        """Return what `dataclasses.asdict` wrote, as it is or read back from JSON.

        Raises
        ------
        KeyError, TypeError
            If a field is missing or no list where one is expected.
        """
        parameters = tuple((str(name), _frozen(value)) for name, value in card["parameters"])
        return cls(card["name"], parameters, tuple(card["inputs"]))


def card_of(tracker: Tracker) -> TrackerCard:
    """Return the card of a tracker; its parameters are its fields if it is a dataclass."""
    names = [f.name for f in fields(tracker)] if is_dataclass(tracker) else []
    parameters = tuple((name, _frozen(getattr(tracker, name))) for name in names)
    return TrackerCard(tracker.name, parameters, tuple(tracker.inputs))


def _frozen(value: object) -> object:
    if isinstance(value, list | tuple):
        return tuple(_frozen(part) for part in cast("list[object]", value))
    return value
