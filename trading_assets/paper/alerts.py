"""What a person has to be told of an account: said once, and kept in the account's folder.

`alerts.jsonl` is append-only, one JSON object a line, for whoever watches it: a mail, a pager. It
needs no database and no Dagster.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC

from trading_assets.paper.clock import Clock
from trading_assets.paper.kill_switch import SwitchState
from trading_assets.paper.log_folder import LogFolder
from trading_assets.paper.record import SessionRecord

ALERTS = "alerts.jsonl"
ALERTS_LOCK = "alerts.lock"
LOCK_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that a person has to know.

    Attributes
    ----------
    kind : str
        `halted`, `reducing`, `missed`, `reconciliation` or `failed`.
    session : str
        Session that it is about.
    reason : str
        One sentence.
    """

    kind: str
    session: str
    reason: str


def session_alerts(record: SessionRecord, standing: SwitchState) -> list[Alert]:
    """Return what a session's end has to tell.

    Parameters
    ----------
    record : SessionRecord
        The session.
    standing : SwitchState
        How the account's kill switch stands after it; a circuit breaker trips it like a person.
    """
    session = record.session.isoformat()
    found = [Alert("reconciliation", session, each) for each in record.differences]
    if record.status == "missed":
        found.append(Alert("missed", session, str(record.summary.get("reason", ""))))
    found += [Alert(kind, session, said) for kind, said in why_not_trading(standing)]
    return found


def why_not_trading(standing: SwitchState) -> list[tuple[str, str]]:
    """Return why an account may not trade freely, as kind and sentence; nothing if it may."""
    if standing.state == "ACTIVE":
        return []
    said = f"the account is {standing.state} by {standing.by or 'nobody named'}: {standing.reason}"
    return [(standing.state.lower(), f"{said}; a named person re-arms it")]


def keep_alerts(folder: LogFolder, clock: Clock, alerts: Iterable[Alert]) -> list[Alert]:
    """Append alerts to the account's file; return those that it did not have yet.

    Parameters
    ----------
    folder : LogFolder
        Folder of the account.
    clock : Clock
        Dates them.
    alerts : iterable of Alert
        Said again about the same session, an alert is no new one.
    """
    told = list(alerts)
    if not told:
        return []
    with folder.lock(ALERTS_LOCK, LOCK_TIMEOUT_SECONDS):
        known = set(read_alerts(folder))
        new = [alert for alert in dict.fromkeys(told) if alert not in known]
        if new:
            now = clock.now().astimezone(UTC).isoformat(timespec="milliseconds")
            whole = folder.read(ALERTS)
            # A line that a crash cut off stays as it is, on a line of its own.
            lines = "\n" if whole and not whole.endswith(b"\n") else ""
            lines += "".join(
                json.dumps(
                    {
                        "ts_utc": now,
                        "kind": alert.kind,
                        "session": alert.session,
                        "reason": alert.reason,
                    }
                )
                + "\n"
                for alert in new
            )
            folder.create(ALERTS)
            folder.append(ALERTS, lines.encode())
    return new


def read_alerts(folder: LogFolder) -> list[Alert]:
    """Return the alerts kept, oldest first; a line that cannot be read is passed over."""
    found: list[Alert] = []
    for line in folder.read(ALERTS).splitlines():
        try:
            said = json.loads(line)
            found.append(Alert(said["kind"], said["session"], said["reason"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return found
