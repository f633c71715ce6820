"""What carrying out an order cost against its decision: the implementation shortfall and its parts.

Perold, A. (1988), The implementation shortfall: paper versus reality, Journal of Portfolio
Management 14 (3), 4-9: the gain of a paper portfolio that trades all that was decided, at once and
at the decision's price, less the gain of the real account. Every amount is a Decimal, rounded to
1e-6 USD as the ledger rounds it; the parts are differences of such amounts, so that they sum to the
shortfall to the last decimal. This module knows no session and no broker.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Literal

from trading_assets.errors import DataError
from trading_assets.paper.orders import MONEY_STEP, QUANTITY_STEP, ZERO, Side

Part = Literal["delay_usd", "spread_usd", "impact_usd", "timing_usd", "opportunity_usd", "fees_usd"]

BPS = Decimal(10_000)
# Products of nine and six decimals are rounded once, to money, and nowhere before.
_DIGITS = 60


@dataclass(frozen=True, slots=True)
class CostedFill:
    """One execution beside the market it met.

    Attributes
    ----------
    quantity : Decimal
        Shares, positive.
    price_usd : Decimal
        Price of a share, USD.
    benchmark_usd : Decimal
        Middle of the quote at the fill, USD; the official open for an order on the open.
    half_spread_bps : Decimal
        Half of the quoted spread, declared or seen, basis points of the benchmark.
    cost_usd : Decimal
        What was paid beyond quantity times price, as the ledger books it, USD.
    fee_usd : Decimal
        Commission and levies among `cost_usd`, USD. The rest of it, such as the slippage that a
        simulated broker books there and not in its price, counts as spread and impact.
    """

    quantity: Decimal
    price_usd: Decimal
    benchmark_usd: Decimal
    half_spread_bps: Decimal
    cost_usd: Decimal
    fee_usd: Decimal


@dataclass(frozen=True, slots=True)
class CostedOrder:
    """An order from its decision to the end of its session.

    Attributes
    ----------
    symbol, side
        What was decided; a short sale is a sale.
    quantity : Decimal
        Shares decided, positive, in shares of the decision's day.
    decision_usd : Decimal
        Price known at the decision, such as the close of the session before, USD a share of then.
    fills : tuple of CostedFill
        Its executions, in shares of the fill's day; none where it was refused or lapsed.
    arrival_usd : Decimal or None
        Middle of the quote when the order was sent, USD a share of the fill's day. None where it
        was the decision's price, as for an order on the open that is sent before it.
    end_usd : Decimal or None
        Last price of the session, USD a share of the fill's day, at which unfilled shares are
        marked. None where no price has been known since the decision.
    split_ratio : Decimal
        New shares for one old, with ex-date after the decision.
    cash_per_share_usd : Decimal
        Dividend of one old share with ex-date after the decision, USD: the paper portfolio has it.
    """

    symbol: str
    side: Side
    quantity: Decimal
    decision_usd: Decimal
    fills: tuple[CostedFill, ...] = ()
    arrival_usd: Decimal | None = None
    end_usd: Decimal | None = None
    split_ratio: Decimal = Decimal(1)
    cash_per_share_usd: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What an order cost, or several together: positive amounts are losses, USD.

    With s = 1 for a purchase and -1 for a sale, shares Q decided and q_i filled, prices d at the
    decision, a at arrival, b_i of the benchmark and p_i of each fill, and e at the end, all in
    shares of the fill's day and the decision's after dividends:

    Attributes
    ----------
    delay_usd : Decimal
        sum of s q_i (a - d): the price's move from decision to sending.
    spread_usd : Decimal
        sum of q_i b_i h_i: half of the quoted spread.
    impact_usd : Decimal
        sum of s q_i (p_i - b_i) + cost_i - fee_i, less the spread: whatever else the fill was worse
        than the quote's middle; below 0 where it was better.
    timing_usd : Decimal
        sum of s q_i (b_i - a): the market's move from sending to the fill; overnight for an order
        on the open.
    opportunity_usd : Decimal
        s (Q - sum of q_i) (e - d): what the shares that were not traded would have gained.
    fees_usd : Decimal
        sum of fee_i.
    total_usd : Decimal
        The shortfall: gain s Q (e - d) of the paper portfolio less s sum of q_i (e - p_i) less
        cost_i of the account. It is computed as this, not as the sum of the parts, which equals it.
    decided_usd : Decimal
        Q d, what was decided to be traded, positive.
    """

    delay_usd: Decimal
    spread_usd: Decimal
    impact_usd: Decimal
    timing_usd: Decimal
    opportunity_usd: Decimal
    fees_usd: Decimal
    total_usd: Decimal
    decided_usd: Decimal

    @property
    def parts_usd(self) -> dict[Part, Decimal]:
        """The six parts by name; they sum to `total_usd`."""
        return {
            "delay_usd": self.delay_usd,
            "spread_usd": self.spread_usd,
            "impact_usd": self.impact_usd,
            "timing_usd": self.timing_usd,
            "opportunity_usd": self.opportunity_usd,
            "fees_usd": self.fees_usd,
        }

    def in_bps(self, amount_usd: Decimal) -> float:
        """Return an amount as basis points of what was decided; 0 where nothing was."""
        return float(amount_usd / self.decided_usd * BPS) if self.decided_usd else 0.0


