"""Minute bars of three symbols as a vendor dumps them: a file a month, local times, some dirt.

Sessions, half days and holidays are written out here, so that what is expected of the pipeline does
not come from its own calendar.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

SYMBOLS = ("AAA", "BBB", "CCC")
FIRST, LAST = date(2024, 9, 3), date(2024, 12, 18)
MONTHS = ("2024-09-01", "2024-10-01", "2024-11-01", "2024-12-01")
HOLIDAYS = {date(2024, 11, 28)}
HALF_DAYS = {date(2024, 11, 29)}
NEW_YORK = ZoneInfo("America/New_York")
SEPTEMBER, OCTOBER, NOVEMBER, DECEMBER = MONTHS


@dataclass(frozen=True, slots=True)
class Minute:
    """One line of the vendor's file: a bar by its start in New York."""

    symbol: str
    start: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float

    @property
    def end(self) -> datetime:
        return (self.start + timedelta(minutes=1)).astimezone(UTC)

    @property
    def key(self) -> tuple[str, datetime]:
        return self.symbol, self.end

    @property
    def prices(self) -> tuple[float, ...]:
        return self.open, self.high, self.low, self.close, self.volume

    def line(self) -> str:
        values = ";".join("nan" if value != value else repr(value) for value in self.prices)
        return f"{self.symbol};{self.start:%m/%d/%Y %H:%M};{values}"


def sessions(month: str | None = None, last: date = LAST) -> list[date]:
    days = (FIRST + timedelta(days=n) for n in range((last - FIRST).days + 1))
    return [
        day
        for day in days
        if day.weekday() < 5
        and day not in HOLIDAYS
        and (month is None or day.replace(day=1).isoformat() == month)
    ]


def minutes_of(day: date) -> int:
    return 210 if day in HALF_DAYS else 390


def expected_bars(month: str) -> int:
    return len(SYMBOLS) * sum(minutes_of(day) for day in sessions(month))


def at(day: date, hour: int, minute: int) -> datetime:
    return datetime.combine(day, time(hour, minute), NEW_YORK)


def clean_minutes(seed: int = 5) -> dict[tuple[str, datetime], Minute]:
    """Return every minute that was traded up to two sessions after `LAST`, by symbol and end."""
    rng = np.random.default_rng(seed)
    found: dict[tuple[str, datetime], Minute] = {}
    for symbol in SYMBOLS:
        for bar in _walk(symbol, rng):
            found[bar.key] = bar
    return found


def _walk(symbol: str, rng: np.random.Generator) -> Iterator[Minute]:
    price = 100.0
    for day in sessions(last=LAST + timedelta(days=2)):
        n_bars = minutes_of(day)
        steps = rng.normal(0, 0.0005, n_bars)
        steps[0] += rng.normal(0, 0.005)
        closes = np.round(price * np.exp(np.cumsum(steps)), 4)
        opens = np.concatenate(([price], closes[:-1]))
        reach = np.round(rng.uniform(0.001, 0.02, (2, n_bars)), 4)
        volumes = rng.integers(100, 10_000, n_bars)
        start = at(day, 9, 30)
        for n in range(n_bars):
            opened, closed = float(opens[n]), float(closes[n])
            yield Minute(
                symbol,
                start + timedelta(minutes=n),
                opened,
                round(max(opened, closed) + float(reach[0, n]), 4),
                round(min(opened, closed) - float(reach[1, n]), 4),
                closed,
                float(volumes[n]),
            )
        price = float(closes[-1])


def write_months(folder: Path, bars: Sequence[Minute]) -> None:
    """Write a file for each month of `bars`; a month's file that exists is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    by_month: dict[str, list[str]] = {}
    for bar in bars:
        by_month.setdefault(f"{bar.start:%Y-%m}", []).append(bar.line())
    for month, lines in by_month.items():
        text = "\n".join(["Ticker;Start;O;H;L;C;V", *lines, ""])
        (folder / f"minutes_{month}.csv").write_text(text, encoding="utf-8")
