"""Which compromises between objectives a policy reaches: its Pareto set and hypervolume."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.rollout import roll_rows
from trading_assets.simulation.rewards.multi_objective import MultiObjective
from trading_assets.simulation.rewards.penalised import Penalised
from trading_assets.simulation.rewards.reward import PaidBar, Reward
from trading_assets.simulation.task import TradingTask
from trading_assets.simulation.terms import Floats
from trading_assets.simulation.trackers.card import TrackerCard, card_of
from trading_assets.simulation.trackers.preference import Preference


@dataclass(frozen=True, slots=True)
class ParetoSet:
    """What a policy reaches by its preferences.

    Attributes
    ----------
    objectives : tuple of str
        Names of the objectives, all to be maximised.
    preferences : float64 (M, n_objectives)
        Weights that were tried.
    points : float64 (M, n_objectives)
        Mean of each objective a bar, on its scale.
    is_efficient : bool (M,)
        Whether no other point is at least as good in all objectives and better in one.
    reference : float64 (n_objectives,)
        Point that the hypervolume is measured from.
    hypervolume : float
        Volume of what is dominated by a point and dominates the reference.
    """

    objectives: tuple[str, ...]
    preferences: Floats
    points: Floats
    is_efficient: NDArray[np.bool_]
    reference: Floats
    hypervolume: float


def preference_grid(n_objectives: int, n_steps: int) -> Floats:
    """Return all weights that are multiples of `1 / n_steps` and sum to 1, float64 (M, n).

    Parameters
    ----------
    n_objectives, n_steps : int
        Number of weights, and of steps between none and all.

    Raises
    ------
    DataError
        If there are no two objectives or no step.
    """
    if n_objectives < 2 or n_steps < 1:
        msg = (
            f"a grid of {n_objectives} objectives and {n_steps} steps was asked for; expected at"
            " least 2 objectives and 1 step"
        )
        raise DataError(msg)
    places = n_steps + n_objectives - 1
    bars = np.array(list(combinations(range(places), n_objectives - 1)), dtype=np.float64)
    edges = np.column_stack([np.full(len(bars), -1.0), bars, np.full(len(bars), float(places))])
    return (np.diff(edges, axis=1) - 1.0) / n_steps


def reach_preferences(
    policies: Sequence[TrainedPolicy],
    task: TradingTask,
    rows: range,
    preferences: Floats,
    reference: Floats | None = None,
) -> ParetoSet:
    """Trade the rows once for each preference and return what was reached.

    Parameters
    ----------
    policies : sequence of TrainedPolicy
        One policy, or the members of an ensemble, trained with a multi-objective reward.
    task : TradingTask
        The task of their declaration.
    rows : range
        Consecutive rows that are decided at; the book is flat at first.
    preferences : float64 (M, n_objectives)
        Weights, each row at least 0 and summing to 1.
    reference : float64 (n_objectives,), optional
        Point that the hypervolume is measured from, needed where sets are compared; by default the
        worst value reached of each objective.

    Raises
    ------
    DataError
        If the reward has no objectives, the preferences do not fit them, or a policy was trained to
        see other trackers.
    """
    reward = _objectives_of(task.reward)
    _check_preferences(preferences, reward.objectives)
    points = np.array([_reach(policies, task, rows, reward, each) for each in preferences])
    corner = points.min(axis=0) if reference is None else reference
    return ParetoSet(
        objectives=reward.objectives,
        preferences=preferences,
        points=points,
        is_efficient=non_dominated(points),
        reference=corner,
        hypervolume=hypervolume(points, corner),
    )


def non_dominated(points: Floats) -> NDArray[np.bool_]:
    """Return which points, float64 (M, n), no other one dominates, bool (M,).

    A point dominates another if it is at least as large everywhere and larger somewhere; equal
    points do not dominate each other.
    """
    is_kept = np.ones(len(points), dtype=np.bool_)
    for place, point in enumerate(points):
        is_as_good = (points >= point).all(axis=1)
        is_kept[place] = not (is_as_good & (points > point).any(axis=1)).any()
    return is_kept


def hypervolume(points: Floats, reference: Floats) -> float:
    """Return the volume between a reference and what points dominate.

    The space is cut into slabs at the points' last values, each of which has the hypervolume of the
    other objectives of all points that reach it.

    Parameters
    ----------
    points : float64 (M, n_objectives)
        Points, larger is better; what is not above the reference everywhere adds nothing.
    reference : float64 (n_objectives,)
        Lower corner.

    Raises
    ------
    DataError
        If a point or the reference is not finite or they differ in length.
    """
    is_fitting = points.ndim == 2 and points.shape[1:] == reference.shape
    if not is_fitting or not np.isfinite(points).all() or not np.isfinite(reference).all():
        msg = (
            f"points of shape {points.shape} and a reference of shape {reference.shape} were given;"
            " expected finite numbers and as many objectives in both"
        )
        raise DataError(msg)
    above = points[(points > reference).all(axis=1)] - reference
    return _volume(above)


def _volume(above: Floats) -> float:
    if len(above) == 0:
        return 0.0
    if above.shape[1] == 1:
        return float(above.max())
    above = above[non_dominated(above)]
    above = above[np.argsort(-above[:, -1], kind="stable")]
    floors = np.append(above[1:, -1], 0.0)
    heights = above[:, -1] - floors
    return sum(
        float(height) * _volume(above[: place + 1, :-1])
        for place, height in enumerate(heights)
        if height > 0.0
    )


@dataclass(slots=True)
class _Measuring:
    """Pays the objectives' reward and notes what they were worth."""

    reward: MultiObjective
    noted: list[Floats] = field(default_factory=list[Floats])
    is_in_deviations: bool = False

    @property
    def needs(self) -> tuple[str, ...]:
        return self.reward.needs

    def pay(
        self, bar: PaidBar, before: Mapping[str, Floats], after: Mapping[str, Floats]
    ) -> Floats:
        self.noted.append(self.reward.values(bar, before, after)[0])
        return self.reward.pay(bar, before, after)


