"""What the report says of an ablation of forecasts: a sentence, two tables and a drawing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from trading_assets.backtest.difference_chart import draw_differences
from trading_assets.backtest.figures import Judgement
from trading_assets.backtest.forecast_effect import ForecastEffect, measure_effect, pair_arms
from trading_assets.backtest.forecast_tables import BPS, agents_table, parts_table
from trading_assets.backtest.page_parts import Drawing, Finding, Section
from trading_assets.backtest.track_record import FoldRecord
from trading_assets.strategy import Strategy

_CLAIMS = {
    "adds": "Forecasts add to {}",
    "takes_away": "Forecasts take away from {}",
    "no_difference": "Forecasts make no difference to {} that can be told from chance",
}
# Colours of the page's verdicts.
_KINDS = {"adds": "beats", "takes_away": "behind", "no_difference": "undecided"}


@dataclass(frozen=True, slots=True)
class ForecastEffects:
    """What forecasts add to each agent, as the report shows it.

    Attributes
    ----------
    by_agent : mapping of str to ForecastEffect
        Empty unless an ablation is declared.
    n_folds : int
        Folds that the report should cover.
    judgement : Judgement
        Samples and confidence.
    """

    by_agent: Mapping[str, ForecastEffect]
    n_folds: int
    judgement: Judgement

    @property
    def sentences(self) -> list[str]:
        """The result of each agent."""
        confidence = self.judgement.confidence
        return [describe_effect(e, self.n_folds, confidence) for e in self.by_agent.values()]

    @property
    def section(self) -> Section | None:
        """The section of the page; None where no ablation is declared."""
        if not self.by_agent:
            return None
        shown = [effect for effect in self.by_agent.values() if effect.standing != "unknown"]
        return Section(
            "What forecasts add",
            findings=[
                _finding(effect, sentence)
                for effect, sentence in zip(self.by_agent.values(), self.sentences, strict=True)
            ],
            notes=_notes(self.judgement),
            tables=[agents_table(shown, self.judgement), parts_table(shown)] if shown else [],
            drawings=[
                Drawing(
                    draw_differences(effect.arms),
                    f"{effect.arms.agent}: net return with forecasts less that without, summed up"
                    " over the sessions; the mean of the seeds, grey each seed. Dotted: a fold"
                    " begins.",
                )
                for effect in shown
            ],
        )

    @property
    def figures(self) -> dict[str, dict[str, object]]:
        """Every number by agent, under machine names."""
        return {
            agent: {**_figures(effect), "sentence": sentence}
            for (agent, effect), sentence in zip(self.by_agent.items(), self.sentences, strict=True)
        }

    @property
    def headline(self) -> dict[str, float]:
        """The few defined figures of each agent, `<agent>_<figure>`."""
        found: dict[str, float] = {}
        for agent, effect in self.by_agent.items():
            values = {
                "forecast_difference_bps": BPS * effect.mean_return.difference,
                "forecast_difference_p_value": effect.mean_return.p_value,
                "forecast_sharpe_annual_difference": effect.sharpe_annual.difference,
            }
            found |= {f"{agent}_{name}": v for name, v in values.items() if math.isfinite(v)}
        return found


def measure_effects(
    folds: Sequence[FoldRecord],
    expected_folds: Sequence[str],
    strategy: Strategy,
    judgement: Judgement,
) -> ForecastEffects:
    """Return what forecasts add to each agent.

    Parameters
    ----------
    folds : sequence of FoldRecord
        In any order; those without an ablation of an agent are done without.
    expected_folds : sequence of str
        Keys of the folds that should exist.
    strategy : Strategy
        Agents, and whether they are trained without forecasts too.
    judgement : Judgement
        Samples and confidence.
    """
    agents = sorted(strategy.policy.agents) if strategy.policy.ablation == "forecasts" else []
    found: dict[str, ForecastEffect] = {}
    for agent in agents:
        own = {f.fold.key: f.ablations[agent] for f in folds if agent in f.ablations}
        found[agent] = measure_effect(pair_arms(agent, own), judgement)
    keys = {*expected_folds, *(record.fold.key for record in folds)}
    return ForecastEffects(found, len(keys), judgement)


def describe_effect(effect: ForecastEffect, n_folds: int, confidence: float) -> str:
    """Return the result in one sentence that carries its evidence.

    Parameters
    ----------
    effect : ForecastEffect
        Of one agent.
    n_folds : int
        Folds that the report should cover.
    confidence : float
        Coverage of the interval.
    """
    arms = effect.arms
    if effect.standing == "unknown":
        return (
            f"What forecasts add to {arms.agent} cannot be said: {len(arms.fold_keys)} of"
            f" {_count(n_folds, 'fold')} with both arms."
        )
    earned, ratio = effect.mean_return, effect.sharpe_annual
    better = round(effect.share_of_seeds_better * len(arms.seeds))
    steps = " to ".join(f"{n:,}" for n in sorted({arms.steps[0], arms.steps[-1]}))
    return (
        f"{_CLAIMS[effect.standing].format(arms.agent)}: net return {_bps(earned.with_forecasts)}"
        f" bps a session with them and {_bps(earned.without_forecasts)} without, difference"
        f" {_bps(earned.difference)} ({100 * confidence:g} % interval {_bps(earned.low)} to"
        f" {_bps(earned.high)}, p {earned.p_value:.3f}); annual Sharpe"
        f" {_ratio(ratio.with_forecasts)} and {_ratio(ratio.without_forecasts)}; {better} of"
        f" {_count(len(arms.seeds), 'seed')} better, {len(arms.fold_keys)} of"
        f" {_count(n_folds, 'fold')}, {steps} steps."
    )


def _figures(effect: ForecastEffect) -> dict[str, object]:
    arms = effect.arms
    by_seed = zip(arms.seeds, arms.differences, strict=True)
    return {
        "mean_return": asdict(effect.mean_return),
        "sharpe_annual": asdict(effect.sharpe_annual),
        "mean_return_difference_by_seed": {str(s): float(own.mean()) for s, own in by_seed},
        "share_of_seeds_better": effect.share_of_seeds_better,
        "block_bars": effect.block_bars,
        "bars": len(arms.sessions),
        "folds": arms.fold_keys,
        "seeds": list(arms.seeds),
        "steps": list(arms.steps),
        "standing": effect.standing,
    }


def _finding(effect: ForecastEffect, sentence: str) -> Finding:
    kind = _KINDS.get(effect.standing)
    if kind is None:
        return Finding("unknown", sentence)
    claim, _, evidence = sentence.partition(": ")
    return Finding(kind, f"{claim}.", evidence[0].upper() + evidence[1:])


def _notes(judgement: Judgement) -> list[str]:
    return [
        "Both arms are the same agents with the same seeds, steps, windows, costs, limits and"
        " reward. The arm without forecasts neither sees them nor is sized by their confidence;"
        " it is traded nowhere else and is no trial. Each seed trades for itself.",
        f"Intervals: {judgement.samples:,} resamples of both arms together, blocks of sessions"
        " (stationary bootstrap) and seeds with replacement; of one seed nothing is known of the"
        " luck of training. p is two-sided.",
        "The net return decides the sentence. An arm may earn more by holding more: its Sharpe"
        " ratio says what it earned for its risk. Each agent is judged for itself: of twenty agents"
        " without a difference one seems to have one by chance.",
    ]


def _bps(value: float) -> str:
    return f"{BPS * value:.2f}"


def _ratio(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "undefined"


def _count(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"
