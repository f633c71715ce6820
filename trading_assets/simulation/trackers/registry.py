"""Trackers by name: those of this package, and those of a user's own modules."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from trading_assets.declaration_mistakes import expected_names
from trading_assets.errors import DataError, DeclarationError, shown
from trading_assets.simulation.trackers.bars_since_trade import BarsSinceTrade
from trading_assets.simulation.trackers.card import TrackerCard, card_of
from trading_assets.simulation.trackers.differential_sharpe import SharpeMoments
from trading_assets.simulation.trackers.drawdown import Drawdown
from trading_assets.simulation.trackers.objective_means import ObjectiveMeans
from trading_assets.simulation.trackers.preference import Preference
from trading_assets.simulation.trackers.recent_turnover import RecentTurnover
from trading_assets.simulation.trackers.tail_threshold import TailThreshold
from trading_assets.simulation.trackers.tracker import Tracker
from trading_assets.simulation.trackers.trailing_return import TrailingReturn
from trading_assets.simulation.trackers.trailing_variance import TrailingVariance

MakesTracker = TypeVar("MakesTracker", bound=Callable[..., Tracker])

_OBSERVABLE: dict[str, Callable[..., Tracker]] = {
    "bars_since_trade": BarsSinceTrade,
    "differential_sharpe": SharpeMoments,
    "drawdown": Drawdown,
    "recent_turnover": RecentTurnover,
    "tail_threshold": TailThreshold,
    "trailing_return": TrailingReturn,
    "trailing_variance": TrailingVariance,
}
# Only a reward with objectives says what they are.
_OF_REWARDS: dict[str, Callable[..., Tracker]] = {
    "objective_means": ObjectiveMeans,
    "preference": Preference,
}
_OWN: dict[str, Callable[..., Tracker]] = {}


def register_tracker(name: str) -> Callable[[MakesTracker], MakesTracker]:
    """Make what is decorated, usually a frozen dataclass, the tracker that `name` stands for.

    Raises
    ------
    DeclarationError
        If a tracker of this package has that name.
    """
    if name in _OBSERVABLE or name in _OF_REWARDS:
        msg = f"tracker {shown(name)} is one of this package; expected a name of one's own"
        raise DeclarationError(msg)

    def register(maker: MakesTracker) -> MakesTracker:
        _OWN[name] = maker
        return maker

    return register


def tracker_of(name: str) -> Tracker:
    """Return the tracker with that name and its own default parameters.

    Raises
    ------
    DeclarationError
        If there is none, or it cannot be made.
    """
    makers = {**_OBSERVABLE, **_OWN}
    if name not in makers:
        msg = (
            f"tracker {shown(name)} is not known; {expected_names(name, makers)}, or one that a"
            " module of policy.modules registers"
        )
        raise DeclarationError(msg)
    try:
        tracker = makers[name]()
    except TypeError as error:
        msg = f"tracker {name} cannot be made ({error}); give its parameters default values"
        raise DeclarationError(msg) from error
    if tracker.name != name:
        msg = f"tracker {name} calls itself {shown(tracker.name)}; expected the same name"
        raise DeclarationError(msg)
    return tracker


def tracker_of_card(card: TrackerCard) -> Tracker:
    """Return the tracker that a card describes.

    Raises
    ------
    DataError
        If none of that name is known, or it has other parameters or inputs now.
    """
    makers: Mapping[str, Callable[..., Any]] = {**_OBSERVABLE, **_OF_REWARDS, **_OWN}
    maker = makers.get(card.name)
    if maker is None:
        msg = (
            f"a policy observes tracker {shown(card.name)}, which is not known; expected one of"
            f" {', '.join(sorted(makers))}: declare its module under policy.modules"
        )
        raise DataError(msg)
    try:
        tracker: Tracker = maker(**dict(card.parameters))
    except TypeError as error:
        msg = f"tracker {card.name} has other parameters now ({error}); train again"
        raise DataError(msg) from error
    if card_of(tracker) != card:
        msg = (
            f"tracker {card.name} was {card} when the policy was trained and is"
            f" {card_of(tracker)}; expected the same: train again"
        )
        raise DataError(msg)
    return tracker
