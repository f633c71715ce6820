"""Policies that were trained before a company of theirs was renamed."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from trading_assets.bars.actions.companies import newest_tickers, symbols_since
from trading_assets.policy.traded_as_decided import TradedAsDecided
from trading_assets.simulation.core import Books, Floats


def current_symbols(
    trained: Sequence[str], universe: Sequence[str], actions: pl.DataFrame
) -> tuple[str, ...]:
    """Return what the symbols of a policy are called now, in its own order.

    Which renames a policy has seen follows from its symbols, as they are those of the portfolio
    that its universe had then. Where they are of no such portfolio, because the universe was
    declared anew, they are returned as they are.

    Parameters
    ----------
    trained : sequence of str
        Symbols that a policy was trained on.
    universe : sequence of str
        Every ticker that the data set asks for, in order.
    actions : DataFrame
        Table `corporate_actions`; only renames are read.
    """
    renames = actions.filter(pl.col("kind") == "rename")
    days = renames["ex_date"].unique().sort(descending=True).to_list()
    for count in range(len(days) + 1):
        is_unseen = pl.col("ex_date").is_in(days[:count])
        if newest_tickers(universe, renames.filter(~is_unseen)) == tuple(trained):
            names = symbols_since(trained, renames.filter(is_unseen))
            return tuple(names[symbol] for symbol in trained)
    return tuple(trained)


def decide_for(
    symbols: Sequence[str], own: Sequence[str], decide: TradedAsDecided[Floats]
) -> TradedAsDecided[Floats]:
    """Return decisions for books over `symbols`, made by a function that knows books over `own`.

    Symbols that the function does not know get no weight, and what it decides on others is left
    out: it must not have held any.
    """
    if tuple(symbols) == tuple(own):
        return decide
    columns = np.array([own.index(name) if name in own else -1 for name in symbols])
    kept = np.flatnonzero(columns >= 0)
    found = columns[kept]

    def decided(row: int, books: Books) -> Floats:
        def seen(values: Floats) -> Floats:
            spread = np.zeros((values.shape[0], len(own)))
            spread[:, found] = values[:, kept]
            return spread

        known = Books(
            cash=books.cash,
            quantity=seen(books.quantity),
            price=seen(books.price),
            target_weight=seen(books.target_weight),
        )
        weights = np.zeros(len(symbols))
        weights[kept] = decide(row, known)[found]
        return weights

    return TradedAsDecided(decided)
