"""Differences between our books and the broker's that a named person takes for true.

Whoever re-arms an account may accept the differences that the broker shows at that moment. They
are written to the control log one by one, with name and reason. The next session takes them over
into its own log, and only if it finds exactly these; any other difference halts the account again.
An acceptance serves once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from trading_assets.errors import DataError
from trading_assets.paper.account_folder import session_logs
from trading_assets.paper.audit import AuditHead, audit_records, stated_genesis
from trading_assets.paper.gateways import Gateway
from trading_assets.paper.journal import Journal
from trading_assets.paper.kill_switch import KillSwitch
from trading_assets.paper.ledger import AccountState
from trading_assets.paper.log_folder import LogFolder
from trading_assets.paper.order_records import state_fields, text_of
from trading_assets.paper.orders import ZERO
from trading_assets.paper.reconciliation import Span, find_differences, read_broker
from trading_assets.paper.record import SessionRecord

ACCEPTED = "ACCEPT_DIFFERENCE"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference, as what would have to be added to our books.

    Attributes
    ----------
    kind : str
        `accepted_cash`, `accepted_shares`, or `accepted_stranger` for an order or execution at the
        broker that is not ours; its cash and shares are differences of their own.
    symbol : str
        Of shares; empty otherwise.
    quantity_change, cash_usd : Decimal
        Shares and cash that the broker has beyond ours.
    difference : str
        One sentence for a person.
    """

    kind: str
    symbol: str
    quantity_change: Decimal
    cash_usd: Decimal
    difference: str

    def fields(self) -> dict[str, str]:
        """Return the difference as fields of an audit record."""
        return {
            "kind": self.kind,
            "symbol": self.symbol,
            "quantity_change": text_of(self.quantity_change),
            "cash_usd": text_of(self.cash_usd),
            "difference": self.difference,
        }


def strangers_left(journal: Journal, strangers: Sequence[str]) -> list[str]:
    """Return the orders and executions that are not ours and that this session did not accept."""
    known = {record["difference"] for record in journal.records(ACCEPTED)}
    return [stranger for stranger in strangers if stranger not in known]


def take_over_accepted(
    journal: Journal,
    gateway: Gateway,
    strangers: Sequence[str],
    switch: KillSwitch,
    logs: LogFolder,
) -> bool:
    """Book the accepted differences if they are those that there are now; say whether it was done.

    Parameters
    ----------
    journal : Journal
        Of the session that is being opened.
    gateway : Gateway
        The broker.
    strangers : sequence of str
        Orders and executions there that are not ours.
    switch : KillSwitch
        Whose log says what was accepted.
    logs : LogFolder
        Logs of the account's sessions, which say what was taken over before.
    """
    accepted = _unused(switch.accepted(), logs)
    if not accepted or journal.account.session is None:
        return False
    session = journal.account.session
    ours, theirs = journal.account.state(session), gateway.account()
    found = differences_of(ours, theirs, strangers_left(journal, strangers))
    if sorted(map(_amount, accepted)) != sorted(_amount(each.fields()) for each in found):
        return False
    for record in accepted:
        fields = {name: record[name] for name in _TAKEN_OVER}
        journal.note(ACCEPTED, **fields, session=session.isoformat())
    journal.flush()
    return True


def read_differences(
    record: SessionRecord, gateway: Gateway, until: date, orders_since: datetime
) -> tuple[Difference, ...]:
    """Return where the account's newest record and the broker differ now.

    Everything that the broker explains itself, such as fills and dividends, is booked first, in
    memory only.

    Parameters
    ----------
    record : SessionRecord
        The newest one, whatever its checks said.
    gateway : Gateway
        The broker.
    until : date
        Session that is opened next.
    orders_since : datetime
        Moment from which orders at the broker are looked at.

    Raises
    ------
    DataError
        If the broker has blocked the account.
    BrokerError
        If it does not answer.
    """
    blocked = gateway.blocked()
    if blocked:
        msg = f"{blocked}; expected an account that may trade: settle that with the broker first"
        raise DataError(msg)
    journal = _journal_of(record, until)
    opened = journal.account.opened
    as_of = None if opened is None else opened.as_of
    strangers = read_broker(journal, gateway, Span(as_of, until, orders_since))
    find_differences(journal, gateway, until)
    return differences_of(
        journal.account.state(until), gateway.account(), strangers_left(journal, strangers)
    )


def differences_of(
    ours: AccountState, theirs: AccountState, strangers: Sequence[str]
) -> tuple[Difference, ...]:
    """Return each difference of cash and shares, and what is not ours."""
    found = [Difference("accepted_stranger", "", ZERO, ZERO, each) for each in strangers]
    cash = theirs.cash_usd - ours.cash_usd
    if cash:
        said = f"cash is {ours.cash_usd} USD in the ledger and {theirs.cash_usd} USD at the broker"
        found.append(Difference("accepted_cash", "", ZERO, cash, said))
    for symbol in sorted({*ours.quantity, *theirs.quantity}):
        held = ours.quantity.get(symbol, ZERO)
        there = theirs.quantity.get(symbol, ZERO)
        if held != there:
            said = f"{symbol} is {held} shares in the ledger and {there} at the broker"
            found.append(Difference("accepted_shares", symbol, there - held, ZERO, said))
    return tuple(found)


# What a session's record repeats of the control log's.
_TAKEN_OVER = (
    "event_id",
    "kind",
    "by",
    "reason",
    "symbol",
    "quantity_change",
    "cash_usd",
    "difference",
)


@dataclass
class _Scratch:
    """A log in memory, of which nothing is kept."""

    noted: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    def append_batch(self, records: list[tuple[str, Mapping[str, str]]], /) -> None:
        self.noted += [{**fields, "event": event} for event, fields in records]

    def records(self) -> list[dict[str, str]]:
        return self.noted

    def content(self) -> bytes:
        return b""

    def holds(self, event: str, fields: Mapping[str, str]) -> bool:
        return {**fields, "event": event} in self.noted

    @property
    def head(self) -> AuditHead:
        return AuditHead(len(self.noted), "")


def _journal_of(record: SessionRecord, until: date) -> Journal:
    """Return the books that the next session begins with, or goes on from."""
    if record.status != "settled":
        log = audit_records(record.audit, stated_genesis(record.audit))
        if any(line["event"] == "START" for line in log):
            return Journal(_Scratch(log))
    journal = Journal(_Scratch())
    journal.tell("START", session=until.isoformat(), **state_fields(record.latest_state))
    return journal


def _unused(accepted: Sequence[dict[str, str]], logs: LogFolder) -> list[dict[str, str]]:
    if not accepted:
        return []
    seen = b"".join(session_logs(logs).values())
    return [record for record in accepted if record["event_id"].encode() not in seen]


def _amount(record: Mapping[str, str]) -> tuple[str, str, Decimal, Decimal, str]:
    """Return what makes two differences the same; sentences count where there is nothing else."""
    kind = record["kind"]
    stranger = record["difference"] if kind == "accepted_stranger" else ""
    change, cash = Decimal(record["quantity_change"]), Decimal(record["cash_usd"])
    return kind, record["symbol"], change, cash, stranger
