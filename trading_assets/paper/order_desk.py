"""Sends orders whose intents are durable, so that each reaches the broker once.

An unclear answer is never taken for a refusal: the order is looked up under its id, and only an
order that the broker says again and again it does not have is sent once more, under the same id,
which the broker refuses if the first one had arrived.
"""

from collections.abc import Callable
from dataclasses import dataclass

from trading_assets.paper.clock import Clock
from trading_assets.paper.gateways import (
    Answer,
    BrokerError,
    BrokerOrder,
    Gateway,
    require_same_order,
)
from trading_assets.paper.journal import Journal
from trading_assets.paper.order_records import known_fields
from trading_assets.paper.order_state import OrderState, status_of_word
from trading_assets.paper.orders import Order

LOOKUP_WAITS_SECONDS = (0.25, 0.5, 1.0, 2.0)
# The first and one repeat.
MOST_SENDS = 2


@dataclass(frozen=True, slots=True)
class OrderDesk:
    """Where orders leave and their fate is found out.

    Attributes
    ----------
    journal : Journal
        Every intent is durable in it before an order is sent.
    gateway : Gateway
        The broker.
    clock : Clock
        Waits between look-ups.
    why_not : callable
        Asked before every send; returns why nothing may be sent now, or an empty string.
    """

    journal: Journal
    gateway: Gateway
    clock: Clock
    why_not: Callable[[], str]

    def send_all(self, orders: list[Order], *, is_first_try: bool) -> None:
        """Send orders whose intents are durable, and note what became of each.

        Parameters
        ----------
        orders : list of Order
            In the order of sending.
        is_first_try : bool
            False where an earlier run may have sent them: each is looked up first.

        Raises
        ------
        BrokerError
            If an order's fate could not be found out: it stays unknown, counts as open, and no
            further one is sent. Run again.
        OrderConflictError
            If an id is at the broker with other terms.
        """
        for order in orders:
            state = self.journal.account.orders[order.client_order_id]
            if state.status in ("intended", "unknown"):
                self._send(state, is_first_try=is_first_try)
        self.journal.flush()

    def cancel(self, client_order_id: str) -> Answer:
        """Ask to cancel an order; what became of it is read later, as of any other."""
        self.journal.tell("CANCEL", client_order_id=client_order_id)
        answer = self.gateway.cancel(client_order_id)
        self.journal.note(
            "CANCEL_ANSWERED",
            client_order_id=client_order_id,
            outcome=answer.outcome,
            reason=answer.reason,
            **_evidence(answer),
        )
        self.journal.flush()
        return answer

    def _send(self, state: OrderState, *, is_first_try: bool) -> None:
        order = state.order
        if not is_first_try:
            known = self.gateway.look_up(order.client_order_id)
            if known is not None:
                self._note_known(order, known, "RESOLVED")
                return
        for _ in range(MOST_SENDS):
            refused = self.why_not()
            if refused:
                self._note_not_sent(order, refused)
                return
            answer = self.gateway.send(order)
            if answer.outcome == "taken":
                self._note_answer(order, answer)
                return
            # A request that arrives twice is refused the second time, and a network may hand us
            # that answer: a refusal, too, is believed only of an order that is not there.
            if self._find_out(order, answer):
                return
            if answer.outcome == "refused":
                self._note_answer(order, answer)
                return
        self._note_not_sent(order, "the broker does not have it after two attempts")

    def _find_out(self, order: Order, answer: Answer) -> bool:
        """Return whether the broker has an order that it did not say it took.

        Raises
        ------
        BrokerError
            If no look-up got a usable answer at the end.
        """
        if answer.outcome == "unclear":
            self.journal.tell(
                "UNKNOWN",
                client_order_id=order.client_order_id,
                status="unknown",
                reason=answer.reason,
                **_evidence(answer),
            )
        failure: BrokerError | None = None
        waits = LOOKUP_WAITS_SECONDS if answer.outcome == "unclear" else (0.0,)
        for seconds in waits:
            self.clock.sleep(seconds)
            try:
                known = self.gateway.look_up(order.client_order_id)
            except BrokerError as error:
                failure = error
                continue
            failure = None
            if known is not None:
                self._note_known(order, known, "RESOLVED")
                return True
        if failure is not None:
            self.journal.flush()
            msg = (
                f"whether the broker holds {order.client_order_id} could not be found out"
                f" ({failure}); run the session again: the same id is never filled twice"
            )
            raise BrokerError(msg) from failure
        return False

    def _note_answer(self, order: Order, answer: Answer) -> None:
        if answer.outcome == "taken" and answer.order is not None:
            require_same_order(order, answer.order)
            status = status_of_word(answer.order.status)
            event = "REJECTED" if status == "rejected" else "ACCEPTED"
            fields = known_fields(status, answer.order)
            self.journal.note(event, **{**fields, **_evidence(answer)})
            return
        is_taken = answer.outcome == "taken"
        self.journal.note(
            "ACCEPTED" if is_taken else "REJECTED",
            client_order_id=order.client_order_id,
            status="accepted" if is_taken else "rejected",
            reason=answer.reason,
            **_evidence(answer),
        )

    def _note_known(self, order: Order, known: BrokerOrder, event: str) -> None:
        require_same_order(order, known)
        self.journal.note(event, **known_fields(status_of_word(known.status), known))

    def _note_not_sent(self, order: Order, reason: str) -> None:
        self.journal.note(
            "NOT_SENT",
            client_order_id=order.client_order_id,
            status="not_sent",
            reason=f"not sent: {reason}",
        )


def _evidence(answer: Answer) -> dict[str, str]:
    found = answer.evidence
    return {
        "http_status": found.http_status,
        "broker_code": found.broker_code,
        "x_request_id": found.x_request_id,
        "response_sha256": found.response_sha256,
    }
