"""What a report's evidence is worth: trials counted, what choosing did, seeds, and the gates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trading_assets.backtest.baselines import BASELINES
from trading_assets.backtest.choice import Choice, ChoiceTests, gather_choice, judge_choice
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
    clusters : TrialClusters
        Which of them are alike.
    choice : Choice
        What was chosen from.
    tests : ChoiceTests
        What choosing was worth.
    by_agent : mapping of str to GateEvidence
        What the gates of each agent look at.
    gates : mapping of str to tuple of Gate
        Gates of each agent.
    """

    trials: Sequence[TrialSeries]
    clusters: TrialClusters
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
    by_agent = {agent: _of_agent(agent, benchmark, judged, judgement) for agent in agents}
    return Evidence(
        trials=trials,
        clusters=clusters,
        choice=choice,
        tests=tests,
        by_agent=by_agent,
        gates={agent: judge_gates(own, tests) for agent, own in by_agent.items()},
    )


def _of_agent(agent: str, benchmark: str, judged: Judged, judgement: Judgement) -> GateEvidence:
    ensemble, n_seeds = f"{agent}/ensemble", judged.strategy.policy.agents[agent].seeds
    seeds = [f"{agent}/seed-{seed}" for seed in range(n_seeds)]
    return GateEvidence(
        benchmark=benchmark,
        comparisons=judged.comparisons[ensemble],
        ensemble=judged.figures[ensemble],
        required={name: judged.figures[name] for name in (ensemble, *seeds, *BASELINES)},
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
