"""Promotion gates: what a challenger has to show before it may replace the champion.

Every gate says its figure, its threshold and one sentence. All are judged on sessions that no model
was trained on. This module decides nothing; `trading_assets.governance.champion` does.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.backtest.metrics import max_drawdown
from trading_assets.bootstrap import one_sided_p, optimal_block_bars, resampled_positions
from trading_assets.errors import DataError
from trading_assets.strategy import GovernanceSpec

Series = NDArray[np.float64]

DRAWDOWN_RATIO = 1.2
DRAWDOWN_WITHOUT_REFERENCE = 0.1
SEED_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class ChallengerFigures:
    """What the gates need to know beside the three return series.

    Attributes
    ----------
    seed_returns : float64 (n_seeds, T)
        Net returns of each seed alone over the same sessions.
    baseline_name : str
        Which naive portfolio was best over the sessions.
    is_ladder_green : bool or None
        Verdict of the oracle ladder for the agent's code; None where no ladder was climbed.
    decision_seconds : float
        Longest time one decision took.
    risk_aversion : float
        gamma of the net utility `r - (gamma / 2) r^2`.
    missing_baselines : tuple of str
        Naive portfolios that were left out of the choice for want of data, or lost everything.
    max_decision_seconds : float
        Longest time allowed.
    bootstrap_samples, seed : int
        Resamples of every interval, and what they are drawn from.
    """

    seed_returns: Series
    baseline_name: str
    is_ladder_green: bool | None
    decision_seconds: float
    risk_aversion: float
    missing_baselines: tuple[str, ...] = ()
    max_decision_seconds: float = 60.0
    bootstrap_samples: int = 2_000
    seed: int = 0


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate: whether it was passed, by which figure against which threshold, in words."""

    name: str
    passed: bool
    figure: float
    threshold: float
    sentence: str


def judge_challenger(
    challenger: Series,
    champion: Series,
    baseline: Series,
    figures: ChallengerFigures,
    spec: GovernanceSpec,
) -> list[GateResult]:
    """Return the verdict of every promotion gate.

    Parameters
    ----------
    challenger, champion, baseline : float64 (T,)
        Net returns after costs of the challenger, of the champion (or the declared fallback) and of
        the best naive portfolio, over the same sessions, none of which any of them was trained on.
    figures : ChallengerFigures
        Seeds, ladder, latency and the utility's risk aversion.
    spec : GovernanceSpec
        Largest p-value of the challenger's advantage.

    Raises
    ------
    DataError
        If the series differ in length, are shorter than two sessions or not finite.
    """
    _check_series(challenger, champion, baseline, figures.seed_returns)
    rng = np.random.default_rng(figures.seed)
    gamma = figures.risk_aversion
    utility = net_utility(challenger, gamma)
    champion_utility = net_utility(champion, gamma)
    return [
        _beats_champion(utility - champion_utility, figures, spec, rng),
        _beats_baseline(utility - net_utility(baseline, gamma), figures),
        _drawdown_within_limit(challenger, champion),
        _seeds_agree(net_utility(figures.seed_returns, gamma) - champion_utility, figures, rng),
        _ladder_is_green(figures.is_ladder_green),
        _decides_in_time(figures),
    ]


def net_utility(returns: Series, risk_aversion: float) -> Series:
    """Return `r - (gamma / 2) r^2` of net returns, element by element."""
    return returns - 0.5 * risk_aversion * returns**2


def interquartile_mean(values: Series) -> Series:
    """Return the mean of the middle half along the last axis; of fewer than four values, of all."""
    cut = values.shape[-1] // 4
    middle = np.sort(values, axis=-1)[..., cut : values.shape[-1] - cut]
    return np.asarray(middle.mean(axis=-1), dtype=np.float64)


def _check_series(challenger: Series, champion: Series, baseline: Series, seeds: Series) -> None:
    lengths = {len(challenger), len(champion), len(baseline), seeds.shape[-1]}
    if len(lengths) != 1 or len(challenger) < 2 or seeds.ndim != 2:
        msg = (
            f"return series had {sorted(lengths)} sessions; expected challenger, champion, baseline"
            " and seeds over the same two or more sessions"
        )
        raise DataError(msg)
    for name, series in (
        ("challenger", challenger),
        ("champion", champion),
        ("baseline", baseline),
        ("seed", seeds),
    ):
        if not np.isfinite(series).all():
            msg = f"the {name} returns hold nan or infinity; expected a finite return each session"
            raise DataError(msg)


