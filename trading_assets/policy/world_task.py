"""World W1 as a trading task for an agent: the market that the oracle ladder is climbed on."""

from collections.abc import Sequence

import numpy as np

from trading_assets.errors import DeclarationError
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.observation import (
    DecisionRules,
    PolicyView,
    assemble_context,
    build_observation,
)
from trading_assets.policy.ppo import Training, train_ppo
from trading_assets.policy.rollout import mean_raw_weights
from trading_assets.risk.projection import declared_limits, project_weights
from trading_assets.simulation.core import Floats
from trading_assets.simulation.rewards import causal_covariance
from trading_assets.simulation.task import TradingTask
from trading_assets.simulation.vector_env import Episodes
from trading_assets.simulation.worlds import WorldOne, draw_market, draw_signal, mean_reward
from trading_assets.source_specs import WorldSource
from trading_assets.strategy import AgentSpec, Strategy

HISTORY_BARS = 200_000
VALIDATION_PATHS = 200
PATH_BARS = 400
BURN_IN_BARS = 50


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
    demands = (
        (policy.position == "long_short", "policy.position long_short"),
        (policy.sizing == "constant_notional", "policy.sizing constant_notional"),
        (policy.risk_aversion > 0.0, "policy.risk_aversion above 0"),
        (costs.quadratic_lambda > 0.0, "costs.quadratic_lambda above 0"),
        (linear == 0.0, "no fee, spread, impact, financing or borrow cost"),
        (source.information_coefficient > 0.0, "source.information_coefficient above 0"),
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


def follow_signal(policies: Sequence[TrainedPolicy], signal: Floats) -> Floats:
    """Return the positions of a policy, or of a mean of several, along paths of the signal.

    Parameters
    ----------
    policies : sequence of TrainedPolicy
        One or more, trained on W1 by the ladder.
    signal : float64 (n_bars, n_paths)
        Signal at each close.

    Returns
    -------
    float64 (n_bars, n_paths)
        Weight decided at each close; the book before the first bar is flat.
    """
    rules = policies[0].rules
    tradable = np.ones((signal.shape[1], 1), dtype=np.bool_)
    held = np.zeros((signal.shape[1], 1))
    positions = np.empty_like(signal)
    for bar in range(len(signal)):
        context = assemble_context(signal[bar][:, None, None], tradable)
        raw = mean_raw_weights(policies, build_observation(context, held, rules))
        held = project_weights(raw, rules.limits, tradable)
        positions[bar] = held[:, 0]
    return positions


def train_on_world(
    world: WorldOne,
    strategy: Strategy,
    agent: AgentSpec,
    seed: int,
    rng: np.random.Generator,
) -> TrainedPolicy:
    """Train an agent on a long history of W1 and keep its best checkpoint on fresh paths.

    Parameters
    ----------
    world : WorldOne
        The world; its risk aversion and cost replace the strategy's.
    strategy : Strategy
        Limits and notional.
    agent : AgentSpec
        Algorithm and sizes.
    seed : int
        Seed of the training.
    rng : Generator
        Draws the history and the validation paths.
    """
    market, signal = draw_market(world, HISTORY_BARS, rng)
    rules = DecisionRules(
        symbols=market.symbols,
        observed_features=("signal",),
        uses_forecasts=False,
        sizing="constant_notional",
        limits=declared_limits(strategy.risk, strategy.policy),
    )
    context = assemble_context(signal[:, None, None], market.tradable)
    task = TradingTask(
        market=market,
        view=PolicyView(rules, context, market.tradable),
        covariance=causal_covariance(market),
        costs=strategy.costs.model_copy(update={"quadratic_lambda": world.quadratic_lambda}),
        sizing="constant_notional",
        is_long_only=False,
        initial_usd=strategy.backtest.initial_equity_usd,
        risk_aversion=world.risk_aversion,
    )
    episodes = Episodes(
        first_row=0,
        last_row=HISTORY_BARS - 1,
        length_bars=agent.episode_bars,
        reward_scale=1.0 / world.volatility,
    )
    validation = draw_signal(world, PATH_BARS, VALIDATION_PATHS, rng)

    def score(policy: TrainedPolicy) -> Floats:
        return mean_reward(world, validation, follow_signal([policy], validation), BURN_IN_BARS)

    return train_ppo(Training(task, episodes, rules, agent, seed, score))
