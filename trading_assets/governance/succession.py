"""Hands the title on from one session's champion to the next, with the files that back it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from trading_assets.governance.champion import ChampionRecord, Decider, decide_champion
from trading_assets.governance.promotion import GateResult

RECORD = "champion.json"
BUNDLE = "bundle/"


@dataclass(frozen=True, slots=True)
class Succession:
    """A session's champion and its bundle, which is empty while the fallback trades."""

    record: ChampionRecord
    bundle_files: Mapping[str, bytes]

    def to_files(self) -> dict[str, bytes]:
        """Return the record and the bundle's files, as `choose_champion` reads them back."""
        files = {f"{BUNDLE}{name}": content for name, content in self.bundle_files.items()}
        return {RECORD: self.record.to_json(), **files}


def bundle_of(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the bundle among a champion's or a challenger's files."""
    return {
        name.removeprefix(BUNDLE): content
        for name, content in files.items()
        if name.startswith(BUNDLE)
    }


def record_of(files: Mapping[str, bytes]) -> ChampionRecord | None:
    """Return the record among a champion's files, or None where there are none."""
    return ChampionRecord.from_json(files[RECORD]) if files else None


def choose_champion(
    previous: Mapping[str, bytes],
    challenger: Mapping[str, bytes],
    session: date,
    fallback: str,
    now: datetime,
) -> Succession:
    """Promote the session's challenger if every gate allows it, else keep who trades.

    Parameters
    ----------
    previous : mapping of str to bytes
        Files of the newest earlier session's champion; empty before the first.
    challenger : mapping of str to bytes
        Files of the session's challenger.
    session : date
        Session from which the choice holds.
    fallback : str
        What trades until a challenger has passed.
    now : datetime
        Aware moment of the decision.
    """
    summary = json.loads(challenger["summary.json"])
    gates = [GateResult(**gate) for gate in summary["gates"]]
    decider = Decider(session, fallback, now, "promotion gates")
    record = decide_champion(record_of(previous), summary["digest"], gates, decider)
    if record.is_fallback:
        return Succession(record, {})
    source = challenger if record.champion == summary["digest"] else previous
    return Succession(record, bundle_of(source))
