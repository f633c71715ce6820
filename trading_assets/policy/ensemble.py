"""Members of an ensemble and their weights, which the validation window alone decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from trading_assets.ensemble_specs import (
    DeclaredEnsemble,
    ExponentiatedGradientSpec,
    MeanActionSpec,
    TrailingSharpeSpec,
)
from trading_assets.errors import DataError
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.simulation.core import Floats

SUM_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class ValidationTrack:
    """What a policy earned bar by bar when it traded its validation window alone.

    Known at the close of the window's last session.

    Attributes
    ----------
    returns : float64 (T,)
        Net change of equity over equity before, or over the notional under constant sizing.
    rewards : float64 (T,)
        Unscaled rewards after costs.
    """

    returns: Floats
    rewards: Floats


@dataclass(frozen=True, slots=True)
class Ensemble(Sequence[TrainedPolicy]):
    """Policies that trade one book by the weighted mean of their actions.

    Attributes
    ----------
    policies : tuple of TrainedPolicy
        Members, one or more.
    weights : tuple of float, optional
        Weight of each member, not negative, with sum 1; None weighs all the same.

    Raises
    ------
    DataError
        If there is no member, or the weights do not fit.
    """

    policies: tuple[TrainedPolicy, ...]
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not self.policies:
            msg = "an ensemble had no member; expected at least one trained policy"
            raise DataError(msg)
        if self.weights is not None:
            require_weights(self.weights, len(self.policies))

    @overload
    def __getitem__(self, place: int) -> TrainedPolicy: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[TrainedPolicy, ...]: ...
    def __getitem__(self, place: int | slice) -> TrainedPolicy | tuple[TrainedPolicy, ...]:
        """Return a member, or several without their weights."""
        return self.policies[place]

    def __len__(self) -> int:
        """Return the number of members."""
        return len(self.policies)

    @property
    def traded(self) -> tuple[TrainedPolicy, ...]:
        """The members that have a weight above 0."""
        if self.weights is None:
            return self.policies
        return tuple(p for p, w in zip(self.policies, self.weights, strict=True) if w > 0.0)

    def mix(self, actions: Sequence[Floats]) -> Floats:
        """Return the mean action, float64 (K, N), of the actions (K, N) of all members."""
        if self.weights is None or len(set(self.weights)) == 1:
            return np.stack(actions).mean(axis=0)
        counted = [(w, a) for w, a in zip(self.weights, actions, strict=True) if w > 0.0]
        total = counted[0][0] * counted[0][1]
        for weight, action in counted[1:]:
            total = total + weight * action
        # The sum of the weights is 1 but for rounding, and actions lie in [-1, 1].
        return np.clip(total, -1.0, 1.0)


def require_weights(weights: Sequence[float], n_members: int) -> None:
    """Refuse weights that are not one for each member, not negative and of sum 1.

    Raises
    ------
    DataError
        Naming the weights.
    """
    values = np.asarray(weights, dtype=np.float64)
    fits = values.shape == (n_members,) and np.isfinite(values).all() and (values >= 0.0).all()
    if not fits or abs(float(values.sum()) - 1.0) > SUM_TOLERANCE:
        msg = (
            f"weights of {n_members} members were {list(weights)}; expected as many numbers of at"
            " least 0 with sum 1: train again"
        )
        raise DataError(msg)


def member_name(agent: str, seed: int) -> str:
    """Return what a member is called in bundles, tables and reports."""
    return f"{agent}/seed-{seed}"


def member_weights(
    spec: DeclaredEnsemble, tracks: Mapping[str, Mapping[int, ValidationTrack]]
) -> dict[str, float]:
    """Return each member's weight by the declared rule, by name; their sum is 1.

    The weights are known when the validation window has ended.

    Parameters
    ----------
    spec : DeclaredEnsemble
        Rule and its numbers.
    tracks : mapping of agent to mapping of seed to ValidationTrack
        What each member earned on the same validation bars.

    Raises
    ------
    DataError
        Where the rule looks at what was earned, if there is no member, or tracks differ in length
        or are not finite.

    Source
    ------
    `trailing_sharpe`: Yang, Liu, Zhong, Walid, Deep Reinforcement Learning for Automated Stock
    Trading: An Ensemble Strategy, ICAIF 2020. `exponentiated_gradient`: Helmbold, Schapire, Singer,
    Warmuth, On-Line Portfolio Selection Using Multiplicative Updates, 1998; Cesa-Bianchi, Lugosi,
    Prediction, Learning, and Games, 2006.
    """
    if not isinstance(spec, MeanActionSpec):
        _require_tracks(tracks)
    members = [(agent, seed) for agent in sorted(tracks) for seed in sorted(tracks[agent])]
    if isinstance(spec, TrailingSharpeSpec):
        best = best_agent(tracks)
        weights = [1.0 / len(tracks[best]) if agent == best else 0.0 for agent, _ in members]
    elif isinstance(spec, ExponentiatedGradientSpec):
        rewards = np.stack([tracks[agent][seed].rewards for agent, seed in members], axis=1)
        weights = exponentiated_gradient(rewards, spec.learning_rate, spec.floor).tolist()
    else:
        weights = [1.0 / len(members)] * len(members)
    return {member_name(*member): weight for member, weight in zip(members, weights, strict=True)}


def best_agent(tracks: Mapping[str, Mapping[int, ValidationTrack]]) -> str:
    """Return the agent whose seeds' mean return has the highest Sharpe ratio; first by name of two.

    Returns that do not vary have ratio 0, as cash has.
    """
    ratios = {
        agent: _sharpe(np.mean([track.returns for track in seeds.values()], axis=0))
        for agent, seeds in tracks.items()
    }
    return max(sorted(ratios), key=ratios.__getitem__)


def exponentiated_gradient(rewards: Floats, learning_rate: float, floor: float) -> Floats:
    """Return the weights that multiplicative updates end at, float64 (n_members,).

    Parameters
    ----------
    rewards : float64 (T, n_members)
        Rewards of each bar; divided by their pooled standard deviation, so that the learning rate
        has no unit.
    learning_rate : float
        eta of `w exp(eta u)`, bar by bar.
    floor : float
        Least weight in the end; an equal share where that is less. The others shrink in proportion.
    """
    n_members = rewards.shape[1]
    deviation = float(rewards.std())
    utilities = rewards / deviation if deviation > 0.0 else np.zeros_like(rewards)
    # Updates commute, so their product is that of the sum. A floor after each bar would not: a
    # member at it comes back on a few bars of luck, and the bars before are forgotten.
    total = learning_rate * utilities.sum(axis=0)
    weights = np.exp(total - total.max())
    return _floored(weights / weights.sum(), min(floor, 1.0 / n_members))


def traded_ensembles(
    spec: DeclaredEnsemble,
    policies: Mapping[str, Sequence[TrainedPolicy]],
    tracks: Mapping[str, Mapping[int, ValidationTrack]],
) -> dict[str, Ensemble]:
    """Return the ensembles that a fold trades, by portfolio.

    They are `<agent>/ensemble` of each agent's seeds and, where there are several agents,
    `ensemble` of all members, which is what a bundle of them trades.

    Raises
    ------
    DataError
        If tracks are missing or do not fit.
    """
    groups: dict[str, tuple[str, ...]] = {f"{agent}/ensemble": (agent,) for agent in policies}
    if len(policies) > 1:
        groups["ensemble"] = tuple(sorted(policies))
    found: dict[str, Ensemble] = {}
    for portfolio, agents in groups.items():
        members = [(agent, policy) for agent in agents for policy in policies[agent]]
        weights: tuple[float, ...] | None = None
        if not isinstance(spec, MeanActionSpec):
            by_name = member_weights(spec, {agent: tracks[agent] for agent in agents})
            weights = tuple(by_name[member_name(agent, policy.seed)] for agent, policy in members)
        found[portfolio] = Ensemble(tuple(policy for _, policy in members), weights)
    return found


def weights_by_member(
    ensembles: Mapping[str, Ensemble], policies: Mapping[str, Sequence[TrainedPolicy]]
) -> dict[str, float]:
    """Return each member's weight, by name, in the ensemble of all agents."""
    agents = sorted(policies)
    whole = ensembles["ensemble" if len(agents) > 1 else f"{agents[0]}/ensemble"]
    names = [member_name(agent, policy.seed) for agent in agents for policy in policies[agent]]
    weights = whole.weights or (1.0 / len(names),) * len(names)
    return dict(zip(names, weights, strict=True))


