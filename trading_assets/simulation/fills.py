"""What an order of K books over N symbols fills and costs, on plain float64 arrays.

Used by `simulation.core.step` only. Rounds trades to lots, prices to ticks and money to 1e-6 USD.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.strategy import CostsSpec

Floats = NDArray[np.float64]

SHARE_DECIMALS = 9
USD_DECIMALS = 6
SESSIONS_PER_YEAR = 252
_BPS = 1e-4


@dataclass(frozen=True, slots=True)
class Order:
    """Shares to trade and the change of target weight they stand for, float64 (K, N)."""

    trade: Floats
    weight_change: Floats


@dataclass(frozen=True, slots=True)
class FillTerms:
    """At what an order is filled.

    Attributes
    ----------
    price : float64 (K, N)
        Fill price before costs, USD.
    volatility, adv_usd : float64 (N,) or (K, N)
        Daily volatility (fraction) and average dollar volume (USD), known before the fill.
    base_usd : float64 (K,)
        What a weight of 1 is worth, USD.
    costs : CostsSpec
        Costs, lot and tick.
    """

    price: Floats
    volatility: Floats
    adv_usd: Floats
    base_usd: Floats
    costs: CostsSpec


def round_price(price: Floats, tick_usd: float) -> Floats:
    """Return prices at whole ticks; a tick of 0 leaves them as they are."""
    return price if tick_usd == 0.0 else np.round(price / tick_usd) * tick_usd


def round_trade(target: Floats, quantity: Floats, lot_shares: float) -> Floats:
    """Return the shares that lead from `quantity` to `target`, in whole lots or 1e-9 shares."""
    difference = target - quantity
    if lot_shares == 0.0:
        return np.round(difference, SHARE_DECIMALS)
    # Toward zero, so that a lot is never bought with money that was not meant for it. A split can
    # leave a fraction of a lot: closing a position sells that too.
    lots = np.trunc(difference / lot_shares + np.copysign(1e-9, difference))
    return np.where(target == 0.0, -quantity, lots * lot_shares)


def trade_costs(order: Order, terms: FillTerms) -> Floats:
    """Return fee, half spread, impact and the quadratic plug-in, float64 (K, N), USD."""
    costs = terms.costs
    notional = np.abs(order.trade) * terms.price
    total = notional * ((costs.fee_bps + costs.half_spread_bps) * _BPS)
    if costs.impact_coefficient > 0.0:
        # Square-root law: Y sigma sqrt(Q / ADV) for each dollar traded.
        is_traded = notional > 0.0
        share = np.divide(notional, terms.adv_usd, out=np.zeros_like(notional), where=is_traded)
        per_dollar = costs.impact_coefficient * np.where(is_traded, terms.volatility, 0.0)
        total = total + notional * per_dollar * np.sqrt(share)
    if costs.quadratic_lambda > 0.0:
        variance = terms.volatility * terms.volatility
        change = order.weight_change
        quadratic = (0.5 * costs.quadratic_lambda) * variance * change * change
        total = total + np.where(change == 0.0, 0.0, quadratic * terms.base_usd[:, None])
    return np.round(total, USD_DECIMALS)


def fill(wanted: Order, cash: Floats | None, terms: FillTerms) -> tuple[Order, Floats]:
    """Return what is filled of an order and what it costs.

    Parameters
    ----------
    wanted : Order
        Rounded to lots.
    cash : float64 (K,), optional
        Cash before the trade, USD, of books that may not borrow: sales are added, and the buys of a
        book are scaled down by one factor to what is left after costs. Absent, all is filled.
    terms : FillTerms
        At what it is filled.
    """
    cost = trade_costs(wanted, terms)
    return (wanted, cost) if cash is None else _afford(wanted, cost, cash, terms)


def require_finite(equity: Floats) -> None:
    """Refuse books whose equity is nan or infinite.

    Raises
    ------
    DataError
        Saying what was missing.
    """
    if not np.isfinite(equity).all():
        msg = (
            "equity became nan; expected a finite price for each held symbol and, with an impact"
            " cost, a known volatility and dollar volume for each traded one: trade a symbol only"
            " from its second bar on"
        )
        raise DataError(msg)


def _afford(
    order: Order, trade_cost: Floats, cash: Floats, terms: FillTerms
) -> tuple[Order, Floats]:
    costs = terms.costs
    is_buy = order.trade > 0.0
    value = np.round(order.trade * terms.price, USD_DECIMALS)
    needed = np.where(is_buy, value + trade_cost, 0.0).sum(axis=-1)
    available = cash - np.where(is_buy, 0.0, value + trade_cost).sum(axis=-1)
    if (needed <= available).all():
        return order, trade_cost
    # Costs grow at least linearly with size, so scaling value and cost together is enough. What is
    # kept back is a micro-dollar, and one for each symbol, whose value and cost are rounded.
    kept_usd = (order.trade.shape[-1] + 1) * 10.0**-USD_DECIMALS
    spendable = np.maximum(available * (1.0 - 1e-12) - kept_usd, 0.0)
    is_short_of_cash = needed > available
    scale = np.where(is_short_of_cash, spendable / np.where(needed > 0.0, needed, 1.0), 1.0)
    applied = np.where(is_buy, scale[:, None], 1.0)
    step_shares = costs.lot_shares if costs.lot_shares > 0.0 else 10.0**-SHARE_DECIMALS
    floored = np.floor(order.trade * applied / step_shares) * step_shares
    is_scaled = is_buy & is_short_of_cash[:, None]
    scaled = Order(np.where(is_scaled, floored, order.trade), order.weight_change * applied)
    return scaled, trade_costs(scaled, terms)


def financing_of(cash: Floats, value: Floats, costs: CostsSpec) -> Floats:
    """Return a bar's interest on negative cash and fee on short positions, float64 (K,), USD."""
    if costs.financing_bps_per_year == 0.0 and costs.borrow_bps_per_year == 0.0:
        return np.zeros_like(cash)
    interest = np.maximum(-cash, 0.0) * (costs.financing_bps_per_year * _BPS / SESSIONS_PER_YEAR)
    short = np.maximum(-value, 0.0).sum(axis=-1)
    borrow = short * (costs.borrow_bps_per_year * _BPS / SESSIONS_PER_YEAR)
    return np.round(interest + borrow, USD_DECIMALS)
