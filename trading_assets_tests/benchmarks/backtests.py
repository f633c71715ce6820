"""Figures of the backtest engines, beside vectorbt and backtesting.py in the same run."""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from trading_assets.backtest.event_engine import EventEngine, Orders, trade_orders
from trading_assets.backtest.orders import Order
from trading_assets.backtest.series import prepare_series, trade_each_symbol
from trading_assets.simulation.compiled.layout import PRICE, QUANTITY
from trading_assets.simulation.market import Market
from trading_assets.strategy import Strategy
from trading_assets_tests.benchmarks.environments import make_market as make_walks
from trading_assets_tests.benchmarks.figures import REPOSITORY, Figure, keep
from trading_assets_tests.benchmarks.peer_processes import SOURCES, build_environment, run_peer
from trading_assets_tests.paper.fixtures import make_market, make_strategy
from trading_assets_tests.paper.four_ways import equities, random_weights

ENVIRONMENT = REPOSITORY / ".bench" / "backtests"
REQUIREMENTS = SOURCES / "requirements_backtests.txt"
SYMBOLS, BARS = 14, 98_000
FAST, SLOW, FEE = 10, 30, 0.001
# Large, so that whole shares and micro-dollars are nothing beside it.
CASH = 1e14
ROUNDS, EVENT_ROUNDS = 15, 3
SAME = 1e-9


def minute_walks() -> Market:
    """Return random walks of minutes that open at the close before."""
    walks = make_walks(BARS, SYMBOLS)
    close = 100.0 * (walks.close / 100.0) ** 0.1
    opens = np.vstack([close[:1], close[:-1]])
    both = np.stack([opens, close])
    parts = {name: getattr(walks, name) for name in ("volume", "tradable", "split_ratio")}
    parts |= {name: getattr(walks, name) for name in ("cash_per_share", "volatility", "adv_usd")}
    return Market(
        walks.sessions,
        walks.symbols,
        open=opens,
        close=close,
        high=both.max(axis=0),
        low=both.min(axis=0),
        **parts,
    )


def held_by_rule(close: np.ndarray) -> np.ndarray:
    """Return whether the fast mean lies above the slow one at each close, bool (T, N)."""
    sums = np.cumsum(np.vstack([np.zeros((1, close.shape[1])), close]), axis=0)

    def mean(bars: int) -> np.ndarray:
        found = np.full(close.shape, np.nan)
        found[bars - 1 :] = (sums[bars:] - sums[:-bars]) / bars
        return found

    return mean(FAST) > mean(SLOW)


def changes_of(held: np.ndarray) -> np.ndarray:
    """Return where a position is entered (1) or left (0) at a close, else nan, (T - 1, N)."""
    before = np.vstack([np.zeros((1, held.shape[1]), bool), held[:-1]])
    return np.where(held != before, held.astype(np.float64), np.nan)[:-1]


def declared() -> Strategy:
    """All in or flat, a tenth of a percent a trade."""
    return Strategy.model_validate(
        {
            "market_data": "any",
            "folds": {"period": "year", "first": "2020-01-01"},
            "costs": {"fee_bps": 1e4 * FEE, "half_spread_bps": 0},
            "risk": {"max_weight": 1, "max_gross": 1},
            "policy": {"agents": {"ppo": {}}},
            "backtest": {"initial_equity_usd": CASH},
        }
    )


def cross_trader(changes: np.ndarray) -> Callable[[EventEngine], Orders]:
    """Return what orders at each close what a rule has changed its mind on."""
    rows, columns = np.nonzero(np.isfinite(changes))
    by_row: dict[int, list[tuple[int, bool]]] = {}
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        by_row.setdefault(row, []).append((column, bool(changes[row, column])))
    nothing: Sequence[tuple[int, bool]] = ()

    def trade(engine: EventEngine) -> Orders:
        orders: list[Order] = []
        for column, is_entered in by_row.get(engine.row, nothing):
            if is_entered:
                price = float(engine.positions[column, PRICE, column])
                orders.append(Order(column, column, float(engine.cash[column]) / price))
            else:
                held = float(engine.positions[column, QUANTITY, column])
                orders.append(Order(column, column, -held))
        return orders

    return trade


def seconds_of(run: Callable[[], np.ndarray], rounds: int) -> tuple[float, np.ndarray]:
    """Return the median seconds of some runs after a first one, and what the last returned."""
    found = run()
    seconds: list[float] = []
    for _ in range(rounds):
        started = time.perf_counter()
        found = run()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds), found


