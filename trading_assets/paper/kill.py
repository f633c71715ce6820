"""Kills an account: no more orders from here, none left open at the broker.

The switch is tripped first and stands whatever the broker answers. Cancels may be sent again when
their fate is unclear, since a second one does no harm; nothing else is.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from trading_assets.errors import DataError
from trading_assets.paper.clock import Clock
from trading_assets.paper.gateways import (
    FINAL_STATUSES,
    Answer,
    BrokerError,
    BrokerOrder,
    Gateway,
)
from trading_assets.paper.kill_switch import KillSwitch, SwitchState

_CANCELLING = "pending_cancel"


@dataclass(frozen=True, slots=True)
class KillLimits:
    """How long cancelling may go on.

    Attributes
    ----------
    deadline_seconds : float
        After it, nothing more is cancelled or asked.
    first_pause_seconds, longest_pause_seconds : float
        Before the broker is asked again; doubled each time.
    """

    deadline_seconds: float = 60.0
    first_pause_seconds: float = 0.1
    longest_pause_seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class KillResult:
    """What became of an account that was killed.

    Attributes
    ----------
    switch : SwitchState
        How the switch stands.
    cancelled, ended_otherwise : tuple of str
        Client ids of orders that were open and were cancelled; or filled, expired or rejected
        before.
    still_open : tuple of str
        Client ids of orders that the broker showed as open when it was last asked.
    unknown : tuple of str
        Client ids of orders that the broker did not tell about.
    is_verified : bool
        Whether the broker said that no order is open.
    is_suspended : bool
        Whether the broker itself takes no more orders.
    problems : tuple of str
        What did not work, one sentence each.
    seconds : float
        How long it took.
    """

    switch: SwitchState
    cancelled: tuple[str, ...]
    ended_otherwise: tuple[str, ...]
    still_open: tuple[str, ...]
    unknown: tuple[str, ...]
    is_verified: bool
    is_suspended: bool
    problems: tuple[str, ...]
    seconds: float


def kill_account(
    gateway: Gateway,
    switch: KillSwitch,
    clock: Clock,
    by: str,
    reason: str,
    known_open: Collection[str] = (),
    limits: KillLimits | None = None,
) -> KillResult:
    """Halt, cancel every open order, make sure that none is left, and suspend the account.

    Parameters
    ----------
    gateway : Gateway
        The account's broker.
    switch : KillSwitch
        Tripped before anything else.
    clock : Clock
        Waits and measures.
    by, reason : str
        Who kills, and why.
    known_open : collection of str, optional
        Client ids that were open as far as our own log knows; they are told about, too.
    limits : KillLimits, optional
        How long to go on.
    """
    began = clock.monotonic()
    problems: list[str] = []
    try:
        switch.halt(by, reason)
    except DataError as error:
        problems.append(str(error))
    sweep = _Sweep(gateway, clock, limits or KillLimits())
    sweep.cancel_until_none_is_open()
    is_suspended = _suspend(gateway, problems)
    cancelled, ended, unknown = sweep.outcomes(known_open)
    return KillResult(
        switch=switch.state(),
        cancelled=cancelled,
        ended_otherwise=ended,
        still_open=tuple(sweep.still_open),
        unknown=unknown,
        is_verified=sweep.is_verified,
        is_suspended=is_suspended,
        problems=(*problems, *sweep.problems),
        seconds=clock.monotonic() - began,
    )


def resume_broker(gateway: Gateway) -> None:
    """Have the broker take orders again, and close the gateway.

    Raises
    ------
    DataError
        If it does not say that it does.
    """
    try:
        answer = gateway.resume()
    except BrokerError as error:
        answer = Answer("unclear", reason=str(error))
    finally:
        gateway.close()
    if answer.outcome != "taken":
        msg = f"the broker did not resume the account: {answer.reason}; run the command again"
        raise DataError(msg)


def _suspend(gateway: Gateway, problems: list[str]) -> bool:
    try:
        answer = gateway.suspend()
    except BrokerError as error:
        answer = Answer("unclear", reason=str(error))
    if answer.outcome != "taken":
        problems.append(f"the broker did not suspend the account: {answer.reason}")
    return answer.outcome == "taken"


class _Sweep:
    """Cancels and asks in turn until no order is open or time is up."""

    def __init__(self, gateway: Gateway, clock: Clock, limits: KillLimits) -> None:
        self._gateway = gateway
        self._clock = clock
        self._limits = limits
        self._deadline = clock.monotonic() + limits.deadline_seconds
        self._was_open: dict[str, None] = {}
        self._problems: dict[str, None] = {}
        self.still_open: list[str] = []
        self.is_verified = False

    @property
    def problems(self) -> tuple[str, ...]:
        """What the broker refused or left unclear, each once; moot once none is open."""
        return () if self.is_verified else tuple(self._problems)

    def cancel_until_none_is_open(self) -> None:
        """Cancel all at once, then one by one what that left open."""
        pause = self._limits.first_pause_seconds
        is_all_taken = had_time = False
        while True:
            is_all_taken = is_all_taken or self._ask(self._gateway.cancel_all)
            found = self._read()
            self.is_verified = found is not None and not found
            if self.is_verified or self._is_late():
                return
            # Cancels take a moment: what the first one leaves open is asked for by name.
            if had_time or not is_all_taken:
                self._cancel_each(found or ())
            had_time = True
            self._clock.sleep(pause)
            pause = min(2 * pause, self._limits.longest_pause_seconds)

    def outcomes(self, known_open: Iterable[str]) -> tuple[tuple[str, ...], ...]:
        """Return the ids that were cancelled, that ended otherwise, and of which nobody knows."""
        cancelled: list[str] = []
        ended: list[str] = []
        unknown: list[str] = []
        for client_order_id in dict.fromkeys((*known_open, *self._was_open)):
            if client_order_id in self.still_open:
                continue
            status = self._status(client_order_id)
            if status == "canceled":
                cancelled.append(client_order_id)
            else:
                (ended if status in FINAL_STATUSES else unknown).append(client_order_id)
        return tuple(cancelled), tuple(ended), tuple(unknown)

    def _cancel_each(self, orders: Iterable[BrokerOrder]) -> None:
        for order in orders:
            if order.status != _CANCELLING and not self._is_late():
                self._ask(lambda known=order: self._gateway.cancel(known.client_order_id))

    def _ask(self, request: Callable[[], Answer]) -> bool:
        """Send a cancel; a refusal is no answer to whether the order is open."""
        try:
            answer = request()
        except BrokerError as error:
            answer = Answer("unclear", reason=str(error))
        if answer.outcome != "taken":
            self._problems[f"a cancel was {answer.outcome}: {answer.reason}"] = None
        return answer.outcome == "taken"

    def _read(self) -> tuple[BrokerOrder, ...] | None:
        try:
            found = self._gateway.orders(None, is_open=True)
        except BrokerError as error:
            self._problems[f"open orders could not be read: {error}"] = None
            return None
        self.still_open = [order.client_order_id for order in found]
        self._was_open.update(dict.fromkeys(self.still_open))
        return found

    def _status(self, client_order_id: str) -> str:
        if self._is_late():
            return ""
        try:
            order = self._gateway.look_up(client_order_id)
        except BrokerError:
            return ""
        return "" if order is None else order.status

    def _is_late(self) -> bool:
        return self._clock.monotonic() >= self._deadline
