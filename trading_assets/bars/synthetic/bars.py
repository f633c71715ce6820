"""Prices of synthetic bars: paths within sessions, and the bars that are missing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.bars.synthetic.draws import DayDraw, Floats, SymbolDraws, normals
from trading_assets.bars.synthetic.sessions import SessionPath
from trading_assets.source_specs import SyntheticSource

_BAR_DRAWS = 5
_STEP, _HIGH, _LOW, _VOLUME, _GAP = range(_BAR_DRAWS)
# Trading is busier and wider at a session's ends than in its middle.
_END_OVER_MIDDLE = 2.0
_VOLUME_SPREAD = 0.5
_HALTED_SESSIONS = (2, 5)
_MIN_HALTED_BARS = 2
_HALTED_SHARE = (0.05, 0.45)

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Chances:
    """How often a bar is missing and a trading halt begins, each a share of bars or sessions."""

    gap: float
    halt: float


def chances(source: SyntheticSource, sessions_a_year: float) -> Chances:
    """Return how often bars are missing."""
    return Chances(source.gap_share, min(1.0, source.halts_a_year / sessions_a_year))


def daily_bars(path: SessionPath, place: slice, missing: Chances) -> pl.DataFrame:
    """Return daily bars of the sessions at `place`, without those that are missing.

    Returns
    -------
    DataFrame
        bar : place of the session's bar within `place`; open, high, low, close, volume.
    """
    # Halts that began before the range reach into it, so all sessions so far are looked at.
    missed = _halted_sessions(path.days, missing) | (path.days[:, DayDraw.GAP] < missing.gap)
    first, last, sigma = path.log_open[place], path.log_close[place], path.sigma[place]
    high = _extreme(first, last, sigma, path.days[place, DayDraw.HIGH], sign=1.0)
    low = _extreme(first, last, sigma, path.days[place, DayDraw.LOW], sign=-1.0)
    levels = [np.exp(log_level) for log_level in (first, high, low, last)]
    return _table(
        [path.scale[place] * level - path.offset_usd[place] for level in levels],
        path.volume[place],
        ~missed[place],
    )


def intraday_bars(
    path: SessionPath,
    place: slice,
    n_bars: Sequence[int],
    missing: Chances,
    draws: SymbolDraws,
) -> pl.DataFrame:
    """Return bars within the sessions at `place`, without those that are missing.

    A session's path is a Brownian bridge from its open to its close, so open, close and, but for
    rounding, volume of a session are the same for every bar length; highs and lows are drawn for
    each bar from the law of a bridge's extreme.

    Parameters
    ----------
    n_bars : sequence of int
        Bars of each session at `place`.
    draws : SymbolDraws
        The symbol's.

    Returns
    -------
    DataFrame
        bar : number of the bar within all of `n_bars`; open, high, low, close, volume.
    """
    sessions = path.sessions[place]
    if not sessions:
        return _table([np.empty(0)] * 4, np.empty(0), np.empty(0, dtype=bool))
    shape = (len(sessions), max(n_bars))
    uniforms = np.full((_BAR_DRAWS, *shape), 0.5)
    for row, (session, count) in enumerate(zip(sessions, n_bars, strict=True)):
        uniforms[:, row, :count] = draws.of_bars(session, count, _BAR_DRAWS).T
    weights = _weights(n_bars, shape)
    # One axis is one session: sums along it are the same whatever other sessions there are.
    elapsed = np.cumsum(weights, axis=1)
    first, last = path.log_open[place][:, None], path.log_close[place][:, None]
    sigma = path.sigma[place][:, None] * np.sqrt(weights)
    walk = np.cumsum(sigma * normals(uniforms[_STEP]), axis=1)
    ends = first + walk + elapsed * (last - first - walk[:, -1:])
    real = np.arange(shape[1]) < np.array(n_bars)[:, None]
    ends[np.arange(len(sessions)), np.array(n_bars) - 1] = last[:, 0]
    starts = np.concatenate([first, ends[:, :-1]], axis=1)
    high = _extreme(starts, ends, sigma, uniforms[_HIGH], sign=1.0)
    low = _extreme(starts, ends, sigma, uniforms[_LOW], sign=-1.0)
    scale, offset = path.scale[place][:, None], path.offset_usd[place][:, None]
    busy = weights * np.exp(_VOLUME_SPREAD * normals(uniforms[_VOLUME]))
    volume = path.volume[place][:, None] * busy / np.cumsum(busy, axis=1)[:, -1:]
    present = ~(_halted_bars(path, place, n_bars, missing) | (uniforms[_GAP] < missing.gap))
    return _table(
        [(scale * np.exp(level) - offset)[real] for level in (starts, high, low, ends)],
        volume[real],
        present[real],
    )


def _table(prices: Sequence[Floats], volume: Floats, present: Mask) -> pl.DataFrame:
    open_, high, low, close = prices
    columns = {
        "bar": np.arange(len(open_), dtype=np.uint32),
        "open": open_,
        # Rounding in the logarithm may put an extreme a last digit inside.
        "high": np.maximum(high, np.maximum(open_, close)),
        "low": np.minimum(low, np.minimum(open_, close)),
        "close": close,
        "volume": np.maximum(np.round(volume), 1.0),
    }
    return pl.DataFrame({name: values[present] for name, values in columns.items()})


def _extreme(first: Floats, last: Floats, sigma: Floats, uniform: Floats, *, sign: float) -> Floats:
    # Of a Brownian bridge. Source: Glasserman, Monte Carlo Methods in Financial Engineering, 6.4.
    reach = np.sqrt((last - first) ** 2 - 2 * sigma**2 * np.log(uniform))
    return (first + last + sign * reach) / 2


def _weights(n_bars: Sequence[int], shape: tuple[int, int]) -> Floats:
    """Return each bar's share of its session's variance and mean volume; 0 beyond the session."""
    weights = np.zeros(shape)
    profiles: dict[int, Floats] = {}
    for row, count in enumerate(n_bars):
        if count not in profiles:
            from_middle = 2 * (np.arange(count) + 0.5) / count - 1
            profile = 1 + (_END_OVER_MIDDLE - 1) * from_middle**2
            profiles[count] = profile / np.cumsum(profile)[-1]
        weights[row, :count] = profiles[count]
    return weights


def _halted_sessions(days: Floats, missing: Chances) -> Mask:
    fewest, most = _HALTED_SESSIONS
    halted = np.zeros(len(days), dtype=bool)
    for start in np.flatnonzero(days[:, DayDraw.HALT] < missing.halt).tolist():
        length = fewest + int(days[start, DayDraw.HALT_LENGTH] * (most - fewest + 1))
        halted[start : start + length] = True
    return halted


def _halted_bars(path: SessionPath, place: slice, n_bars: Sequence[int], missing: Chances) -> Mask:
    halted = np.zeros((len(n_bars), max(n_bars)), dtype=bool)
    least, more = _HALTED_SHARE
    days = path.days[place]
    for row in np.flatnonzero(days[:, DayDraw.HALT] < missing.halt).tolist():
        count = n_bars[row]
        share = least + more * days[row, DayDraw.HALT_LENGTH]
        length = min(count, max(_MIN_HALTED_BARS, round(share * count)))
        start = int(days[row, DayDraw.HALT_PLACE] * (count - length + 1))
        halted[row, start : start + length] = True
    return halted
