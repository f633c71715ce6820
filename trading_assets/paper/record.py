"""What a paper session leaves behind: tables, audit log and a summary."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal, cast

import polars as pl

from trading_assets.errors import DataError
from trading_assets.paper.audit import AuditHead, stated_genesis, verify_audit
from trading_assets.paper.ledger import AccountState
from trading_assets.schema import TABLES, conform

Status = Literal["settled", "awaiting_fill", "missed", "halted"]

SESSION_TABLES = ("decisions", "orders", "fills", "positions", "account", "order_costs")
# Those that a record of an earlier release lacks.
_LATER_TABLES = ("order_costs",)


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One session.

    Attributes
    ----------
    session : date
        The session.
    status : {'settled', 'awaiting_fill', 'missed', 'halted'}
        Filled and marked at the close; decided, with orders at the broker; nothing sent because the
        broker's clock did not allow it; nothing sent because ledger and broker differed.
    opening : AccountState
        The ledger before the session.
    closing : AccountState or None
        The ledger after its close; None unless settled.
    tables : mapping of str to DataFrame
        The tables of `SESSION_TABLES`; all but decisions and orders are empty unless settled.
    audit : bytes
        The audit log.
    summary : mapping
        The session in figures, as JSON values; `audit` holds the head of the audit log.
    settled_previous : SessionRecord or None
        The record of the session before, if it was still open and this run settled it: store it in
        place of that session's record.
    """

    session: date
    status: Status
    opening: AccountState
    closing: AccountState | None
    tables: Mapping[str, pl.DataFrame]
    audit: bytes
    summary: Mapping[str, Any]
    settled_previous: "SessionRecord | None" = None

    @property
    def latest_state(self) -> AccountState:
        """The ledger the next session starts from."""
        return self.opening if self.closing is None else self.closing

    @property
    def knows_account(self) -> bool:
        """Whether the opening account is one that a broker told."""
        return bool(self.summary.get("knows_account", True))

    @property
    def differences(self) -> list[str]:
        """Where ledger and broker differed, one sentence each."""
        return list(self.summary.get("differences", ()))

    def to_files(self) -> dict[str, bytes]:
        """Return what is stored beside the tables, by file name."""
        values = {
            **self.summary,
            "session": self.session.isoformat(),
            "status": self.status,
            "opening": _state_to_json(self.opening),
            "closing": None if self.closing is None else _state_to_json(self.closing),
        }
        return {
            "summary.json": json.dumps(values, sort_keys=True, indent=1).encode(),
            "audit.jsonl": self.audit,
        }

    @staticmethod
    def from_files(
        tables: Mapping[str, pl.DataFrame], files: Mapping[str, bytes]
    ) -> "SessionRecord":
        """Read a record that was stored as tables and the files of `to_files`.

        A table that earlier releases did not have may be missing; it is empty then.

        Raises
        ------
        DataError
            If a file is missing or cannot be read, or the audit log is not the one that was stored.
        """
        try:
            values = cast("dict[str, Any]", json.loads(files["summary.json"]))
            closing = values.pop("closing")
            record = SessionRecord(
                session=date.fromisoformat(values.pop("session")),
                status=values.pop("status"),
                opening=_state_from_json(values.pop("opening")),
                closing=None if closing is None else _state_from_json(closing),
                tables={name: conform(name, _table(tables, name)) for name in SESSION_TABLES},
                audit=files["audit.jsonl"],
                summary=values,
            )
            head = AuditHead(int(values["audit"]["count"]), values["audit"]["hash"])
        except (ValueError, KeyError, TypeError, ArithmeticError) as error:
            msg = f"a session's record could not be read ({error!r}); restore its stored files"
            raise DataError(msg) from error
        problems = verify_audit(record.audit, head, stated_genesis(record.audit))
        if problems:
            msg = f"the audit log of {record.session} is damaged: {problems[0]}; restore its file"
            raise DataError(msg)
        return record


def empty_tables() -> dict[str, pl.DataFrame]:
    """Return the session's tables without rows."""
    return {name: TABLES[name].empty() for name in SESSION_TABLES}


def _table(tables: Mapping[str, pl.DataFrame], name: str) -> pl.DataFrame:
    if name in _LATER_TABLES and name not in tables:
        return TABLES[name].empty()
    return tables[name]


def _state_to_json(state: AccountState) -> dict[str, Any]:
    return {
        "as_of": None if state.as_of is None else state.as_of.isoformat(),
        "cash_usd": str(state.cash_usd),
        "quantity": {symbol: str(held) for symbol, held in sorted(state.quantity.items())},
    }


def _state_from_json(values: dict[str, Any]) -> AccountState:
    return AccountState(
        as_of=None if values["as_of"] is None else date.fromisoformat(values["as_of"]),
        cash_usd=Decimal(values["cash_usd"]),
        quantity={symbol: Decimal(held) for symbol, held in values["quantity"].items()},
    )
