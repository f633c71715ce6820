"""World W4: what forecasts are worth to an agent that is trained with the same steps without them.

The drift is hidden. One agent is shown the last 60 returns, the other the forecasts that the
pipeline's own forecaster makes of the same 60 returns: cross-fitted where the agent is trained, by
a forecaster of the whole history elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import TypeAdapter

from trading_assets.agent_specs import DeclaredAgent
from trading_assets.cores import usable_cores
from trading_assets.features.windows import VOLATILITY_COLUMN
from trading_assets.forecast.calibration import temper
from trading_assets.forecast.conformal import conformal_quantile
from trading_assets.forecast.cross_fit import cross_fit
from trading_assets.forecast.dataset import Rows
from trading_assets.forecast.forecast_rows import in_returns
from trading_assets.forecast.forecaster import Forecaster
from trading_assets.forecast.networks.ensemble import MemberOutputs, combine_members
from trading_assets.forecast.networks.fit import run_network
from trading_assets.forecast.networks.serving import NetworkEnsemble
from trading_assets.forecast.networks.strip_rows import LabelledRows, StripTable
from trading_assets.forecast.predictions import Predictions
from trading_assets.forecast.tables import ForecastTables
from trading_assets.forecast.train import train_forecaster
from trading_assets.forecast_specs import ForecastSpec
from trading_assets.policy.decision_rules import FORECAST_INPUTS
from trading_assets.policy.observation import show_forecasts
from trading_assets.policy.trainers import train
from trading_assets.policy.world_task import ShownSignals, follow_signals, world_training
from trading_assets.risk.limits import WeightLimits
from trading_assets.simulation.market import Market, panels_of
from trading_assets.simulation.worlds.hidden_drift import HiddenDriftWorld
from trading_assets_tests.benchmarks.figures import Figure, keep
from trading_assets_tests.features.synthetic_bars import NO_ACTIONS
from trading_assets_tests.learning.signal_tables import lay_tables

Floats = NDArray[np.float64]

WORLD = HiddenDriftWorld()
LIMITS = WeightLimits(1.0, 1.0, is_long_only=False)
WINDOW_BARS, HISTORY_BARS = 60, 60_000
STEPS = 300_000
AGENT = {"algorithm": "ppo", "n_envs": 64, "n_steps": 128, "batch_size": 2_048}
SPEC = ForecastSpec(
    window_bars=WINDOW_BARS,
    horizon_bars=5,
    network="compact",
    members=3,
    epochs=6,
    cross_fit_parts=2,
    train_forecasts="cross_fitted",
    input_decay=0.1,
)
VALIDATION_PATHS, TEST_PATHS, PATH_BARS, BURN_IN = 100, 500, 350, 50
TEST_SEED = 20_262
RATIO_SAMPLES = 2_000


@dataclass(frozen=True)
class Arms:
    """Rewards of both agents on the same fresh paths, over the optimum, float64 (paths,)."""

    hybrid: Floats
    pure: Floats


def learn_hybrid(seed: int) -> Arms:
    """Train both agents of a seed and follow them along fresh paths."""
    rng = np.random.default_rng([11, seed])
    market, signals = WORLD.draw_market(HISTORY_BARS, rng)
    # Whoever sees windows needs bars before the first scored one.
    n_bars = WINDOW_BARS - 1 + BURN_IN + PATH_BARS
    validation = WORLD.draw_signals(n_bars, VALIDATION_PATHS, rng)
    tables, forecaster, crossed = _forecast_history(signals, seed)
    test = WORLD.draw_signals(n_bars, TEST_PATHS, np.random.default_rng([TEST_SEED, seed]))
    names = tuple(FORECAST_INPUTS)
    history = _show_table(tables, crossed, market)
    shown = ShownSignals(
        names, market, history, validation, _show_paths(forecaster, validation), _scored_from()
    )
    spec: dict[str, Any] = {**AGENT, "total_steps": STEPS}
    agent = TypeAdapter(DeclaredAgent).validate_python(spec)
    hybrid = train(world_training(WORLD, agent, seed, LIMITS, rng, shown=shown))
    plain = ShownSignals(("signal_0",), market, signals, validation, validation, _scored_from())
    pure = train(
        world_training(WORLD, agent, seed, LIMITS, rng, window_bars=WINDOW_BARS, shown=plain)
    )
    return Arms(
        hybrid=_reward(test, follow_signals([hybrid], _show_paths(forecaster, test))),
        pure=_reward(test, follow_signals([pure], test)),
    )


def _scored_from() -> int:
    return WINDOW_BARS - 1 + BURN_IN


def _reward(signals: Floats, positions: Floats) -> Floats:
    return WORLD.mean_reward(signals, positions, _scored_from()) / WORLD.optimum


def _forecast_history(
    signals: Floats, seed: int
) -> tuple[ForecastTables, Forecaster, pl.DataFrame]:
    """Return the history's tables, a forecaster of all of it, and its cross-fitted forecasts."""
    returns = signals[:, :, 0] * WORLD.volatility
    features, bars, sessions = lay_tables(returns, {"last_return": signals[:, 0, 0]})
    tables = ForecastTables(features, bars, NO_ACTIONS)
    names, split = ("last_return",), int(0.85 * len(sessions))
    spec = SPEC.model_copy(update={"seed": seed})
    forecaster = train_forecaster(
        tables,
        sessions[:split],
        sessions[split:],
        spec,
        names,
        candidates=("network",),
        threads=usable_cores(),
    )
    crossed = cross_fit(tables, sessions, spec, names, "network", threads=usable_cores())
    return tables, forecaster, crossed.rows


