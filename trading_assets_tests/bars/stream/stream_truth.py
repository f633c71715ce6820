"""A market whose bars are known with all their corrections."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import polars as pl

from trading_assets.bars.stream.rows import FinalBar, to_raw_bars

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Version:
    """One state of a bar: what is sent when it comes to be, in seconds after the bar's end."""

    kind: str
    after_s: float
    prices: tuple[float, float, float, float, float]
    trades: int


@dataclass(frozen=True)
class TrueBar:
    symbol: str
    start: datetime
    versions: tuple[Version, ...]

    @property
    def end(self) -> datetime:
        return self.start + MINUTE

    def message(self, version: Version) -> dict[str, Any]:
        names = dict(zip("ohlcv", version.prices, strict=True))
        label = self.start.isoformat().replace("+00:00", "Z")
        return {"T": version.kind, "S": self.symbol, **names, "t": label, "n": version.trades}

    def known(self, version: Version) -> datetime:
        return self.end + timedelta(seconds=version.after_s)


def make_truth(rng: Random, symbols: Sequence[str], start: datetime, minutes: int) -> list[TrueBar]:
    """Return bars of which some are corrected within a minute, later, or both."""
    bars: list[TrueBar] = []
    for symbol in symbols:
        for minute in range(minutes):
            price, volume = 100 + rng.randrange(100) / 16, 100 + rng.randrange(900)
            versions = [_version("b", 0.1, price, volume, rng)]
            for after_s in (30.0, 90.0):
                if rng.random() < 0.3:
                    volume += 1 + rng.randrange(50)
                    versions.append(_version("u", after_s, price, volume, rng))
            bars.append(TrueBar(symbol, start + minute * MINUTE, tuple(versions)))
    return bars


def _version(kind: str, after_s: float, price: float, volume: int, rng: Random) -> Version:
    close = price + rng.randrange(-8, 9) / 32
    prices = (price, price + 1, price - 1, close, float(volume))
    return Version(kind, after_s, prices, volume // 10)


def history(bars: Sequence[TrueBar], as_of: datetime, lag: timedelta) -> pl.DataFrame:
    """Return what a historical fetch at `as_of` gives: each bar as it is known then."""
    rows: list[FinalBar] = []
    for bar in bars:
        known = [version for version in bar.versions if bar.known(version) <= as_of]
        if known and bar.end + lag <= as_of:
            rows.append(
                FinalBar(
                    bar.symbol,
                    bar.start.date(),
                    bar.end,
                    bar.end + lag,
                    as_of,
                    0,
                    *known[-1].prices,
                )
            )
    return to_raw_bars(rows, "iex", "1m")


def at(hour: int, minute: int, second: float = 0) -> datetime:
    """Return a moment of 4 March 2024, New York time (UTC - 5)."""
    return datetime(2024, 3, 4, tzinfo=UTC) + timedelta(
        hours=hour + 5, minutes=minute, seconds=second
    )
