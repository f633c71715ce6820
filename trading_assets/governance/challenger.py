"""Makes a challenger: the folds' own training code on a rolling window up to the last session.

The window is cut in three. Training ends before the selection days, which choose checkpoints and
the served forecaster; the judged days are the last ones, and no model has used them for anything.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from time import perf_counter

import numpy as np
import polars as pl

from trading_assets.backtest.baselines import baseline_decisions
from trading_assets.backtest.engine import Decide
from trading_assets.backtest.folds import Fold
from trading_assets.errors import DataError
from trading_assets.features.catalogue import feature_names
from trading_assets.forecast.fold import predict_window, train_window
from trading_assets.forecast.forecaster import Forecaster
from trading_assets.forecast.tables import ForecastTables
from trading_assets.governance.judged_days import CHALLENGER, trade_judged_days
from trading_assets.governance.promotion import ChallengerFigures, GateResult, judge_challenger
from trading_assets.market_data import MarketDataSpec
from trading_assets.policy.acting import Acting
from trading_assets.policy.bundle import Bundle
from trading_assets.policy.decision import decide
from trading_assets.policy.ensemble import ValidationTrack, member_weights
from trading_assets.policy.fold import TrainingTables, market_of, train_seeds
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.renamed import current_symbols, decide_for
from trading_assets.policy.rollout import build_task, policy_decision
from trading_assets.simulation.market import Market, row_of
from trading_assets.simulation.task import TradingTask
from trading_assets.simulation.trackers.remembered import remember_nothing
from trading_assets.simulation.traded_books import TradedBooks
from trading_assets.strategy import Strategy

# Weights decided from bars and weights rolled from stored features are the same arithmetic.
DECISION_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class ChallengerInputs:
    """Everything a challenger is made from; no row is later than the session before.

    Attributes
    ----------
    bars, actions, series, features : DataFrame
        Tables of the data set and the strategy; bars reach back far enough for features.
    champion_files : mapping of str to bytes
        Bundle of the champion, empty while the fallback trades.
    ladder_of : callable
        Agent's name to whether its oracle ladder is green, None where none was climbed.
    """

    bars: pl.DataFrame
    actions: pl.DataFrame
    series: pl.DataFrame
    features: pl.DataFrame
    champion_files: Mapping[str, bytes]
    ladder_of: Callable[[str], bool | None]


@dataclass(frozen=True, slots=True)
class Challenger:
    """A bundle, what its gates say, and whether it can be loaded and trusted to decide.

    Attributes
    ----------
    bundle : Bundle
        The candidate.
    gates : tuple of GateResult
        One for each promotion gate.
    problems : tuple of str
        Why it must not be used at all.
    window : Fold
        Training, selection (its validation) and judged (its test) days.
    """

    bundle: Bundle
    gates: tuple[GateResult, ...]
    problems: tuple[str, ...]
    window: Fold

    @property
    def summary(self) -> bytes:
        """Digest, window and gates as canonical JSON."""
        values = {
            "digest": self.bundle.digest,
            "window": asdict(self.window),
            "gates": [asdict(gate) for gate in self.gates],
        }
        return json.dumps(values, sort_keys=True, default=str).encode()


def make_challenger(
    inputs: ChallengerInputs, session: date, strategy: Strategy, market_data: MarketDataSpec
) -> Challenger:
    """Train a bundle for a session and judge it on days that nothing was trained on.

    Parameters
    ----------
    inputs : ChallengerInputs
        Tables up to the session before.
    session : date
        Session that the bundle would trade first.
    strategy : Strategy
        What is trained and how it is judged.
    market_data : MarketDataSpec
        Universe and source.

    Raises
    ------
    DataError
        If the window holds fewer sessions than are declared.
    """
    window = _window(inputs.bars, session, strategy)
    forecast_tables = ForecastTables(
        _since(inputs.features, window), _since(inputs.bars, window), inputs.actions
    )
    forecaster = train_window(forecast_tables, window, strategy)
    forecasts = predict_window(forecast_tables, window, forecaster, strategy, window.test_end)
    tables = TrainingTables(
        forecast_tables.bars, inputs.actions, forecast_tables.features, forecasts.rows
    )
    policies: dict[str, Sequence[TrainedPolicy]] = {}
    tracks: dict[str, Mapping[int, ValidationTrack]] = {}
    problems = [*forecasts.seen]
    for agent, spec in strategy.policy.agents.items():
        trained = train_seeds(tables, window, strategy, market_data, spec)
        policies[agent], tracks[agent] = trained.policies, trained.tracks
        problems += trained.problems
    names = feature_names(strategy.features)
    # Selection days end before the judged ones: the gates judge the weights too.
    weights = member_weights(strategy.policy.ensemble, tracks)
    # The first session is decided at the close of the window's last one.
    state = forecasts.state_before_last
    kept = state.to_json() if state else b""
    bundle = Bundle.from_parts(strategy, names, forecaster, policies, weights, kept)
    trial = _Trial(inputs, tables, window, strategy, market_data, bundle)
    gates, seconds = _judge(trial)
    if not np.isfinite(seconds):
        problems.append("the bundle's decision took no finite time")
    problems += _decision_problems(trial)
    return Challenger(bundle, tuple(gates), tuple(problems), window)


@dataclass(frozen=True, slots=True)
class _Trial:
    inputs: ChallengerInputs
    tables: TrainingTables
    window: Fold
    strategy: Strategy
    market_data: MarketDataSpec
    bundle: Bundle

    def market(self) -> Market:
        return market_of(self.tables, self.market_data)


def _window(bars: pl.DataFrame, session: date, strategy: Strategy) -> Fold:
    spec = strategy.governance
    days = [day for day in bars["session"].unique().sort().to_list() if day < session]
    if len(days) < spec.challenger_sessions:
        msg = (
            f"the challenger of {session} has {len(days)} sessions before it; expected"
            f" challenger_sessions {spec.challenger_sessions}, so choose a later session"
        )
        raise DataError(msg)
    days = days[-spec.challenger_sessions :]
    judged = len(days) - spec.validation_sessions
    selection = judged - spec.validation_sessions // 2
    return Fold(
        key=session.isoformat(),
        train_start=days[0],
        train_end=days[judged - 1],
        validation_start=days[selection],
        test_start=days[judged],
        test_end=days[-1],
    )


def _since(frame: pl.DataFrame, window: Fold) -> pl.DataFrame:
    return frame.filter(pl.col("session").is_between(window.train_start, window.test_end))


def _judge(trial: _Trial) -> tuple[list[GateResult], float]:
    market = trial.market()
    strategy, tables = trial.strategy, trial.tables
    task = build_task(market, tables.features, tables.forecasts, strategy)
    fallback = baseline_decisions(market, trial.window)[strategy.policy.fallback]
    decisions: dict[str, Decide] = {
        CHALLENGER: policy_decision(trial.bundle.members, task),
        "champion": _champion(trial, market) or fallback,
    }
    # A member without weight trades nothing, so whether it agrees does not matter.
    members = trial.bundle.members.traded
    seeds = [f"seed/{place}" for place in range(len(members))]
    for name, policy in zip(seeds, members, strict=True):
        decisions[name] = policy_decision([policy], task)
    judged = trade_judged_days(market, decisions, strategy, trial.window)
    returns, best = judged.returns, judged.best_baseline(strategy.policy.risk_aversion)
    started = perf_counter()
    _decide(trial)
    seconds = perf_counter() - started
    ladders = [trial.inputs.ladder_of(agent) for agent in strategy.policy.agents]
    figures = ChallengerFigures(
        seed_returns=np.stack([returns[name] for name in seeds]),
        baseline_name=best,
        missing_baselines=judged.missing_baselines,
        is_ladder_green=None if None in ladders else all(ladders),
        decision_seconds=seconds,
        risk_aversion=strategy.policy.risk_aversion,
    )
    gates = judge_challenger(
        returns[CHALLENGER],
        returns["champion"],
        returns[best],
        figures,
        strategy.governance,
    )
    return gates, seconds


def _champion(trial: _Trial, market: Market) -> Decide | None:
    """Return the champion's decisions over the same days; it was trained before all of them."""
    if not trial.inputs.champion_files:
        return None
    champion = Bundle.from_files(trial.inputs.champion_files)
    universe, actions = trial.market_data.universe, trial.inputs.actions
    forecasts = trial.tables.forecasts
    if champion.forecaster_files:
        days = market.sessions.astype("datetime64[D]").tolist()
        forecaster = Forecaster.from_files(champion.forecaster_files)
        # Its intervals go on from its own start, as they did where it traded.
        asked = [day for day in days if day > forecaster.trained_to]
        known = ForecastTables(trial.tables.features, trial.inputs.bars, actions)
        forecasts = forecaster.predict(known, asked)
    symbols = current_symbols(champion.rules.symbols, universe, actions)
    own = market
    if symbols != market.symbols:
        own = market_of(trial.tables, trial.market_data, symbols)
    task = build_task(own, trial.tables.features, forecasts, trial.strategy)
    return decide_for(market.symbols, symbols, policy_decision(champion.members, task))


