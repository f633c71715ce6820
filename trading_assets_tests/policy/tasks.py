"""Small trading tasks for tests of the environments and of policies."""

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl

from trading_assets.features.windows import VOLATILITY_COLUMN
from trading_assets.policy.decision_rules import declared_rules
from trading_assets.policy.encoding import encoder_shapes, n_outputs
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.recurrence import memory_shapes
from trading_assets.schema import TABLES, conform
from trading_assets.strategy import Strategy
from trading_assets_tests.simulation.markets import random_market

SYMBOLS = ("A", "B", "C")


def make_strategy(**changes) -> Strategy:
    policy = {
        "agents": {"ppo": {"total_steps": 1_000}},
        "observed_features": ["momentum", "reversal"],
        **changes.pop("policy", {}),
    }
    return Strategy.model_validate(
        {
            "market_data": "random",
            "policy": policy,
            "folds": {"first": date(2021, 1, 1)},
            "costs": {"impact_coefficient": 0.5},
            "risk": {"max_weight": 0.5, "max_gross": 0.9},
            **changes,
        }
    )


def make_tables(market, seed=0):
    """Return features and forecasts of a market's sessions, some of them null."""
    rng = np.random.default_rng(seed)
    days = market.sessions.astype("datetime64[D]").tolist()
    keys = [(s, d) for s in market.symbols for d in days]
    draws = rng.normal(size=(len(keys), 2)).astype(np.float32)
    features = pl.DataFrame(
        {
            "symbol": [s for s, _ in keys],
            "session": [d for _, d in keys],
            VOLATILITY_COLUMN: np.full(len(keys), 0.02, dtype=np.float32),
            "momentum": draws[:, 0],
            "reversal": draws[:, 1],
        }
    ).with_columns(pl.when(pl.col("momentum") < 2.0).then("momentum").name.keep())
    parts = rng.dirichlet(np.ones(3) * 20, len(keys)).astype(np.float32)
    expected = (0.01 * draws[:, 0]).astype(np.float32)
    # Errors of estimates around a tenth of the deviation of returns.
    noise, error = rng.uniform((0.03, 0.001), (0.05, 0.008), (len(keys), 2)).T.astype(np.float32)
    sigma = np.hypot(noise, error)
    half = rng.uniform(1.2, 2.0, len(keys)).astype(np.float32) * sigma
    sets = rng.integers(1, 8, len(keys)).astype(np.int8)
    forecasts = features.select("symbol", "session").with_columns(
        knowledge_time=pl.col("session").cast(pl.Datetime("us", "UTC")) + pl.duration(hours=21),
        window=pl.lit("test"),
        model=pl.lit("forecaster"),
        p_down=parts[:, 0],
        p_flat=parts[:, 1],
        p_up=parts[:, 2],
        expected_return=expected,
        sigma_return=sigma,
        sigma_noise=noise,
        sigma_expected_return=error,
        interval_low=expected - half,
        interval_high=expected + half,
        prediction_set=sets,
        abstains=~np.isin(sets, (1, 2, 4)),
    )
    return features, conform("forecasts", forecasts)


def no_forecasts():
    return TABLES["forecasts"].empty()


def make_policy(strategy, symbols=SYMBOLS, seed=0, memory_units=0, encoder=None, hidden_units=8):
    """Return an untrained policy with random weights."""
    rules = declared_rules(strategy, symbols)
    rng = np.random.default_rng(seed)
    tensors, n_inputs = {}, rules.n_inputs
    if encoder is not None:
        shapes = encoder_shapes(encoder, rules.window_bars, len(symbols), rules.n_symbol_inputs)
        tensors |= {f"encoder.{name}": shape for name, shape in shapes.items()}
        n_inputs = len(symbols) * n_outputs(encoder) + rules.n_account_inputs
    if memory_units:
        shapes = memory_shapes(memory_units, n_inputs)
        tensors |= {f"memory.{name}": shape for name, shape in shapes.items()}
        n_inputs = memory_units
    tensors = {name: rng.normal(0, 0.6, s).astype(np.float32) for name, s in tensors.items()}
    sizes = [n_inputs, hidden_units, hidden_units, len(symbols)]
    for name, before, after in zip(
        ("hidden_0", "hidden_1", "action"), sizes[:-1], sizes[1:], strict=True
    ):
        tensors[f"{name}.weight"] = rng.normal(0, 0.6, (after, before)).astype(np.float32)
        tensors[f"{name}.bias"] = rng.normal(0, 0.2, after).astype(np.float32)
    return TrainedPolicy(rules, tensors, "ppo", seed, (), 0, encoder=encoder)


def broken(policy, name, value):
    tensors = {key: tensor.copy() for key, tensor in policy.tensors.items()}
    tensors[name].flat[0] = value
    return replace(policy, tensors=tensors)


def days_of(market):
    return market.sessions.astype("datetime64[D]").tolist()


__all__ = [
    "SYMBOLS",
    "broken",
    "days_of",
    "make_policy",
    "make_strategy",
    "make_tables",
    "no_forecasts",
    "random_market",
]
