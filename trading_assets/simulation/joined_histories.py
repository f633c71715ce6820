"""Several histories as one market, for a policy that is trained on all of them."""

from collections.abc import Callable, Sequence

import numpy as np

from trading_assets.simulation.market import Market
from trading_assets.simulation.terms import Floats


def join_histories(markets: Sequence[Market], rows: range) -> Market:
    """Return the same rows of several markets one after the other, on rows that are no real days.

    What happens from one history to the next is no bar that may be traded.

    Parameters
    ----------
    markets : sequence of Market
        Markets with the same number of symbols; the first one's names are taken.
    rows : range
        Consecutive rows of each.
    """
    part = slice(rows.start, rows.stop)

    def joined(values_of: Callable[[Market], Floats]) -> Floats:
        return np.concatenate([values_of(market)[part] for market in markets])

    n_rows = len(markets) * len(rows)
    return Market(
        sessions=np.datetime64("0001-01-01", "D") + np.arange(n_rows),
        symbols=markets[0].symbols,
        open=joined(lambda m: m.open),
        close=joined(lambda m: m.close),
        volume=joined(lambda m: m.volume),
        tradable=np.concatenate([market.tradable[part] for market in markets]),
        split_ratio=joined(lambda m: m.split_ratio),
        cash_per_share=joined(lambda m: m.cash_per_share),
        volatility=joined(lambda m: m.volatility),
        adv_usd=joined(lambda m: m.adv_usd),
        payout_per_share=joined(_payouts),
    )


def _payouts(market: Market) -> Floats:
    payout = market.payout_per_share
    return np.full_like(market.close, np.nan) if payout is None else payout
