"""Activities, clock, calendar and assets of the simulated broker in Alpaca's dialect."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np

from trading_assets.paper.ledger import AccountEvent
from trading_assets.paper.orders import ZERO
from trading_assets.paper.simulated_broker.alpaca_answers import (
    Json,
    event_activity,
    fill_activity,
)
from trading_assets.paper.simulated_broker.alpaca_face import Reply, refused
from trading_assets.paper.simulated_broker.booked import Execution, uuid_of
from trading_assets.paper.simulated_broker.broker import SimulatedBroker
from trading_assets.paper.simulated_broker.rules import NOT_FOUND, UNPROCESSABLE, Refusal

_MOST = 100


@dataclass(frozen=True, slots=True)
class _Activity:
    at: datetime
    entry: Json

    @property
    def key(self) -> str:
        return str(self.entry["id"])


def get_activities(broker: SimulatedBroker, query: Mapping[str, str]) -> Reply:
    """List what moved cash or shares: executions that stand, their costs, account events.

    Parameters
    ----------
    broker : SimulatedBroker
        The broker.
    query : mapping of str to str
        `activity_types`, `category`, `date`, `after` and `until` (exclusive and inclusive),
        `direction`, `page_size` and `page_token`, the id of the last entry seen.
    """
    size = query.get("page_size", str(_MOST))
    direction = query.get("direction", "desc")
    if not (size.isdecimal() and 1 <= int(size) <= _MOST) or direction not in ("asc", "desc"):
        return refused(Refusal(422, UNPROCESSABLE, "invalid page_size or direction"))
    try:
        after, until = _window(query)
    except ValueError as error:
        return refused(Refusal(422, UNPROCESSABLE, f"invalid time: {error}"))
    found = [a for a in _activities(broker) if after < a.at <= until and _is_asked(a.entry, query)]
    found.sort(key=lambda activity: (activity.at, activity.key), reverse=direction == "desc")
    token = query.get("page_token")
    if token:
        keys = [activity.key for activity in found]
        if token not in keys:
            return refused(Refusal(422, UNPROCESSABLE, "invalid page_token"))
        found = found[keys.index(token) + 1 :]
    return Reply(200, [activity.entry for activity in found[: int(size)]])


def get_clock(broker: SimulatedBroker) -> Reply:
    """Return the broker's time and when the market opens and closes next."""
    now, calendar = broker.now(), broker.calendar
    day = now.astimezone(calendar.time_zone).date()
    is_session = calendar.is_session(day)
    is_open = is_session and calendar.open_time(day) <= now < calendar.close_time(day)
    is_before = is_session and now < calendar.open_time(day)
    opens = day if is_before else calendar.next_session(day)
    closes = day if is_before or is_open else opens
    zone = calendar.time_zone
    return Reply(
        200,
        {
            "timestamp": now.astimezone(zone).isoformat(),
            "is_open": is_open,
            "next_open": calendar.open_time(opens).astimezone(zone).isoformat(),
            "next_close": calendar.close_time(closes).astimezone(zone).isoformat(),
        },
    )


def get_calendar(broker: SimulatedBroker, query: Mapping[str, str]) -> Reply:
    """List sessions from `start` to `end` with their hours in exchange time."""
    calendar = broker.calendar
    try:
        start = date.fromisoformat(query.get("start", calendar.first_day.isoformat())[:10])
        end = date.fromisoformat(query.get("end", calendar.last_day.isoformat())[:10])
    except ValueError as error:
        return refused(Refusal(400, 40010000, f"invalid date: {error}"))
    sessions = calendar.sessions(max(start, calendar.first_day), min(end, calendar.last_day))
    zone = calendar.time_zone
    return Reply(
        200,
        [
            {
                "date": day.isoformat(),
                "open": calendar.open_time(day).astimezone(zone).strftime("%H:%M"),
                "close": calendar.close_time(day).astimezone(zone).strftime("%H:%M"),
                "session_open": "0400",
                "session_close": "2000",
                "settlement_date": calendar.next_session(day).isoformat()
                if day < sessions[-1] or day < calendar.last_day - timedelta(days=14)
                else day.isoformat(),
            }
            for day in sessions
        ],
    )


def get_asset(broker: SimulatedBroker, symbol: str) -> Reply:
    """Return whether a symbol is traded here."""
    market = broker.market
    if symbol not in market.symbols:
        return refused(Refusal(404, NOT_FOUND, f"asset not found for {symbol[:40]}"))
    payout = market.payout_per_share
    column = market.symbols.index(symbol)
    today = np.datetime64(broker.now().date(), "D")
    is_over = payout is not None and bool(
        np.isfinite(payout[market.sessions <= today, column]).any()
    )
    is_traded = not is_over and symbol not in broker.behaviour.untradable
    return Reply(
        200,
        {
            "id": uuid_of(symbol),
            "class": "us_equity",
            "exchange": "NYSE",
            "symbol": symbol,
            "name": symbol,
            "status": "inactive" if is_over else "active",
            "tradable": is_traded,
            "marginable": True,
            "shortable": not broker.is_long_only,
            "easy_to_borrow": not broker.is_long_only,
            "fractionable": True,
        },
    )


def _activities(broker: SimulatedBroker) -> list[_Activity]:
    book, calendar = broker.book, broker.calendar
    found: list[_Activity] = []
    for event in book.events():
        # Corporate actions belong to the open; interest to the close.
        at = calendar.open_time(event.session)
        if event.kind in ("financing", "rounding"):
            at = calendar.close_time(event.session) - timedelta(seconds=1)
        found.append(_Activity(at, event_activity(event, at)))
    filled: dict[str, Decimal] = {}
    for execution in book.executions():
        if execution.undone_in is None:
            found += _fill_activities(broker, execution, filled)
    return found


def _fill_activities(
    broker: SimulatedBroker, execution: Execution, filled: dict[str, Decimal]
) -> list[_Activity]:
    """Return an execution, and its cost as a fee of its own."""
    fill = execution.fill
    order = broker.book.order(fill.client_order_id)
    assert order is not None
    so_far = filled.get(fill.client_order_id, ZERO) + fill.quantity
    filled[fill.client_order_id] = so_far
    found = [_Activity(fill.filled_at, fill_activity(execution, order, so_far))]
    if fill.cost_usd:
        fee_id = f"{fill.execution_id}/fee"
        fee = AccountEvent(fee_id, "fee", execution.session, fill.symbol, ZERO, -fill.cost_usd)
        found.append(_Activity(fill.filled_at, event_activity(fee, fill.filled_at)))
    return found


def _is_asked(entry: Json, query: Mapping[str, str]) -> bool:
    kind = entry["activity_type"]
    types = query.get("activity_types")
    category = query.get("category")
    if types and kind not in types.split(","):
        return False
    return category is None or (category == "trade_activity") == (kind == "FILL")


def _window(query: Mapping[str, str]) -> tuple[datetime, datetime]:
    after, until = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    if "date" in query:
        day = datetime.fromisoformat(query["date"][:10]).replace(tzinfo=UTC)
        return day - timedelta(microseconds=1), day + timedelta(days=1, microseconds=-1)
    if "after" in query:
        after = _aware(query["after"])
    if "until" in query:
        until = _aware(query["until"])
    return after, until


def _aware(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
