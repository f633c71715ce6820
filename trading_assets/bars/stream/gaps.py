"""Keeps account of the bars a stream may have missed, until the historical source was asked."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from trading_assets.bars.stream.settings import StreamSettings
from trading_assets.bars.stream.times import BarTime, BarTimes

# A connection may be lost between the bars of one minute.
_STRAGGLING = timedelta(minutes=1)
_FIRST_RETRY = timedelta(seconds=15)
_LONGEST_RETRY = timedelta(minutes=5)

Missing = Callable[[datetime, datetime], list[tuple[str, BarTime]]]


@dataclass(slots=True)
class Gap:
    """Bars with `after < event_time <= until`, some of which may not have come.

    Attributes
    ----------
    due : datetime
        When to ask the historical source, which publishes with a lag.
    attempts : int
        Requests that failed so far.
    """

    after: datetime
    until: datetime
    due: datetime
    attempts: int = 0
    is_asked: bool = False


class GapLedger:
    """The gaps of one stream; pure, it is told the time.

    Parameters
    ----------
    times : BarTimes
        Bars that exist; a gap without any is none.
    settings : StreamSettings
        When to look and when to ask.
    since : datetime
        Bars up to here were known before the stream began.
    """

    def __init__(self, times: BarTimes, settings: StreamSettings, since: datetime) -> None:
        self._times = times
        self._window = timedelta(seconds=settings.correction_window_seconds)
        self._delay = timedelta(seconds=settings.backfill_delay_seconds)
        self._audit_every = timedelta(seconds=settings.audit_every_seconds)
        self._lookback = max(
            self._window + _STRAGGLING, timedelta(seconds=settings.lookback_seconds)
        )
        self._most_attempts = settings.most_backfill_attempts
        self._audited_until = since
        self._next_audit = since + self._audit_every
        self._gaps: list[Gap] = []

    @property
    def open(self) -> tuple[Gap, ...]:
        """Gaps without an answer, oldest first."""
        return tuple(sorted(self._gaps, key=lambda gap: gap.after))

    def note_outage(self, lost_at: datetime, back_at: datetime) -> None:
        """Note that nothing was heard from `lost_at` until the subscription of `back_at`.

        Bars that ended before the outage count too while their corrections may have been missed.
        """
        self._note(lost_at - self._lookback, back_at)

    def audit(self, now: datetime, missing: Missing, *, is_last: bool = False) -> None:
        """Note a gap over the bars that should have come by `now` and did not.

        Parameters
        ----------
        now : datetime
            Time of the search; nothing happens before the next one is due unless `is_last`.
        missing : callable
            `BarAssembler.missing`.
        """
        if now < self._next_audit and not is_last:
            return
        self._next_audit = now + self._audit_every
        until = now - self._window
        if until <= self._audited_until:
            return
        ends = [time.event_time for _, time in missing(self._audited_until, until)]
        ends = [end for end in ends if not any(gap.after < end <= gap.until for gap in self._gaps)]
        self._audited_until = until
        if ends:
            # The start is excluded from a gap, and bars are at least a second apart.
            self._note(min(ends) - timedelta(seconds=1), max(ends))

    def take_due(self, now: datetime) -> Gap | None:
        """Return a gap to ask about by `now`, or None; it stays open until `answered`."""
        for gap in self._gaps:
            if self._may_be_asked(gap) and gap.due <= now:
                gap.is_asked = True
                return gap
        return None

    def answered(self, gap: Gap) -> None:
        """Close `gap`: the historical source told what it has."""
        self._gaps.remove(gap)

    def failed(self, gap: Gap, now: datetime) -> None:
        """Ask about `gap` again later, or never again after too many attempts."""
        gap.due = now + min(_FIRST_RETRY * 2 ** min(gap.attempts, 16), _LONGEST_RETRY)
        gap.attempts += 1
        gap.is_asked = False

    def next_due(self) -> datetime | None:
        """Return when the next gap is to be asked about, or None."""
        return min((gap.due for gap in self._gaps if self._may_be_asked(gap)), default=None)

    def _may_be_asked(self, gap: Gap) -> bool:
        return not gap.is_asked and gap.attempts < self._most_attempts

    def _note(self, after: datetime, until: datetime) -> None:
        if not self._times.ending_in(after, until):
            return
        touching = [
            gap
            for gap in self._gaps
            if not gap.is_asked and gap.after <= until and after <= gap.until
        ]
        for gap in touching:
            self._gaps.remove(gap)
            after, until = min(after, gap.after), max(until, gap.until)
        self._gaps.append(Gap(after, until, until + self._delay))
