"""Makes a session's record from its journal: what was decided, sent and booked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trading_assets.paper.deciding import DecidedSession
from trading_assets.paper.inputs import SessionInputs
from trading_assets.paper.journal import Journal
from trading_assets.paper.ledger import AccountState
from trading_assets.paper.record import SessionRecord, Status, empty_tables
from trading_assets.paper.tables import decisions_table, orders_table


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the first half of a session ended.

    Attributes
    ----------
    status : Status
        Of the record.
    reason : str
        Why nothing was sent, or empty.
    differences : tuple of str
        Where ledger and broker differ.
    knows_account : bool
        Whether the record's opening account is one that a broker told.
    """

    status: Status
    reason: str
    differences: tuple[str, ...] = ()
    knows_account: bool = True


def make_record(
    inputs: SessionInputs,
    journal: Journal,
    opening: AccountState,
    outcome: Outcome,
    decided: DecidedSession | None = None,
) -> SessionRecord:
    """Return the record of a session that is not settled yet.

    Parameters
    ----------
    inputs : SessionInputs
        The session.
    journal : Journal
        All its records are durable.
    opening : AccountState
        The ledger before the session.
    outcome : Outcome
        How it ended.
    decided : DecidedSession, optional
        What was decided, if anything was.
    """
    tables = empty_tables()
    if decided is not None:
        tables["decisions"] = decisions_table(inputs, decided)
        tables["orders"] = orders_table(
            inputs.session, list(journal.account.orders.values()), decided.plan.refusals
        )
    return SessionRecord(
        session=inputs.session,
        status=outcome.status,
        opening=opening,
        closing=None,
        tables=tables,
        audit=journal.content(),
        summary={
            "strategy": inputs.name,
            "receiver": inputs.gateway.receiver,
            "decision_time": inputs.decision_time.isoformat(),
            "decided_by": "" if decided is None else decided.decided_by,
            "reason": outcome.reason,
            "orders": len(journal.account.orders),
            "refused": 0 if decided is None else len(decided.plan.refusals),
            "differences": list(outcome.differences),
            "knows_account": outcome.knows_account,
            "audit": head_of(journal),
            **({} if decided is None else decided.remembered),
        },
    )


def head_of(journal: Journal) -> Mapping[str, Any]:
    """Return where the log's chain ends, as a summary holds it."""
    return {
        "count": journal.head.count,
        "hash": journal.head.hash,
        "genesis": journal.genesis,
    }
