"""What may happen to prices in a test window; the bars before it stay as they were."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from trading_assets.backtest.adjusted_bars import AdjustedBars
from trading_assets.backtest.bar_moves import Moves, apply_moves, moves_of
from trading_assets.errors import DataError
from trading_assets.simulation.terms import Floats

# Below it, what is left of a standardised return is rounding.
_NO_RESIDUE = 1e-9


def raise_volatility(bars: AdjustedBars, factor: float) -> AdjustedBars:
    """Return bars whose log returns lie so many times as far from their mean.

    Gap, body, high and low of every bar are stretched alike, so bars stay bars; the mean of the log
    returns of each symbol is kept.
    """
    moves = moves_of(bars)
    mean = _means(moves.total)
    stretched = Moves(
        gap=factor * moves.gap - (factor - 1.0) * mean,
        body=factor * moves.body,
        high=factor * moves.high,
        low=factor * moves.low,
        volume=moves.volume,
    )
    return apply_moves(bars, stretched)


def raise_correlation(bars: AdjustedBars, correlation: float) -> AdjustedBars:
    """Return bars whose log returns have a mean correlation over all pairs of symbols.

    A return is `mean + sd (a m + sqrt(1 - a^2) e)` with the market's standardised mean m and the
    symbol's standardised residue e, which has no correlation with m in the window. Means and
    deviations are kept, and a is such that the mean is exact where no bar is missing. What changes
    is the gap: the range within a bar stays.

    Parameters
    ----------
    bars : AdjustedBars
        Two symbols or more.
    correlation : float
        Below 1, and above what residues have with each other.

    Raises
    ------
    DataError
        If there are fewer than two symbols whose returns vary.
    """
    moves = moves_of(bars)
    mean, deviation = _means(moves.total), _deviations(moves.total)
    varies = deviation > 0.0
    if int(varies.sum()) < 2:
        msg = (
            f"{int(varies.sum())} symbols have returns that vary; expected two or more to correlate"
        )
        raise DataError(msg)
    standard = np.where(varies, (moves.total - mean) / np.where(varies, deviation, 1.0), np.nan)
    market = _standardised(_means(standard.T)[:, None])
    residue, is_left = _residues(standard, market)
    own = _mean_correlation(residue[:, is_left])
    share = float(np.clip((correlation - own) / (1.0 - own), 0.0, 1.0))
    # A symbol that is the market itself has nothing of its own to be made less of.
    loading = np.where(is_left, share, 1.0)
    mixed = np.sqrt(loading) * market + np.sqrt(1.0 - loading) * residue
    total = np.where(varies, mean + deviation * mixed, moves.total)
    return apply_moves(bars, replace(moves, gap=total - moves.body))


def open_with_gap(bars: AdjustedBars, deviations: float) -> AdjustedBars:
    """Return bars in which every symbol opens so many standard deviations off in mid-window.

    The deviation is that of the symbol's log returns in the window. The gap comes on top of the
    return of the middle bar and stays in the price.
    """
    moves = moves_of(bars)
    gap = moves.gap.copy()
    gap[bars.window_bars // 2] += deviations * _deviations(moves.total)
    return apply_moves(bars, replace(moves, gap=gap))


def _residues(standard: Floats, market: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return standardised residues (R, N) of a regression on the market, and which are any."""
    known = np.isfinite(standard)
    filled, seen = np.where(known, standard, 0.0), np.where(known, market, 0.0)
    slope = (filled * seen).sum(axis=0) / np.maximum((seen * seen).sum(axis=0), _NO_RESIDUE)
    left = standard - slope * market
    is_left = _deviations(left) > _NO_RESIDUE
    return np.where(is_left, _standardised(np.where(is_left, left, 0.0)), 0.0), is_left


def _mean_correlation(standard: Floats) -> float:
    """Return the mean over all pairs of columns; 0 of fewer than two."""
    count = standard.shape[1]
    if count < 2:
        return 0.0
    filled = np.nan_to_num(standard, nan=0.0)
    pairs = filled.T @ filled / np.isfinite(standard).sum(axis=0)
    return float((pairs.sum() - np.trace(pairs)) / (count * (count - 1)))


def _standardised(values: Floats) -> Floats:
    deviation = _deviations(values)
    return (values - _means(values)) / np.where(deviation > 0.0, deviation, 1.0)


def _means(values: Floats) -> Floats:
    """Return the mean of each column's finite values (N,); nan without any."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def _deviations(values: Floats) -> Floats:
    """Return the standard deviation of each column's finite values (N,), by n; 0 without any."""
    spread = _means((values - _means(values)) ** 2)
    return np.sqrt(np.nan_to_num(spread, nan=0.0))
