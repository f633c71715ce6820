"""What an ensemble's inputs were worth out of sample: by deciding, and trading, without them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from trading_assets.backtest.engine import run_backtest
from trading_assets.backtest.explanation.watched_decisions import WatchedDecisions
from trading_assets.backtest.folds import Fold
from trading_assets.backtest.net_returns import returns_of
from trading_assets.block_permutation import (
    REPETITIONS,
    Importance,
    measure_importance,
    shuffle_blocks,
)
from trading_assets.policy.acting import as_ensemble
from trading_assets.policy.decision_rules import FORECAST_INPUTS, DecisionRules
from trading_assets.policy.differentiable_policy import act_on
from trading_assets.policy.input_names import symbol_places
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.observation import PolicyView
from trading_assets.policy.rollout import policy_decision
from trading_assets.simulation.core import Floats
from trading_assets.simulation.rewards.reward import Rows
from trading_assets.simulation.task import TradingTask
from trading_assets.strategy import Strategy

FORECASTS = "forecasts"
CONFIDENCE = "forecast_confidence"
# Inputs that are traded without one by one, of those that move weights most; groups all are.
_MOST_TRADED = 12


@dataclass(frozen=True, slots=True)
class Shuffled:
    """Inputs that are permuted together.

    Attributes
    ----------
    level : {"group", "input"}
        Whether it is a group of several.
    name : str
        Group or input.
    inputs : tuple of str
        What is shown of each symbol; `CONFIDENCE` is what weights are sized by.
    """

    level: str
    name: str
    inputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InputImportance:
    """What was lost without some inputs, by measure.

    `weight_change` is the mean sum of absolute changes of target weights, the weights held being
    those recorded; `return_lost_bps` the mean net return a session that trading without them lost,
    there where it was traded.
    """

    shuffled: Shuffled
    measures: Mapping[str, Importance]


def shuffled_inputs(
    rules: DecisionRules, groups: Mapping[str, str], *, is_sized: bool
) -> list[Shuffled]:
    """Return what is permuted: each group of what is observed, then each input by itself.

    Parameters
    ----------
    rules : DecisionRules
        What is observed.
    groups : mapping of str to str
        Group of each observed feature.
    is_sized : bool
        Whether weights are sized by the confidence of forecasts.
    """
    shown = FORECAST_INPUTS if rules.uses_forecasts else ()
    sized = (CONFIDENCE,) if is_sized else ()
    by_group: dict[str, list[str]] = {}
    for name in rules.observed_features:
        by_group.setdefault(groups[name], []).append(name)
    if shown or sized:
        by_group[FORECASTS] = [*shown, *sized]
    singles = [*rules.observed_features, *shown, *sized]
    return [
        *(Shuffled("group", name, tuple(own)) for name, own in by_group.items()),
        *(Shuffled("input", name, (name,)) for name in singles),
    ]


def measure_inputs(
    watched: WatchedDecisions,
    policies: Sequence[TrainedPolicy],
    task: TradingTask,
    strategy: Strategy,
    fold: Fold,
    shuffled: Sequence[Shuffled],
) -> list[InputImportance]:
    """Return what an ensemble lost without each of its inputs, in blocks of the test window.

    A symbol's value stays where its own bar, or the one it would come from, has unknown inputs.

    Parameters
    ----------
    watched : WatchedDecisions
        Decisions of the window.
    policies : sequence of TrainedPolicy
        The ensemble that decided.
    task : TradingTask
        The task of the backtest.
    strategy : Strategy
        Costs, limits and equity.
    fold : Fold
        Window that is traded.
    shuffled : sequence of Shuffled
        What is permuted.

    Raises
    ------
    DataError
        If the window has no two blocks.
    """
    changes = {each: _move_weights(watched, policies, task, each) for each in shuffled}
    singles = [each for each in shuffled if each.level == "input"]
    singles.sort(key=lambda each: -changes[each].mean)
    traded = {*singles[:_MOST_TRADED], *(each for each in shuffled if each.level == "group")}
    earned = watched_returns(watched, strategy)
    found: list[InputImportance] = []
    for each in shuffled:
        measures = {"weight_change": changes[each]}
        if each in traded:
            others = _trade(policies, _shuffled_tasks(task, watched.rows, each), strategy, fold)
            measures["return_lost_bps"] = measure_importance(1e4 * (earned - others))
        found.append(InputImportance(each, measures))
    return found


def shuffle_task(
    task: TradingTask, rows: Rows, inputs: Sequence[str], repetition: int
) -> TradingTask:
    """Return the task with some inputs permuted over all bars that decisions at rows are shown."""
    view = task.view
    assert isinstance(view, PolicyView)
    bars = np.arange(rows[0] - view.window_bars + 1, rows[-1] + 1)
    source = shuffle_blocks(len(bars), repetition)
    shape = (len(view.context), len(view.rules.symbols), view.rules.n_symbol_inputs)
    context = view.context.reshape(shape).copy()
    is_known = context[bars, :, -1] == 1.0
    moves = is_known & is_known[source]
    for place in symbol_places(view.rules, inputs):
        own = context[bars, :, place]
        context[bars, :, place] = np.where(moves, own[source], own)
    factors = view.factors
    if factors is not None and CONFIDENCE in inputs:
        factors = factors.copy()
        factors[bars] = np.where(moves, factors[bars][source], factors[bars])
    flat = context.reshape(len(view.context), -1)
    return replace(task, view=replace(view, context=flat, factors=factors))


def _shuffled_tasks(task: TradingTask, rows: Rows, shuffled: Shuffled) -> Iterator[TradingTask]:
    for repetition in range(REPETITIONS):
        yield shuffle_task(task, rows, shuffled.inputs, repetition)


def _move_weights(
    watched: WatchedDecisions,
    policies: Sequence[TrainedPolicy],
    task: TradingTask,
    shuffled: Shuffled,
) -> Importance:
    others = _shuffled_tasks(task, watched.rows, shuffled)
    return measure_importance(np.stack([_weight_changes(watched, policies, o) for o in others]))


def watched_returns(watched: WatchedDecisions, strategy: Strategy) -> Floats:
    """Return the net return of each session that was traded, float64 (T,)."""
    equity = watched.tables.equity["equity_usd"].to_numpy()
    return returns_of(equity, strategy.backtest.initial_equity_usd)


def _weight_changes(
    watched: WatchedDecisions, policies: Sequence[TrainedPolicy], other: TradingTask
) -> Floats:
    view, rows = other.view, watched.rows
    shown = view.context[rows[:, None] + np.arange(1 - view.window_bars, 1)]
    seen = watched.observations.copy()
    seen[:, : shown.shape[1] * shown.shape[2]] = shown.reshape(len(rows), -1)
    raw = act_on(as_ensemble(policies), seen, watched.memories)
    weights = view.project(view.size_weights(raw, rows), rows, watched.held)
    return np.abs(weights - watched.weights).sum(axis=1)


def _trade(
    policies: Sequence[TrainedPolicy],
    others: Iterable[TradingTask],
    strategy: Strategy,
    fold: Fold,
) -> Floats:
    """Return the net returns (R, T) of trading each of R tasks."""
    tasks = list(others)
    decisions = {f"repetition-{r}": policy_decision(policies, o) for r, o in enumerate(tasks)}
    equity = run_backtest(tasks[0].market, decisions, strategy, fold).equity
    traded = equity.sort("portfolio", "session")["equity_usd"].to_numpy()
    start = strategy.backtest.initial_equity_usd
    return np.stack([returns_of(own, start) for own in traded.reshape(len(tasks), -1)])
