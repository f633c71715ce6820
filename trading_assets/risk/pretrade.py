"""The pre-trade check: what an order breaks, alone or after the orders sent before it.

An order counts at once when it is let through, before anything is sent: the next one of a batch is
held against an account in which it is open. This module knows no broker, no clock and no storage.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import localcontext

from trading_assets.risk.exposure_limits import EXPOSURE_RULES
from trading_assets.risk.order_form import FORM_RULES
from trading_assets.risk.order_limits import ORDER_RULES, Breach, OrderLimits
from trading_assets.risk.pretrade_state import PreTradeState
from trading_assets.risk.proposed_orders import EXACT, ProposedOrder


@dataclass(frozen=True, slots=True)
class RefusedOrder:
    """An order that is not to be sent, and all that it breaks."""

    order: ProposedOrder
    breaches: tuple[Breach, ...]


@dataclass(frozen=True, slots=True)
class CheckedBatch:
    """Orders that may be sent, in the order given, and the refused ones."""

    accepted: tuple[ProposedOrder, ...]
    refused: tuple[RefusedOrder, ...]


def check_order(
    order: ProposedOrder, state: PreTradeState, limits: OrderLimits
) -> tuple[Breach, ...]:
    """Return every limit that an order breaks; none if it may be sent.

    An order whose numbers, prices or data are not fit to be judged is held against nothing else.

    Parameters
    ----------
    order : ProposedOrder
        The order as it would be sent.
    state : PreTradeState
        The account with all that is open; not changed.
    limits : OrderLimits
        What is declared.
    """
    unfit = tuple(breach for rule in FORM_RULES if (breach := rule(order, limits)))
    if unfit:
        return unfit
    with localcontext(EXACT):
        breaches = [breach for rule in ORDER_RULES if (breach := rule(order, state, limits))]
        exposure = state.exposure_with(order)
        if not exposure.is_reduction:
            found = (rule(order, exposure, limits) for rule in EXPOSURE_RULES)
            breaches += [breach for breach in found if breach]
    return tuple(breaches)


def check_batch(
    orders: Iterable[ProposedOrder], state: PreTradeState, limits: OrderLimits
) -> CheckedBatch:
    """Check orders one after another and count each that passes before the next is checked.

    Parameters
    ----------
    orders : iterable of ProposedOrder
        In the order of sending.
    state : PreTradeState
        The account; afterwards the accepted orders are open in it.
    limits : OrderLimits
        What is declared.
    """
    accepted: list[ProposedOrder] = []
    refused: list[RefusedOrder] = []
    for order in orders:
        breaches = check_order(order, state, limits)
        if breaches:
            refused.append(RefusedOrder(order, breaches))
        else:
            state.count(order)
            accepted.append(order)
    return CheckedBatch(tuple(accepted), tuple(refused))