def measure_engines() -> None:
    """Trade the same rule by every engine, and refuse figures where final equities differ."""
    market, strategy = minute_walks(), declared()
    changes = changes_of(held_by_rule(market.close))
    prepare_series(market, strategy.costs)
    started = time.perf_counter()
    prepared = prepare_series(market, strategy.costs)
    preparing = time.perf_counter() - started
    at_once, equity = seconds_of(lambda: trade_each_symbol(prepared, changes, CASH), ROUNDS)
    trade, rows = cross_trader(changes), range(BARS - 1)
    by_events, event_equity = seconds_of(
        lambda: trade_orders(market, strategy, SYMBOLS, rows, trade), EVENT_ROUNDS
    )
    _require_same("event-driven engine", event_equity[-1], equity[-1])
    peers = _measure_peers(market, changes)
    for peer, (_, final) in peers.items():
        _require_same(peer, np.array(final), equity[-1][: len(final)])
    bars = float(SYMBOLS * BARS)
    vectorised, driven = bars / at_once, bars / by_events
    vectorbt, looped = peers["vectorbt"][0], peers["backtesting"][0]
    ratio = vectorised / vectorbt
    both = bars / (at_once + preparing)
    for figure in (
        Figure("backtest.vector_bars_per_s", vectorised, "bars/s", "vectorbt", ratio, 1e8),
        Figure("backtest.vector_vs_vectorbt", ratio, "ratio", limit=15),
        Figure("backtest.vector_with_preparing_bars_per_s", both, "bars/s"),
        Figure(
            "backtest.event_bars_per_s", driven, "bars/s", "backtesting.py", driven / looped, 5e5
        ),
        Figure("backtest.peer_vectorbt_bars_per_s", vectorbt, "bars/s", "vectorbt 1.2.0"),
        Figure("backtest.peer_backtesting_bars_per_s", looped, "bars/s", "backtesting.py 0.6.6"),
    ):
        keep(figure)


def _measure_peers(market: Market, changes: np.ndarray) -> dict[str, tuple[float, list[float]]]:
    python = build_environment(ENVIRONMENT, REQUIREMENTS)
    # What is decided at a close is traded at the next bar's open.
    late = np.vstack([np.full((1, SYMBOLS), np.nan), changes])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rule.npz"
        np.savez(
            path,
            close=market.close,
            open=market.open,
            entries=late == 1.0,
            exits=late == 0.0,
            fee=FEE,
            cash=CASH,
        )
        found: dict[str, tuple[float, list[float]]] = {}
        for peer in ("vectorbt", "backtesting"):
            values = run_peer(python, "measure_backtests.py", peer, 300, [str(path)])
            found[peer] = (float(values["bars_per_s"]), values["final"])
    return found


def _require_same(engine: str, final: np.ndarray, ours: np.ndarray) -> None:
    gap = float(np.abs(final / ours - 1.0).max())
    print(f"final equity of {engine} differs by {gap:.2e}", flush=True)
    if not gap <= SAME:
        msg = f"{engine} ends with {final}, the vectorised engine with {ours}: {gap:.2e} apart"
        raise RuntimeError(msg)


def measure_parity() -> None:
    """Keep the largest difference of four ways of trading, USD of a million."""
    cases: dict[str, dict[str, object]] = {
        "impact": {},
        "capped": {"costs": {"fee_bps": 1, "max_participation": 0.002}},
        "quadratic": {
            "policy": {
                "agents": {"ppo": {}},
                "position": "long_short",
                "sizing": "constant_notional",
            },
            "costs": {"fee_bps": 0, "half_spread_bps": 0, "quadratic_lambda": 25},
            "risk": {"max_weight": 1.0, "max_gross": 3.0, "max_order_notional_usd": 5_000_000},
        },
    }
    largest = 0.0
    for case in cases.values():
        for seed in range(3):
            strategy, market = make_strategy(**case), make_market(60, seed=seed)
            with tempfile.TemporaryDirectory() as folder:
                weights = random_weights(strategy, market, seed)
                found = equities(Path(folder), market, strategy, weights)
            largest = max(largest, float(np.ptp(np.array(list(found.values())), axis=0).max()))
    keep(Figure("backtest.parity_max_diff_usd", largest, "USD", limit=0.01))


STAGES = {"backtest": measure_engines, "parity": measure_parity}
