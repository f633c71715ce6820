"""A session's decision as audit records, and back: a decision that is durable is never taken again.

The records of one decision are one durable write that ends with DECIDED; a crash leaves all of them
or none. Orders leave only after it.
"""

import json
from collections.abc import Mapping

from trading_assets.paper.deciding import DecidedSession, Target
from trading_assets.paper.inputs import DECISION_FACTS
from trading_assets.paper.journal import Journal
from trading_assets.paper.order_plan import OrderPlan
from trading_assets.paper.order_records import (
    order_fields,
    order_from_fields,
    refusal_fields,
    refusal_from_fields,
)
from trading_assets.paper.target_facts import TARGET_FACTS


def note_decision(
    journal: Journal,
    decided: DecidedSession,
    receiver: str,
    decision_id: str,
    facts: Mapping[str, str] | None = None,
) -> None:
    """Make a decision durable: targets, refusals, intents, and that this was all of it.

    Parameters
    ----------
    journal : Journal
        Of the session.
    decided : DecidedSession
        What was decided.
    receiver : str
        Where the orders go.
    decision_id : str
        What the decision is called.
    facts : mapping of str to str, optional
        What it was made from, by the names of `DECISION_FACTS`.
    """
    known = {name: text for name, text in (facts or {}).items() if name in DECISION_FACTS and text}
    of_each = {name: known[name] for name in ("model_digest", "config_digest") if name in known}
    for target in decided.targets:
        journal.note(
            "DECISION",
            **_target_fields(target),
            **of_each,
            decided_by=decided.decided_by,
            decision_id=decision_id,
        )
    for refusal in decided.plan.refusals:
        journal.note("RISK_BLOCK", **refusal_fields(refusal), decision_id=decision_id)
    for order in decided.plan.orders:
        journal.note("INTENT", **order_fields(order), receiver=receiver, decision_id=decision_id)
    journal.tell(
        "DECIDED",
        **known,
        decision_id=decision_id,
        decided_by=decided.decided_by,
        targets=str(len(decided.targets)),
        refusals=str(len(decided.plan.refusals)),
        orders=str(len(decided.plan.orders)),
        remembered=json.dumps(dict(decided.remembered), sort_keys=True),
    )


def kept_decision(journal: Journal) -> DecidedSession | None:
    """Return the decision that is durable, or None if there is none yet."""
    records = journal.records()
    ends = [place for place, record in enumerate(records) if record["event"] == "DECIDED"]
    if not ends:
        return None
    end = records[ends[0]]
    n_targets, n_refusals, n_orders = (int(end[name]) for name in ("targets", "refusals", "orders"))
    first = ends[0] - n_targets - n_refusals - n_orders
    targets = records[first : first + n_targets]
    refusals = records[first + n_targets : first + n_targets + n_refusals]
    intents = records[ends[0] - n_orders : ends[0]]
    return DecidedSession(
        targets=tuple(_target_from_fields(record) for record in targets),
        plan=OrderPlan(
            orders=tuple(order_from_fields(record) for record in intents),
            refusals=tuple(refusal_from_fields(record) for record in refusals),
        ),
        decided_by=end["decided_by"],
        remembered=json.loads(end["remembered"]),
    )


def _target_fields(target: Target) -> dict[str, str]:
    return {
        "symbol": target.symbol,
        "raw_weight": repr(target.raw_weight),
        "weight": repr(target.weight),
        "target_weight": repr(target.weight),
        "binding_limits": target.binding_limits,
        "reference_price_usd": repr(target.reference_price_usd),
        **target.facts,
    }


def _target_from_fields(record: dict[str, str]) -> Target:
    return Target(
        symbol=record["symbol"],
        raw_weight=float(record["raw_weight"]),
        weight=float(record["weight"]),
        binding_limits=record["binding_limits"],
        reference_price_usd=float(record["reference_price_usd"]),
        facts={name: record[name] for name in TARGET_FACTS if record.get(name)},
    )