def _beats_champion(
    advantage: Series, figures: ChallengerFigures, spec: GovernanceSpec, rng: np.random.Generator
) -> GateResult:
    p_value = paired_p_value(advantage, figures.bootstrap_samples, rng)
    return GateResult(
        "beats_champion",
        p_value < spec.max_gate_p_value,
        p_value,
        spec.max_gate_p_value,
        f"Mean net utility was {_bps(advantage.mean())} a session above the champion's,"
        f" p = {p_value:.3f}; expected p below {spec.max_gate_p_value}.",
    )


def paired_p_value(advantage: Series, samples: int, rng: np.random.Generator) -> float:
    """Return the one-sided p-value of a mean advantage, by the stationary bootstrap.

    See `one_sided_p`; 1 where the two series are the same.

    Parameters
    ----------
    advantage : float64 (T,)
        Differences of two series over the same sessions.
    samples : int
        Number of resamples.
    rng : Generator
        Source of the draws.
    """
    if not advantage.any():
        return 1.0
    block = optimal_block_bars(advantage)
    positions = resampled_positions(len(advantage), block, samples, rng)
    return one_sided_p(advantage[positions].mean(axis=1), float(advantage.mean()))


def _beats_baseline(advantage: Series, figures: ChallengerFigures) -> GateResult:
    mean = float(advantage.mean())
    missing = ", ".join(figures.missing_baselines)
    without = f" Left out for want of data or equity: {missing}." if missing else ""
    return GateResult(
        "beats_best_naive_baseline",
        mean > 0.0,
        mean,
        0.0,
        f"Mean net utility was {_bps(mean)} a session above that of {figures.baseline_name}, the"
        f" best naive portfolio; expected an advantage.{without}",
    )


def _drawdown_within_limit(challenger: Series, champion: Series) -> GateResult:
    worst, reference = max_drawdown(challenger), max_drawdown(champion)
    # A champion that holds cash has no drawdown to be compared with.
    limit = DRAWDOWN_RATIO * reference if reference > 0.0 else DRAWDOWN_WITHOUT_REFERENCE
    source = (
        f"{DRAWDOWN_RATIO} times the champion's" if reference > 0.0 else "the champion had none"
    )
    return GateResult(
        "drawdown_within_limit",
        worst <= limit,
        worst,
        limit,
        f"Largest drawdown was {worst:.2%}; expected at most {limit:.2%} ({source}).",
    )


def _seeds_agree(
    advantage: Series, figures: ChallengerFigures, rng: np.random.Generator
) -> GateResult:
    n_seeds = advantage.shape[0]
    if n_seeds < 2:
        sentence = "One seed was trained; expected two or more, so that luck can be told."
        return GateResult("seeds_agree", passed=False, figure=1, threshold=2, sentence=sentence)
    means = advantage.mean(axis=1)
    drawn = means[rng.integers(0, n_seeds, (figures.bootstrap_samples, n_seeds))]
    bound = float(np.quantile(interquartile_mean(drawn), 1.0 - SEED_CONFIDENCE))
    return GateResult(
        "seeds_agree",
        bound > 0.0,
        bound,
        0.0,
        f"Over {n_seeds} seeds the advantage over the champion is at least {_bps(bound)} a session"
        f" with {SEED_CONFIDENCE:.0%} confidence; expected above zero.",
    )


def _ladder_is_green(is_green: bool | None) -> GateResult:
    sentence = {
        True: "The agent's oracle ladder is green for this code.",
        False: "The agent's oracle ladder is not green for this code; the agent is experimental.",
        None: "No oracle ladder was climbed with this code; the agent is experimental.",
    }[is_green]
    return GateResult("oracle_ladder_is_green", is_green is True, float(is_green or 0), 1, sentence)


def _decides_in_time(figures: ChallengerFigures) -> GateResult:
    seconds, limit = figures.decision_seconds, figures.max_decision_seconds
    return GateResult(
        "decides_in_time",
        seconds <= limit,
        seconds,
        limit,
        f"The slowest decision took {seconds:.2f} s; expected at most {limit:g} s.",
    )


def _bps(value: float) -> str:
    return f"{1e4 * float(value):+.3f} bps"
