"""Explains what one portfolio of a fold did: what moved it, what its inputs were worth, and why."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from trading_assets.backtest.attribution.market_states import market_states, symbol_returns
from trading_assets.backtest.explanation.completeness import form_figures, form_problems
from trading_assets.backtest.explanation.input_importance import (
    InputImportance,
    measure_inputs,
    shuffled_inputs,
)
from trading_assets.backtest.explanation.member_wishes import member_table
from trading_assets.backtest.explanation.stored_tables import action_table
from trading_assets.backtest.explanation.trade_reasons import trade_reasons
from trading_assets.backtest.explanation.traded_fold import TradedFold
from trading_assets.backtest.explanation.watched_decisions import (
    WatchedDecisions,
    watch_decisions,
)
from trading_assets.block_permutation import BLOCK_BARS, can_be_shuffled
from trading_assets.features.catalogue import feature_of
from trading_assets.forecast.seeded_thread import one_seeded_thread
from trading_assets.policy.action_attribution import (
    ActionAttributions,
    attribute_actions,
    baseline_observation,
)
from trading_assets.policy.ensemble import Ensemble
from trading_assets.policy.fold import TrainingTables, market_of
from trading_assets.policy.observation import PolicyView
from trading_assets.policy.rollout import build_task
from trading_assets.simulation.core import Floats
from trading_assets.simulation.task import TradingTask

_RECORD_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class ExplainedPortfolio:
    """What moved one portfolio, as tables, with what contradicts it.

    Attributes
    ----------
    actions : DataFrame, optional
        Table `action_attributions`; none where actions have no gradient.
    reasons : DataFrame
        Table `reasons`.
    members : DataFrame
        Table `member_gains`.
    importances : list of InputImportance
        What inputs were worth; empty where the window is too short.
    left_out, problems : list of str
        What is not explained, and what contradicts the explanation.
    figures : dict of str to float
        Its evidence.
    """

    actions: pl.DataFrame | None
    reasons: pl.DataFrame
    members: pl.DataFrame
    importances: list[InputImportance]
    left_out: list[str]
    problems: list[str]
    figures: dict[str, float]


class Desk:
    """The task of a fold's backtest, with the observation that contributions are measured from."""

    def __init__(self, traded: TradedFold) -> None:
        self._traded = traded
        self._task = _task_of(traded, traded.read)
        learned = _task_of(traded, traded.learned)
        days = learned.market.sessions
        first, last = (np.datetime64(d) for d in (traded.fold.train_start, traded.fold.train_end))
        rows = np.flatnonzero((days >= first) & (days <= last)).astype(np.int64)
        shown = rows[rows + 1 >= learned.view.window_bars]
        self._baseline: Floats = baseline_observation(learned, shown)
        self._learned = learned.market

    def market_tables(self) -> dict[str, pl.DataFrame]:
        """Return the tables `market_states` and `symbol_returns`."""
        traded = self._traded
        features = traded.learned.features
        return {
            "market_states": market_states(self._learned, features, traded.fold),
            "symbol_returns": symbol_returns(self._learned, traded.fold),
        }

    def explain(
        self, portfolio: str, ensemble: Ensemble, names: Sequence[str]
    ) -> ExplainedPortfolio:
        """Return what moved one ensemble, whose members have these names."""
        traded, task = self._traded, self._task
        strategy, rules = traded.strategy, ensemble[0].rules
        watched = watch_decisions(portfolio, ensemble, task, strategy, traded.fold)
        problems = _record_problems(portfolio, watched, traded.weights)
        found, left_out = _attribute(portfolio, ensemble, watched, self._baseline)
        importances: list[InputImportance] = []
        if can_be_shuffled(len(watched.rows)):
            module = strategy.features.module
            groups = {name: feature_of(name, module).group for name in rules.observed_features}
            assert isinstance(task.view, PolicyView)
            is_sized = task.view.factors is not None
            shuffled = shuffled_inputs(rules, groups, is_sized=is_sized)
            importances = measure_inputs(watched, ensemble, task, strategy, traded.fold, shuffled)
        else:
            left_out.append(
                f"what inputs were worth to {portfolio}: its {len(watched.rows)} test sessions hold"
                f" no two blocks of {BLOCK_BARS}"
            )
        return ExplainedPortfolio(
            actions=found and action_table(portfolio, watched, found, rules.symbols),
            reasons=trade_reasons(
                portfolio, watched, found, traded.trades, task.market, rules, self._baseline
            ),
            members=member_table(portfolio, watched, ensemble, names, task),
            importances=importances,
            left_out=left_out,
            problems=[*problems, *([] if found is None else form_problems(portfolio, found))],
            figures={} if found is None else form_figures(found),
        )


def _task_of(traded: TradedFold, tables: TrainingTables) -> TradingTask:
    market = market_of(tables, traded.market_data)
    return build_task(market, tables.features, tables.forecasts, traded.strategy)


def _attribute(
    portfolio: str, ensemble: Ensemble, watched: WatchedDecisions, baseline: Floats
) -> tuple[ActionAttributions | None, list[str]]:
    choosing = [policy.algorithm for policy in ensemble.traded if policy.output == "levels"]
    if choosing:
        note = (
            f"what moved {portfolio}: {', '.join(sorted(set(choosing)))} chooses among levels,"
            " which have no gradient"
        )
        return None, [note]
    with one_seeded_thread(0):
        found = attribute_actions(ensemble, watched.observations, baseline, watched.memories)
    return found, []


def _record_problems(portfolio: str, watched: WatchedDecisions, weights: pl.DataFrame) -> list[str]:
    own = weights.filter(pl.col("portfolio") == portfolio)
    again = watched.tables.weights
    joined = own.join(again, on=["session", "symbol"], how="full", suffix="_again")
    gaps = (joined["weight"] - joined["weight_again"]).abs()
    if len(own) and not gaps.null_count() and float(gaps.to_numpy().max()) <= _RECORD_TOLERANCE:
        return []
    return [f"{portfolio} decides otherwise than its backtest recorded: backtest the fold again"]
