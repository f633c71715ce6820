"""The simulated broker in Alpaca's dialect: what each request does and is answered with.

Knows no HTTP library: a request is its parameters, an answer a status and a body.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, cast

from trading_assets.paper.orders import ZERO, Order
from trading_assets.paper.simulated_broker.account_values import holdings_of
from trading_assets.paper.simulated_broker.alpaca_answers import (
    Json,
    moment_text,
    order_json,
    position_json,
    text_of,
    update_json,
)
from trading_assets.paper.simulated_broker.alpaca_requests import read_order
from trading_assets.paper.simulated_broker.booked import BookedOrder, BookedUpdate, uuid_of
from trading_assets.paper.simulated_broker.broker import SimulatedBroker
from trading_assets.paper.simulated_broker.rules import NOT_FOUND, UNPROCESSABLE, Refusal

# Orders for an auction are not taken from shortly before it until the evening, exchange time.
_AUCTIONS_FROM = time(19)
_BEFORE_OPEN, _BEFORE_CLOSE = timedelta(minutes=2), timedelta(minutes=10)
_LIMIT, _MOST_ORDERS = 50, 500


@dataclass(frozen=True, slots=True)
class Reply:
    """A status and a body that becomes JSON; None for no body."""

    status: int
    body: Any = None


def refused(refusal: Refusal) -> Reply:
    """Return a refusal as an answer."""
    return Reply(refusal.http_status, {"code": refusal.code, "message": refusal.message})


class AlpacaFace:
    """A simulated broker as Alpaca's trading interface shows it.

    Parameters
    ----------
    broker : SimulatedBroker
        The broker; it has a clock.
    """

    def __init__(self, broker: SimulatedBroker) -> None:
        assert broker.clock is not None
        self.broker = broker
        self.book = broker.book
        self.calendar = broker.calendar

    def advance(self) -> None:
        """Bring the account to the present: sessions that have closed, acknowledgements due."""
        self.broker.catch_up(self.broker.now().date() + timedelta(days=1))
        self.broker.acknowledge()

    def next_open(self) -> date:
        """Return the session whose open comes next, for which orders are taken."""
        now = self.broker.now()
        day = now.astimezone(self.calendar.time_zone).date()
        if self.calendar.is_session(day) and now < self.calendar.open_time(day):
            return day
        return self.calendar.next_session(day)

    def post_order(self, body: object) -> Reply:
        """Take an order for the next open."""
        order = read_order(body, self.next_open())
        if isinstance(order, Refusal):
            return refused(order)
        known = self.book.order(order.client_order_id)
        late = None if known is not None else self._auction_refusal(order)
        taken = late or self.broker.take(order)
        if isinstance(taken, Refusal):
            return refused(taken)
        return Reply(200, self.order_json(taken))

    def get_orders(self, query: Mapping[str, str]) -> Reply:
        """List orders, the newest first unless asked otherwise."""
        status, direction = query.get("status", "open"), query.get("direction", "desc")
        limit = _number(query.get("limit"), _LIMIT)
        if status not in ("open", "closed", "all") or not 1 <= limit <= _MOST_ORDERS:
            return refused(Refusal(422, UNPROCESSABLE, "invalid status or limit"))
        found = [
            o for o in self.book.orders() if status == "all" or o.is_open == (status == "open")
        ]
        found = _selected(found, query)
        if direction == "desc":
            found.reverse()
        return Reply(200, [self.order_json(order) for order in found[:limit]])

    def get_order(self, uuid: str) -> Reply:
        """Return the order with an id of the broker."""
        return self._order_reply(self.book.order_by_uuid(uuid), uuid)

    def get_order_by_client_id(self, client_order_id: str) -> Reply:
        """Return the order with an id of the client."""
        return self._order_reply(self.book.order(client_order_id), client_order_id)

    def delete_order(self, uuid: str) -> Reply:
        """Cancel an order."""
        known = self.book.order_by_uuid(uuid)
        if known is None:
            return self._order_reply(None, uuid)
        done = self.broker.cancel(known.client_order_id)
        return refused(done) if isinstance(done, Refusal) else Reply(204)

    def delete_orders(self) -> Reply:
        """Cancel every open order."""
        answers = [{"id": uuid_of(key), "status": 200} for key in self.broker.cancel_all()]
        return Reply(207, answers)

    def get_account(self) -> Reply:
        """Return cash and what positions are worth."""
        account = self.book.account()
        holdings = holdings_of(self.book)
        long = sum((h.value_usd for h in holdings if h.quantity > 0), ZERO)
        short = sum((h.value_usd for h in holdings if h.quantity < 0), ZERO)
        equity = text_of(account.cash_usd + long + short)
        multiplier = 1 if self.broker.is_long_only else 2
        power = max(account.cash_usd + short, ZERO) * multiplier
        is_blocked = bool(self.book.blocked())
        zeros = ("accrued_fees", "pending_reg_taf_fees", "intraday_adjustments", "sma")
        margins = ("initial_margin", "maintenance_margin", "last_maintenance_margin")
        powers = ("buying_power", "regt_buying_power", "non_marginable_buying_power")
        return Reply(
            200,
            {
                "id": uuid_of("account"),
                "account_number": "SIMULATED",
                "status": "ACTIVE",
                "currency": "USD",
                "cash": text_of(account.cash_usd),
                **dict.fromkeys(("equity", "portfolio_value", "last_equity"), equity),
                **dict.fromkeys(powers, text_of(power)),
                "long_market_value": text_of(long),
                "short_market_value": text_of(short),
                **dict.fromkeys((*zeros, *margins), "0"),
                "multiplier": str(multiplier),
                "shorting_enabled": not self.broker.is_long_only,
                "account_blocked": is_blocked,
                "trading_blocked": is_blocked,
                "transfers_blocked": False,
                "trade_suspended_by_user": self.book.is_suspended(),
                "balance_asof": "" if account.as_of is None else account.as_of.isoformat(),
                "created_at": moment_text(datetime(2020, 1, 1, tzinfo=UTC)),
            },
        )

    def get_configurations(self) -> Reply:
        """Return how the account's owner has set it."""
        return Reply(
            200,
            {
                "suspend_trade": self.book.is_suspended(),
                "no_shorting": self.broker.is_long_only,
                "fractional_trading": True,
                "max_margin_multiplier": "1" if self.broker.is_long_only else "2",
                "trade_confirm_email": "none",
                "ptp_no_exception_entry": False,
            },
        )

    def patch_configurations(self, body: object) -> Reply:
        """Suspend trading, or resume it; nothing else can be set."""
        fields = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
        wanted = fields.get("suspend_trade")
        if not isinstance(wanted, bool) or len(fields) != 1:
            return refused(Refusal(422, UNPROCESSABLE, "only suspend_trade can be set"))
        self.book.suspend(is_suspended=wanted)
        return self.get_configurations()

    def get_positions(self) -> Reply:
        """List positions."""
        selling: dict[str, Decimal] = {}
        for booked in self.book.orders(is_open=True):
            if booked.order.side == "sell" and booked.status != "held":
                symbol = booked.order.symbol
                selling[symbol] = selling.get(symbol, ZERO) + booked.left
        return Reply(
            200,
            [
                position_json(
                    h, h.quantity - min(selling.get(h.symbol, ZERO), max(h.quantity, ZERO))
                )
                for h in holdings_of(self.book)
            ],
        )

    def order_json(self, booked: BookedOrder) -> Json:
        """Return an order with its exits, if it has some, as legs."""
        executions = self.book.executions_of(booked.client_order_id)
        found = order_json(booked, executions, self.calendar)
        if booked.order.bracket is not None:
            exits = self.book.exits_of(booked.client_order_id)
            found["legs"] = [self.order_json(order) for order in exits]
        return found

    def update_json(self, update: BookedUpdate) -> Json:
        """Return a message of the stream."""
        return update_json(update, self.order_json(update.change.order))

    def _order_reply(self, booked: BookedOrder | None, key: str) -> Reply:
        if booked is None:
            return refused(Refusal(404, NOT_FOUND, f"order not found for {key[:140]}"))
        return Reply(200, self.order_json(booked))

    def _auction_refusal(self, order: Order) -> Refusal | None:
        """Return why an order for an auction comes too late or too early, or None."""
        now = self.broker.now()
        local = now.astimezone(self.calendar.time_zone)
        if order.time_in_force not in ("opg", "cls") or not self.calendar.is_session(local.date()):
            return None
        ends = self.calendar.open_time(local.date()) - _BEFORE_OPEN
        if order.time_in_force == "cls":
            ends = self.calendar.close_time(local.date()) - _BEFORE_CLOSE
        if now < ends or local.time() >= _AUCTIONS_FROM:
            return None
        message = f"{order.time_in_force} orders are taken again from 19:00 exchange time"
        return Refusal(422, UNPROCESSABLE, message)


def _number(text: str | None, default: int) -> int:
    return default if text is None else int(text) if text.isdecimal() else 0


def _selected(orders: list[BookedOrder], query: Mapping[str, str]) -> list[BookedOrder]:
    """Return the orders, oldest first, that the other parameters of a list let through."""
    symbols = {*query["symbols"].split(",")} if query.get("symbols") else None
    places = {uuid_of(order.client_order_id): n for n, order in enumerate(orders)}
    first = places.get(query.get("after_order_id", ""), -1) + 1
    last = places.get(query.get("before_order_id", ""), len(orders))
    after = _moment(query.get("after"), datetime.min.replace(tzinfo=UTC))
    until = _moment(query.get("until"), datetime.max.replace(tzinfo=UTC))
    return [
        order
        for order in orders[first:last]
        if (symbols is None or order.order.symbol in symbols)
        and query.get("side", order.order.side) == order.order.side
        and after < order.created_at < until
    ]


def _moment(text: str | None, default: datetime) -> datetime:
    moment = default if text is None else datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
