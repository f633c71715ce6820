"""What an audit record may say: the events, the fields of each, and where the fields come from.

The order fields are modelled on Annex II of Commission Delegated Regulation (EU) 2017/589 (RTS 6):
table 2 for what was decided, table 3 for what was sent and executed. A field that cannot be filled
stays empty by name. A new event or field is added here and nowhere else.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from trading_assets.errors import DataError, shown
from trading_assets.paper.audit import CHAIN_FIELDS

# Where a field stands in Annex II of RTS 6, as table and row; fields of our own have no entry.
RTS_6_ROWS = {
    "ts_utc": "T3.23, T3.24",
    "seq": "T3.25",
    "event": "T3.26",
    "algo_id": "T2.6",
    "initial_order_id": "T2.7",
    "side": "T2.8, T3.1",
    "symbol": "T2.9",
    "isin": "T2.9",
    "capacity": "T3.2",
    "exec_algo_id": "T3.4",
    "client_order_id": "T3.5",
    "broker_order_id": "T3.6",
    "receiver": "T3.7",
    "order_type": "T3.8",
    "limit_price_usd": "T3.9",
    "currency": "T3.10",
    "stop_price_usd": "T3.13",
    "remaining_quantity": "T3.15",
    "traded_quantity": "T3.17",
    "passive_only": "T3.21",
    "short_flag": "T3.27",
    "time_in_force": "T3.31",
    "valid_until": "T3.33",
}

# Who decided, by what, on what.
DECISION_FIELDS = (
    "decision_id",
    "algo_id",
    "exec_algo_id",
    "model_digest",
    "config_digest",
    "code_commit",
    "features_digest",
    "bar_ts",
    "signal",
    "target_weight",
    "confidence",
    "reason",
)
# The order as it was asked for, and how much of it is done.
ORDER_FIELDS = (
    "initial_order_id",
    "client_order_id",
    "broker_order_id",
    "receiver",
    "symbol",
    "isin",
    "side",
    "capacity",
    "order_type",
    "limit_price_usd",
    "currency",
    "stop_price_usd",
    "quantity",
    "notional_usd",
    "remaining_quantity",
    "traded_quantity",
    "price_usd",
    "time_in_force",
    "valid_until",
    "short_flag",
    "passive_only",
    "extended_hours",
)
# What the broker's answer or message showed.
EVIDENCE_FIELDS = (
    "execution_id",
    "http_status",
    "broker_code",
    "x_request_id",
    "response_sha256",
)


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """What a kind of record says.

    Attributes
    ----------
    meaning : str
        What has happened.
    required : tuple of str
        Fields that whoever logs it has to name.
    named : tuple of str
        Fields that stand in every such record, empty where they cannot be filled.
    allowed : tuple of str
        Fields that it may have besides.
    ending : str
        How further fields end that are named by a broker's own words; empty where there are none.
    """

    meaning: str
    required: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    ending: str = ""

    @property
    def fields(self) -> frozenset[str]:
        """All fields that it may have, as far as their names are known."""
        return frozenset((*self.required, *self.named, *self.allowed))

    def has(self, name: str) -> bool:
        """Return whether it may have a field of this name."""
        return name in self.fields or bool(self.ending and name.endswith(self.ending))


_ORDER = ("client_order_id",)
_EXECUTION = ("execution_id", "client_order_id", "symbol", "side", "quantity", "price_usd")
_PERSON = ("by", "reason")
_OF_ORDER = (*ORDER_FIELDS, *EVIDENCE_FIELDS)
_OUTCOME = (
    "status",
    "reason",
    "broker_status",
    "broker_filled_quantity",
    "split_ratio",
    "session",
    "source",
    "decision_id",
    "outcome",
)
_BOOKED = ("cost_usd", "filled_at", "session", "source", "status")


def _order_event(meaning: str) -> AuditEvent:
    return AuditEvent(meaning, _ORDER, _OF_ORDER, _OUTCOME)


EVENTS: dict[str, AuditEvent] = {
    "START": AuditEvent(
        "A run of a session begins.",
        ("strategy", "session", "receiver"),
        ("model_digest", "config_digest", "code_commit", "account_id"),
        (
            "decision_time",
            "opening_cash_usd",
            "opening_as_of",
            "opening_positions",
            "previous_head",
            "code_version",
            "broker_clock",
            "mode",
        ),
    ),
    "STOP": AuditEvent("A run of a session ends.", ("session", "status"), (), ("reason",)),
    "CRASH_RECOVERED": AuditEvent(
        "The last write was cut off by a crash; its bytes were taken out.",
        ("torn_bytes", "torn_sha256"),
    ),
    "RECONCILE": AuditEvent(
        "The ledger was compared with the broker.",
        ("differences",),
        ("ledger_cash_usd", "broker_cash_usd"),
        ("before", "after", "orders", "fills", "positions", "reason", "session"),
    ),
    "MISSED": AuditEvent(
        "The session's window has gone by; nothing is sent.", ("reason",), (), ("session",)
    ),
    "DECIDED": AuditEvent(
        "A decision was made; its targets and intents belong to it.",
        ("decision_id",),
        DECISION_FIELDS,
        (
            "decided_by",
            "targets",
            "orders",
            "refusals",
            "remembered",
            "session",
            "data_digest",
            "code_version",
        ),
    ),
    "DECISION": AuditEvent(
        "The target of one symbol.",
        ("symbol", "weight"),
        DECISION_FIELDS,
        (
            "raw_weight",
            "binding_limits",
            "reference_price_usd",
            "decided_by",
            "session",
            "forecast",
        ),
    ),
    "RISK_BLOCK": AuditEvent(
        "A limit kept an order from being sent.",
        ("client_order_id", "symbol", "side", "quantity", "reason"),
        ("rule", "limit", "observed"),
        ("decision_id", "session", "order_type", "limit_price_usd", "stop_price_usd"),
    ),
    "INTENT": AuditEvent(
        "An order is about to be sent; from here on it counts as open.",
        ("client_order_id", "symbol", "side", "quantity", "order_type", "receiver"),
        (*ORDER_FIELDS, "decision_id", "algo_id"),
        ("session", "reason", "take_profit_usd", "stop_loss_usd", "parent_order_id"),
    ),
    "NOT_SENT": AuditEvent(
        "An intended order will not be sent.", _ORDER, (), ("status", "reason", "session")
    ),
    "ACCEPTED": _order_event("The broker's answer says that it has the order."),
    "REJECTED": _order_event("The broker's answer refuses the order."),
    "UNKNOWN": _order_event("Nobody knows whether the broker has the order."),
    "RESOLVED": _order_event("The fate of an unknown order or cancel was found out."),
    "RESTATED": _order_event("A split before the fill restated the order's quantity."),
    "CANCEL": _order_event("A cancel is about to be sent."),
    "CANCEL_ANSWERED": _order_event("What the broker's answer to a cancel was."),
    "NEWO": _order_event("The order works at the broker."),
    "REME": _order_event("The order was replaced on our request."),
    "CAME": _order_event("The order was cancelled on our request."),
    "CAMO": _order_event("The order was cancelled by the broker or market."),
    "REMO": _order_event("The order was rejected by the broker or market."),
    "EXPI": _order_event("The order expired."),
    "TRIG": _order_event("The order's stop was triggered."),
    "DONE": _order_event("Nothing more can happen to the order."),
    "PARF": AuditEvent("Part of an order was executed.", _EXECUTION, _OF_ORDER, _BOOKED),
    "FILL": AuditEvent("The rest of an order was executed.", _EXECUTION, _OF_ORDER, _BOOKED),
    "BUST": AuditEvent(
        "The broker undid an execution.",
        ("execution_id",),
        (),
        (*ORDER_FIELDS, "reason", "session", "source"),
    ),
    "CORRECT": AuditEvent(
        "The broker replaced an execution by another.",
        ("execution_id", "replaced_execution_id"),
        (),
        (*ORDER_FIELDS, "cost_usd", "filled_at", "reason", "session", "source"),
    ),
    "ACCOUNT_EVENT": AuditEvent(
        "Cash or shares moved without an order.",
        ("event_id", "kind", "session"),
        ("symbol", "quantity_change", "cash_usd"),
    ),
    "ACCOUNT": AuditEvent(
        "The account at the session's close.",
        ("cash_usd", "equity_usd"),
        ("fees_usd", "dividends_usd", "fills", "positions"),
        ("session",),
        ending="_usd",
    ),
    "ACCEPT_DIFFERENCE": AuditEvent(
        "A named person took the broker's cash or shares for true.",
        ("event_id", "kind", "by", "reason", "difference"),
        ("session", "symbol", "quantity_change", "cash_usd"),
    ),
    "HALT": AuditEvent(
        "Nothing more may be sent.", ("reason",), ("by", "rule"), ("since", "session")
    ),
    "REDUCE": AuditEvent("Only orders that reduce positions may be sent.", _PERSON, (), ("rule",)),
    "REARM": AuditEvent("A named person allowed sending again.", _PERSON, (), ("rule",)),
    "OVERRIDE": AuditEvent(
        "Two people released a blocked order, once.",
        ("client_order_id", "requested_by", "approved_by", "expires_at", "reason"),
        (),
        ("rule", "limit", "observed"),
    ),
    "MODEL_PROMOTED": AuditEvent(
        "Another model decides from here on.",
        ("model_digest", "made_by", "approved_by", "nature"),
        ("config_digest", "code_commit"),
        ("reason", "previous_digest"),
    ),
    "CONFIG_CHANGED": AuditEvent(
        "Declared values changed since the session before.",
        ("config_digest",),
        ("made_by", "approved_by", "nature"),
        ("reason", "previous_digest"),
    ),
}


def require_fields(event: str, fields: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of a record, those that it must name and were not given empty.

    Raises
    ------
    DataError
        If the event is unknown, a field is not one of its own or missing, or a value is no text.
    """
    known = EVENTS.get(event)
    if known is None:
        msg = f"audit event was {shown(event)}; expected one of {', '.join(EVENTS)}"
        raise DataError(msg)
    unknown = sorted(name for name in fields if not known.has(name))
    missing = [name for name in known.required if name not in fields]
    if unknown or missing:
        told = f"unknown {', '.join(unknown)}" if unknown else f"no {', '.join(missing)}"
        msg = f"audit record {event} had {told}; expected the fields that audit_fields.py lists"
        raise DataError(msg)
    _require_text(event, fields)
    return {**dict.fromkeys(known.named, ""), **fields}


def _require_text(event: str, fields: Mapping[str, object]) -> None:
    for name, value in fields.items():
        if not isinstance(value, str):
            msg = (
                f"audit field {name} of {event} was {shown(value)}; expected text, so write it out"
            )
            raise DataError(msg)


_OWN = {name for event in EVENTS.values() for name in event.fields}
assert not _OWN & {*CHAIN_FIELDS, "event"}, "the chain has these fields to itself"