def _decide(trial: _Trial) -> np.ndarray:
    inputs = trial.inputs
    decided = decide(
        trial.bundle,
        inputs.bars,
        inputs.actions,
        inputs.series,
        {},
        trial.window.test_end,
        remembered=remember_nothing(trial.bundle.rules.trackers),
        # Weights are looked at before limits, which are the same in any session.
        begins_week=True,
    )
    return decided.raw_weights


def _decision_problems(trial: _Trial) -> list[str]:
    """Load the bundle from its files and decide once, from bars and from stored features."""
    loaded = Bundle.from_files(trial.bundle.to_files(), trial.bundle.digest)
    decided = _decide(
        _Trial(trial.inputs, trial.tables, trial.window, trial.strategy, trial.market_data, loaded)
    )
    market = trial.market()
    task = build_task(market, trial.tables.features, trial.tables.forecasts, trial.strategy)
    stored = _from_stored(task, market, trial)
    if not np.isfinite(decided).all():
        return ["the bundle decides weights that are not finite"]
    gap = float(np.abs(decided - stored).max())
    if gap > DECISION_TOLERANCE:
        return [
            f"the bundle decides from bars by {gap:.2e} otherwise than from stored features;"
            f" expected at most {DECISION_TOLERANCE}"
        ]
    return []


def _from_stored(task: TradingTask, market: Market, trial: _Trial) -> np.ndarray:
    row = np.array([row_of(market, trial.window.test_end)], dtype=np.int64)
    flat = TradedBooks(task, 1)
    flat.open(slice(None), row)
    wanted = Acting(trial.bundle.members, 1).raw_weights(flat.observe())
    return task.view.size_weights(wanted, row)[0]
