"""Random numbers that belong to a symbol and a day, whatever range is asked for.

Philox is a counter-based generator: the key is made from seed and symbol and the counter from the
day, so any day's numbers can be drawn without those before it.
Source: Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, SC11 (2011).
"""

import hashlib
from collections.abc import Sequence
from datetime import date
from enum import IntEnum

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

Floats = npt.NDArray[np.float64]

# Draws of one step of the counter.
_STEP = 4
_SYMBOL_STREAM, _DAY_STREAM, _BAR_STREAM = 0, 1, 2


class LifeDraw(IntEnum):
    """What each of a symbol's own draws decides."""

    PRICE = 0
    TURNOVER = 1
    IS_LATE = 2
    LISTED = 3
    IS_DELISTED = 4
    DELISTED = 5
    REASON = 6
    FINAL_RETURN = 7
    DIVIDEND_PHASE = 8
    FIRST_REGIME = 9


class DayDraw(IntEnum):
    """What each draw of a symbol's day decides."""

    OVERNIGHT = 0
    INTRADAY = 1
    REGIME = 2
    GAP = 3
    HALT = 4
    HALT_PLACE = 5
    HALT_LENGTH = 6
    SPLIT = 7
    SPLIT_RATIO = 8
    VOLUME = 9
    HIGH = 10
    LOW = 11


class SymbolDraws:
    """Uniform numbers in (0, 1) of one symbol; equal seeds and symbols give equal numbers."""

    def __init__(self, seed: int, symbol: str) -> None:
        digest = hashlib.sha256(f"{seed}/{symbol}".encode()).digest()
        self._key = np.frombuffer(digest[:16], dtype="<u8").astype(np.uint64)

    def of_life(self) -> Floats:
        """Return the draws that hold for the symbol's whole life, shape (len(LifeDraw),)."""
        return self._uniforms(_SYMBOL_STREAM, 0, 0, len(LifeDraw))

    def of_days(self, sessions: Sequence[date]) -> Floats:
        """Return draws of shape (len(sessions), len(DayDraw)), one row a session."""
        if not sessions:
            return np.empty((0, len(DayDraw)))
        first, last = sessions[0].toordinal(), sessions[-1].toordinal()
        steps = -(-len(DayDraw) // _STEP)
        every_day = self._uniforms(
            _DAY_STREAM, 0, first * steps, (last - first + 1) * steps * _STEP
        ).reshape(-1, steps * _STEP)
        days = np.array([day.toordinal() - first for day in sessions])
        return every_day[days, : len(DayDraw)]

    def of_bars(self, session: date, n_bars: int, count: int) -> Floats:
        """Return draws of shape (n_bars, count), one row a bar of `session`."""
        uniforms = self._uniforms(_BAR_STREAM, session.toordinal(), 0, n_bars * count)
        return uniforms.reshape(n_bars, count)

    def _uniforms(self, stream: int, block: int, position: int, count: int) -> Floats:
        counter = np.array([position, 0, block, stream], dtype=np.uint64)
        raw = np.random.Philox(key=self._key, counter=counter).random_raw(count)
        # 53 bits, moved by half a step so that neither 0 nor 1 occurs.
        return ((raw >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def normals(uniforms: Floats) -> Floats:
    """Return standard normal numbers, one for each uniform one."""
    return np.asarray(ndtri(uniforms), dtype=np.float64)
