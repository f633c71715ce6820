"""Bars that rewards are paid for, from numbers."""

import numpy as np

from trading_assets.simulation.compiled.layout import (
    BASE,
    COSTS,
    FILL_FIELDS,
    FINANCING,
    GAIN,
    OUTCOME_FIELDS,
    PNL,
    POSITION_WEIGHT,
    TRADE_COST,
    TRADED,
)
from trading_assets.simulation.rewards.reward import PaidBar

BASE_USD = 2_000.0


def bar_of_returns(net_return, traded=0.0, deviation=0.02):
    """Return a bar of accounts of one symbol that returned so much and traded so much."""
    net_return = np.atleast_1d(np.asarray(net_return, dtype=np.float64))
    outcome = np.zeros((len(net_return), OUTCOME_FIELDS))
    outcome[:, BASE], outcome[:, PNL] = BASE_USD, net_return * BASE_USD
    outcome[:, TRADED] = np.asarray(traded) * BASE_USD
    rows = np.zeros(len(net_return), dtype=np.int64)
    fills = np.zeros((len(net_return), FILL_FIELDS, 1))
    return PaidBar(outcome, fills, rows, np.full((1, 1, 1), deviation**2))


def random_bar(n_books, n_symbols=4, n_rows=20, seed=0):
    """Return a bar of random books at random rows; the first symbol has no volatility yet."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(0.0, 0.3, (n_books, n_symbols))
    weight[:, 0] = 0.0
    fills = np.zeros((n_books, FILL_FIELDS, n_symbols))
    fills[:, POSITION_WEIGHT] = weight
    fills[:, GAIN] = weight * rng.normal(0.0, 0.02, weight.shape) * BASE_USD
    fills[:, TRADE_COST] = np.abs(weight) * 1e-3 * BASE_USD
    outcome = np.zeros((n_books, OUTCOME_FIELDS))
    outcome[:, PNL] = fills[:, GAIN].sum(axis=1)
    outcome[:, COSTS] = fills[:, TRADE_COST].sum(axis=1)
    outcome[:, FINANCING] = rng.uniform(0.0, 1e-4, n_books) * BASE_USD
    outcome[:, BASE] = BASE_USD
    outcome[:, TRADED] = rng.uniform(0.0, 0.5, n_books) * BASE_USD
    roots = rng.normal(0.0, 0.01, (n_rows, n_symbols, n_symbols))
    roots[:, 0] = 0.0
    return PaidBar(
        outcome,
        fills,
        rng.integers(0, n_rows, n_books),
        roots @ roots.transpose(0, 2, 1),
        rng.uniform(-1.0, 1.0, (n_rows, n_symbols)),
    )


def one_of(bar, book):
    """Return the bar of one book alone."""
    one = slice(book, book + 1)
    return PaidBar(
        bar.outcome[one].copy(),
        bar.fills[one].copy(),
        bar.rows[one].copy(),
        bar.covariance,
        bar.confidence,
    )