def _reach(
    policies: Sequence[TrainedPolicy],
    task: TradingTask,
    rows: range,
    reward: MultiObjective,
    weights: Floats,
) -> Floats:
    trackers = tuple(
        replace(tracker, weights=tuple(weights.tolist()))
        if isinstance(tracker, Preference)
        else tracker
        for tracker in task.trackers
    )
    cards = {tracker.name: card_of(tracker) for tracker in trackers}
    measuring = _Measuring(reward)
    roll_rows(
        [_preferring(p, cards["preference"]) for p in policies],
        replace(task, reward=measuring, trackers=trackers),
        rows,
    )
    return np.mean(measuring.noted, axis=0)


def _preferring(policy: TrainedPolicy, preference: TrackerCard) -> TrainedPolicy:
    """Return the policy as if it had been declared with another preference."""
    cards = tuple(preference if c.name == preference.name else c for c in policy.rules.trackers)
    return replace(policy, rules=replace(policy.rules, trackers=cards))


def _objectives_of(reward: Reward) -> MultiObjective:
    inner = reward.reward if isinstance(reward, Penalised) else reward
    if not isinstance(inner, MultiObjective):
        msg = (
            f"the reward is {type(inner).__name__}, which has no preferences; expected"
            " policy.reward of kind multi_objective"
        )
        raise DataError(msg)
    return inner


def _check_preferences(preferences: Floats, objectives: tuple[str, ...]) -> None:
    is_fitting = preferences.ndim == 2 and preferences.shape[1] == len(objectives)
    if is_fitting and len(preferences):
        sums = preferences.sum(axis=1)
        is_fitting = bool((preferences >= 0.0).all() and np.allclose(sums, 1.0, atol=1e-9))
    if not is_fitting or not len(preferences):
        msg = (
            f"preferences of shape {preferences.shape} were given; expected rows of"
            f" {len(objectives)} weights for {', '.join(objectives)}, at least 0 and together 1"
        )
        raise DataError(msg)
