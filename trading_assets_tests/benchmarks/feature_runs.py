"""The project's own features of minute bars, in a process of its own: `... WORK BARS_PARQUET`.

Prints one line of JSON: seconds of each run after a warm-up on other bars, and the largest memory
above that before the bars were read, so that they count.
"""

import json
import os
import resource
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl
import psutil

from trading_assets.features.catalogue import STANDARD
from trading_assets.features.engine import Engine, build_engine, compute_rows
from trading_assets.features.market_state import MarketState
from trading_assets.features.program import build_program
from trading_assets.features.regime_filter import filter_regimes
from trading_assets.features.regimes import fit_month, observe_market
from trading_assets_tests.features.shared_indicators import SHARED

Columns = dict[str, np.ndarray]
RUNS = 5
PRICES = ("open", "high", "low", "close", "volume")
# What a data set may declare, made up here so that its features are computed too.
CONTEXT = ("news_score", "news_count", "term_spread", "credit_spread")


def read_symbols(bars_parquet: Path) -> list[Columns]:
    """Return the columns of each symbol, float64, and its times."""
    parts = pl.read_parquet(bars_parquet).partition_by("symbol", maintain_order=True)
    return [
        {name: part[name].to_numpy() for name in PRICES} | {"time": part["event_time"].to_numpy()}
        for part in parts
    ]


def shared_engine() -> Engine:
    """Return the engine of the thirty shared indicators, none scaled, none waited for."""
    program = build_program(SHARED)
    features, inputs = len(SHARED), len(program.inputs)
    return Engine(
        names=tuple(SHARED),
        program=program,
        slots=program.outputs,
        reach=np.zeros(features, dtype=np.int64),
        waits_for=np.zeros((features, inputs), dtype=bool),
        input_reach=np.zeros(inputs, dtype=np.int64),
        is_scaled=np.zeros(features, dtype=bool),
        given=(),
    )


def compute_shared(symbols: Sequence[Columns], threads: int) -> list[np.ndarray]:
    """Return the thirty indicators (30, T) of each symbol."""
    engine = shared_engine()

    def compute(symbol: Columns) -> np.ndarray:
        inputs = [symbol[name] for name in engine.program.inputs]
        return compute_rows(engine, inputs, 0, 0)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(compute, symbols))


def compute_standard(symbols: Sequence[Columns], scale_bars: int) -> list[np.ndarray]:
    """Return `volatility_1d` and the 78 features (79, T) of each symbol, from its bars alone."""
    engine = build_engine(tuple(STANDARD))
    returns = np.stack([log_moves(s["close"], s["close"]) for s in symbols], axis=1)
    market = market_columns(returns, symbols[0]["time"])
    rng = np.random.default_rng(3)
    calendar = calendar_columns(symbols[0]["time"])
    context = {f"series:{name}": rng.normal(size=len(returns)) for name in CONTEXT}

    def compute(place: int) -> np.ndarray:
        own = own_columns(symbols[place])
        around = {name: values[:, place] if values.ndim > 1 else values
                  for name, values in market.items()}  # fmt: skip
        columns = own | calendar | around | context
        inputs = [columns[name] for name in engine.program.inputs]
        return compute_rows(engine, inputs, scale_bars, 0)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(compute, range(len(symbols))))


def log_moves(to: np.ndarray, close: np.ndarray) -> np.ndarray:
    """Return ln(to / the close before), nan at the first bar."""
    moves = np.full(len(close), np.nan)
    moves[1:] = np.log(to[1:] / close[:-1])
    return moves


def own_columns(bars: Columns) -> Columns:
    """Return the inputs that a symbol's own bars give."""
    return {
        **{name: bars[name] for name in PRICES},
        "dollar_volume": bars["close"] * bars["volume"],
        "log_return": log_moves(bars["close"], bars["close"]),
        "overnight_gap": log_moves(bars["open"], bars["close"]),
        "bars_since_action": np.ones(len(bars["close"])),
    }


def calendar_columns(times: np.ndarray) -> Columns:
    """Return the inputs that the times give, which all symbols share."""
    days = times.astype("datetime64[D]")
    angle = 2.0 * np.pi * ((days.astype(np.int64) + 3) % 7) / 5.0
    return {
        "weekday_sin": np.sin(angle),
        "weekday_cos": np.cos(angle),
        "minutes_from_open": (times - days).astype("timedelta64[m]").astype(np.float64) / 1440.0,
    }


def market_columns(returns: np.ndarray, times: np.ndarray) -> Columns:
    """Return the market's inputs, with a regime model a month, as the features asset has them."""
    state = MarketState([None] * returns.shape[1]).advance(returns)
    observed = observe_market(state.market_return)
    months = times.astype("datetime64[M]")
    begins = np.flatnonzero(months[1:] != months[:-1]) + 1
    regimes = np.full((len(returns), 3), np.nan)
    for begin, end in pairwise([*begins, len(returns)]):
        model, fitted = fit_month(observed, int(begin))
        if model is not None:
            regimes[begin:end] = filter_regimes(model, observed[fitted:end])[begin - fitted :]
    return {
        "market_return": state.market_return,
        "sector_return": state.sector_return,
        "mean_correlation": state.mean_correlation,
        "first_component_share": state.first_component_share,
        "regime_calm": regimes[:, 0],
        "regime_stressed": regimes[:, -1],
    }


def warm_up_symbols() -> list[Columns]:
    """Return a few bars of two symbols, so that everything is compiled and loaded."""
    rng = np.random.default_rng(1)
    close = np.exp(np.cumsum(rng.normal(0.0, 1e-3, 3000)))
    bars = {"open": close, "high": close * 1.001, "low": close / 1.001, "close": close}
    times = np.datetime64("2024-01-30T00:00", "m") + np.arange(3000)
    return [{**bars, "volume": np.full(3000, 9.0), "time": times}] * 2


WORK: dict[str, Callable[[Sequence[Columns]], list[np.ndarray]]] = {
    "shared30": lambda symbols: compute_shared(symbols, os.cpu_count() or 1),
    "shared30_one_thread": lambda symbols: compute_shared(symbols, 1),
    "all78": lambda symbols: compute_standard(symbols, 0),
    "all78_scaled": lambda symbols: compute_standard(symbols, 252),
}


def main(work: str, bars_parquet: Path, runs: int) -> None:
    """Run one kind of work and print what it took."""
    compute = WORK[work]
    compute(warm_up_symbols())
    before = psutil.Process().memory_info().rss
    symbols = read_symbols(bars_parquet)
    seconds: list[float] = []
    found: list[np.ndarray] = []
    for _ in range(runs):
        found = []
        started = perf_counter()
        found = compute(symbols)
        seconds.append(perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    figures = {
        "seconds": seconds,
        "bars": sum(len(symbol["close"]) for symbol in symbols),
        "output_gb": sum(table.nbytes for table in found) / 1e9,
        "peak_over_output": (peak - before) / sum(table.nbytes for table in found),
        "known_share": float(np.mean([np.isfinite(table).mean() for table in found])),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else RUNS)
