"""Whether choosing the best of many trials chose anything: the probability of backtest overfitting.

Source: Bailey, Borwein, Lopez de Prado and Zhu, The Probability of Backtest Overfitting, Journal of
Computational Finance 20(4), 2016.
"""

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import DataError

Series = NDArray[np.float64]

BLOCKS = 10


@dataclass(frozen=True, slots=True)
class Overfitting:
    """What the best trial of one half of the bars is worth on the other, over all halvings.

    Attributes
    ----------
    probability : float
        Share of halvings whose best trial is no better than the median on the other half.
    logits : float64 (C,)
        `ln(w / (1 - w))` of the chosen trial's relative rank w on the other half; 0 is the median.
    chosen_sharpe, later_sharpe : float64 (C,)
        Of the chosen trial, one bar's Sharpe ratio on the half it was chosen on and on the other.
    probability_of_loss : float
        Share of halvings whose chosen trial loses on the other half.
    """

    probability: float
    logits: Series
    chosen_sharpe: Series
    later_sharpe: Series
    probability_of_loss: float

    @property
    def degradation(self) -> float:
        """Slope of the Sharpe ratio on the other half by that on the chosen half."""
        centred = self.chosen_sharpe - self.chosen_sharpe.mean()
        spread = float(centred @ centred)
        return float(centred @ self.later_sharpe) / spread if spread > 0.0 else math.nan


def measure_overfitting(returns: Series, blocks: int = BLOCKS) -> Overfitting:
    """Return the probability of backtest overfitting by combinatorially symmetric validation.

    The bars are cut into blocks in their order; each half of the blocks chooses the trial with the
    best Sharpe ratio, and the other half ranks it. Equal ratios share the mean of their ranks; of
    several best the first is chosen.

    Parameters
    ----------
    returns : float64 (T, N)
        Net simple returns of N trials over the same bars.
    blocks : int
        S, an even number.

    Raises
    ------
    DataError
        If there are fewer than two trials, an odd number of blocks, fewer than two bars a block, or
        a return that is nan or infinite.
    """
    bars, trials = returns.shape
    _require_trials(returns, blocks)
    parts = np.array_split(np.arange(bars), blocks)
    counts = np.array([len(part) for part in parts], dtype=np.float64)
    sums = np.stack([returns[part].sum(axis=0) for part in parts])
    # Centred by trial first, so that squares of small returns keep their digits.
    centred = returns - returns.mean(axis=0)
    shifted = np.stack([centred[part].sum(axis=0) for part in parts])
    squares = np.stack([(centred[part] ** 2).sum(axis=0) for part in parts])
    halves = np.array(
        [[block in chosen for block in range(blocks)] for chosen in _halves(blocks)], np.float64
    )

    def sharpe_of(half: Series) -> Series:
        count = (half @ counts)[:, None]
        mean = half @ sums / count
        variance = (half @ squares - (half @ shifted) ** 2 / count) / (count - 1.0)
        deviation = np.sqrt(np.maximum(variance, 0.0))
        # A trial that never trades has no ratio; it is worth nothing and loses nothing.
        is_flat = deviation <= 1e-12 * np.abs(returns).max(initial=0.0)
        return np.where(is_flat, 0.0, mean / np.where(is_flat, 1.0, deviation))

    earlier, later = sharpe_of(halves), sharpe_of(1.0 - halves)
    best = earlier.argmax(axis=1)
    row = np.arange(len(halves))
    own = later[row, best][:, None]
    below, equal = (later < own).sum(axis=1), (later == own).sum(axis=1)
    relative = (below + 0.5 * (equal + 1.0)) / (trials + 1.0)
    logits = np.log(relative / (1.0 - relative))
    return Overfitting(
        probability=float((logits <= 0.0).mean()),
        logits=logits,
        chosen_sharpe=earlier[row, best],
        later_sharpe=later[row, best],
        probability_of_loss=float((later[row, best] < 0.0).mean()),
    )


def _halves(blocks: int) -> list[tuple[int, ...]]:
    return list(combinations(range(blocks), blocks // 2))


def _require_trials(returns: Series, blocks: int) -> None:
    bars, trials = returns.shape
    if trials < 2:
        msg = (
            f"{trials} trial was given; expected at least 2, as nothing is chosen of one: run the"
            " strategy with other settings, or search"
        )
        raise DataError(msg)
    if blocks < 2 or blocks % 2:
        msg = f"blocks was {blocks}; expected an even number of at least 2"
        raise DataError(msg)
    if bars < 2 * blocks:
        msg = f"{bars} bars were given; expected at least {2 * blocks}, two for each block"
        raise DataError(msg)
    broken = int((~np.isfinite(returns)).any(axis=0).sum())
    if broken:
        msg = f"{broken} of {trials} trials have returns that are not finite; expected none"
        raise DataError(msg)
