"""What a walk-forward has to show before an agent is said to beat the naive baselines.

Each gate says its figure, its threshold and one sentence. Gates of a challenger, and whether its
oracle ladder is green, are those of `trading_assets.governance.promotion`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trading_assets.backtest.choice import ChoiceTests
from trading_assets.backtest.deflated_advantage import Deflation
from trading_assets.backtest.figures import Comparison, PortfolioFigures
from trading_assets.backtest.seed_advantage import SeedAdvantage

LEAST_DEFLATED = 0.95
MOST_OVERFITTING = 0.3


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate.

    Attributes
    ----------
    name, title : str
        Machine name, and what a person reads.
    passed : bool or None
        None where it is not judged, which is no pass.
    figure, threshold : float
        What was measured, nan where there is nothing, and what it is held against.
    sentence : str
        The gate in words.
    """

    name: str
    title: str
    passed: bool | None
    figure: float
    threshold: float
    sentence: str


@dataclass(frozen=True, slots=True)
class GateEvidence:
    """What the gates look at, beside the choice that all agents share.

    Attributes
    ----------
    portfolio : str
        The ensemble that is judged: an agent's, or all agents together.
    benchmark : str
        Strongest naive baseline.
    comparisons : mapping of str to Comparison
        The ensemble against each naive baseline.
    ensemble : PortfolioFigures
        Its figures.
    required : mapping of str to PortfolioFigures
        Of the portfolios that have to be complete: ensemble, seeds and every baseline, since one
        with a hole could have been the strongest.
    deflation : Deflation
        What is left of the ensemble's ratio and of its advantage once trials are counted.
    advantage : SeedAdvantage
        Of the agent's seeds; of several agents together, all of theirs.
    max_p_value : float
        Largest p-value of the advantage over the benchmark.
    """

    portfolio: str
    benchmark: str
    comparisons: Mapping[str, Comparison]
    ensemble: PortfolioFigures
    required: Mapping[str, PortfolioFigures]
    deflation: Deflation
    advantage: SeedAdvantage
    max_p_value: float


def judge_gates(evidence: GateEvidence, tests: ChoiceTests) -> tuple[Gate, ...]:
    """Return the verdict of every gate.

    Parameters
    ----------
    evidence : GateEvidence
        Of one agent.
    tests : ChoiceTests
        What choosing was worth.
    """
    return (
        _beats_baselines(evidence),
        _survives_deflation(evidence.deflation),
        _advantage_survives_deflation(evidence),
        _is_not_overfit(tests),
        _seeds_agree(evidence.advantage),
        _is_complete(evidence.required),
    )


def failed_gates(gates: Sequence[Gate]) -> list[Gate]:
    """Return the gates that were judged and not passed."""
    return [gate for gate in gates if gate.passed is False]


def unjudged_gates(gates: Sequence[Gate]) -> list[Gate]:
    """Return the gates that could not be judged, which is no pass."""
    return [gate for gate in gates if gate.passed is None]


def _beats_baselines(evidence: GateEvidence) -> Gate:
    found, limit = evidence.comparisons[evidence.benchmark], evidence.max_p_value
    # Without a number a baseline is not beaten: nan is above nothing.
    ahead = [name for name, own in evidence.comparisons.items() if not own.difference > 0.0]
    unknown = [name for name in ahead if math.isnan(evidence.comparisons[name].difference)]
    known = [name for name in ahead if name not in unknown]
    total = len(evidence.comparisons)
    said = f"The annual Sharpe ratio is above that of {total - len(ahead)} of {total} baselines"
    said += f", not of {', '.join(known)}" if known else ""
    said += f", and cannot be compared with {', '.join(unknown)}" if unknown else ""
    p_value = "is undefined" if math.isnan(found.p_value) else f"= {found.p_value:.3f}"
    return Gate(
        "beats_every_naive_baseline",
        "Naive baselines",
        not ahead and found.p_value < limit,
        found.p_value,
        limit,
        f"{said}; against {evidence.benchmark}, the strongest, p {p_value}; expected an advantage"
        f" over each and p below {limit:g}.",
    )