def _require_tracks(tracks: Mapping[str, Mapping[int, ValidationTrack]]) -> None:
    every = [track for seeds in tracks.values() for track in seeds.values()]
    lengths = {len(part) for track in every for part in (track.returns, track.rewards)}
    is_finite = all(
        np.isfinite(part).all() for track in every for part in (track.returns, track.rewards)
    )
    if len(lengths) != 1 or not all(tracks.values()) or not is_finite or lengths == {0}:
        msg = (
            f"{len(every)} members of {', '.join(tracks) or 'no agent'} earned on {sorted(lengths)}"
            " validation bars; expected finite numbers on the same bars for each: train again"
        )
        raise DataError(msg)


def _sharpe(returns: Floats) -> float:
    deviation = float(returns.std())
    return float(returns.mean()) / deviation if deviation > 0.0 else 0.0


def _floored(weights: Floats, least: float) -> Floats:
    """Raise weights to the least one and shrink the others in proportion."""
    at_floor = np.zeros(len(weights), dtype=np.bool_)
    moved = weights
    while (moved[~at_floor] < least).any():
        at_floor |= moved < least
        if at_floor.all():
            return np.full(len(weights), 1.0 / len(weights))
        left = 1.0 - least * at_floor.sum()
        moved = np.where(at_floor, least, weights * (left / weights[~at_floor].sum()))
    return moved
