"""What a report's evidence is worth: trials counted, what choosing did, seeds, and the gates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trading_assets.backtest.baselines import BASELINES
from trading_assets.backtest.choice import Choice, ChoiceTests, gather_choice, judge_choice
from trading_assets.backtest.deflated_advantage import (
    Deflation,
    cluster_advantages,
    deflate_advantage,
)
from trading_assets.backtest.figures import Comparison, Judgement, PortfolioFigures
from trading_assets.backtest.promotion_gates import Gate, GateEvidence, judge_gates
from trading_assets.backtest.seed_advantage import measure_advantage
from trading_assets.backtest.track_record import TrackRecord
from trading_assets.backtest.trial_clusters import TrialClusters
from trading_assets.backtest.trials import TrialSeries
from trading_assets.backtest.verdict import strongest_baseline
from trading_assets.strategy import Strategy


@dataclass(frozen=True, eq=False, slots=True)
class Judged:
    """Everything that was computed of a strategy before its evidence is weighed.

    Attributes
    ----------
    strategy : Strategy
        The declaration.
    records : mapping of str to TrackRecord
        By portfolio.
    figures : mapping of str to PortfolioFigures
        By portfolio.
    comparisons : mapping of str to mapping of str to Comparison
        By ensemble and baseline.
    folds : sequence of str
        Keys of all folds, produced or expected.
    """

    strategy: Strategy
    records: Mapping[str, TrackRecord]
    figures: Mapping[str, PortfolioFigures]
    comparisons: Mapping[str, Mapping[str, Comparison]]
    folds: Sequence[str]


@dataclass(frozen=True, eq=False, slots=True)
class Evidence:
    """What the verdict rests on.

    Attributes
    ----------
    trials : sequence of TrialSeries
        All that were counted, oldest first.
    clusters, advantage_clusters : TrialClusters
        Which of them have alike returns, and which alike advantages over the benchmark.
    choice : Choice
        What was chosen from.
    tests : ChoiceTests
        What choosing was worth.
    by_agent : mapping of str to GateEvidence
        What the gates of each agent look at; of several first those of `ensemble`, which is what is
        deployed.
    gates : mapping of str to tuple of Gate
        Their gates, by the same names.
    """

    trials: Sequence[TrialSeries]
    clusters: TrialClusters
    advantage_clusters: TrialClusters
    choice: Choice
    tests: ChoiceTests
    by_agent: Mapping[str, GateEvidence]
    gates: Mapping[str, tuple[Gate, ...]]


def weigh_evidence(
    judged: Judged,
    trials: Sequence[TrialSeries],
    clusters: TrialClusters,
    judgement: Judgement,
) -> Evidence:
    """Return what a strategy's evidence is worth.

    Parameters
    ----------
    judged : Judged
        Records and figures of the strategy.
    trials : sequence of TrialSeries
        All that were counted on its data set.
    clusters : TrialClusters
        Which of them are alike.
    judgement : Judgement
        Confidence, and seed of the resampling.
    """
    agents = sorted(judged.strategy.policy.agents)
    benchmark = strongest_baseline(judged.figures)
    choice = gather_choice(judged.records, agents, benchmark, trials)
    tests = judge_choice(choice, judgement.seed)
    advantage_clusters = cluster_advantages(trials, judged.records[benchmark].series)
    by_agent: dict[str, GateEvidence] = {}
    for name, portfolio in judged_portfolios(agents).items():
        deflation = Deflation(
            trials=len(trials),
            clusters=clusters.count,
            advantage_clusters=advantage_clusters.count,
            deflated_sharpe=judged.figures[portfolio].deflated_sharpe,
            deflated_advantage=deflate_advantage(
                judged.records[portfolio].series,
                judged.records[benchmark].series,
                advantage_clusters,
                judgement,
            ),
        )
        members = agents if portfolio == name else [name]
        by_agent[name] = _gate_evidence(portfolio, members, deflation, judged, judgement)
    return Evidence(
        trials=trials,
        clusters=clusters,
        advantage_clusters=advantage_clusters,
        choice=choice,
        tests=tests,
        by_agent=by_agent,
        gates={agent: judge_gates(own, tests) for agent, own in by_agent.items()},
    )


def judged_portfolios(agents: Sequence[str]) -> dict[str, str]:
    """Return what is judged, by name: all agents together first, then each one's ensemble.

    What several agents deploy is `ensemble`, so that is the strategy's verdict; the verdicts on its
    parts come after it.

    Parameters
    ----------
    agents : sequence of str
        Names of the strategy's agents.
    """
    together = {"ensemble": "ensemble"} if len(agents) > 1 else {}
    return {**together, **{agent: f"{agent}/ensemble" for agent in agents}}


def _gate_evidence(
    portfolio: str,
    members: Sequence[str],
    deflation: Deflation,
    judged: Judged,
    judgement: Judgement,
) -> GateEvidence:
    """Return what the gates look at of an ensemble of some agents, whose seeds are one pool."""
    counts = {agent: judged.strategy.policy.agents[agent].seeds for agent in members}
    seeds = [f"{agent}/seed-{seed}" for agent, count in counts.items() for seed in range(count)]
    benchmark = strongest_baseline(judged.figures)
    return GateEvidence(
        portfolio=portfolio,
        benchmark=benchmark,
        comparisons=judged.comparisons[portfolio],
        ensemble=judged.figures[portfolio],
        required={name: judged.figures[name] for name in (portfolio, *seeds, *BASELINES)},
        deflation=deflation,
        advantage=measure_advantage(
            [judged.records[name] for name in seeds],
            {name: judged.records[name] for name in BASELINES},
            benchmark,
            judged.folds,
            judgement.confidence,
            judgement.seed,
        ),
        max_p_value=judged.strategy.governance.max_gate_p_value,
    )
