"""Trains every seed of an agent on one window: the same code for folds and for challengers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from trading_assets.agent_specs import DeclaredAgent
from trading_assets.bars.actions.companies import newest_tickers
from trading_assets.bars.universe import delisting_returns
from trading_assets.errors import DataError
from trading_assets.forecast.windows import WindowLike
from trading_assets.market_data import MarketDataSpec
from trading_assets.policy.decision_rules import declared_rules
from trading_assets.policy.ensemble import ValidationTrack
from trading_assets.policy.model_cards import canonical_json, parse_json
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.rollout import Rollout, roll_policy
from trading_assets.policy.seeds import SeedInputs, train_every_seed
from trading_assets.policy.training import UNWATCHED, TrainingWatch
from trading_assets.simulation.market import Market, build_market
from trading_assets.source_specs import WorldSource
from trading_assets.strategy import Strategy

VALIDATION_FILE = "validation.json"


@dataclass(frozen=True, slots=True)
class TrainingTables:
    """What an agent is trained on: tables of the window and nothing later."""

    bars: pl.DataFrame
    actions: pl.DataFrame
    features: pl.DataFrame
    forecasts: pl.DataFrame

    def between(self, first: date, last: date) -> "TrainingTables":
        """Return the rows of some days, both included; actions are in force on any day."""
        is_within = pl.col("session").is_between(first, last)
        kept = (frame.filter(is_within) for frame in (self.bars, self.features, self.forecasts))
        bars, features, forecasts = kept
        return TrainingTables(bars, self.actions, features, forecasts)


@dataclass(frozen=True, slots=True)
class TrainedSeeds:
    """An agent's trained policies, one a seed, with what a person looks at first.

    Attributes
    ----------
    policies : tuple of TrainedPolicy
        In order of seeds.
    validation_scores : tuple of float
        Mean reward per bar of each kept checkpoint on the validation window.
    problems : list of str
        What contradicts 'finite and deterministic'.
    tracks : mapping of int to ValidationTrack
        What each seed's policy earned on the validation window.
    """

    policies: tuple[TrainedPolicy, ...]
    validation_scores: tuple[float, ...]
    problems: list[str]
    tracks: Mapping[int, ValidationTrack]

    def to_files(self) -> dict[str, bytes]:
        """Return all files: policies below the folder of their seed, and what they earned."""
        files = {
            f"seed-{policy.seed}/{name}": content
            for policy in self.policies
            for name, content in policy.to_files().items()
        }
        # A track that is not finite is a problem, which is told; weights are made of finite ones.
        earned = {
            str(seed): {"returns": track.returns.tolist(), "rewards": track.rewards.tolist()}
            for seed, track in self.tracks.items()
            if np.isfinite(track.returns).all() and np.isfinite(track.rewards).all()
        }
        return {**files, VALIDATION_FILE: canonical_json(earned)}


def read_seeds(files: dict[str, bytes]) -> list[TrainedPolicy]:
    """Return the policies that `TrainedSeeds.to_files` wrote, in order of seeds.

    Files that lie beside the folders of seeds are left alone.

    Raises
    ------
    DataError
        If a file is damaged.
    """
    folders = {name.split("/", 1)[0] for name in files if name.startswith("seed-")}
    seeds = sorted(folders, key=lambda seed: int(seed.split("-")[1]))
    return [
        TrainedPolicy.from_files(
            {
                name.split("/", 1)[1]: content
                for name, content in files.items()
                if name.startswith(f"{seed}/")
            }
        )
        for seed in seeds
    ]


def read_tracks(files: Mapping[str, bytes]) -> dict[int, ValidationTrack]:
    """Return what each seed earned on its validation window, as `TrainedSeeds.to_files` wrote it.

    Raises
    ------
    DataError
        If the file is missing or damaged.
    """
    if VALIDATION_FILE not in files:
        msg = (
            f"trained seeds have the files {', '.join(sorted(files))}; expected {VALIDATION_FILE}"
            " among them: train again"
        )
        raise DataError(msg)
    earned = parse_json(files[VALIDATION_FILE], VALIDATION_FILE)
    return {
        int(seed): ValidationTrack(np.array(track["returns"]), np.array(track["rewards"]))
        for seed, track in earned.items()
    }


def declared_volatility(market_data: MarketDataSpec) -> float | None:
    """Return the volatility that a synthetic source declares, or None where it is estimated."""
    source = market_data.source
    return source.volatility if isinstance(source, WorldSource) else None


def market_of(
    tables: TrainingTables, market_data: MarketDataSpec, symbols: Sequence[str] | None = None
) -> Market:
    """Lay the bars of a window out as the market that is traded, by default of all companies."""
    sessions = tables.bars["session"].unique().sort().to_list()
    return build_market(
        tables.bars,
        tables.actions,
        symbols or newest_tickers(market_data.universe, tables.actions),
        sessions,
        declared_volatility(market_data),
        delisting_returns(market_data, tables.bars),
    )


def validation_days(market: Market, window: WindowLike) -> list[date]:
    """Return the market's sessions in the window's validation days."""
    days: list[date] = market.sessions.astype("datetime64[D]").tolist()
    return [day for day in days if window.validation_start <= day <= window.train_end]


def train_seeds(
    tables: TrainingTables,
    window: WindowLike,
    strategy: Strategy,
    market_data: MarketDataSpec,
    agent: DeclaredAgent,
    watch: TrainingWatch = UNWATCHED,
    n_processes: int = 1,
) -> TrainedSeeds:
    """Train every seed of an agent on a window and try what was trained.

    Parameters
    ----------
    tables : TrainingTables
        Rows of the window; forecasts cross-fitted within it.
    window : WindowLike
        Training and validation days.
    strategy : Strategy
        Costs, limits, observations and reward.
    market_data : MarketDataSpec
        Universe and source.
    agent : DeclaredAgent
        Algorithm and sizes.
    watch : TrainingWatch, optional
        Where trainings keep their state, and who is told of their checkpoints.
    n_processes : int
        Most seeds trained at once, each in a process.

    Raises
    ------
    DataError
        If the window is too short for the agent's episodes.
    """
    market = market_of(tables, market_data)
    days: list[date] = market.sessions.astype("datetime64[D]").tolist()
    train = [day for day in days if window.train_start <= day < window.validation_start]
    validation = validation_days(market, window)
    inputs = SeedInputs(
        market, tables.features, tables.forecasts, train, validation, strategy, agent
    )
    policies = train_every_seed(inputs, watch, n_processes)
    scores = tuple(_kept_score(policy) for policy in policies)
    tried = [_try_policy(policy, tables, validation, strategy, market) for policy in policies]
    problems = [problem for _, found in tried for problem in found]
    tracks = {policy.seed: track for policy, (track, _) in zip(policies, tried, strict=True)}
    return TrainedSeeds(policies, scores, problems, tracks)


def _kept_score(policy: TrainedPolicy) -> float:
    return next(c.score for c in policy.history if c.steps == policy.selected_steps)


def track_of(rollout: Rollout, strategy: Strategy) -> ValidationTrack:
    """Return what one traded book earned bar by bar."""
    gains = np.array([float((step.equity - step.equity_before)[0]) for step in rollout.steps])
    before = np.array([float(step.equity_before[0]) for step in rollout.steps])
    is_constant = strategy.policy.sizing == "constant_notional"
    base = strategy.backtest.initial_equity_usd if is_constant else before
    return ValidationTrack(gains / base, rollout.rewards)


def _try_policy(
    policy: TrainedPolicy,
    tables: TrainingTables,
    validation: list[date],
    strategy: Strategy,
    market: Market,
) -> tuple[ValidationTrack, list[str]]:
    """Trade the validation window twice, the second time with a policy read back from its files."""
    again = TrainedPolicy.from_files(policy.to_files())
    first, second = (
        roll_policy([p], market, tables.features, tables.forecasts, validation[:-1], strategy)
        for p in (policy, again)
    )
    found: list[str] = []
    if not np.isfinite(first.weights).all() or not np.isfinite(first.rewards).all():
        found.append(f"seed {policy.seed}: weights or rewards are not finite")
    if not np.array_equal(first.weights, second.weights):
        found.append(
            f"seed {policy.seed}: the stored policy decides otherwise than the trained one"
        )
    assert declared_rules(strategy, market.symbols) == policy.rules
    return track_of(first, strategy), found
