"""Worlds in which many worthless books of one market are tried, and the best is shown."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from trading_assets.backtest.bootstrap import paired_sharpe_difference
from trading_assets.backtest.choice import ChoiceTests
from trading_assets.backtest.deflated_advantage import (
    Deflation,
    cluster_advantages,
    deflate_advantage,
)
from trading_assets.backtest.figures import Comparison, Judgement
from trading_assets.backtest.metrics import sharpe_annual
from trading_assets.backtest.overfitting import measure_overfitting
from trading_assets.backtest.promotion_gates import Gate, GateEvidence, judge_gates
from trading_assets.backtest.seed_advantage import SeedAdvantage
from trading_assets.backtest.statistics import describe_sharpe
from trading_assets.backtest.trial_clusters import cluster_trials
from trading_assets.backtest.trials import TrialSeries
from trading_assets.backtest.verdict import judge_agent
from trading_assets.bootstrap import resampled_positions

BARS = 1008
DAYS = np.datetime64("2015-01-01") + np.arange(BARS)
# Daily deviations of 16 % a year of the market, 5 % of what a book departs from it.
MARKET, DEPARTURE = 0.16 / 252**0.5, 0.05 / 252**0.5


@dataclass(frozen=True)
class Outcome:
    """What is said of the best of many worthless books of one market."""

    gates: tuple[Gate, ...]
    standing: str

    @property
    def sentences(self) -> dict[str, str]:
        """What each gate says, by name."""
        return {gate.name: gate.sentence for gate in self.gates}

    def stands_without(self, name: str) -> bool:
        """Whether it would beat the benchmark were it not for one gate."""
        others = [gate.passed for gate in self.gates if gate.name != name]
        return self.standing in ("beats", "ahead") and all(others)


def show_best(seed: int, rules: int = 8, count: int = 50) -> Outcome:
    """Draw `count` books that hold the market and depart by luck, and judge the best of them.

    The market has a Sharpe ratio of 1; the benchmark is the best of cash, the market and some
    rules that depart from it as much and cost something. Seeds are taken to agree.
    """
    rng = np.random.default_rng(seed)
    market = rng.normal(0.16 / 252, MARKET, BARS)
    costs = np.array([0.01, 0.01, 0.02, 0.02, 0.03, 0.03, 0.04, 0.05]) / 252
    baselines = {"cash": np.zeros(BARS), "equal_weight": market}
    for place, cost in enumerate(costs[:rules]):
        baselines[f"rule-{place}"] = market + rng.normal(-cost, DEPARTURE, BARS)
    trials = [
        TrialSeries(f"book-{place}", DAYS, market + rng.normal(0.0, DEPARTURE, BARS))
        for place in range(count)
    ]
    return _judge(max(trials, key=lambda trial: sharpe_annual(trial.returns)), trials, baselines)


def _judge(best: TrialSeries, trials: list[TrialSeries], baselines: dict) -> Outcome:
    ratios = {name: sharpe_annual(own) if own.any() else 0.0 for name, own in baselines.items()}
    benchmark = max(ratios, key=ratios.__getitem__)
    held = TrialSeries(benchmark, DAYS, baselines[benchmark])
    positions = resampled_positions(BARS, 2.0, 499, np.random.default_rng(0))
    clusters, advantages = cluster_trials(trials), cluster_advantages(trials, held)
    judgement = Judgement(
        len(trials), clusters.excess_variance, 499, 0.95, 0, clusters=clusters.count
    )
    own = sharpe_annual(best.returns)
    comparisons = {
        name: Comparison(BARS, own, ratio, own - ratio, np.nan, np.nan, np.nan)
        for name, ratio in ratios.items()
    }
    paired = paired_sharpe_difference(best.returns, held.returns, positions)
    comparisons[benchmark] = Comparison(
        BARS,
        own,
        own - paired.difference,
        paired.difference,
        paired.low,
        paired.high,
        paired.p_value,
    )
    figures = SimpleNamespace(missing_folds=(), is_complete=True, folds=4, bars=BARS)
    evidence = GateEvidence(
        portfolio="ppo/ensemble",
        benchmark=benchmark,
        comparisons=comparisons,
        ensemble=figures,
        required={"ppo/ensemble": figures},
        deflation=Deflation(
            len(trials),
            clusters.count,
            advantages.count,
            judgement.deflate(describe_sharpe(best.returns)),
            deflate_advantage(best, held, advantages, judgement),
        ),
        advantage=SeedAdvantage(3, 3, benchmark, ("a",), (), np.ones((3, 1)), 0.5, 0.2, 0.9, {}),
        max_p_value=0.1,
    )
    chosen = measure_overfitting(
        np.column_stack([*(trial.returns for trial in trials), *baselines.values()])
    )
    gates = judge_gates(evidence, ChoiceTests(chosen, "", None, ""))
    verdict = judge_agent("ppo", evidence, gates, judgement)
    return Outcome(gates, verdict.standing)
