"""What an account may come to with one order more: positions, sectors, gross, net and leverage.

An order that only brings a position nearer to zero is never held against these: a book that markets
have carried over a limit has to be brought back by such orders.
"""

from collections.abc import Callable
from decimal import Decimal

from trading_assets.risk.order_limits import Breach, OrderLimits, above, unknown
from trading_assets.risk.pretrade_state import Exposure
from trading_assets.risk.proposed_orders import ZERO, ProposedOrder

ExposureRule = Callable[[ProposedOrder, Exposure, OrderLimits], Breach | None]


def no_short_sale(order: ProposedOrder, exposure: Exposure, limits: OrderLimits) -> Breach | None:
    """Refuse to sell more than is held beyond what open orders sell, unless shorts are meant."""
    if limits.permits_short or order.side == "buy" or exposure.least_shares >= ZERO:
        return None
    least = f"{exposure.least_shares:f}"
    sentence = f"position of {order.symbol} could become {least} shares; expected at least 0"
    return Breach("no_short_sale", "0", least, sentence)


def max_position_notional_usd(
    order: ProposedOrder, exposure: Exposure, limits: OrderLimits
) -> Breach | None:
    """Refuse a larger absolute position in one symbol."""
    what = f"position of {order.symbol} in USD"
    limit = limits.max_position_notional_usd
    return _sum_above("max_position_notional_usd", what, exposure.position_usd, limit)


def max_sector_notional_usd(
    order: ProposedOrder, exposure: Exposure, limits: OrderLimits
) -> Breach | None:
    """Refuse a larger sum of absolute positions in the symbol's sector."""
    what = f"sum of absolute positions in the sector of {order.symbol} in USD"
    limit = limits.max_sector_notional_usd
    return _sum_above("max_sector_notional_usd", what, exposure.sector_usd, limit)


def max_gross_notional_usd(
    _order: ProposedOrder, exposure: Exposure, limits: OrderLimits
) -> Breach | None:
    """Refuse a larger sum of absolute positions."""
    what, limit = "sum of absolute positions in USD", limits.max_gross_notional_usd
    return _sum_above("max_gross_notional_usd", what, exposure.gross_usd, limit)


def max_net_notional_usd(
    _order: ProposedOrder, exposure: Exposure, limits: OrderLimits
) -> Breach | None:
    """Refuse a larger absolute sum of positions."""
    what, limit = "absolute sum of positions in USD", limits.max_net_notional_usd
    return _sum_above("max_net_notional_usd", what, exposure.net_usd, limit)


def max_leverage(_order: ProposedOrder, exposure: Exposure, limits: OrderLimits) -> Breach | None:
    """Refuse a larger multiple of equity as sum of absolute positions."""
    name, limit, equity = "max_leverage", limits.max_leverage, exposure.equity_usd
    if limit is None:
        return None
    if equity is None or equity <= ZERO:
        return unknown(name, "equity in USD", equity, limit)
    what = f"sum of absolute positions in USD, with equity {equity:f},"
    if exposure.gross_usd is None:
        return unknown(name, what, None, limit)
    if exposure.gross_usd <= limit * equity:
        return None
    gross = f"{exposure.gross_usd:f}"
    sentence = f"{what} was {gross}; expected at most {name} {limit:f} times equity"
    return Breach(name, f"{limit:f}", gross, sentence)


EXPOSURE_RULES: tuple[ExposureRule, ...] = (
    no_short_sale,
    max_position_notional_usd,
    max_sector_notional_usd,
    max_gross_notional_usd,
    max_net_notional_usd,
    max_leverage,
)


def _sum_above(
    rule: str, what: str, observed: Decimal | None, limit: Decimal | None
) -> Breach | None:
    if limit is not None and observed is None:
        return unknown(rule, what, None, limit)
    return None if observed is None else above(rule, what, observed, limit)