def _survives_deflation(found: Deflation) -> Gate:
    figure = found.deflated_sharpe
    return Gate(
        "survives_deflation",
        "Deflated Sharpe ratio",
        figure >= LEAST_DEFLATED,
        figure,
        LEAST_DEFLATED,
        _deflated("Sharpe ratio", figure, found.trials, found.clusters),
    )


def _advantage_survives_deflation(evidence: GateEvidence) -> Gate:
    found = evidence.deflation
    figure = found.deflated_advantage
    subject = f"advantage over {evidence.benchmark} at its volatility"
    return Gate(
        "advantage_survives_deflation",
        "Deflated advantage",
        figure >= LEAST_DEFLATED,
        figure,
        LEAST_DEFLATED,
        _deflated(subject, figure, found.trials, found.advantage_clusters),
    )


def _deflated(subject: str, figure: float, trials: int, clusters: int) -> str:
    """Say what a deflated figure is of, and what was deducted for how many trials."""
    counted = f"{trials:,} counted trial{'' if trials == 1 else 's'}"
    if clusters == 1:
        alike = "is one" if trials == 1 else "are one cluster of alike ones"
        deducted = f"{counted} {alike}, so nothing was deducted"
    else:
        deducted = f"{counted} are {clusters:,} clusters of alike ones"
    if math.isnan(figure):
        said = f"The {subject} has no deflated figure"
    elif clusters == 1:
        said = f"The {subject} is above 0 with probability {figure:.3f}"
    else:
        said = (
            f"The {subject} exceeds with probability {figure:.3f} what the best of as many"
            " worthless clusters shows by luck"
        )
    return f"{said}; {deducted}; expected at least {LEAST_DEFLATED:g}."


def _is_not_overfit(tests: ChoiceTests) -> Gate:
    name, title = "is_not_overfit", "Overfitting"
    if tests.overfitting is None:
        sentence = f"Not judged: {tests.overfitting_gap}."
        return Gate(name, title, None, math.nan, MOST_OVERFITTING, sentence)
    figure = tests.overfitting.probability
    return Gate(
        name,
        title,
        figure <= MOST_OVERFITTING,
        figure,
        MOST_OVERFITTING,
        f"What was best on one half of the sessions is no better than the median on the other half"
        f" in {100 * figure:.0f} % of halvings; expected at most {100 * MOST_OVERFITTING:g} %.",
    )


def _seeds_agree(advantage: SeedAdvantage) -> Gate:
    name, title = "seeds_agree", "Seeds"
    if advantage.seeds < 2:
        sentence = "One seed was trained; expected two or more, so that luck can be told."
        return Gate(name, title, passed=False, figure=math.nan, threshold=0.0, sentence=sentence)
    if advantage.distinct == 1:
        sentence = (
            f"{advantage.seeds} seeds earned the same to the bit; expected two or more that differ,"
            " so that luck can be told."
        )
        return Gate(name, title, passed=False, figure=math.nan, threshold=0.0, sentence=sentence)
    said = (
        "There is no fold that all seeds have"
        if math.isnan(advantage.low)
        else f"The middle of {advantage.seeds} seeds' annual Sharpe ratios is above that of"
        f" {advantage.benchmark} by at least {advantage.low:.2f}"
    )
    return Gate(name, title, advantage.low > 0.0, advantage.low, 0.0, f"{said}; expected above 0.")


def _is_complete(required: Mapping[str, PortfolioFigures]) -> Gate:
    lacking = {name: own.missing_folds for name, own in required.items() if own.missing_folds}
    missing = sum(len(folds) for folds in lacking.values())
    said = (
        f"{missing} folds are missing, of {', '.join(sorted(lacking))}"
        if missing
        else "Ensemble, seeds and baselines have every fold"
    )
    return Gate(
        "is_complete",
        "Folds and seeds",
        missing == 0,
        float(missing),
        0.0,
        f"{said}; expected every fold of every seed.",
    )