def order_shortfall(order: CostedOrder) -> Shortfall:
    """Return the implementation shortfall of one order and its parts.

    Parameters
    ----------
    order : CostedOrder
        The order; shares are converted by its split, prices by its split and dividend.

    Raises
    ------
    DataError
        If a price, quantity or ratio is not above 0, a cost is not finite, or more was filled than
        decided.
    """
    _require_usable(order)
    with localcontext(prec=_DIGITS):
        return _shortfall(order)


def sum_shortfalls(shortfalls: Sequence[Shortfall]) -> Shortfall:
    """Return the shortfall of several orders together; all amounts are sums."""
    with localcontext(prec=_DIGITS):
        sums = {
            field.name: sum((getattr(each, field.name) for each in shortfalls), ZERO)
            for field in fields(Shortfall)
        }
    return Shortfall(**sums)


def _shortfall(order: CostedOrder) -> Shortfall:
    sign = 1 if order.side == "buy" else -1
    old_price = order.decision_usd - order.cash_per_share_usd
    filled = sum((fill.quantity for fill in order.fills), ZERO)
    wanted = (order.quantity * order.split_ratio).quantize(QUANTITY_STEP, ROUND_HALF_EVEN)
    unfilled = _unfilled(order, wanted, filled)

    def at_decision(shares: Decimal) -> Decimal:
        return _money(shares * old_price / order.split_ratio)

    decided_filled, decided = at_decision(filled), at_decision(filled + unfilled)
    arrival = order.arrival_usd
    arrived = decided_filled if arrival is None else _money(filled * arrival)
    benchmark = sum((_money(fill.quantity * fill.benchmark_usd) for fill in order.fills), ZERO)
    paid = sum((_money(fill.quantity * fill.price_usd) for fill in order.fills), ZERO)
    costs = sum((fill.cost_usd for fill in order.fills), ZERO)
    fees = sum((fill.fee_usd for fill in order.fills), ZERO)
    spread = sum((_half_spread_usd(fill) for fill in order.fills), ZERO)
    # Without a price since, unfilled shares are worth what they were at the decision.
    ended = decided - decided_filled if order.end_usd is None else _money(unfilled * order.end_usd)
    return Shortfall(
        delay_usd=sign * (arrived - decided_filled),
        spread_usd=spread,
        impact_usd=sign * (paid - benchmark) + costs - fees - spread,
        timing_usd=sign * (benchmark - arrived),
        opportunity_usd=sign * (ended - (decided - decided_filled)),
        fees_usd=fees,
        # What filled shares are worth at the end is the same on paper and in the account.
        total_usd=sign * (ended - decided + paid) + costs,
        decided_usd=_money(order.quantity * order.decision_usd),
    )


def _unfilled(order: CostedOrder, wanted: Decimal, filled: Decimal) -> Decimal:
    # Quantities have nine decimals before a split and after it.
    rounding = QUANTITY_STEP * (1 + order.split_ratio)
    if filled > wanted + rounding:
        msg = (
            f"{filled} shares of {order.symbol} were filled of {wanted} decided; expected no more:"
            " look up the broker's executions"
        )
        raise DataError(msg)
    return max(wanted - filled, ZERO)


def _half_spread_usd(fill: CostedFill) -> Decimal:
    return _money(fill.quantity * fill.benchmark_usd * fill.half_spread_bps / BPS)


def _money(amount: Decimal) -> Decimal:
    return amount.quantize(MONEY_STEP, ROUND_HALF_EVEN)


def _require_usable(order: CostedOrder) -> None:
    above_zero = {
        "quantity": order.quantity,
        "decision_usd": order.decision_usd,
        "arrival_usd": order.arrival_usd,
        "end_usd": order.end_usd,
        "split_ratio": order.split_ratio,
    }
    finite: dict[str, Decimal] = {}
    not_negative = {"cash_per_share_usd": order.cash_per_share_usd}
    for number, fill in enumerate(order.fills):
        of = f" of fill {number}"
        above_zero |= {
            "quantity" + of: fill.quantity,
            "price_usd" + of: fill.price_usd,
            "benchmark_usd" + of: fill.benchmark_usd,
        }
        not_negative["half_spread_bps" + of] = fill.half_spread_bps
        finite |= {"cost_usd" + of: fill.cost_usd, "fee_usd" + of: fill.fee_usd}
    for name, value in above_zero.items():
        if value is not None and not (value.is_finite() and value > 0):
            _refuse(order, name, value, "a number above 0")
    for name, value in not_negative.items():
        if not (value.is_finite() and value >= 0):
            _refuse(order, name, value, "a number of 0 or more")
    for name, value in finite.items():
        if not value.is_finite():
            _refuse(order, name, value, "a finite number")


def _refuse(order: CostedOrder, name: str, value: Decimal, expected: str) -> None:
    msg = f"{name} of the order in {order.symbol} was {value}; expected {expected}"
    raise DataError(msg)
