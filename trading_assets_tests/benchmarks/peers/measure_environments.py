"""Time one peer's environment with random actions: `python measure_environments.py PEER`.

It runs in the peers' environment and prints one line of JSON. Peers are stepped as their documents
show, one environment, one step after the other, resets included.
"""

import contextlib
import io
import json
import sys
import warnings
from collections.abc import Callable
from statistics import median
from time import perf_counter
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

WINDOW_BARS, N_FEATURES, N_BARS = 60, 20, 2_520
ROUNDS, SECONDS_OF_A_ROUND = 3, 3.0


def walk(seed: int) -> np.ndarray:
    """Return prices of a random walk, (N_BARS,)."""
    return 100.0 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0.0, 0.01, N_BARS)))


def make_finrl(n_stocks: int) -> Any:
    """Return FinRL's environment of some stocks with eight indicators, of the newest row."""
    # It imports the wrapper of a learner that it uses for training only.
    for name in ("stable_baselines3", "stable_baselines3.common"):
        sys.modules[name] = ModuleType(name)
    wrapper = ModuleType("stable_baselines3.common.vec_env")
    wrapper.DummyVecEnv = object  # type: ignore[attr-defined]
    sys.modules["stable_baselines3.common.vec_env"] = wrapper
    from finrl_package import enter_package

    enter_package()
    from finrl.meta.env_stock_trading.env_stocktrading import StockTradingEnv

    indicators = [f"indicator_{place}" for place in range(8)]
    rng = np.random.default_rng(0)
    days = pd.date_range("2014-01-01", periods=N_BARS, freq="B").strftime("%Y-%m-%d")
    frames = []
    for stock in range(n_stocks):
        frame = pd.DataFrame({"date": days, "tic": f"S{stock:02}", "close": walk(stock)})
        for name in indicators:
            frame[name] = rng.standard_normal(N_BARS)
        frames.append(frame)
    table = pd.concat(frames).sort_values(["date", "tic"], ignore_index=True)
    table.index = table["date"].factorize()[0]
    return StockTradingEnv(
        df=table,
        stock_dim=n_stocks,
        hmax=100,
        initial_amount=1_000_000,
        num_stock_shares=[0] * n_stocks,
        buy_cost_pct=[0.001] * n_stocks,
        sell_cost_pct=[0.001] * n_stocks,
        reward_scaling=1e-4,
        state_space=1 + 2 * n_stocks + len(indicators) * n_stocks,
        action_space=n_stocks,
        tech_indicator_list=indicators,
        print_verbosity=1_000_000,
    )


def make_gym_anytrading() -> Any:
    """Return gym-anytrading's environment of one stock with windows of 60 x 20."""
    from gym_anytrading.envs import StocksEnv

    class WideEnv(StocksEnv):
        """As its documents show how to observe columns of one's own."""

        def _process_data(self) -> tuple[np.ndarray, np.ndarray]:
            prices = self.df["Close"].to_numpy().astype(np.float32)
            return prices, features().astype(np.float32)

    table = pd.DataFrame({"Close": walk(0)})
    return WideEnv(table, window_size=WINDOW_BARS, frame_bound=(WINDOW_BARS, N_BARS))


def make_gym_trading_env() -> Any:
    """Return gym-trading-env's environment of one stock with windows of 60 x 20."""
    from gym_trading_env.environments import TradingEnv

    # It makes every warning of the process an error when it is imported.
    warnings.simplefilter("ignore")
    close = walk(0)
    table = pd.DataFrame(
        {"open": close, "high": close, "low": close, "close": close, "volume": 1e6},
        index=pd.date_range("2014-01-01", periods=N_BARS, freq="h"),
    )
    # It adds two columns of its own.
    for place, column in enumerate(features().T[: N_FEATURES - 2]):
        table[f"feature_{place}"] = column
    return TradingEnv(
        df=table,
        positions=[-1, 0, 1],
        windows=WINDOW_BARS,
        trading_fees=1e-4,
        borrow_interest_rate=1e-6,
        verbose=0,
    )


def features() -> np.ndarray:
    """Return features of noise, (N_BARS, N_FEATURES)."""
    return np.random.default_rng(1).standard_normal((N_BARS, N_FEATURES))


PEERS: dict[str, Callable[[], Any]] = {
    "finrl_5": lambda: make_finrl(5),
    "finrl_30": lambda: make_finrl(30),
    "gym_anytrading": make_gym_anytrading,
    "gym_trading_env": make_gym_trading_env,
}


def measure(peer: str) -> float:
    """Return the median steps a second of some rounds."""
    # What some print goes nowhere.
    with contextlib.redirect_stdout(io.StringIO()):
        env = PEERS[peer]()
        env.reset(seed=0)
        env.action_space.seed(0)
        actions = [env.action_space.sample() for _ in range(256)]
        take_steps(env, actions)
        rates: list[float] = []
        for _ in range(ROUNDS):
            started, steps = perf_counter(), 0
            while perf_counter() - started < SECONDS_OF_A_ROUND:
                take_steps(env, actions)
                steps += len(actions)
            rates.append(steps / (perf_counter() - started))
    return median(rates)


def take_steps(env: Any, actions: list[Any]) -> None:
    """Take the actions one after the other, and start anew where an episode is over."""
    for action in actions:
        _, _, is_ended, is_truncated, _ = env.step(action)
        if is_ended or is_truncated:
            env.reset()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps({"peer": sys.argv[1], "steps_per_s": measure(sys.argv[1])}), flush=True)
