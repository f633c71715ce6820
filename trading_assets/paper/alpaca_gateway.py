"""An Alpaca account as a gateway: every write sent once, every answer judged by what it proves.

The truth is what the account's lists say; the stream only hints when to read them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Protocol
from urllib.parse import quote

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.paper.alpaca_activities import event_of, fill_of, is_fill, read_activities
from trading_assets.paper.alpaca_fields import decimal_of, object_list, one_object, text_of
from trading_assets.paper.alpaca_hours import DecisionWindow, read_clock, refusal_of
from trading_assets.paper.alpaca_orders import (
    broker_order_of,
    differences,
    order_body,
    read_orders,
    reason_not_to_send,
)
from trading_assets.paper.alpaca_reply import Reply, answer_of
from trading_assets.paper.alpaca_session import AlpacaSession, Message
from trading_assets.paper.gateways import (
    FINAL_STATUSES,
    Activities,
    Answer,
    BrokerError,
    BrokerOrder,
    Update,
)
from trading_assets.paper.ledger import AccountState
from trading_assets.paper.orders import MONEY_STEP, QUANTITY_STEP, Order

# By then the closing auction has been reported; fees of the session follow at night.
BOOKED_AFTER_CLOSE = timedelta(minutes=10)

# Of a repeated id, and of other invalid input.
_INVALID_INPUT_CODE = 40010001
_NO_ORDER_CODE = 40410000
_BLOCKS = ("account_blocked", "trading_blocked", "trade_suspended_by_user")


class UpdateSource(Protocol):
    """A stream that collects messages until they are taken."""

    def take(self) -> tuple[Update, ...]:
        """Return what came since the last call, without waiting."""
        ...

    def close(self) -> None:
        """Stop listening."""
        ...


class AlpacaGateway:
    """One account at Alpaca.

    Parameters
    ----------
    session : AlpacaSession
        Connection; its account decides between paper and live.
    calendar : ExchangeCalendar
        Exchange time zone and closing times.
    window : DecisionWindow
        When orders of a session may be sent.
    stream : UpdateSource, optional
        Messages about orders; trading does not depend on it.
    """

    cash_tolerance_usd = Decimal("0.05")
    is_simulated = False

    def __init__(
        self,
        session: AlpacaSession,
        calendar: ExchangeCalendar,
        window: DecisionWindow,
        stream: UpdateSource | None = None,
    ) -> None:
        self._session = session
        self._calendar = calendar
        self._window = window
        self._stream = stream
        # Client order id of the broker's id, of every order seen.
        self._client_ids: dict[str, str] = {}
        self._broker_ids: dict[str, str] = {}

    @property
    def receiver(self) -> str:
        """Name for records."""
        return "alpaca-live" if self._session.account.is_live else "alpaca-paper"

    def refusal(self, session: date) -> str:
        """Return why orders for `session` cannot be sent now, by the broker's own clock."""
        clock = read_clock(self._session, self._calendar.time_zone)
        return refusal_of(session, clock, self._window)

    def has_closed(self, session: date) -> bool:
        """Return whether the session is over by the broker's clock, and its auction reported."""
        clock = read_clock(self._session, self._calendar.time_zone)
        return session < clock.session and clock.now >= self._booked_until(session)

    def blocked(self) -> str:
        """Return why the account may not trade at all, or an empty string if it may."""
        account = one_object(self._session.read("/account"))
        for flag in _BLOCKS:
            if account.get(flag) is not False:
                return f"Alpaca reports {flag}; resolve it in the account before trading"
        if account.get("status") != "ACTIVE":
            status = str(account.get("status"))[:40]
            return f"Alpaca reports an account with status {status}; expected ACTIVE"
        return ""

    def account(self) -> AccountState:
        """Return cash and positions as the broker has them."""
        cash = decimal_of(one_object(self._session.read("/account")), "cash")
        quantity: dict[str, Decimal] = {}
        for entry in object_list(self._session.read("/positions")):
            shares = abs(decimal_of(entry, "qty")).quantize(QUANTITY_STEP)
            quantity[text_of(entry, "symbol")] = -shares if entry.get("side") == "short" else shares
        return AccountState(None, cash.quantize(MONEY_STEP), quantity)

    def send(self, order: Order) -> Answer:
        """Send an order once.

        A client order id that is there already is `unclear`, so that it is looked up and compared.
        """
        reason = reason_not_to_send(order)
        if reason:
            return Answer("refused", reason=reason)
        try:
            reply = self._session.write("POST", "/orders", "submit", order_body(order))
        except BrokerError as error:
            return Answer("refused", reason=str(error))
        answer = answer_of(reply, 200, 201)
        if answer.outcome == "taken":
            return self._taken(order, reply, answer)
        is_there = reply.fields.get("code") == _INVALID_INPUT_CODE or "unique" in reply.message
        if answer.outcome == "refused" and is_there:
            reason = f"Alpaca may hold {order.client_order_id} already ({reply.message})"
            return replace(answer, outcome="unclear", reason=reason)
        return answer

    def cancel(self, client_order_id: str) -> Answer:
        """Ask to cancel an order; `refused` when it can no longer be cancelled or is unknown."""
        cached = self._broker_ids.get(client_order_id)
        if cached is not None:
            answer = self._cancel_at_broker(cached)
            if answer.outcome != "refused":
                return answer
        # Never seen here, final, or replaced at the broker by an order with another id.
        try:
            order = self._find(client_order_id, "cancel")
        except BrokerError as error:
            return Answer("unclear", reason=str(error))
        if order is None:
            return Answer("refused", reason=f"Alpaca has no order {client_order_id}")
        if order.status in FINAL_STATUSES or order.broker_order_id == cached:
            reason = f"order {client_order_id} is {order.status}; it cannot be cancelled"
            return Answer("refused", order, reason)
        return replace(self._cancel_at_broker(order.broker_order_id), order=order)

    def cancel_all(self) -> Answer:
        """Ask to cancel every open order; `unclear` if that was refused for any of them."""
        try:
            reply = self._session.write("DELETE", "/orders", "cancel")
            answer = answer_of(reply, 200, 204, 207)
            if answer.outcome != "taken" or reply.status == 204:
                return answer
            statuses = [str(entry.get("status")) for entry in object_list(reply)]
        except BrokerError as error:
            return Answer("unclear", reason=str(error))
        failed = [status for status in statuses if status not in ("200", "204")]
        if not failed:
            return answer
        reason = f"{len(failed)} of {len(statuses)} orders were not cancelled (status {failed[0]})"
        return replace(answer, outcome="unclear", reason=reason)

    def suspend(self) -> Answer:
        """Ask Alpaca to take no more orders, whoever sends them."""
        return self._set_suspended(True)

    def resume(self) -> Answer:
        """Ask Alpaca to take orders again."""
        return self._set_suspended(False)

    def look_up(self, client_order_id: str) -> BrokerOrder | None:
        """Return the order with this id, or None if the broker says that it has none."""
        return self._find(client_order_id, "read")

    def orders(self, since: datetime | None, *, is_open: bool = False) -> tuple[BrokerOrder, ...]:
        """Return the account's orders of any status since a moment, or all that are open now."""
        found = read_orders(self._session, since, is_open=is_open)
        self._note(found)
        if is_open:
            # The entry of a bracket comes with its open exits when it is filled itself.
            return tuple(order for order in found if order.status not in FINAL_STATUSES)
        return found

    def activities(self, since: date | None, until: date) -> Activities:
        """Return what was booked after session `since` up to session `until`.

        A session's bookings end ten minutes after its close, when `has_closed` first says so, so
        that the closing auction is among them and nothing is in two answers.
        """
        begin = self._booked_until(since or self._calendar.previous_session(until))
        entries = list(read_activities(self._session, begin, self._booked_until(until)))
        fills = [entry for entry in entries if is_fill(entry)]
        self._learn({str(entry.get("order_id")) for entry in fills}, begin)
        events = (event_of(entry) for entry in entries if not is_fill(entry))
        return Activities(
            events=tuple(event for event in events if event is not None),
            fills=tuple(fill_of(entry, self._client_ids) for entry in fills),
        )

    def updates(self) -> tuple[Update, ...]:
        """Return messages of the stream since the last call; none where there is no stream."""
        return () if self._stream is None else self._stream.take()

    def last_targets(self) -> dict[str, str]:
        """Return nothing: this broker's costs refer to no target."""
        return {}

    def rename(self, current: Mapping[str, str], until: date) -> None:
        """Do nothing: Alpaca renames its positions itself."""
        del current, until

    def close(self) -> None:
        """Close the stream and the connections."""
        if self._stream is not None:
            self._stream.close()
        self._session.close()

    def _taken(self, order: Order, reply: Reply, answer: Answer) -> Answer:
        """Return that an order was taken, unless the answer is not about this order."""
        try:
            known = broker_order_of(reply.fields)
        except BrokerError as error:
            return replace(answer, outcome="unclear", reason=str(error))
        found = differences(order, known)
        if found:
            reason = f"Alpaca answered {order.client_order_id} with another order: {found}"
            return replace(answer, outcome="unclear", reason=reason)
        self._note((known,))
        return replace(answer, order=known)

    def _cancel_at_broker(self, broker_order_id: str) -> Answer:
        path = f"/orders/{quote(broker_order_id, safe='')}"
        try:
            return answer_of(self._session.write("DELETE", path, "cancel"), 200, 204)
        except BrokerError as error:
            return Answer("unclear", reason=str(error))

    def _set_suspended(self, is_suspended: bool) -> Answer:
        body = {"suspend_trade": is_suspended}
        try:
            reply = self._session.write("PATCH", "/account/configurations", "cancel", body)
        except BrokerError as error:
            return Answer("refused", reason=str(error))
        answer = answer_of(reply, 200)
        told = reply.fields.get("suspend_trade")
        if answer.outcome == "taken" and told is not is_suspended:
            reason = f"Alpaca reports suspend_trade {str(told)[:20]} after it was set"
            return replace(answer, outcome="unclear", reason=reason)
        return answer

    def _find(self, client_order_id: str, message: Message) -> BrokerOrder | None:
        asked = {"client_order_id": client_order_id}
        reply = self._session.read("/orders:by_client_order_id", asked, message)
        if reply.status == 404:
            if reply.fields.get("code") != _NO_ORDER_CODE:
                msg = f"Alpaca answered {reply.request} with {reply.shown}; expected an order"
                raise BrokerError(msg)
            return None
        order = broker_order_of(one_object(reply))
        if order.client_order_id != client_order_id:
            msg = f"Alpaca has {order.client_order_id} for {client_order_id}; run again later"
            raise BrokerError(msg)
        self._note((order,))
        return order

    def _note(self, orders: Iterable[BrokerOrder]) -> None:
        for order in orders:
            self._client_ids[order.broker_order_id] = order.client_order_id
            self._broker_ids[order.client_order_id] = order.broker_order_id

    def _learn(self, broker_order_ids: set[str], begin: datetime) -> None:
        """Find out the client order ids of orders that were not seen here yet."""
        if not broker_order_ids <= self._client_ids.keys():
            self.orders(begin)
        # Orders that were sent in an earlier session and have worked since.
        for order_id in sorted(broker_order_ids - self._client_ids.keys()):
            reply = self._session.read(f"/orders/{quote(order_id, safe='')}")
            if reply.status != 404:
                self._note((broker_order_of(one_object(reply)),))

    def _booked_until(self, session: date) -> datetime:
        return self._calendar.close_time(session) + BOOKED_AFTER_CLOSE
