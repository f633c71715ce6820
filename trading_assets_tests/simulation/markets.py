"""Small markets for tests of the simulation and policy rooms."""

from datetime import date, timedelta

import numpy as np
import polars as pl

from trading_assets.simulation.core import Bar
from trading_assets.simulation.market import build_market

FIRST = date(2020, 1, 6)


def make_bar(opened, close, *, split_ratio=1.0, cash=0.0, volatility=0.02, adv_usd=1e7):
    """Return a bar of N symbols from lists."""
    opened = np.array(opened, dtype=np.float64)
    full = np.ones_like(opened)
    return Bar(
        open=opened,
        close=np.array(close, dtype=np.float64),
        split_ratio=full * split_ratio,
        cash_per_share=full * cash,
        volatility=full * volatility,
        adv_usd=full * adv_usd,
    )


def make_sessions(count):
    return [FIRST + timedelta(days=index) for index in range(count)]


def make_bars(closes, opens=None):
    """Return validated_bars columns; a nan close means no bar."""
    rows = []
    sessions = make_sessions(max(len(values) for values in closes.values()))
    for symbol, values in closes.items():
        opened = values if opens is None else opens[symbol]
        rows.extend(
            {"symbol": symbol, "session": day, "open": o, "close": c, "volume": 1e5}
            for day, o, c in zip(sessions, opened, values, strict=True)
            if not np.isnan(c)
        )
    return pl.DataFrame(rows)


def make_actions(rows=()):
    schema = {
        "symbol": pl.String,
        "ex_date": pl.Date,
        "kind": pl.String,
        "split_ratio": pl.Float64,
        "cash_usd": pl.Float64,
    }
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def random_market(n_sessions=300, symbols=("A", "B", "C"), seed=3):
    """Return a market of random walks with gaps between close and open."""
    rng = np.random.default_rng(seed)
    closes, opens = {}, {}
    for symbol in symbols:
        path = 100 * np.exp(np.cumsum(rng.normal(3e-4, 0.015, n_sessions)))
        gap = np.exp(rng.normal(0, 0.003, n_sessions))
        opened = np.concatenate([[100.0], path[:-1]]) * gap
        closes[symbol], opens[symbol] = path.tolist(), opened.tolist()
    bars = make_bars(closes, opens)
    return build_market(bars, make_actions(), symbols, make_sessions(n_sessions))
