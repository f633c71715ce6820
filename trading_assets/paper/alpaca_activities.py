"""What moved cash or shares of an account at Alpaca: fills, and everything else as events."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from trading_assets.paper.alpaca_fields import (
    day_of,
    decimal_of,
    decimal_or_zero,
    moment_of,
    object_list,
    side_of,
    text_of,
)
from trading_assets.paper.alpaca_orders import utc_text
from trading_assets.paper.alpaca_session import AlpacaSession
from trading_assets.paper.fills import Fill
from trading_assets.paper.gateways import BrokerError
from trading_assets.paper.ledger import AccountEvent
from trading_assets.paper.orders import MONEY_STEP, QUANTITY_STEP, ZERO

ACTIVITIES_A_PAGE = 100

# Of these the quantity is a change of shares; of a dividend it is the shares that earned it.
_SHARES = frozenset(
    {"SPLIT", "SPIN", "MA", "NC", "REORG", "ACATS", "JNLS", "OPASN", "OPEXC", "FOPT", "VOF"}
)
_STOCK_DIVIDEND = "SDIV"
_KINDS = {"SPLIT": "split", "INT": "financing", "CGD": "dividend"}


def read_activities(
    session: AlpacaSession, begin: datetime, end: datetime
) -> Iterator[dict[str, Any]]:
    """Yield the activities that were booked after `begin` until `end`, oldest first, each once.

    Raises
    ------
    BrokerError
        If a page cannot be read or names a page again.
    """
    parameters = {
        "after": utc_text(begin),
        "until": utc_text(end),
        "direction": "asc",
        "page_size": str(ACTIVITIES_A_PAGE),
    }
    seen: set[str] = set()
    while True:
        page = object_list(session.read("/account/activities", parameters))
        before = len(seen)
        for activity in page:
            name = text_of(activity, "id")
            if name not in seen:
                seen.add(name)
                yield activity
        if len(page) < ACTIVITIES_A_PAGE:
            return
        if len(seen) == before:
            msg = f"Alpaca's activities repeat themselves after {before}; run again later"
            raise BrokerError(msg)
        parameters["page_token"] = text_of(page[-1], "id")


def is_fill(activity: dict[str, Any]) -> bool:
    """Return whether an activity is an execution."""
    return activity.get("activity_type") == "FILL"


def fill_of(activity: dict[str, Any], client_ids: Mapping[str, str]) -> Fill:
    """Return an execution.

    Parameters
    ----------
    activity : dict
        One of type FILL; the part of its id behind `::` is the execution's id, under which the
        stream tells it as well.
    client_ids : mapping of str to str
        Client order id of each of the broker's ids; an order that is missing keeps the broker's.
    """
    order_id = text_of(activity, "order_id")
    return Fill(
        execution_id=text_of(activity, "id").rpartition("::")[2],
        client_order_id=client_ids.get(order_id, order_id),
        symbol=text_of(activity, "symbol"),
        side=side_of(activity),
        quantity=decimal_of(activity, "qty"),
        price_usd=decimal_of(activity, "price").quantize(MONEY_STEP),
        cost_usd=ZERO,
        filled_at=moment_of(activity, "transaction_time"),
    )


def event_of(activity: dict[str, Any]) -> AccountEvent | None:
    """Return what an activity that is no fill changed, or None if it was cancelled."""
    if activity.get("status") == "canceled":
        return None
    word = text_of(activity, "activity_type")
    is_dividend = word.startswith("DIV")
    return AccountEvent(
        event_id=text_of(activity, "id"),
        kind="dividend" if is_dividend else _KINDS.get(word, word.lower()),
        session=day_of(activity, "date"),
        symbol=str(activity.get("symbol") or ""),
        quantity_change=_shares(word, activity),
        cash_usd=decimal_or_zero(activity, "net_amount").quantize(MONEY_STEP),
    )


def _shares(word: str, activity: dict[str, Any]) -> Decimal:
    if word not in _SHARES and activity.get("activity_sub_type") != _STOCK_DIVIDEND:
        return ZERO
    return decimal_or_zero(activity, "qty").quantize(QUANTITY_STEP)
