"""Worlds with a known optimum as trading tasks: what the oracle ladder is climbed on."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from trading_assets.agent_specs import DeclaredAgent
from trading_assets.constraint_specs import ConstraintSpec, Measure
from trading_assets.errors import DeclarationError
from trading_assets.policy.acting import Acting
from trading_assets.policy.decision_rules import DecisionRules
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.observation import PolicyView, assemble_context, build_observation
from trading_assets.policy.training import Constraint, Training
from trading_assets.randomisation_specs import RandomisationSpec
from trading_assets.rebalance_specs import is_every_bar
from trading_assets.reward_specs import MeanVarianceSpec
from trading_assets.risk.limits import WeightLimits, declared_limits
from trading_assets.risk.projection import project_weights
from trading_assets.simulation.core import Floats
from trading_assets.simulation.episodes import Episodes
from trading_assets.simulation.joined_histories import join_histories
from trading_assets.simulation.market import Market
from trading_assets.simulation.rewards.mean_variance import MeanVariance
from trading_assets.simulation.task import TradingTask
from trading_assets.simulation.worlds.one_asset import WorldOne
from trading_assets.simulation.worlds.world import World, reward_of_positions
from trading_assets.source_specs import WorldSource
from trading_assets.strategy import CostsSpec, Strategy

HISTORY_BARS = 200_000
FINITE_BARS = 2_520
VALIDATION_PATHS = 200
PATH_BARS = 400
BURN_IN_BARS = 50
NOTIONAL_USD = 1_000_000.0


@dataclass(frozen=True, slots=True)
class ShownSignals:
    """What a policy is shown in place of a world's own signals, such as forecasts made of them.

    Attributes
    ----------
    names : tuple of str
        What each number is called, F' of them.
    market : Market
        History that is trained on.
    history : float64 (T, N, F')
        Shown at each bar of it.
    signals : float64 (n_bars, n_paths, N, F)
        The world's signals on the paths that checkpoints are scored on.
    validation : float64 (n_bars, n_paths, N, F')
        Shown at each bar of them.
    burn_in_bars : int
        Bars of the paths that are not scored.
    """

    names: tuple[str, ...]
    market: Market
    history: Floats
    signals: Floats
    validation: Floats
    burn_in_bars: int


def declared_world(strategy: Strategy, source: WorldSource) -> WorldOne:
    """Return the W1 that a strategy trades, or refuse one without a closed form.

    Raises
    ------
    DeclarationError
        Naming the first field that W1 does not have.
    """
    costs, policy = strategy.costs, strategy.policy
    linear = costs.fee_bps + costs.half_spread_bps + costs.impact_coefficient
    linear += costs.financing_bps_per_year + costs.borrow_bps_per_year
    has_closed_form = declared_limits(strategy.risk, policy, ()).is_closed_form
    demands = (
        (policy.position == "long_short", "policy.position long_short"),
        (policy.sizing == "constant_notional", "policy.sizing constant_notional"),
        (policy.reward == MeanVarianceSpec(kind="mean_variance"), "policy.reward mean_variance"),
        (not policy.observed_account, "no policy.observed_account"),
        (policy.constraint is None, "no policy.constraint"),
        (policy.randomisation is None, "no policy.randomisation"),
        (costs.latency_bars == 1, "costs.latency_bars 1"),
        (policy.risk_aversion > 0.0, "policy.risk_aversion above 0"),
        (costs.quadratic_lambda > 0.0, "costs.quadratic_lambda above 0"),
        (linear == 0.0, "no fee, spread, impact, financing or borrow cost"),
        (source.information_coefficient > 0.0, "source.information_coefficient above 0"),
        (is_every_bar(strategy.rebalance), "rebalance every_bar"),
        (has_closed_form, "no risk limit on net weights, sectors or turnover"),
    )
    for is_met, demand in demands:
        if not is_met:
            msg = f"the strategy is not world W1; the oracle ladder expects {demand}"
            raise DeclarationError(msg)
    return WorldOne(
        volatility=source.volatility,
        persistence=source.persistence,
        information_coefficient=source.information_coefficient,
        risk_aversion=policy.risk_aversion,
        quadratic_lambda=costs.quadratic_lambda,
    )


def follow_signals(policies: Sequence[TrainedPolicy], signals: Floats) -> Floats:
    """Return the positions of a policy, or of a mean of several, along paths of a world's signals.

    Parameters
    ----------
    policies : sequence of TrainedPolicy
        One or more, trained on that world.
    signals : float64 (n_bars, n_paths, N, F)
        Signals at each close.

    Returns
    -------
    float64 (n_bars, n_paths, N)
        Weights decided at each close; the book before the first bar is flat.
    """
    rules = policies[0].rules
    acting = Acting(policies, signals.shape[1])
    n_bars, n_paths, n_assets, _ = signals.shape
    tradable = np.ones((n_paths, n_assets), dtype=np.bool_)
    held = np.zeros((n_paths, n_assets))
    positions = np.empty((n_bars, n_paths, n_assets))
    # Before the first bar, windows hold that one.
    window = deque([assemble_context(signals[0], tradable)] * rules.window_bars, rules.window_bars)
    for bar in range(n_bars):
        window.append(assemble_context(signals[bar], tradable))
        context = np.concatenate(window, axis=1)
        raw = acting.raw_weights(build_observation(context, held, rules))
        held = project_weights(raw, rules.limits, tradable, held)
        positions[bar] = held
    return positions


def world_rules(world: World, limits: WeightLimits, window_bars: int = 1) -> DecisionRules:
    """Return what a policy on a world observes and may do: its signals and held weights."""
    return DecisionRules(
        symbols=tuple(f"{world.name}.{asset}" for asset in range(world.n_assets)),
        observed_features=tuple(f"signal_{place}" for place in range(world.n_signals)),
        uses_forecasts=False,
        sizing="constant_notional",
        limits=limits,
        window_bars=window_bars,
    )


def world_training(  # noqa: PLR0913  what is learned from, and what a training may have
    world: World,
    agent: DeclaredAgent,
    seed: int,
    limits: WeightLimits,
    rng: np.random.Generator,
    *,
    window_bars: int = 1,
    constraint: ConstraintSpec | None = None,
    randomisation: RandomisationSpec | None = None,
    shown: ShownSignals | None = None,
) -> Training:
    """Return the training of an agent on one long history of a world.

    Its checkpoints are scored on fresh paths with the expected return in place of the drawn one;
    it is trained on drawn returns alone.

    Parameters
    ----------
    world : World
        What is traded.
    agent : DeclaredAgent
        Algorithm and sizes.
    seed : int
        Seed of the training.
    limits : WeightLimits
        Limits on weights.
    rng : Generator
        Draws the history and the validation paths.
    window_bars : int
        Bars of signals shown.
    constraint : ConstraintSpec, optional
        What the agent has to keep.
    randomisation : RandomisationSpec, optional
        What its episodes draw anew.
    shown : ShownSignals, optional
        Histories with something else shown; drawn anew without.

    Raises
    ------
    DeclarationError
        If the constraint's measure is not one of `measure_positions`.
    """
    rules = world_rules(world, limits, window_bars)
    if shown is None:
        market, signals = world.draw_market(HISTORY_BARS, rng)
        validation = world.draw_signals(PATH_BARS, VALIDATION_PATHS, rng)
        shown = ShownSignals(
            rules.observed_features, market, signals, validation, validation, BURN_IN_BARS
        )
    rules = replace(rules, observed_features=shown.names)
    task = replace(_task(world, shown.market, shown.history, rules), randomisation=randomisation)
    n_bars = len(shown.history)
    episodes = Episodes(window_bars - 1, n_bars - 1, agent.episode_bars, _reward_scale(world))

    def score(policy: TrainedPolicy) -> Floats:
        positions = follow_signals([policy], shown.validation)
        return world.mean_reward(shown.signals, positions, shown.burn_in_bars)

    kept = None
    if constraint is not None:
        name = constraint.measure
        # Refused before anything is trained.
        measure_positions(world, name, world.best_positions(shown.signals))
        kept = Constraint(
            constraint,
            lambda policy: measure_positions(
                world, name, follow_signals([policy], shown.validation)
            ),
        )
    return Training(task, episodes, rules, agent, seed, score, constraint=kept)


def measure_positions(world: World, measure: Measure, positions: Floats) -> float:
    """Return the mean of a measure a bar, after the burn-in, in the measure's unit.

    Parameters
    ----------
    world : World
        Its covariance.
    measure : {"position_variance", "turnover"}
        What is measured.
    positions : float64 (n_bars, n_paths, N)
        Weights decided at each close.

    Raises
    ------
    DeclarationError
        If it is another measure, which positions alone do not tell.
    """
    if measure == "turnover":
        return float(np.abs(np.diff(positions[BURN_IN_BARS - 1 :], axis=0)).sum(axis=-1).mean())
    if measure != "position_variance":
        msg = (
            f"constraint measure was {measure} on world {world.name}; expected position_variance or"
            " turnover, which positions tell"
        )
        raise DeclarationError(msg)
    held = positions[BURN_IN_BARS:]
    return float(((held @ world.covariance) * held).sum(axis=-1).mean())


def finite_training(
    world: World,
    agent: DeclaredAgent,
    seed: int,
    limits: WeightLimits,
    rng: np.random.Generator,
    *,
    n_histories: int = 20,
) -> Training:
    """Return the training of one policy on ten years of several independent copies of a world.

    The last fifth of each history chooses the checkpoint, by drawn returns: nothing that a trader
    with this data would not know is used.

    Parameters
    ----------
    world, agent, seed, limits, rng
        As in `world_training`.
    n_histories : int
        Copies, such as assets of one kind, each with a history of its own.
    """
    drawn = [world.draw_market(FINITE_BARS, rng) for _ in range(n_histories)]
    n_train = FINITE_BARS * 4 // 5
    rules = world_rules(world, limits)
    signals = np.concatenate([found[:n_train] for _, found in drawn])
    task = _task(
        world, join_histories([market for market, _ in drawn], range(n_train)), signals, rules
    )
    n_rows = n_train * n_histories
    length, scale = agent.episode_bars, _reward_scale(world)
    episodes = Episodes(0, n_rows - 1, length, scale, n_histories)
    seen = np.stack([found[n_train:-1] for _, found in drawn], axis=1)
    earned = np.stack([np.diff(m.close[n_train:], axis=0) / m.close[n_train:-1] for m, _ in drawn])
    earned = earned.swapaxes(0, 1)

    def score(policy: TrainedPolicy) -> Floats:
        return reward_of_positions(world, earned, follow_signals([policy], seen), 0)

    return Training(task, episodes, rules, agent, seed, score)


def _reward_scale(world: World) -> float:
    return 1.0 / float(np.sqrt(world.covariance.diagonal().mean()))


def _task(world: World, market: Market, signals: Floats, rules: DecisionRules) -> TradingTask:
    context = assemble_context(signals, market.tradable)
    # A cost on the whole covariance is charged by the reward: it is no cost of single symbols.
    is_single = world.n_assets == 1
    return TradingTask(
        market=market,
        view=PolicyView(rules, context, market.tradable),
        covariance=world.covariance[None],
        costs=CostsSpec(
            fee_bps=world.fee_bps,
            half_spread_bps=0.0,
            quadratic_lambda=world.quadratic_lambda if is_single else 0.0,
        ),
        sizing="constant_notional",
        is_long_only=False,
        initial_usd=NOTIONAL_USD,
        reward=MeanVariance(world.risk_aversion, 0.0 if is_single else world.quadratic_lambda),
    )
