"""The kill switch of an account: whether orders may be sent, as it stands on disk.

A marker says the state and is read before every send; a log of its own says who changed it, why and
when. Halting writes the marker first, allowing again writes it last, and whatever cannot be read,
does not fit or is missing means HALTED. No model, database or broker is needed.
"""

import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, cast

from trading_assets.errors import DataError, UserError, shown
from trading_assets.paper.audit import (
    GENESIS_HASH,
    audit_records,
    canonical_record,
    record_hash,
    verify_audit,
)
from trading_assets.paper.audit_log import AuditLog, AuditOrigin
from trading_assets.paper.clock import Clock
from trading_assets.paper.log_folder import LogFolder
from trading_assets.paper.torn_tail import split_torn_tail

State = Literal["ACTIVE", "REDUCING", "HALTED"]

MARKER = "switch.json"
CONTROL_LOG = "control.jsonl"
# Not the account's lock: a session that runs, or hangs, must not keep anybody from halting it.
CONTROL_LOCK = "control.lock"
LOCK_TIMEOUT_SECONDS = 5.0

_STATES: dict[str, State] = {"ACTIVE": "ACTIVE", "REDUCING": "REDUCING", "HALTED": "HALTED"}
_TRIPS: dict[str, State] = {"HALT": "HALTED", "REDUCE": "REDUCING"}


class SwitchState(NamedTuple):
    """How the switch stands; `since` is None and the texts are empty if it was never touched."""

    state: State
    by: str = ""
    reason: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Marker:
    standing: SwitchState
    control_hash: str


