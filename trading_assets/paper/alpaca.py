"""Alpaca's paper account as a gateway: decimal strings, one order a client id, the broker's clock.

Orders are market-on-open (whole shares in the opening auction, fractions as day orders queued for
the open), sent only inside the window before the open that the broker's own clock says comes next.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.errors import UserError
from trading_assets.paper.alpaca_client import AlpacaClient, Answer
from trading_assets.paper.alpaca_json import (
    account_event_of,
    broker_order_of,
    decimal_of,
    fill_of,
    moment_of,
    object_list,
    one_object,
    signed_quantity_of,
)
from trading_assets.paper.fills import Fill
from trading_assets.paper.gateways import (
    FINAL_STATUSES,
    BrokerError,
    BrokerOrder,
    Settlement,
    require_same_order,
)
from trading_assets.paper.ledger import AccountEvent, AccountState
from trading_assets.paper.orders import MONEY_STEP, ZERO, Order
from trading_assets.strategy import PaperSpec

# No order for the opening auction is accepted in the last two minutes before it.
WINDOW_CLOSES = timedelta(minutes=2)
# The window opens a little before the scheduled decision, as clocks differ.
WINDOW_SLACK = timedelta(minutes=5)
LOOKUP_WAITS_SECONDS = (0.5, 1.0, 2.0)
DUPLICATE_ID_CODE = 40010001
PAGE_SIZE = 100


class AlpacaBroker:
    """Alpaca's paper account.

    Parameters
    ----------
    client : AlpacaClient
        Connection; its URL decides between paper and, with its switch, live.
    calendar : ExchangeCalendar
        Exchange time zone and closing times.
    spec : PaperSpec
        When a session is decided.

    Raises
    ------
    UserError
        If sessions are decided after the auction stops taking orders.
    """

    cash_tolerance_usd = Decimal("0.05")

    def __init__(self, client: AlpacaClient, calendar: ExchangeCalendar, spec: PaperSpec) -> None:
        self._client = client
        self._calendar = calendar
        self._lead = timedelta(minutes=spec.decision_minutes_before_open)
        if self._lead <= WINDOW_CLOSES:
            msg = (
                f"decision_minutes_before_open was {spec.decision_minutes_before_open}; expected"
                " more than 2, as Alpaca takes no order for the open in the last two minutes"
            )
            raise UserError(msg)

    @property
    def receiver(self) -> str:
        """Name for records."""
        return "alpaca-paper" if self._client.is_paper else "alpaca-live"

    def refusal(self, session: date) -> str:
        """Return why orders for `session` cannot be sent now, by the broker's own clock."""
        clock = one_object(self._client.get("/v2/clock"), "/v2/clock")
        now, opens = moment_of(clock, "timestamp"), moment_of(clock, "next_open")
        next_session = opens.astimezone(self._calendar.time_zone).date()
        if clock.get("is_open"):
            return f"the market is open; the next open that takes orders is {next_session}'s"
        if session != next_session:
            return f"the broker's next open is {next_session}'s, not {session}'s"
        if now < opens - self._lead - WINDOW_SLACK:
            return f"the decision window opens at {opens - self._lead - WINDOW_SLACK:%H:%M %Z}"
        if now >= opens - WINDOW_CLOSES:
            return f"the decision window closed at {opens - WINDOW_CLOSES:%H:%M %Z}"
        return ""

    def account(self) -> AccountState:
        """Return cash and positions as the broker has them."""
        account = one_object(self._client.get("/v2/account"), "/v2/account")
        for flag in ("account_blocked", "trading_blocked", "trade_suspended_by_user"):
            if account.get(flag):
                msg = f"Alpaca reports {flag}; resolve it in the account before trading"
                raise BrokerError(msg)
        positions = object_list(self._client.get("/v2/positions"), "/v2/positions")
        quantity = {str(entry["symbol"]): signed_quantity_of(entry) for entry in positions}
        return AccountState(None, decimal_of(account, "cash").quantize(MONEY_STEP), quantity)

    def submit(self, order: Order) -> BrokerOrder:
        """Send an order so that the broker ends up with exactly one.

        The POST is sent once. If its outcome is not known, the id is looked up; only after repeated
        404, and inside the window, is the same id sent once more, which the broker refuses if the
        first had arrived.
        """
        for attempt in range(2):
            if attempt and self.refusal(order.session):
                break
            answer = self._client.post("/v2/orders", _request_body(order))
            if answer is not None and not _is_duplicate(answer):
                return _accepted_or_rejected(order, answer)
            known = self._look_up(order.client_order_id)
            if known is not None:
                return require_same_order(order, known)
        msg = (
            f"whether Alpaca holds {order.client_order_id} could not be found out;"
            " run the session again: the same id is never filled twice"
        )
        raise BrokerError(msg)

    def order_by_client_id(self, client_order_id: str) -> BrokerOrder | None:
        """Return the order with this id, or None if the broker has none."""
        path = "/v2/orders:by_client_order_id"
        answer = self._client.get(path, {"client_order_id": client_order_id})
        return None if answer.status == 404 else broker_order_of(one_object(answer, path))

    def settle(
        self, session: date, since: date | None, client_order_ids: tuple[str, ...]
    ) -> Settlement | None:
        """Return fills and account events once every order is final and all its fills are listed.

        Raises
        ------
        BrokerError
            If the broker does not know an order that it had accepted.
        """
        orders = [self._require_order(order_id) for order_id in client_order_ids]
        if any(order.status not in FINAL_STATUSES for order in orders):
            return None
        begin = self._calendar.open_time(session) - timedelta(hours=1)
        if since is not None:
            begin = self._calendar.close_time(since)
        by_id = {order.broker_order_id: order for order in orders}
        events: list[AccountEvent] = []
        fills: list[Fill] = []
        for activity in self._activities(begin, self._calendar.close_time(session)):
            if activity.get("activity_type") == "FILL":
                if str(activity.get("order_id")) in by_id:
                    fills.append(fill_of(activity, by_id[str(activity["order_id"])]))
            elif activity.get("net_amount") is not None:
                events.append(account_event_of(activity))
        filled = {order.client_order_id: ZERO for order in orders}
        for fill in fills:
            filled[fill.client_order_id] += fill.quantity
        if any(filled[order.client_order_id] != order.filled_quantity for order in orders):
            return None
        return Settlement(tuple(events), tuple(fills), tuple(orders))

    def state(self) -> bytes:
        """Return nothing: the account lives at the broker."""
        return b""

    def _look_up(self, client_order_id: str) -> BrokerOrder | None:
        for seconds in LOOKUP_WAITS_SECONDS:
            known = self.order_by_client_id(client_order_id)
            if known is not None:
                return known
            self._client.wait(seconds)
        return self.order_by_client_id(client_order_id)

    def _require_order(self, client_order_id: str) -> BrokerOrder:
        order = self.order_by_client_id(client_order_id)
        if order is None:
            msg = f"Alpaca has no order {client_order_id}, which it had accepted; check the account"
            raise BrokerError(msg)
        return order

    def _activities(self, begin: datetime, end: datetime) -> Iterable[dict[str, Any]]:
        path = "/v2/account/activities"
        parameters = {
            "after": begin.isoformat(),
            "until": end.isoformat(),
            "direction": "asc",
            "page_size": str(PAGE_SIZE),
        }
        while True:
            page = object_list(self._client.get(path, parameters), path)
            yield from page
            if len(page) < PAGE_SIZE:
                return
            parameters["page_token"] = str(page[-1]["id"])


def _request_body(order: Order) -> dict[str, str]:
    is_whole = order.quantity == order.quantity.to_integral_value()
    return {
        "symbol": order.symbol,
        "qty": format(order.quantity.normalize(), "f"),
        "side": order.side,
        "type": "market",
        # Fractions are accepted as day orders only; before the open these queue for it.
        "time_in_force": "opg" if is_whole else "day",
        "client_order_id": order.client_order_id,
    }


def _is_duplicate(answer: Answer) -> bool:
    is_known_text = "client_order_id must be unique" in answer.message
    return answer.status == 422 and (
        answer.fields.get("code") == DUPLICATE_ID_CODE or is_known_text
    )


def _accepted_or_rejected(order: Order, answer: Answer) -> BrokerOrder:
    if answer.status in (200, 201):
        return require_same_order(order, broker_order_of(one_object(answer, "/v2/orders")))
    if answer.status in (401, 404) or 300 <= answer.status < 400:
        msg = f"Alpaca refused POST /v2/orders: {answer.message}; check keys and account"
        raise BrokerError(msg)
    return BrokerOrder(
        broker_order_id="",
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        status="rejected",
        filled_quantity=ZERO,
        reason=answer.message,
    )