def _show_table(tables: ForecastTables, forecasts: pl.DataFrame, market: Market) -> Floats:
    """Return what is shown of the history's forecasts, (T, 1, F), 0 where there is none."""
    days = np.array(tables.features["session"].to_list(), dtype="datetime64[D]")
    symbols = tuple(tables.features["symbol"].unique())
    columns = tuple(c for c in forecasts.columns if forecasts[c].dtype == pl.Float32)
    panels = dict(panels_of(forecasts, symbols, days, columns))
    panels |= panels_of(tables.features, symbols, days, (VOLATILITY_COLUMN,))
    shown = np.stack(show_forecasts(panels), axis=-1)
    assert len(shown) == len(market.sessions)
    return np.nan_to_num(shown)


def _show_paths(forecaster: Forecaster, signals: Floats) -> Floats:
    """Return what is shown of the forecasts of paths, (n_bars, n_paths, 1, F)."""
    n_bars, n_paths = signals.shape[:2]
    said = _predict_paths(forecaster, signals[:, :, 0, 0])
    volatility = np.full(len(said), WORLD.volatility)
    state = forecaster.start_state
    # In a world that does not change, intervals stay as wide as they start.
    scores = np.array(state.interval_scores)
    half = conformal_quantile(scores, state.interval_alpha) * said.deviation
    limits = said.mean - half, said.mean + half
    columns = in_returns(said, limits, volatility * np.sqrt(SPEC.horizon_bars))
    flat = {**columns, VOLATILITY_COLUMN: volatility}
    shown = np.stack(show_forecasts(flat), axis=-1)
    laid = np.zeros((n_paths, n_bars, 1, shown.shape[-1]))
    laid[:, WINDOW_BARS - 1 :, 0] = shown.reshape(n_paths, -1, shown.shape[-1])
    return laid.swapaxes(0, 1)


def _predict_paths(forecaster: Forecaster, signals: Floats) -> Predictions:
    """Return what the forecaster says of all full windows of paths (n_bars, n_paths), by path."""
    n_bars, n_paths = signals.shape
    features, bars, _ = lay_tables(
        signals * WORLD.volatility, {"last_return": signals.T.ravel().copy()}
    )
    _, inputs = forecaster.model_inputs(ForecastTables(features, bars, NO_ACTIONS))
    symbol = np.repeat(np.arange(n_paths), n_bars - WINDOW_BARS + 1)
    session = np.tile(np.arange(WINDOW_BARS - 1, n_bars), n_paths)
    nothing = np.zeros(len(symbol))
    asked = LabelledRows(Rows(symbol, session), nothing.astype(np.int64), nothing, nothing + 1.0)
    training = forecaster.training
    assert training is not None
    network = training.candidates["network"]
    assert isinstance(network, NetworkEnsemble)
    # Strips share what windows have in common: the kernels of training are quicker here.
    table = StripTable(inputs, WINDOW_BARS)
    found = [run_network(member, table, asked) for member in network.networks]
    columns = zip(*found, strict=True)
    said = combine_members(MemberOutputs(*(np.stack([c.numpy() for c in x]) for x in columns)))
    return said.with_probabilities(temper(said.probabilities, forecaster.temperature))


def learn_hybrids(seeds: Sequence[int]) -> list[str]:
    """Train every seed, print it, and keep the ratio with its interval and the share."""
    print("| seed | hybrid, share of J* | pure RL, share of J* | ratio |")
    print("| --- " * 4 + "|")
    arms: list[Arms] = []
    for seed in seeds:
        one = learn_hybrid(seed)
        arms.append(one)
        hybrid, pure = one.hybrid.mean(), one.pure.mean()
        print(f"| {seed} | {hybrid:.3f} | {pure:.3f} | {hybrid / pure:.3f} |", flush=True)
    ratio, low, high = bootstrap_ratio(arms, np.random.default_rng(3))
    share = float(np.median([one.hybrid.mean() for one in arms]))
    print(f"ratio {ratio:.3f}, 95 % interval {low:.3f} to {high:.3f}")
    for name, value, unit, limit in (
        ("hybrid_ratio", ratio, "x", 1.15),
        ("hybrid_ratio_low", low, "x", None),
        ("hybrid_ratio_high", high, "x", None),
        ("hybrid_share", share, "share of J*", 0.70),
        ("pure_share", float(np.median([one.pure.mean() for one in arms])), "share of J*", None),
    ):
        keep(Figure(f"forecast.{name}", value, unit, limit=limit))
    missed = {"forecast.hybrid_ratio": ratio < 1.15, "forecast.hybrid_share": share < 0.70}
    return [name for name, is_missed in missed.items() if is_missed]


def bootstrap_ratio(arms: Sequence[Arms], rng: np.random.Generator) -> tuple[float, float, float]:
    """Return the ratio of mean rewards with its 95 % interval, paired over seeds and paths."""
    hybrid, pure = (np.stack([getattr(one, arm) for one in arms]) for arm in ("hybrid", "pure"))
    n_seeds, n_paths = hybrid.shape
    ratios = np.empty(RATIO_SAMPLES)
    for sample in range(RATIO_SAMPLES):
        # A seed is drawn for both of its agents, and then its paths.
        seeds = rng.integers(n_seeds, size=n_seeds)[:, None]
        paths = rng.integers(n_paths, size=(n_seeds, n_paths))
        ratios[sample] = hybrid[seeds, paths].mean() / pure[seeds, paths].mean()
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(hybrid.mean() / pure.mean()), float(low), float(high)
