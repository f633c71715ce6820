"""From a declaration to the reward that is paid and the trackers that are shown."""

from collections.abc import Sequence
from dataclasses import dataclass

from trading_assets.declared_modules import import_declared_modules
from trading_assets.errors import DeclarationError
from trading_assets.policy_specs import PolicySpec
from trading_assets.reward_specs import (
    DEFAULT_SCALES,
    CompositeSpec,
    DifferentialSharpeSpec,
    DrawdownPenaltySpec,
    ExpectedShortfallPenaltySpec,
    LogWealthSpec,
    MeanVarianceSpec,
    MultiObjectiveSpec,
    OwnRewardSpec,
    PenaltySpec,
    TurnoverPenaltySpec,
    ValueAtRiskPenaltySpec,
)
from trading_assets.simulation.rewards.composite import Composite
from trading_assets.simulation.rewards.constrained import MeasuredBar
from trading_assets.simulation.rewards.differential_sharpe import DifferentialSharpe
from trading_assets.simulation.rewards.log_wealth import LogWealth
from trading_assets.simulation.rewards.mean_variance import MeanVariance
from trading_assets.simulation.rewards.multi_objective import MultiObjective
from trading_assets.simulation.rewards.penalised import Penalised
from trading_assets.simulation.rewards.penalties.drawdown import DrawdownPenalty
from trading_assets.simulation.rewards.penalties.expected_shortfall import ExpectedShortfallPenalty
from trading_assets.simulation.rewards.penalties.penalty import Penalty
from trading_assets.simulation.rewards.penalties.turnover import TurnoverPenalty
from trading_assets.simulation.rewards.penalties.value_at_risk import ValueAtRiskPenalty
from trading_assets.simulation.rewards.registry import make_own_reward
from trading_assets.simulation.rewards.reward import Reward
from trading_assets.simulation.trackers.differential_sharpe import SharpeMoments
from trading_assets.simulation.trackers.objective_means import ObjectiveMeans
from trading_assets.simulation.trackers.preference import Preference
from trading_assets.simulation.trackers.registry import tracker_of
from trading_assets.simulation.trackers.tail_threshold import TailThreshold
from trading_assets.simulation.trackers.tracker import Tracker
from trading_assets.simulation.trackers.trailing_variance import TrailingVariance
from trading_assets.strategy import Strategy


@dataclass(frozen=True, slots=True)
class _Paid:
    """A reward or a penalty, with the trackers whose parameters it sets."""

    pays: Reward
    trackers: tuple[Tracker, ...] = ()


def declared_reward(strategy: Strategy) -> Reward:
    """Return the reward that a strategy declares, less its penalties.

    Raises
    ------
    DeclarationError
        If it is of a module that cannot be imported or does not register it.
    """
    reward = _reward(strategy.policy).pays
    penalties = tuple(_penalty(spec)[0] for spec in strategy.policy.reward.penalties)
    return Penalised(reward, penalties) if penalties else reward


def declared_trackers(strategy: Strategy) -> tuple[Tracker, ...]:
    """Return what is remembered and shown: for reward and constraint, then `observed_account`.

    Raises
    ------
    DeclarationError
        If a name is not known, or two parts need one tracker with different parameters.
    """
    policy = strategy.policy
    reward = declared_reward(strategy)
    given = list(_reward(policy).trackers)
    for spec in policy.reward.penalties:
        given += _penalty(spec)[1]
    found = {tracker.name: tracker for tracker in given}
    for tracker in given:
        if tracker != found[tracker.name]:
            msg = (
                f"reward and penalties need {tracker} and {found[tracker.name]}; expected the same"
                " parameters, as an account remembers each once"
            )
            raise DeclarationError(msg)
    limited = () if policy.constraint is None else MeasuredBar(policy.constraint.measure).needs
    names = dict.fromkeys((*reward.needs, *limited, *policy.observed_account))
    return tuple(found[name] if name in found else tracker_of(name) for name in names)


def _reward(policy: PolicySpec) -> _Paid:
    import_declared_modules(policy.modules)
    match policy.reward:
        case MeanVarianceSpec():
            return _Paid(MeanVariance(policy.risk_aversion))
        case LogWealthSpec():
            return _Paid(LogWealth())
        case DifferentialSharpeSpec() as spec:
            moments = SharpeMoments(spec.eta, spec.warm_up_bars)
            return _Paid(DifferentialSharpe(spec.warm_up_bars, spec.least_deviation), (moments,))
        case CompositeSpec() as spec:
            return _Paid(Composite(spec.confidence_bonus, spec.cost_weight))
        case MultiObjectiveSpec() as spec:
            return _multi_objective(spec)
        case OwnRewardSpec() as spec:
            return _Paid(make_own_reward(spec.name, spec.parameters, policy.modules))


def _multi_objective(spec: MultiObjectiveSpec) -> _Paid:
    objectives = tuple(spec.preference)
    total = sum(spec.preference.values())
    weights = tuple(weight / total for weight in spec.preference.values())
    scales = tuple(spec.scales.get(name, DEFAULT_SCALES[name]) for name in objectives)
    preference = Preference(objectives, weights, spec.concentration)
    if spec.scalarisation == "linear":
        return _Paid(MultiObjective(objectives, scales), (preference,))
    best = zip(objectives, scales, strict=True)
    ideals = tuple(scale * spec.best_return if name == "return" else 0.0 for name, scale in best)
    means = ObjectiveMeans(objectives, scales)
    return _Paid(MultiObjective(objectives, scales, ideals), (preference, means))


def _penalty(spec: PenaltySpec) -> tuple[Penalty, Sequence[Tracker]]:
    match spec:
        case DrawdownPenaltySpec():
            return DrawdownPenalty(spec.weight), ()
        case TurnoverPenaltySpec():
            return TurnoverPenalty(spec.weight), ()
        case ValueAtRiskPenaltySpec():
            variance = TrailingVariance(spec.half_life_bars)
            return ValueAtRiskPenalty(spec.weight, spec.limit, spec.confidence), (variance,)
        case ExpectedShortfallPenaltySpec():
            threshold = TailThreshold(spec.confidence, spec.memory_bars)
            return ExpectedShortfallPenalty(spec.weight, spec.confidence), (threshold,)
