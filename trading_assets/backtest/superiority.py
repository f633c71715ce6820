"""Whether any of many strategies beats a benchmark once it is counted how many were tried.

Sources: Hansen, A Test for Superior Predictive Ability, JBES 23(4), 2005; Romano and Wolf, Stepwise
Multiple Testing as Formalized Data Snooping, Econometrica 73(4), 2005. Both by the package arch,
with the stationary bootstrap.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trading_assets.bootstrap import optimal_block_bars
from trading_assets.errors import DataError

Series = NDArray[np.float64]

SAMPLES = 1_000
LEAST_BARS = 30


@dataclass(frozen=True, slots=True)
class Superiority:
    """What is left of the best strategy's advantage once all that were tried are counted.

    Attributes
    ----------
    p_value : float
        Of the hypothesis that no strategy has a larger mean than the benchmark: Hansen's consistent
        value, which does not let bad strategies weaken the test. At least 1 / (samples + 1).
    p_value_lower, p_value_upper : float
        His liberal and his conservative one.
    better : tuple of str
        Strategies that stepwise testing tells apart from the benchmark, at `size` for all together.
    block_bars : float
        Mean length of the bootstrap's blocks.
    """

    p_value: float
    p_value_lower: float
    p_value_upper: float
    better: tuple[str, ...]
    block_bars: float


def judge_superiority(
    returns: Mapping[str, Series], benchmark: Series, size: float = 0.05, seed: int = 0
) -> Superiority:
    """Test whether any strategy's mean return exceeds the benchmark's, and which do.

    Parameters
    ----------
    returns : mapping of str to float64 (T,)
        Net simple returns of every strategy that was tried.
    benchmark : float64 (T,)
        Those of the benchmark over the same bars.
    size : float
        Probability of calling any strategy better if none is.
    seed : int
        Of the resampling.

    Raises
    ------
    DataError
        If there are no strategies, too few bars, series of different lengths or returns that are
        nan or infinite.
    """
    from arch import bootstrap

    # arch's signatures are typed in part only.
    tests: Any = bootstrap
    _require_series(returns, benchmark)
    # What never differs from the benchmark cannot beat it, and has no variance to test by.
    differing = [name for name, own in returns.items() if float(np.ptp(own - benchmark)) > 0.0]
    if not differing:
        return Superiority(1.0, 1.0, 1.0, (), 1.0)
    matrix = np.column_stack([returns[name] for name in differing])
    block = max(optimal_block_bars(own - benchmark) for own in matrix.T)
    # arch wants losses and whole blocks.
    settings = {"block_size": max(1, round(block)), "reps": SAMPLES, "bootstrap": "stationary"}
    test = tests.SPA(-benchmark, -matrix, **settings, seed=np.random.default_rng([seed, 0]))
    test.compute()
    steps = tests.SPA(-benchmark, -matrix, **settings, seed=np.random.default_rng([seed, 1]))
    found = test.pvalues
    return Superiority(
        p_value=_of_samples(float(found["consistent"])),
        p_value_lower=_of_samples(float(found["lower"])),
        p_value_upper=_of_samples(float(found["upper"])),
        better=tuple(differing[place] for place in _step_down(steps, len(differing), size)),
        block_bars=block,
    )


def _of_samples(share: float) -> float:
    """Return p of the share of resamples that reach the figure, itself among them: never 0.

    Source: Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 4.2.
    """
    return (1.0 + share * SAMPLES) / (1.0 + SAMPLES)


def _step_down(test: Any, count: int, size: float) -> list[int]:  # noqa: ANN401  arch's own
    """Return the places of strategies that are better, found in steps until one finds none.

    arch's own StepM stops with an error where a later step finds all that are left.
    """
    is_left = np.ones(count, dtype=np.bool_)
    while is_left.any():
        test.subset(is_left)
        test.compute()
        found = test.better_models(size)
        if not len(found):
            break
        is_left[found] = False
    return np.flatnonzero(~is_left).tolist()


def _require_series(returns: Mapping[str, Series], benchmark: Series) -> None:
    if not returns:
        msg = "0 strategies were given to test; expected at least 1"
        raise DataError(msg)
    if len(benchmark) < LEAST_BARS:
        msg = f"{len(benchmark)} bars were given to test; expected at least {LEAST_BARS}: add folds"
        raise DataError(msg)
    for name, own in {"the benchmark": benchmark, **returns}.items():
        if len(own) != len(benchmark):
            msg = f"{name} has {len(own)} bars; expected the {len(benchmark)} of the benchmark"
            raise DataError(msg)
        broken = int((~np.isfinite(own)).sum())
        if broken:
            msg = f"{name} has {broken} returns that are not finite; expected none"
            raise DataError(msg)
