"""Traders that learn without trial and error, which an agent is reported beside.

Each pursues the mean-variance utility with the declared risk aversion, whatever the agents are
paid, sees the newest row of the declared observations, and is fitted on the train window alone:

- `direct`: a network trained by gradient ascent through the differentiable market;
- `garleanu_pedersen`: Garleanu and Pedersen's optimal trading on estimated parameters, see
  `policy.teachers`;
- `logistic_rule`: a multinomial logistic forecaster, and a rule that weighs what it expects of the
  next bar against risk and the cost of changing the position.

They gate nothing: whoever wants to trade one declares it as an agent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import polars as pl

from trading_assets.agent_specs import DirectSpec
from trading_assets.errors import DataError
from trading_assets.features.catalogue import feature_names
from trading_assets.forecast.forecaster import Forecaster
from trading_assets.forecast.tables import ForecastTables
from trading_assets.forecast.train import train_forecaster
from trading_assets.forecast.windows import WindowLike
from trading_assets.market_data import MarketDataSpec
from trading_assets.policy.fold import TrainingTables, market_of, read_seeds, train_seeds
from trading_assets.policy.model_cards import canonical_json, parse_json
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.rollout import build_task, policy_decision
from trading_assets.policy.teachers import (
    ExpectedReturns,
    Teacher,
    cost_aware_teacher,
    expect_returns,
    myopic_teacher,
    trade_aversion_of,
)
from trading_assets.policy.traded_as_decided import TradedAsDecided
from trading_assets.rebalance_specs import is_every_bar
from trading_assets.reward_specs import MeanVarianceSpec
from trading_assets.simulation.core import Books, Floats, held_weights
from trading_assets.simulation.market import Market, panels_of
from trading_assets.simulation.rewards.reward import Rows
from trading_assets.simulation.task import TradingTask
from trading_assets.strategy import Strategy

ESTIMATES_FILE = "garleanu_pedersen.json"
SUMMARY_FILE = "references.json"

Decision = TradedAsDecided[Floats]
Fitted = TypeVar("Fitted")


@dataclass(frozen=True, slots=True)
class References:
    """What was fitted on one train window.

    Attributes
    ----------
    direct : TrainedPolicy, optional
        The network.
    expected : ExpectedReturns, optional
        What inputs say of returns.
    logistic : Forecaster, optional
        The logistic forecaster.
    trade_aversion : float
        What changing a position costs, see `policy.teachers.trade_aversion_of`.
    absences : mapping of str to str
        Why one could not be fitted, by name.
    """

    direct: TrainedPolicy | None = None
    expected: ExpectedReturns | None = None
    logistic: Forecaster | None = None
    trade_aversion: float = 0.0
    absences: Mapping[str, str] = field(default_factory=dict[str, str])

    def to_files(self) -> dict[str, bytes]:
        """Return all that was fitted as plain data files; equal references give equal bytes."""
        summary = {"absences": dict(self.absences), "trade_aversion": self.trade_aversion}
        files = {SUMMARY_FILE: canonical_json(summary)}
        if self.direct is not None:
            files |= {f"seed-0/{name}": data for name, data in self.direct.to_files().items()}
        if self.logistic is not None:
            files |= {f"logistic/{name}": data for name, data in self.logistic.to_files().items()}
        if self.expected is not None:
            values = {
                "slopes": self.expected.slopes.tolist(),
                "persistence": self.expected.persistence.tolist(),
            }
            files[ESTIMATES_FILE] = canonical_json(values)
        return files

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "References":
        """Return what `to_files` wrote.

        Raises
        ------
        DataError
            If a file is damaged.
        """
        seeds = read_seeds({name: data for name, data in files.items() if "/" in name})
        prefix = "logistic/"
        own = {n.removeprefix(prefix): d for n, d in files.items() if n.startswith(prefix)}
        expected = None
        if ESTIMATES_FILE in files:
            stored: Any = parse_json(files[ESTIMATES_FILE], ESTIMATES_FILE)
            expected = ExpectedReturns(np.array(stored["slopes"]), np.array(stored["persistence"]))
        summary: Any = parse_json(files.get(SUMMARY_FILE, b""), SUMMARY_FILE)
        return cls(
            seeds[0] if seeds else None,
            expected,
            Forecaster.from_files(own) if own else None,
            float(summary["trade_aversion"]),
            summary["absences"],
        )


def train_references(
    tables: TrainingTables, window: WindowLike, strategy: Strategy, market_data: MarketDataSpec
) -> References:
    """Fit every reference on a train window; one that cannot be fitted is named with its reason.

    Parameters
    ----------
    tables : TrainingTables
        Rows of the window; forecasts cross-fitted within it.
    window : WindowLike
        Training and validation days.
    strategy : Strategy
        Costs, limits, observations, forecast and risk aversion.
    market_data : MarketDataSpec
        Universe and source.
    """
    plain = reference_strategy(strategy)
    task = build_task(market_of(tables, market_data), tables.features, tables.forecasts, plain)
    rows = _train_rows(task.market, window)
    absences: dict[str, str] = {}

    def fitted(name: str, fit: Callable[[], Fitted]) -> Fitted | None:
        try:
            return fit()
        except DataError as error:
            absences[name] = str(error)
            return None

    return References(
        fitted("direct", lambda: _fit_direct(tables, window, plain, market_data)),
        fitted("garleanu_pedersen", lambda: expect_returns(task, rows)),
        fitted("logistic_rule", lambda: _fit_logistic(tables, window, plain)),
        trade_aversion_of(task, rows),
        absences,
    )


def reference_strategy(strategy: Strategy) -> Strategy:
    """Return the strategy that references are fitted and traded by: its costs, limits and inputs.

    The reward is the mean-variance one, the newest row alone is seen, and nothing is randomised.
    """
    policy = strategy.policy.model_copy(
        update={
            "reward": MeanVarianceSpec(kind="mean_variance"),
            "constraint": None,
            "randomisation": None,
            "observed_account": (),
            "window_bars": 1,
        }
    )
    return strategy.model_copy(update={"policy": policy})


def reference_decisions(
    references: References, tables: TrainingTables, market: Market, strategy: Strategy
) -> tuple[dict[str, Decision], dict[str, str]]:
    """Return what decides for each reference that can decide, and why the others cannot, by name.

    Parameters
    ----------
    references : References
        Fitted on the train window.
    tables : TrainingTables
        Rows of the test window and what features need before it.
    market : Market
        The market that is traded.
    strategy : Strategy
        The declaration.
    """
    plain = reference_strategy(strategy)
    task = build_task(market, tables.features, tables.forecasts, plain)
    decisions: dict[str, Decision] = {}
    absences = dict(references.absences)
    if references.direct is not None:
        decisions["direct"] = policy_decision([references.direct], task)
    expected, aversion = references.expected, references.trade_aversion
    teachers: dict[str, Callable[[], Teacher]] = {}
    if expected is not None:
        teachers["garleanu_pedersen"] = lambda: cost_aware_teacher(
            task, expected, aversion, looks_ahead=True
        )
    if references.logistic is not None:
        logistic = references.logistic
        teachers["logistic_rule"] = lambda: myopic_teacher(
            task, _expected_by(logistic, tables, market), aversion
        )
    for name, make in teachers.items():
        try:
            decisions[name] = teacher_decision(task, make())
        except DataError as error:
            absences[name] = str(error)
    return decisions, absences


def _fit_direct(
    tables: TrainingTables, window: WindowLike, strategy: Strategy, market_data: MarketDataSpec
) -> TrainedPolicy:
    if not is_every_bar(strategy.rebalance):
        # Said here, since a declaration may not name such an agent at all.
        msg = f"its gradient does not pass through rebalance {strategy.rebalance.kind}"
        raise DataError(msg)
    agent = DirectSpec(algorithm="direct", seeds=1)
    trained = train_seeds(tables, window, strategy, market_data, agent)
    if trained.problems:
        raise DataError("; ".join(trained.problems))
    return trained.policies[0]


def _train_rows(market: Market, window: WindowLike) -> Rows:
    """Return the rows of a window but the last, whose next return is not one of the window."""
    edges = np.array([window.train_start, window.train_end], dtype="datetime64[D]")
    first, end = np.searchsorted(market.sessions, edges + np.array([0, 1]))
    return np.arange(int(first), int(end) - 1)


def _fit_logistic(tables: TrainingTables, window: WindowLike, strategy: Strategy) -> Forecaster:
    days = tables.bars["session"].unique().sort().to_list()
    train = [day for day in days if window.train_start <= day < window.validation_start]
    validation = [day for day in days if window.validation_start <= day <= window.train_end]
    return train_forecaster(
        ForecastTables(tables.features, tables.bars, tables.actions),
        train,
        validation,
        strategy.forecast,
        feature_names(strategy.features),
        candidates=("logistic",),
    )


def _expected_by(forecaster: Forecaster, tables: TrainingTables, market: Market) -> Floats:
    """Return the expected return of the next bar, float64 (T, N); nan without a forecast."""
    later = pl.col("session") > forecaster.trained_to
    sessions = tables.features.filter(later)["session"].unique().sort().to_list()
    known = ForecastTables(tables.features, tables.bars, tables.actions)
    rows = forecaster.predict(known, sessions)
    panel = panels_of(rows, market.symbols, market.sessions, ("expected_return",))
    return panel["expected_return"] / forecaster.horizon_bars


def teacher_decision(task: TradingTask, teach: Teacher) -> Decision:
    """Return a function of (row, books of K = 1) giving a teacher's weights to trade."""

    def decide(row: int, books: Books) -> Floats:
        at = np.array([row], dtype=np.int64)
        held = held_weights(books, task.sizing, task.initial_usd)
        return task.view.project(teach(at, held), at, held)[0]

    return TradedAsDecided(decide)
