"""The champion's record: which bundle trades from a session on, since when and on what evidence.

Until a challenger has passed every gate, the declared fallback trades. A record is canonical JSON:
the same decision has the same bytes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal, cast

from trading_assets.errors import DataError
from trading_assets.governance.promotion import GateResult

Status = Literal["kept", "promoted", "rolled_back", "fallback"]


@dataclass(frozen=True, slots=True)
class ChampionRecord:
    """Who trades from `session` on.

    Attributes
    ----------
    session : date
        First session the record is for.
    status : {'kept', 'promoted', 'rolled_back', 'fallback'}
        What was decided.
    champion : str
        Digest of the bundle that trades, or the fallback's name.
    is_fallback : bool
        Whether the declared fallback trades.
    previous : str or None
        Digest of the bundle that traded before the last change, or None where none did.
    challenger : str or None
        Digest of the bundle that was judged, if there was one.
    evidence : tuple of GateResult
        Every gate's verdict.
    decided_at : datetime
        When, UTC.
    decided_by : str
        Who or what decided.
    reason : str
        One sentence.
    """

    session: date
    status: Status
    champion: str
    is_fallback: bool
    previous: str | None
    challenger: str | None
    evidence: tuple[GateResult, ...]
    decided_at: datetime
    decided_by: str
    reason: str

    def to_json(self) -> bytes:
        """Return the record as canonical JSON."""
        values = asdict(self) | {
            "session": self.session.isoformat(),
            "decided_at": self.decided_at.astimezone(UTC).isoformat(),
        }
        return json.dumps(values, sort_keys=True, indent=1).encode()

    @staticmethod
    def from_json(content: bytes) -> "ChampionRecord":
        """Read a record.

        Raises
        ------
        DataError
            If the content is not a champion's record.
        """
        try:
            values = cast("dict[str, Any]", json.loads(content))
            values["session"] = date.fromisoformat(values["session"])
            values["decided_at"] = datetime.fromisoformat(values["decided_at"])
            values["evidence"] = tuple(GateResult(**gate) for gate in values["evidence"])
            return ChampionRecord(**values)
        except (ValueError, KeyError, TypeError) as error:
            msg = f"a champion's record could not be read ({error}); decide the champion again"
            raise DataError(msg) from error


@dataclass(frozen=True, slots=True)
class Decider:
    """Who decides, when, for which session, and what trades if no bundle does."""

    session: date
    fallback: str
    decided_at: datetime
    decided_by: str


def decide_champion(
    previous: ChampionRecord | None,
    challenger: str | None,
    gates: Sequence[GateResult],
    decider: Decider,
) -> ChampionRecord:
    """Promote the challenger if it passed every gate, otherwise keep who trades.

    Parameters
    ----------
    previous : ChampionRecord, optional
        The latest earlier session's record.
    challenger : str, optional
        Digest of the challenger's bundle; None where the night made none.
    gates : sequence of GateResult
        Its verdicts; a challenger without any is not promoted.
    decider : Decider
        Session, fallback, time and name.
    """
    serving = None if previous is None or previous.is_fallback else previous.champion
    before = None if previous is None else previous.previous
    evidence = tuple(gates)
    failed = [gate.name for gate in evidence if not gate.passed]
    if challenger is not None and challenger != serving and evidence and not failed:
        reason = f"The challenger passed all {len(evidence)} gates."
        return _record(decider, "promoted", challenger, serving, (challenger, evidence, reason))
    reason = _why_not(challenger, serving, failed, evidence)
    status: Status = "fallback" if serving is None else "kept"
    return _record(decider, status, serving, before, (challenger, evidence, reason))


def roll_back_champion(current: ChampionRecord, decider: Decider, reason: str) -> ChampionRecord:
    """Give trading back to the bundle before the current one, or to the fallback.

    Parameters
    ----------
    current : ChampionRecord
        Record of the champion that is withdrawn.
    decider : Decider
        Session, fallback, time and name.
    reason : str
        Why, one sentence.
    """
    withdrawn = None if current.is_fallback else current.champion
    return _record(decider, "rolled_back", current.previous, None, (withdrawn, (), reason))


def champion_problems(record: ChampionRecord, bundle_files: Mapping[str, bytes]) -> list[str]:
    """Return why the record cannot be traded on, one sentence each; none if it can.

    Parameters
    ----------
    record : ChampionRecord
        The session's record.
    bundle_files : mapping of str to bytes
        The champion's stored files; empty while the fallback trades.
    """
    if record.is_fallback:
        if not bundle_files:
            return []
        return [
            f"the fallback {record.champion} trades and {len(bundle_files)} bundle files are stored"
            " beside it; expected exactly one champion"
        ]
    # Only whoever loads a bundle needs the rooms that define one.
    from trading_assets.policy.loaded_bundle import load_bundle

    try:
        load_bundle(bundle_files, record.champion)
    except DataError as error:
        return [str(error)]
    return []


def _record(
    decider: Decider,
    status: Status,
    champion: str | None,
    previous: str | None,
    judged: tuple[str | None, tuple[GateResult, ...], str],
) -> ChampionRecord:
    challenger, evidence, reason = judged
    return ChampionRecord(
        session=decider.session,
        status=status,
        champion=champion or decider.fallback,
        is_fallback=champion is None,
        previous=previous,
        challenger=challenger,
        evidence=evidence,
        decided_at=decider.decided_at,
        decided_by=decider.decided_by,
        reason=reason,
    )


def _why_not(
    challenger: str | None,
    serving: str | None,
    failed: list[str],
    evidence: tuple[GateResult, ...],
) -> str:
    if challenger is None:
        return "No challenger was trained."
    if challenger == serving:
        return "The challenger is the champion's own bundle."
    if not evidence:
        return "The challenger was not judged by any gate."
    return f"The challenger failed {', '.join(failed)}."