class KillSwitch:
    """Halts an account, and allows it again to a named person with a reason.

    Parameters
    ----------
    folder : LogFolder
        Folder of the account.
    clock : Clock
        Dates the changes.
    """

    def __init__(self, folder: LogFolder, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._seen: tuple[object, object] | None = None
        self._standing = SwitchState("HALTED")
        # Set while a halt is not on disk yet: then at least this process is halted.
        self._pending: SwitchState | None = None

    def state(self) -> SwitchState:
        """Return state, by whom, why and since when; two calls to the disk if nothing changed."""
        if self._pending is not None:
            return self._pending
        try:
            seen = (self._folder.stamp(MARKER), self._folder.stamp(CONTROL_LOG))
            if seen != self._seen:
                self._standing = self._read(has_marker=seen[0] is not None)
                self._seen = seen
        except OSError as error:
            return _unreadable(f"the kill switch cannot be read ({error.strerror or error})")
        return self._standing

    @property
    def is_halted(self) -> bool:
        """Whether nothing at all may be sent, cancels aside."""
        return self.state().state == "HALTED"

    def halt(self, by: str, reason: str) -> SwitchState:
        """Stop all sending; done again, it changes nothing.

        Parameters
        ----------
        by, reason : str
            Who or what halts, and why.

        Raises
        ------
        DataError
            If it could not be made durable or recorded; this process is halted nevertheless.
        """
        now = self._now()
        self._pending = SwitchState("HALTED", by, reason, datetime.fromisoformat(now))
        self._mark_halted(by, reason, now)
        with self._control() as log:
            # An overlapping rearm may have put its marker over this one.
            marker = self._mark_halted(by, reason, now)
            since = marker.since.isoformat(timespec="microseconds") if marker.since else now
            log.append_once("HALT", by=marker.by, reason=marker.reason, since=since)
        self._pending = None
        return self.state()

    def reduce(self, by: str, reason: str) -> SwitchState:
        """Let only orders pass that reduce positions; a halted account stays halted.

        Raises
        ------
        DataError
            If it could not be made durable; then halt.
        """
        with self._control() as log:
            if self.state().state == "ACTIVE":
                log.append("REDUCE", by=by, reason=reason)
                self._mark(SwitchState("REDUCING", by, reason), self._now(), log.head.hash)
        return self.state()

    def rearm(
        self, by: str, reason: str, accepted: Sequence[Mapping[str, str]] = ()
    ) -> SwitchState:
        """Let all orders pass again.

        Parameters
        ----------
        by, reason : str
            Name of the person who allows it, and why it is safe.
        accepted : sequence of mapping of str to str, optional
            Differences between our books and the broker's that this person takes for true, as
            fields of ACCEPT_DIFFERENCE without id, name and reason.

        Raises
        ------
        UserError
            If name or reason is empty, or differences are accepted for an account that trades.
        DataError
            If the log of changes is damaged or cannot be written; then the state stays.
        """
        require_person(by, reason)
        with self._control() as log:
            if self.state().state == "ACTIVE" and accepted:
                msg = "the account is ACTIVE; expected a halted one: differences halt it"
                raise UserError(msg)
            if self.state().state != "ACTIVE":
                # Ids that no other rearming has: the log's head is never the same again.
                prefix = f"accepted-{log.head.hash[:16]}"
                for number, fields in enumerate(accepted):
                    event_id = f"{prefix}-{number}"
                    log.append(
                        "ACCEPT_DIFFERENCE", **fields, event_id=event_id, by=by, reason=reason
                    )
                log.append("REARM", by=by, reason=reason)
                self._mark(SwitchState("ACTIVE", by, reason), self._now(), log.head.hash)
        self._pending = None
        return self.state()

    def accepted(self) -> tuple[dict[str, str], ...]:
        """Return the differences accepted with the newest rearming, unless it was halted since.

        Raises
        ------
        DataError
            If the log of changes is damaged.
        """
        standing: list[dict[str, str]] = []
        noted: list[dict[str, str]] = []
        for record in self.history():
            if record["event"] == "ACCEPT_DIFFERENCE":
                noted.append(record)
            elif record["event"] == "REARM":
                standing, noted = noted, []
            elif record["event"] == "HALT":
                standing, noted = [], []
        return tuple(standing)

    def history(self) -> list[dict[str, str]]:
        """Return the records of all changes, oldest first.

        Raises
        ------
        DataError
            If their log is damaged.
        """
        return audit_records(split_torn_tail(self._folder.read(CONTROL_LOG))[0], GENESIS_HASH)

    @contextmanager
    def _control(self) -> Generator[AuditLog]:
        try:
            with self._folder.lock(CONTROL_LOCK, LOCK_TIMEOUT_SECONDS):
                log = AuditLog(
                    self._folder, CONTROL_LOG, self._clock, AuditOrigin(), lock=CONTROL_LOCK
                )
                with log:
                    yield log
        except OSError as error:
            raise self._write_error(error) from error

    def _mark_halted(self, by: str, reason: str, now: str) -> SwitchState:
        """Make sure that the marker says HALTED, and return what it says."""
        try:
            marker = _parse(self._folder.read(MARKER))
            if marker is not None and marker.standing.state == "HALTED":
                return marker.standing
            return self._mark(SwitchState("HALTED", by, reason), now, "")
        except OSError as error:
            # A full disk has room for nothing but an empty marker, which means the same.
            try:
                self._folder.truncate(MARKER, 0)
            except OSError:
                raise self._write_error(error) from error
            return SwitchState("HALTED", by, reason, datetime.fromisoformat(now))

    def _mark(self, standing: SwitchState, now: str, control_hash: str) -> SwitchState:
        record = {
            "state": standing.state,
            "by": standing.by,
            "reason": standing.reason,
            "since": now,
            "control_hash": control_hash,
        }
        record["hash"] = record_hash(record)
        self._folder.replace(MARKER, f"{canonical_record(record)}\n".encode())
        return standing._replace(since=datetime.fromisoformat(now))

    def _read(self, *, has_marker: bool) -> SwitchState:
        # A line that is being written, or was cut off, came after its marker if it halts.
        control, _ = split_torn_tail(self._folder.read(CONTROL_LOG))
        if not has_marker and not control:
            return SwitchState("ACTIVE")
        marker = _parse(self._folder.read(MARKER)) if has_marker else None
        if marker is None:
            return _unreadable(f"marker {self._folder.label}/{MARKER} is missing or damaged")
        if marker.standing.state == "HALTED":
            return marker.standing
        problems = verify_audit(control)
        if problems:
            return _unreadable(f"{self._folder.label}/{CONTROL_LOG} is damaged: {problems[0]}")
        return self._since_marker(marker, audit_records(control, GENESIS_HASH))

    def _since_marker(self, marker: _Marker, records: list[dict[str, str]]) -> SwitchState:
        """Return what the marker says, or a later record that says it more strictly."""
        hashes = [record["hash"] for record in records]
        if marker.control_hash not in hashes:
            return _unreadable(f"marker {self._folder.label}/{MARKER} fits no record of a change")
        standing = marker.standing
        for record in records[hashes.index(marker.control_hash) + 1 :]:
            state = _TRIPS.get(record["event"])
            if state is not None and standing.state != "HALTED":
                since = datetime.fromisoformat(record["ts_utc"])
                standing = SwitchState(state, record.get("by", ""), record.get("reason", ""), since)
        return standing

    def _now(self) -> str:
        return self._clock.now().astimezone(UTC).isoformat(timespec="microseconds")

    def _write_error(self, error: OSError) -> DataError:
        msg = (
            f"kill switch in {self._folder.label} could not be written ({error.strerror or error});"
            " expected a folder that this user may write, so free space or mend it, then run the"
            " command again"
        )
        return DataError(msg)


def require_person(by: str, reason: str) -> None:
    """Raise UserError unless it is said who allows trading again, and why."""
    for name, text in (("name", by), ("reason", reason)):
        if not text.strip():
            msg = f"{name} was {shown(text)}; expected who allows trading again and why"
            raise UserError(msg)


def _unreadable(reason: str) -> SwitchState:
    return SwitchState("HALTED", "", f"{reason}; halt anew, then rearm with a name and a reason")


def _parse(text: bytes) -> _Marker | None:
    """Return what a marker says, or None if it is not whole."""
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    fields = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    names = {"state", "by", "reason", "since", "control_hash", "hash"}
    if fields.keys() != names or not all(isinstance(value, str) for value in fields.values()):
        return None
    if fields["hash"] != record_hash(fields) or fields["state"] not in _STATES:
        return None
    try:
        since = datetime.fromisoformat(fields["since"])
    except ValueError:
        return None
    standing = SwitchState(_STATES[fields["state"]], fields["by"], fields["reason"], since)
    return _Marker(standing, fields["control_hash"])
