"""Figures of the decision: from the rows of a session's bars to target weights, 50 symbols.

The strategy is the shipped one, on random bars, with as many seeds, members and sizes as declared.
All that does not depend on the session's bars is prepared before, and is not measured.
"""

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import trading_assets.defs
from trading_assets.declarations import Profile, read_declaration
from trading_assets.features.catalogue import feature_names
from trading_assets.features.compute import compute_features
from trading_assets.features.scrambling import FeatureInputs
from trading_assets.forecast.tables import ForecastTables
from trading_assets.forecast.train import train_forecaster
from trading_assets.policy.bundle import Bundle
from trading_assets.policy.decision import Account, Decision, decide
from trading_assets.policy.online_decision import OnlineDecider
from trading_assets.policy.prepared_session import Asked
from trading_assets.strategy import Strategy
from trading_assets_tests.benchmarks.figures import Figure, keep
from trading_assets_tests.features.synthetic_bars import (
    NO_ACTIONS,
    NO_SERIES,
    make_bars,
    weekdays,
)
from trading_assets_tests.policy.tasks import make_policy

STRATEGY = "us_equities"
SYMBOLS = tuple(f"S{number:02}" for number in range(50))
N_HISTORY, N_DECISIONS = 600, 210
# The networks' sizes count, not what they know: they are trained on a few symbols for an epoch.
TRAIN_SYMBOLS, TRAIN, STOPPING, EPOCHS = 4, 160, 60, 1
CHECKED_EVERY = 40

Finish = Callable[[Decision], Any]


@dataclass(frozen=True)
class Latencies:
    """Milliseconds of each decision: as the clock shows, and of the processor in all threads."""

    wall_ms: list[float]
    cpu_ms: list[float]


def make_tables() -> tuple[FeatureInputs, list[date]]:
    """Return bars of 50 symbols and the days to decide on, over ten months."""
    count = N_HISTORY + N_DECISIONS
    bars = make_bars(SYMBOLS, count)
    days = weekdays(date(2004, 1, 1), count)
    return FeatureInputs(bars, NO_ACTIONS, NO_SERIES), days


def declared_strategy(profile: Profile) -> Strategy:
    """Return the shipped strategy.

    Raises
    ------
    TypeError
        If its declaration is of something else.
    """
    path = Path(next(iter(trading_assets.defs.__path__))) / STRATEGY / "defs.yaml"
    declared = read_declaration(path, profile)
    if not isinstance(declared, Strategy):
        msg = f"{path} declares a {type(declared).__name__}; expected a strategy"
        raise TypeError(msg)
    return declared


def make_bundle(profile: Profile, tables: FeatureInputs, days: Sequence[date]) -> Bundle:
    """Return a bundle of the shipped strategy for 50 symbols, its policies with random weights."""
    strategy = declared_strategy(profile)
    names = feature_names(strategy.features)
    known = tables.bars.filter(
        (pl.col("session") < days[N_HISTORY]) & pl.col("symbol").is_in(SYMBOLS[:TRAIN_SYMBOLS])
    )
    first = N_HISTORY - TRAIN - STOPPING - strategy.forecast.window_bars - 10
    features = compute_features(
        known, tables.actions, tables.series, strategy.features, days[first:N_HISTORY]
    )
    spec = strategy.forecast.model_copy(update={"epochs": EPOCHS})
    forecaster = train_forecaster(
        ForecastTables(features, known, tables.actions),
        days[N_HISTORY - TRAIN - STOPPING - 10 : N_HISTORY - STOPPING - 10],
        days[N_HISTORY - STOPPING - 10 : N_HISTORY - 10],
        spec,
        names,
        candidates=["network"],
    )
    policies = {
        name: [
            make_policy(strategy, SYMBOLS, seed, hidden_units=agent.hidden_units)
            for seed in range(agent.seeds)
        ]
        for name, agent in strategy.policy.agents.items()
    }
    return Bundle.from_parts(strategy, names, forecaster, policies)


def time_decisions(
    bundle: Bundle, tables: FeatureInputs, days: Sequence[date], finish: Finish | None = None
) -> Latencies:
    """Decide session after session and return what each took.

    Parameters
    ----------
    bundle : Bundle
        What decides.
    tables : FeatureInputs
        Bars, actions and series before and of the days.
    days : sequence of date
        Consecutive sessions.
    finish : callable, optional
        What is done with each decision within the measured time, such as planning its orders and
        writing the intents.

    Raises
    ------
    RuntimeError
        If a session could not be decided from what was prepared, or differently than by `decide`.
    """
    taken = Latencies([], [])
    decider: OnlineDecider | None = None
    held: dict[str, float] = {}
    state: dict[str, Any] = {}
    nothing = FeatureInputs(tables.bars.clear(), tables.actions.clear(), tables.series.clear())
    for number, day in enumerate(days):
        before = FeatureInputs(
            tables.bars.filter(pl.col("session") < day), nothing.actions, nothing.series
        )
        asked = Asked(bundle, day, bundle.rules.symbols, state)
        decider = OnlineDecider.prepare(asked, before, decider)
        bars = tables.bars.filter(pl.col("session") == day)
        # As a session has it, which prepares one decision: not the garbage of the one before.
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        arrived = FeatureInputs(bars, nothing.actions, nothing.series)
        found = decider.decide_arrived(arrived, Account(held))
        if finish is not None:
            finish(found.decision)
        taken.cpu_ms.append(1e3 * (time.process_time() - cpu))
        taken.wall_ms.append(1e3 * (time.perf_counter() - wall))
        if found.path != "online":
            msg = f"{day} was decided on the whole tables: {found.why}"
            raise RuntimeError(msg)
        if number % CHECKED_EVERY == 0:
            _require_same(found.decision, asked, tables, held)
        state = dict(found.decision.forecast_state)
        held = dict(zip(SYMBOLS, found.decision.weights.tolist(), strict=True))
    return taken


def _require_same(
    found: Decision, asked: Asked, tables: FeatureInputs, held: dict[str, float]
) -> None:
    whole = decide(
        asked.bundle,
        tables.bars,
        tables.actions,
        tables.series,
        held,
        asked.session,
        forecast_state=asked.forecast_state,
    )
    same = np.array_equal(found.weights, whole.weights)
    if not (same and found.forecasts.equals(whole.forecasts)):
        msg = f"{asked.session} was decided otherwise than on the whole tables"
        raise RuntimeError(msg)


def measure_decisions() -> None:
    """Time the shipped strategy's decisions, as declared and in its production profile."""
    tables, days = make_tables()
    for profile, label in (("development", ""), ("production", "production_")):
        bundle = make_bundle(profile, tables, days)
        taken = time_decisions(bundle, tables, days[N_HISTORY:])
        p50, p99 = np.percentile(taken.wall_ms, (50, 99)).tolist()
        limits = (35.0, 100.0) if not label else (None, None)
        keep(Figure(f"paper.decision_{label}p50_ms", p50, "ms", limit=limits[0]))
        keep(Figure(f"paper.decision_{label}p99_ms", p99, "ms", limit=limits[1]))
        cpu = statistics.median(taken.cpu_ms)
        keep(Figure(f"paper.decision_{label}cpu_p50_ms", cpu, "ms"))


STAGES = {"decisions": measure_decisions}
