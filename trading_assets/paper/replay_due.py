"""Replays of the sessions that have none yet, each for itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from trading_assets.errors import DataError
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.replay import ReplayData, replay_session
from trading_assets.paper.replayed import SessionReplay


@dataclass(frozen=True, slots=True)
class Replays:
    """What became of several sessions.

    Attributes
    ----------
    replays : tuple of SessionReplay
        Those that were replayed, in the order given.
    failed : mapping of date to str
        The others, and why.
    """

    replays: tuple[SessionReplay, ...]
    failed: Mapping[date, str]


def replay_due(
    due: Sequence[tuple[SessionRecord, SessionRecord | None]], data: ReplayData
) -> Replays:
    """Replay sessions; one that cannot be replayed keeps none of the others back.

    Parameters
    ----------
    due : sequence of (SessionRecord, SessionRecord or None)
        Each session and the one that its account comes from, in the order of sessions.
    data : ReplayData
        Declaration, bars and actions.
    """
    replays: list[SessionReplay] = []
    failed: dict[date, str] = {}
    for record, previous in due:
        try:
            replays.append(replay_session(record, previous, data))
        except DataError as error:
            failed[record.session] = str(error)
    return Replays(tuple(replays), failed)
