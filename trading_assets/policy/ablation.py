"""The agents of a strategy without its forecasts: the other arm of an ablation.

Only what forecasts give is taken away: their inputs, and the sizing of weights by how sure they
are. Seeds, steps, costs, limits, reward and windows are the declared ones.
"""

from dataclasses import replace

from trading_assets.agent_specs import DeclaredAgent
from trading_assets.forecast.windows import WindowLike
from trading_assets.market_data import MarketDataSpec
from trading_assets.policy.fold import TrainedSeeds, TrainingTables, train_seeds
from trading_assets.policy.training import UNWATCHED, TrainingWatch
from trading_assets.strategy import Strategy


def without_forecasts(strategy: Strategy) -> Strategy:
    """Return a strategy whose agents neither see forecasts nor are sized by them."""
    blind = {"uses_forecasts": False, "confidence_sizing": "none", "ablation": "none"}
    return strategy.model_copy(update={"policy": strategy.policy.model_copy(update=blind)})


def hide_forecasts(tables: TrainingTables) -> TrainingTables:
    """Return the same tables with no row of forecasts."""
    return replace(tables, forecasts=tables.forecasts.clear())


def train_without_forecasts(
    tables: TrainingTables,
    window: WindowLike,
    strategy: Strategy,
    market_data: MarketDataSpec,
    agent: DeclaredAgent,
    watch: TrainingWatch = UNWATCHED,
    n_processes: int = 1,
) -> TrainedSeeds:
    """Train every seed of an agent as `train_seeds` does, but without forecasts.

    Parameters
    ----------
    tables : TrainingTables
        Rows of the window and nothing later; rows of forecasts are not looked at.
    window : WindowLike
        Training and validation days.
    strategy : Strategy
        As it is declared, with forecasts.
    market_data : MarketDataSpec
        Universe and source.
    agent : DeclaredAgent
        Algorithm and sizes, those of the arm with forecasts.
    watch : TrainingWatch, optional
        Where trainings keep their state, and who is told of their checkpoints.
    n_processes : int
        Most seeds trained at once, each in a process.

    Raises
    ------
    DataError
        If the window is too short for the agent's episodes.
    """
    blind = without_forecasts(strategy)
    return train_seeds(
        hide_forecasts(tables), window, blind, market_data, agent, watch, n_processes
    )
