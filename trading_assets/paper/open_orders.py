"""Which orders are open as far as the audit logs of an account know, intact or not."""

import json
from collections.abc import Iterable
from typing import Any, cast

# After which nothing more can happen to an order.
_ENDS = frozenset(("FILL", "DONE", "CAME", "CAMO", "REMO", "EXPI", "REJECTED", "NOT_SENT"))


def open_order_ids(logs: Iterable[bytes]) -> tuple[str, ...]:
    """Return the client ids of orders that were intended and of which no end is known, in order.

    An order whose fate is unknown counts as open. Lines that cannot be read are passed over: who
    asks wants to cancel what may be open, and verifies the log in another way.

    Parameters
    ----------
    logs : iterable of bytes
        Logs of the account's sessions, oldest first.
    """
    found: dict[str, None] = {}
    for record in (record for log in logs for record in _records(log)):
        client_order_id = record.get("client_order_id")
        if not isinstance(client_order_id, str):
            continue
        if record.get("event") == "INTENT":
            found[client_order_id] = None
        elif record.get("event") in _ENDS:
            found.pop(client_order_id, None)
    return tuple(found)


def _records(log: bytes) -> Iterable[dict[str, Any]]:
    for line in log.split(b"\n"):
        try:
            record: object = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            yield cast("dict[str, Any]", record)
