"""Why an order was sent or refused: its card, from the audit log back to the bars.

Everything on it stands in the session's record and its audit log; nothing is computed again.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from trading_assets.errors import DataError, shown
from trading_assets.paper.audit import audit_records, stated_genesis
from trading_assets.paper.cost_tables import COST_PARTS
from trading_assets.paper.record import SessionRecord

# A stored partition that was read: asset, partition, digest of its files.
DataRef = tuple[str, str, str]

_UNKNOWN = "not recorded"
# What every order of a session has in common.
_OF_SESSION = ("START", "RECONCILE", "DECIDED")
# Of a record's fields, those that say what it adds.
_TOLD = (
    "status",
    "quantity",
    "price_usd",
    "weight",
    "broker_order_id",
    "execution_id",
    "rule",
    "limit",
    "observed",
    "reason",
    "differences",
)


def data_digest(refs: Iterable[DataRef]) -> str:
    """Return one digest of all stored partitions that were read, whatever their order."""
    text = json.dumps(sorted(refs), separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ChainLink:
    """One audit record on the way of an order.

    Attributes
    ----------
    seq, event, ts_utc, hash : str
        As they stand in the log.
    told : mapping of str to str
        What the record adds.
    """

    seq: str
    event: str
    ts_utc: str
    hash: str
    told: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class OrderCard:
    """Everything that is known of why a symbol was traded in a session, or was not.

    Attributes
    ----------
    strategy, session, symbol : str
        What the card is about.
    order : mapping
        Row of the table `orders`; empty where the target asked for no trade.
    costs : mapping
        Row of the table `order_costs`; empty where there is none.
    decision : mapping of str to str
        Audit record of the symbol's target.
    origin : mapping of str to str
        Audit record that closes the decision: who, and the digests of what it was made from.
    chain : tuple of ChainLink
        The records of the order and of what it rests on, oldest first.
    bars : tuple of DataRef
        Stored bars that hold the reference price; empty where they are not known.
    is_data_of_decision : bool
        Whether the stored data are those that the decision read, by their digest.
    """

    strategy: str
    session: str
    symbol: str
    order: Mapping[str, Any]
    costs: Mapping[str, Any]
    decision: Mapping[str, str]
    origin: Mapping[str, str]
    chain: tuple[ChainLink, ...]
    bars: tuple[DataRef, ...]
    is_data_of_decision: bool

    def lines(self) -> list[tuple[str, str]]:
        """Return what the card says, as pairs of a heading and a sentence."""
        decision, origin = self.decision, self.origin
        return [
            ("order", self._order()),
            ("refused", str(self.order.get("reason") or "no")),
            ("forecast", self._forecast()),
            ("weight", f"{_share(decision.get('raw_weight'))} wanted, {self._kept()}"),
            ("attributions", f"by input in {self.strategy}/explanation, fold by fold"),
            ("decided by", decision.get("decided_by") or _UNKNOWN),
            *(
                (name.replace("_", " "), origin.get(name) or _UNKNOWN)
                for name in ("model_digest", "config_digest", "code_version", "data_digest")
            ),
            ("price", f"{decision.get('reference_price_usd')} USD, {self._bar()}"),
            ("bars", self._bars()),
            ("cost", self._cost()),
        ]

    def to_markdown(self) -> str:
        """Return the card as Markdown."""
        rows = [f"| {name} | {_cell(text)} |" for name, text in self.lines()]
        links = [
            f"| {link.seq} | {link.ts_utc} | {link.event} | `{link.hash[:12]}` |"
            f" {_cell(_said(link.told))} |"
            for link in self.chain
        ]
        return "\n".join(
            (
                f"**{self.symbol}, session {self.session}**\n",
                "| | |\n| --- | --- |",
                *rows,
                "\n| seq | UTC | event | hash | what |\n| --- | --- | --- | --- | --- |",
                *links,
            )
        )

    def _order(self) -> str:
        order = self.order
        if not order:
            return "none: the target asked for no trade"
        asked = f"{order['side']} {_number(order['quantity'])}, {order['order_type']}"
        filled = f"{order['status']}, {_number(order['filled_quantity'])} filled"
        return f"{asked}, {filled} ({order['client_order_id']})"

    def _forecast(self) -> str:
        text = self.decision.get("forecast")
        if not text:
            return "none was used"
        known: dict[str, float] = json.loads(text)
        said: list[str] = []
        if "expected_return" in known:
            said.append(f"return {known['expected_return']:+.4%}")
        if "interval_low" in known and "interval_high" in known:
            said.append(f"interval {known['interval_low']:+.2%} to {known['interval_high']:+.2%}")
        if {"p_down", "p_flat", "p_up"} <= known.keys():
            shares = (f"{name} {known[f'p_{name}']:.1%}" for name in ("down", "flat", "up"))
            said.append(", ".join(shares))
        return "; ".join(said)

    def _kept(self) -> str:
        limits = self.decision.get("binding_limits")
        kept = _share(self.decision.get("weight"))
        return f"{kept} within limits" + (f", bound by {limits}" if limits else ", none binds")

    def _bar(self) -> str:
        stamp = self.decision.get("bar_ts")
        return f"close of the bar that ended {stamp}" if stamp else "its bar is not recorded"

    def _bars(self) -> str:
        if not self.bars:
            return _UNKNOWN
        named = ", ".join(f"{asset} {key} ({digest[:12]})" for asset, key, digest in self.bars)
        if self.is_data_of_decision:
            return f"{named}, as read by the decision"
        return f"{named}, as stored now; what the decision read is not stored under this record"

    def _cost(self) -> str:
        if not self.costs:
            return "not known"
        parts = ", ".join(f"{name[:-4]} {self.costs[name]:.2f}" for name in COST_PARTS)
        return f"{self.costs['shortfall_usd']:.2f} USD against the decision: {parts}"


def explain_order(
    record: SessionRecord, symbol: str, reads: Sequence[Sequence[DataRef]] = ()
) -> OrderCard:
    """Return the card of a symbol in a session.

    Parameters
    ----------
    record : SessionRecord
        The session.
    symbol : str
        Ticker as the session decided under it.
    reads : sequence of sequence of DataRef, optional
        What each commit of the session read, newest first; the one whose digest the decision names
        is the one that counts.

    Raises
    ------
    DataError
        If nothing was decided on the symbol.
    """
    records = audit_records(record.audit, stated_genesis(record.audit))
    decision = next(
        (r for r in records if r["event"] == "DECISION" and r["symbol"] == symbol), None
    )
    if decision is None:
        raise DataError(_nothing_decided(record, symbol))
    origin = next((r for r in records if r["event"] == "DECIDED"), {})
    order = _row_of(record, "orders", symbol)
    key = order.get("client_order_id", "")
    named = origin.get("data_digest", "")
    as_decided = next((refs for refs in reads if named and data_digest(refs) == named), None)
    refs = as_decided if as_decided is not None else next(iter(reads), ())
    return OrderCard(
        strategy=str(record.summary.get("strategy", "")),
        session=record.session.isoformat(),
        symbol=symbol,
        order=order,
        costs=_row_of(record, "order_costs", symbol),
        decision=decision,
        origin=origin,
        chain=tuple(_link(r) for r in records if _belongs(r, decision, key)),
        bars=_bars_of(decision, refs),
        is_data_of_decision=as_decided is not None,
    )


def largest_orders(record: SessionRecord, count: int) -> list[str]:
    """Return the symbols of a session's largest orders by value, refused ones among them."""
    prices = dict(record.tables["decisions"]["symbol", "reference_price_usd"].iter_rows())
    worth = {
        row["symbol"]: float(row["quantity"]) * (prices.get(row["symbol"]) or 0.0)
        for row in record.tables["orders"].iter_rows(named=True)
    }
    return sorted(worth, key=lambda symbol: (-worth[symbol], symbol))[:count]


