"""What must hold of a paper account after any fault: our books against the broker's own.

Nothing here trades; it reads logs, checkpoints, records and the broker's book.
"""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from trading_assets.paper.account import Account
from trading_assets.paper.audit import audit_records, stated_genesis
from trading_assets.paper.audit_verification import verify_account
from trading_assets.paper.checkpoints import SignedHead
from trading_assets.paper.ledger import AccountState
from trading_assets.paper.simulated_broker.book import Book


@dataclass(frozen=True)
class LeftSession:
    """What a session left behind.

    Attributes
    ----------
    closing : AccountState or None
        The recorded ledger after its close; None unless settled.
    log : bytes
        Its audit log.
    fills : tuple of str
        Execution ids in its table of fills.
    """

    session: date
    status: str
    closing: AccountState | None
    log: bytes
    fills: tuple[str, ...] = ()

    @property
    def records(self) -> list[dict[str, str]]:
        """The log's records, once its chain was verified."""
        return audit_records(self.log, stated_genesis(self.log))


@dataclass(frozen=True)
class LeftAccount:
    """What an account left behind, ours and the broker's.

    Attributes
    ----------
    sessions : sequence of LeftSession
        In order of time.
    heads : sequence of SignedHead
        Checkpoints that were kept, and `trusted`, the keys that may have signed them.
    book : Book
        The broker's, read directly.
    is_whole : bool
        Whether the last session's books have to equal the broker's to the last decimal; not where
        something strange had to halt the account.
    ignored : set of str
        Executions that were changed after their session had ended.
    told_as : callable
        From an execution's id in the book to the one that the broker tells.
    """

    sessions: Sequence[LeftSession]
    heads: Sequence[SignedHead]
    trusted: Collection[str]
    book: Book
    is_whole: bool = True
    ignored: Collection[str] = ()
    told_as: Callable[[str], str] = str


@dataclass
class Findings:
    """Counts of an account, and what is wrong with it, one sentence each."""

    orders: int = 0
    fills: int = 0
    duplicate_orders: int = 0
    lost_fills: int = 0
    wrong: list[str] = field(default_factory=list[str])


def examine(left: LeftAccount) -> Findings:
    """Return what an account's orders and fills count, and everything that is wrong with it."""
    found = Findings()
    logs = {one.session.isoformat(): one.log for one in left.sessions}
    found.wrong += verify_account(logs, left.heads, left.trusted)
    if found.wrong:
        return found
    if left.is_whole:
        found.wrong += _state_differences(left)
    for one in left.sessions:
        found.wrong += _session_problems(one)
    _compare_executions(left, found)
    _compare_orders(left, found)
    return found


def _state_differences(left: LeftAccount) -> Iterator[str]:
    last, broker = left.sessions[-1], left.book.account()
    if last.closing is None:
        yield f"the last session is {last.status}, not settled"
        return
    if last.closing.cash_usd != broker.cash_usd:
        yield f"cash is {last.closing.cash_usd}, at the broker {broker.cash_usd}"
    if dict(last.closing.quantity) != dict(broker.quantity):
        yield f"positions are {last.closing.quantity}, at the broker {broker.quantity}"


def _session_problems(one: LeftSession) -> Iterator[str]:
    records = one.records
    account = Account.from_records(records)
    events = [record["event"] for record in records]
    if one.closing is not None and account.state(one.session) != one.closing:
        yield f"{one.session}: the log adds up to {account.state(one.session)}, not {one.closing}"
    if one.fills and sorted(one.fills) != sorted(fill.execution_id for fill in account.fills):
        yield f"{one.session}: the log's fills are not the recorded ones"
    agreed = [r["event"] == "RECONCILE" and not r["differences"] for r in records]
    if "INTENT" in events and True not in agreed[: events.index("INTENT")]:
        yield f"{one.session}: an order was intended before ledger and broker agreed"
    if events.count("DECIDED") > 1:
        yield f"{one.session}: decided {events.count('DECIDED')} times"
    if any(event.event_id.startswith("rounding-") for event in account.events):
        yield f"{one.session}: a difference of cash was booked as rounding"


def _compare_executions(left: LeftAccount, found: Findings) -> None:
    """Hold the executions that stand at the broker against those that we booked."""
    intended = _intended(left.sessions)
    booked = Counter(
        fill.execution_id
        for one in left.sessions
        for fill in Account.from_records(one.records).fills
    )
    executed = Counter(
        left.told_as(execution.fill.execution_id)
        for execution in left.book.executions()
        if execution.undone_in is None and execution.fill.client_order_id in intended
    )
    for execution_id in left.ignored:
        booked.pop(execution_id, None)
        executed.pop(execution_id, None)
    found.fills = sum(executed.values())
    lost, invented = executed - booked, booked - executed
    found.lost_fills = sum(lost.values())
    if lost or invented:
        found.wrong.append(f"executions lost {sorted(lost)}, invented {sorted(invented)}")


def _compare_orders(left: LeftAccount, found: Findings) -> None:
    intended = _intended(left.sessions)
    at_broker = left.book.orders()
    ours = Counter(o.client_order_id for o in at_broker if not _is_by_hand(o.client_order_id))
    found.orders = sum(ours.values())
    repeated = [key for key, count in ours.items() if count > 1]
    repeated += [key for key, count in intended.items() if count > 1]
    traded = Counter(
        (o.order.session, o.order.symbol)
        for o in at_broker
        if o.status != "rejected" and not _is_by_hand(o.client_order_id)
    )
    repeated += [f"{day} {symbol}" for (day, symbol), count in traded.items() if count > 1]
    found.duplicate_orders = len(repeated)
    if repeated:
        found.wrong.append(f"orders twice: {repeated}")
    unexplained = sorted(set(ours) - set(intended))
    if unexplained:
        found.wrong.append(f"orders without intent: {unexplained}")


def _intended(sessions: Sequence[LeftSession]) -> Counter[str]:
    return Counter(
        record["client_order_id"]
        for one in sessions
        for record in one.records
        if record["event"] == "INTENT"
    )


def _is_by_hand(client_order_id: str) -> bool:
    return client_order_id.startswith("by-hand")


def closing_of(summary: bytes) -> tuple[str, AccountState | None]:
    """Return status and closing ledger of a stored `summary.json`, without reading its tables."""
    values: Mapping[str, object] = json.loads(summary)
    closing = values["closing"]
    return str(values["status"]), None if closing is None else _state(closing)


def _state(values: object) -> AccountState:
    assert isinstance(values, dict)
    return AccountState(
        None if values["as_of"] is None else date.fromisoformat(values["as_of"]),
        Decimal(values["cash_usd"]),
        {symbol: Decimal(held) for symbol, held in values["quantity"].items()},
    )
