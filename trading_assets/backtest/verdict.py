"""The verdict on each agent, and on all of them together, in one sentence with its evidence."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from trading_assets.backtest.baselines import BASELINES
from trading_assets.backtest.figures import Comparison, Judgement, PortfolioFigures
from trading_assets.backtest.promotion_gates import (
    Gate,
    GateEvidence,
    failed_gates,
    unjudged_gates,
)

Standing = Literal["beats", "ahead", "undecided", "behind", "unknown"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an ensemble stands against the strongest baseline.

    Attributes
    ----------
    agent : str
        Name of the agent; `ensemble` is all agents together.
    portfolio : str
        What is judged.
    benchmark : str
        Baseline with the highest Sharpe ratio, where cash counts as 0.
    standing : str
        `beats`: the interval of the difference lies above 0 and every gate is judged and passed.
        `ahead`: only the first. `undecided`: the interval contains 0. `behind`: it lies below 0.
        `unknown`: the difference is undefined.
    comparison : Comparison
        With the benchmark, over the sessions that both have.
    is_complete : bool
        Whether ensemble, seeds and every baseline cover every fold: one with a hole could have
        been the strongest.
    sentence : str
        The verdict for a person.
    gates : tuple of Gate
        What it rests on.
    """

    agent: str
    portfolio: str
    benchmark: str
    standing: Standing
    comparison: Comparison
    is_complete: bool
    sentence: str
    gates: tuple[Gate, ...]


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
    evidence: GateEvidence,
    gates: tuple[Gate, ...],
    judgement: Judgement,
) -> Verdict:
    """Return the verdict on an agent's ensemble.

    Parameters
    ----------
    agent : str
        Name of the agent; `ensemble` of several together.
    evidence : GateEvidence
        What the gates looked at.
    gates : tuple of Gate
        The gates.
    judgement : Judgement
        Trials and confidence.
    """
    benchmark, ensemble, n_seeds = evidence.benchmark, evidence.ensemble, evidence.advantage.seeds
    found = evidence.comparisons[benchmark]
    standing = _standing(found, gates)
    is_complete = all(own.is_complete for own in evidence.required.values())
    sentence = claim = _claim(agent, benchmark, standing, ensemble, gates)
    if standing != "unknown":
        seeds = f"{n_seeds} seed{'s' if n_seeds != 1 else ''}"
        folds = f"{ensemble.folds} fold{'s' if ensemble.folds != 1 else ''}"
        trials = f"{judgement.trials} trial{'s' if judgement.trials != 1 else ''} counted"
        sentence = (
            f"{claim}: annual Sharpe {found.sharpe_annual:.2f} against"
            f" {found.benchmark_sharpe_annual:.2f}, difference {found.difference:.2f}"
            f" ({100 * judgement.confidence:g} % interval {found.low:.2f} to {found.high:.2f},"
            f" p {found.p_value:.3f}), {folds}, {seeds}, {trials}.{_holes(evidence.required)}"
        )
    if not is_complete:
        sentence = f"Incomplete: {sentence}"
    return Verdict(
        agent, evidence.portfolio, benchmark, standing, found, is_complete, sentence, gates
    )


def _holes(figures: Mapping[str, PortfolioFigures]) -> str:
    """Name the baselines that were not among those compared with in every fold."""
    # Folds that every portfolio lacks are said elsewhere and take no baseline out of the choice.
    everywhere = set.intersection(*(set(own.missing_folds) for own in figures.values()))
    lacking = [
        name
        for name, own in figures.items()
        if name in BASELINES and set(own.missing_folds) - everywhere
    ]
    return f" Not in every fold: {', '.join(lacking)}." if lacking else ""


def _standing(found: Comparison, gates: Sequence[Gate]) -> Standing:
    if math.isnan(found.difference):
        return "unknown"
    if found.high < 0:
        return "behind"
    if not found.low > 0:
        return "undecided"
    return "beats" if all(gate.passed for gate in gates) else "ahead"


def _claim(
    agent: str,
    benchmark: str,
    standing: Standing,
    ensemble: PortfolioFigures,
    gates: Sequence[Gate],
) -> str:
    if standing == "beats":
        return f"{agent} beats {benchmark} after costs"
    if standing == "ahead":
        return f"{agent} is ahead of {benchmark} after costs, but {_open_gates(gates)}"
    if standing == "behind":
        return f"{agent} falls behind {benchmark} after costs"
    if standing == "undecided":
        return f"{agent} does not beat {benchmark} after costs"
    if ensemble.bars:
        return f"{agent} cannot be judged: its returns have no variance, so no Sharpe ratio."
    return f"{agent} cannot be judged: there is nothing to compare."


def _open_gates(gates: Sequence[Gate]) -> str:
    """Name the gates that are in the way: failed ones, and why others could not be judged."""
    failed, unjudged = failed_gates(gates), unjudged_gates(gates)
    parts: list[str] = []
    if failed:
        names = ", ".join(_lower(gate.title) for gate in failed)
        parts.append(f"fails {len(failed)} of {len(gates)} gates ({names})")
    if unjudged:
        reasons = "; ".join(
            f"{_lower(gate.title)}: {gate.sentence.removeprefix('Not judged: ').rstrip('.')}"
            for gate in unjudged
        )
        parts.append(f"cannot be judged by {len(unjudged)} of {len(gates)} gates ({reasons})")
    return " and ".join(parts)


def _lower(text: str) -> str:
    return f"{text[0].lower()}{text[1:]}"
