"""What the pre-trade checks know of an account: its books, its open orders, the closes known."""

from decimal import Decimal

import numpy as np

from trading_assets.paper.account import Account
from trading_assets.paper.ledger import AccountState
from trading_assets.paper.orders import ZERO
from trading_assets.risk.account_facts import AccountFacts, OpenOrder
from trading_assets.simulation.core import Floats
from trading_assets.simulation.market import Market
from trading_assets.strategy import Strategy


def facts_of_account(
    account: Account,
    state: AccountState,
    strategy: Strategy,
    market: Market,
    closes: Floats,
    row: int,
) -> AccountFacts:
    """Return what is known of an account before the first order of a session.

    Parameters
    ----------
    account : Account
        Its orders, those of unknown fate among the open ones.
    state : AccountState
        Cash and holdings.
    strategy : Strategy
        Sectors.
    market : Market
        Dollar volumes.
    closes : float64 (N,)
        Last closes known, USD; nan where a symbol has had none.
    row : int
        The market's newest row that is known.
    """
    prices = {
        symbol: Decimal(repr(close))
        for symbol, close in zip(market.symbols, closes.tolist(), strict=True)
        if np.isfinite(close) and close > 0
    }
    volumes = {
        symbol: Decimal(repr(dollars)) / prices[symbol]
        for symbol, dollars in zip(market.symbols, market.adv_usd[row].tolist(), strict=True)
        if symbol in prices and np.isfinite(dollars)
    }
    values = [held * prices[symbol] for symbol, held in state.quantity.items() if symbol in prices]
    is_priced = len(values) == len(state.quantity)
    return AccountFacts(
        held=state.quantity,
        open_orders=[
            OpenOrder(
                known.order.client_order_id,
                known.order.symbol,
                known.order.side,
                known.quantity,
                known.quantity - known.filled_quantity,
                known.order.limit_price_usd,
            )
            for known in account.open_orders
        ],
        equity_usd=state.cash_usd + sum(values, ZERO) if is_priced else None,
        price_usd=prices,
        average_volume_shares=volumes,
        sectors=strategy.risk.sectors,
        session_price_usd=prices,
        used_order_ids=tuple(account.orders),
    )
