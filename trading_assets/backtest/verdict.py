"""The verdict on each agent, in one sentence that carries its own evidence."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from trading_assets.backtest.baselines import BASELINES
from trading_assets.backtest.figures import Comparison, Judgement, PortfolioFigures

Standing = Literal["beats", "ahead", "undecided", "behind", "unknown"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an agent's ensemble stands against the strongest baseline.

    Attributes
    ----------
    agent : str
        Name of the agent.
    benchmark : str
        Baseline with the highest Sharpe ratio, where cash counts as 0.
    standing : str
        `beats`: the interval of the difference lies above 0 and the deflated Sharpe ratio reaches
        the confidence. `ahead`: only the first. `undecided`: the interval contains 0. `behind`: it
        lies below 0. `unknown`: a figure is undefined.
    comparison : Comparison
        With the benchmark, over the sessions that both have.
    is_complete : bool
        Whether ensemble, seeds and every baseline cover every fold: one with a hole could have
        been the strongest.
    sentence : str
        The verdict for a person.
    """

    agent: str
    benchmark: str
    standing: Standing
    comparison: Comparison
    is_complete: bool
    sentence: str


def strongest_baseline(figures: Mapping[str, PortfolioFigures]) -> str:
    """Return the baseline with the highest Sharpe ratio, complete ones first; cash counts as 0."""
    rated = [(figures["cash"].is_complete, 0.0, "cash")]
    rated += [
        (figures[name].is_complete, figures[name].sharpe_annual, name)
        for name in BASELINES
        if not math.isnan(figures[name].sharpe_annual)
    ]
    return max(rated)[2]


def judge_agent(
    agent: str,
    n_seeds: int,
    figures: Mapping[str, PortfolioFigures],
    comparisons: Mapping[str, Comparison],
    judgement: Judgement,
) -> Verdict:
    """Return the verdict on an agent's ensemble.

    Parameters
    ----------
    agent : str
        Name of the agent.
    n_seeds : int
        Trainings that the ensemble averages.
    figures : mapping of str to PortfolioFigures
        Figures of all portfolios.
    comparisons : mapping of str to Comparison
        The ensemble against each baseline.
    judgement : Judgement
        Trials and confidence.
    """
    ensemble = f"{agent}/ensemble"
    mine = figures[ensemble]
    benchmark = strongest_baseline(figures)
    found = comparisons[benchmark]
    standing = _standing(mine, found, judgement.confidence)
    seed_names = [f"{agent}/seed-{seed}" for seed in range(n_seeds)]
    is_complete = all(figures[name].is_complete for name in (ensemble, *seed_names, *BASELINES))
    claim = _claim(agent, benchmark, standing, mine, judgement)
    sentence = claim
    if standing != "unknown":
        seeds = f"{n_seeds} seed{'s' if n_seeds != 1 else ''}"
        folds = f"{mine.folds} fold{'s' if mine.folds != 1 else ''}"
        trials = f"{judgement.trials} trial{'s' if judgement.trials != 1 else ''} counted"
        sentence = (
            f"{claim}: annual Sharpe {found.sharpe_annual:.2f} against"
            f" {found.benchmark_sharpe_annual:.2f}, difference {found.difference:.2f}"
            f" ({100 * judgement.confidence:g} % interval {found.low:.2f} to {found.high:.2f},"
            f" p {found.p_value:.3f}), {folds}, {seeds}, {trials}.{_holes(figures)}"
        )
    if not is_complete:
        sentence = f"Incomplete: {sentence}"
    return Verdict(agent, benchmark, standing, found, is_complete, sentence)


def _holes(figures: Mapping[str, PortfolioFigures]) -> str:
    """Name the baselines that were not among those compared with in every fold."""
    # Folds that every portfolio lacks are said elsewhere and take no baseline out of the choice.
    everywhere = set.intersection(*(set(own.missing_folds) for own in figures.values()))
    lacking = [name for name in BASELINES if set(figures[name].missing_folds) - everywhere]
    return f" Not in every fold: {', '.join(lacking)}." if lacking else ""


def _standing(mine: PortfolioFigures, found: Comparison, confidence: float) -> Standing:
    if math.isnan(found.difference):
        return "unknown"
    if found.high < 0:
        return "behind"
    if found.low <= 0:
        return "undecided"
    return "beats" if mine.deflated_sharpe >= confidence else "ahead"


def _claim(
    agent: str, benchmark: str, standing: Standing, mine: PortfolioFigures, judgement: Judgement
) -> str:
    if standing == "beats":
        return f"{agent} beats {benchmark} after costs"
    if standing == "ahead":
        return (
            f"{agent} is ahead of {benchmark} after costs, but {judgement.trials} trials can show"
            f" its Sharpe ratio by luck (deflated probability {mine.deflated_sharpe:.2f})"
        )
    if standing == "behind":
        return f"{agent} falls behind {benchmark} after costs"
    if standing == "undecided":
        return f"{agent} does not beat {benchmark} after costs"
    if mine.bars:
        return f"{agent} cannot be judged: its returns have no variance, so no Sharpe ratio."
    return f"{agent} cannot be judged: there is nothing to compare."
