"""The budget of requests to a broker: never more than so many in any sixty seconds.

A token that was spent comes back sixty seconds later, so the bound holds for every window and not
only on average. Some tokens are kept for cancels. This module neither sleeps nor sends: it says how
long to wait. It knows nothing of requests before it was made but their number.
"""

from collections import deque
from collections.abc import Callable
from math import isfinite
from typing import Literal

from trading_assets.errors import DataError
from trading_assets.risk_specs import OrderLimitsSpec

Message = Literal["submit", "modify", "cancel", "read"]
# Returns nanoseconds that never go back, such as `time.monotonic_ns`.
ClockNs = Callable[[], int]

SECOND_NS = 1_000_000_000
# One nanosecond more, so that a window with both its ends is kept too.
WINDOW_NS = 60 * SECOND_NS + 1


class MessageBudget:
    """Tokens for requests, each gone for sixty seconds once taken. Not for several threads.

    Parameters
    ----------
    limits : OrderLimitsSpec
        `max_messages_per_minute`, and `cancel_reserve_messages` of them for cancels alone.
    clock_ns : callable
        Monotonic nanoseconds.
    already_sent : int
        Requests that may have been sent in the last minute, by a process before this one.

    Raises
    ------
    DataError
        If `already_sent` is negative.
    """

    def __init__(self, limits: OrderLimitsSpec, clock_ns: ClockNs, already_sent: int = 0) -> None:
        if already_sent < 0:
            msg = f"already_sent was {already_sent}; expected 0 or more"
            raise DataError(msg)
        self._limit = limits.max_messages_per_minute
        self._reserve = limits.cancel_reserve_messages
        self._clock_ns = clock_ns
        self._now = clock_ns()
        self._spent_ns = deque([self._now] * min(already_sent, self._limit))
        # What the broker last said it would still answer, and until when; None once that is past.
        self._told: int | None = None
        self._told_until_ns = 0

    def take(self, message: Message) -> float:
        """Take a token if there is one.

        Returns
        -------
        seconds : float
            0 if the request may be sent now; else how long to wait before asking again, and no
            token is gone.
        """
        seconds = self.seconds_until(message)
        if seconds > 0.0:
            return seconds
        self._spent_ns.append(self._now)
        if self._told is not None:
            self._told -= 1
        return 0.0

    def seconds_until(self, message: Message) -> float:
        """Return how long to wait until a token would be there; 0 if it is now."""
        self._pass_time()
        kept = 0 if message == "cancel" else self._reserve
        waits_ns = 0
        surplus = len(self._spent_ns) + 1 - (self._limit - kept)
        if surplus > 0:
            waits_ns = self._spent_ns[surplus - 1] + WINDOW_NS - self._now
        if self._told is not None and self._told <= kept:
            waits_ns = max(waits_ns, self._told_until_ns - self._now)
        return waits_ns / SECOND_NS

    def observe(self, remaining: int, reset_seconds: float) -> None:
        """Take in what the broker's answer says is left; it can only lower the budget.

        Parameters
        ----------
        remaining : int
            Requests that the broker will still answer, its `X-RateLimit-Remaining`; 0 after an
            answer 429.
        reset_seconds : float
            Seconds until that number is renewed, `X-RateLimit-Reset` less the time now; taken as
            at most sixty and, where it is no number, as sixty.
        """
        self._pass_time()
        left = max(remaining, 0)
        if self._told is not None and left > self._told:
            return
        seconds = min(max(reset_seconds, 0.0), 60.0) if isfinite(reset_seconds) else 60.0
        self._told, until_ns = left, self._now + round(seconds * SECOND_NS)
        self._told_until_ns = max(self._told_until_ns, until_ns)

    def _pass_time(self) -> None:
        # A clock that goes back gives no token back earlier.
        self._now = max(self._now, self._clock_ns())
        while self._spent_ns and self._now - self._spent_ns[0] >= WINDOW_NS:
            self._spent_ns.popleft()
        if self._told is not None and self._now >= self._told_until_ns:
            self._told = None
