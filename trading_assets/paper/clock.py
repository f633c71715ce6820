"""Time as a paper session sees it: given from outside, so that a test decides what time it is."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> datetime:
        """Return the time, timezone-aware."""
        ...

    def monotonic(self) -> float:
        """Return seconds since some moment; never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SystemClock:
    """The machine's clock.

    Parameters
    ----------
    now : callable, optional
        Returns the time instead of the machine, timezone-aware.
    """

    def __init__(self, now: Callable[[], datetime] = _utc_now) -> None:
        self._now = now

    def now(self) -> datetime:
        """Return the time, timezone-aware."""
        return self._now()

    def monotonic(self) -> float:
        """Return seconds since some moment; never goes back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
