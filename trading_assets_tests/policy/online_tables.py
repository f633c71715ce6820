"""Hostile tables, and bundles that decide on them: one session after the other or at once."""

import json
from datetime import date

import numpy as np
import polars as pl

from trading_assets.features.compute import compute_features
from trading_assets.features.scrambling import FeatureInputs
from trading_assets.forecast.tables import ForecastTables
from trading_assets.forecast.train import train_forecaster
from trading_assets.paper.account_memory import memory_after, memory_before
from trading_assets.policy.bundle import Bundle
from trading_assets.policy.decision import Account, decide
from trading_assets.policy.online_decision import DecisionInputs
from trading_assets_tests.features.test_online import ACTIONS, SERIES, SESSIONS
from trading_assets_tests.features.test_online import BARS as LISTED_BARS
from trading_assets_tests.policy.tasks import make_policy, make_strategy

SYMBOLS = ("AAA", "BBB", "CCC", "LATE", "OLD")
NAMES = (
    "log_return_1",
    "log_return_5",
    "ewma_volatility",
    "beta_63",
    "mean_correlation_63",
    "regime_stressed",
    "bars_since_action",
    "term_spread_z_252",
    "rsi_14",
    "close_in_range",
)
FIRST = SESSIONS.index(date(2006, 5, 22))
DAYS = SESSIONS[FIRST:]
# Days without a bar, on one of which a dividend of CCC and on another a split of AAA goes ex.
HALTED = {"CCC": [DAYS[4], *DAYS[13:16]], "AAA": [DAYS[30]], "BBB": DAYS[18:25]}
BARS = LISTED_BARS.filter(
    ~pl.any_horizontal(
        (pl.col("symbol") == name) & pl.col("session").is_in(days) for name, days in HALTED.items()
    )
)
TABLES = FeatureInputs(BARS, ACTIONS, SERIES)


def strategy_of(policy=None, forecast=None, risk=None):
    return make_strategy(
        risk=risk or {"max_weight": 0.5, "max_gross": 0.9},
        features={"names": NAMES, "module": "trading_assets_tests.features.own_examples"},
        forecast={
            "window_bars": 12,
            "network": "small",
            "members": 1,
            "epochs": 1,
            "horizon_bars": 3,
            **(forecast or {}),
        },
        policy={
            "observed_features": ["log_return_5", "ewma_volatility", "term_spread_z_252"],
            **(policy or {}),
        },
    )


def train(strategy, served="network"):
    known = BARS.filter(pl.col("session") < DAYS[0])
    actions = ACTIONS.filter(pl.col("ex_date") < DAYS[0])
    features = compute_features(known, actions, SERIES, strategy.features, SESSIONS[330:FIRST])
    tables = ForecastTables(features, known, actions)
    return train_forecaster(
        tables,
        SESSIONS[350:550],
        SESSIONS[550 : FIRST - 3],
        strategy.forecast,
        NAMES,
        candidates=[served],
    )


def bundle_of(strategy, forecaster, units=(0, 0), encoder=None, symbols=SYMBOLS):
    policies = [
        make_policy(strategy, symbols, seed, memory_units=count, encoder=encoder)
        for seed, count in enumerate(units)
    ]
    return Bundle.from_parts(strategy, NAMES, forecaster, {"ppo": policies})


def upto(day):
    """Return the tables as they were before a session came; an action was announced."""
    before = pl.col("session") < day
    return FeatureInputs(
        BARS.filter(before),
        ACTIONS.filter((pl.col("ex_date") < day) | (pl.col("kind") == "dividend")),
        SERIES.filter(before),
    )


def on(day):
    """Return what came with a session, bars in any order."""
    last = SESSIONS[SESSIONS.index(day) - 1]
    return FeatureInputs(
        BARS.filter(pl.col("session") == day).sample(fraction=1.0, shuffle=True, seed=2),
        ACTIONS.filter(pl.col("ex_date").is_between(last, day, closed="right")),
        SERIES.filter(pl.col("session") == day),
    )


def whole(inputs):
    """Return what `decide` decides on the same inputs."""
    return decide(
        inputs.bundle,
        inputs.tables.bars,
        inputs.tables.actions,
        inputs.tables.series,
        inputs.held_weights,
        inputs.session,
        inputs.symbols,
        inputs.remembered,
        inputs.carried,
        inputs.forecast_state,
    )


def as_json(values):
    return json.loads(json.dumps(values))


def require_same(found, wanted):
    """Require two decisions to be the same bytes throughout."""
    for name in ("tradable", "raw_weights", "weights"):
        one, other = getattr(found, name), getattr(wanted, name)
        assert (one.dtype, one.tobytes()) == (other.dtype, other.tobytes()), name
    for name in ("session", "symbols", "binding_limits", "decided_by", "remembered", "carried"):
        assert getattr(found, name) == getattr(wanted, name), name
    assert found.forecasts.schema == wanted.forecasts.schema
    assert found.forecasts.equals(wanted.forecasts)
    assert as_json(found.forecast_state) == as_json(wanted.forecast_state)
    assert json.dumps(found.forecast_state) == json.dumps(wanted.forecast_state)


class Days:
    """Inputs of one session after the other, as an account's records carry them."""

    def __init__(self, bundle, days, symbols=None, tables=TABLES):
        self.bundle, self.days, self.symbols, self.tables = bundle, days, symbols, tables
        self.summary, self.weights = None, {}

    def __iter__(self):
        for day in self.days:
            self.memory = memory = memory_before(self.summary, self.bundle)
            yield DecisionInputs(
                self.bundle,
                self.tables,
                self.weights,
                day,
                self.symbols,
                memory.states,
                memory.carried,
                memory.forecast_state,
            )

    def settle(self, decision):
        decided = self.memory.to_summary(decision.carried, decision.forecast_state)
        rng = np.random.default_rng(len(self.weights))
        self.summary = memory_after(as_json(decided), 0.01, 0.1)
        drifted = decision.weights * rng.uniform(0.98, 1.02, len(decision.weights))
        self.weights = dict(zip(decision.symbols, drifted.tolist(), strict=True))


def account_of(inputs):
    return Account(inputs.held_weights, inputs.remembered, inputs.carried)