def _nothing_decided(record: SessionRecord, symbol: str) -> str:
    decided = ", ".join(record.tables["decisions"]["symbol"].to_list())
    if not decided:
        reason = record.summary.get("reason") or "nothing was decided"
        return f"the session of {record.session} is {record.status}: {reason}; no order was made"
    return f"symbol was {shown(symbol)}; expected one decided on {record.session}: {decided}"


def _row_of(record: SessionRecord, table: str, symbol: str) -> dict[str, Any]:
    rows = record.tables[table].filter(record.tables[table]["symbol"] == symbol)
    return rows.row(0, named=True) if len(rows) else {}


def _belongs(record: Mapping[str, str], decision: Mapping[str, str], client_order_id: str) -> bool:
    if record is decision or record["event"] in _OF_SESSION:
        return True
    return bool(client_order_id) and record.get("client_order_id") == client_order_id


def _link(record: Mapping[str, str]) -> ChainLink:
    told = {name: record[name] for name in _TOLD if record.get(name)}
    return ChainLink(record["seq"], record["event"], record["ts_utc"], record["hash"], told)


def _bars_of(decision: Mapping[str, str], refs: Iterable[DataRef]) -> tuple[DataRef, ...]:
    if not decision.get("bar_ts"):
        return ()
    month = f"{datetime.fromisoformat(decision['bar_ts']):%Y-%m}-01"
    return tuple(ref for ref in refs if ref[0].endswith("/validated_bars") and ref[1] == month)


def _share(text: str | None) -> str:
    return _UNKNOWN if not text else f"{float(text):.2%}"


def _number(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _said(told: Mapping[str, str]) -> str:
    return "; ".join(f"{name} {text}" for name, text in told.items())


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
