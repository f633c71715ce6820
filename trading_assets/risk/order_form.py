"""Whether an order can be judged at all: its numbers, its prices and the age of its data."""

from collections.abc import Callable
from decimal import Decimal

from trading_assets.errors import shown
from trading_assets.risk.order_limits import Breach, OrderLimits
from trading_assets.risk.proposed_orders import LARGEST, ProposedOrder, is_price, is_quantity
from trading_assets.symbols import normalize_symbol

FormRule = Callable[[ProposedOrder, OrderLimits], Breach | None]

_LONGEST_ID = 128
_ID_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-/")
_LIMITED = ("limit", "stop_limit")
_STOPPED = ("stop", "stop_limit")


def client_order_id(order: ProposedOrder, _limits: OrderLimits) -> Breach | None:
    """Refuse an id that a broker could misread."""
    text = order.client_order_id
    if 0 < len(text) <= _LONGEST_ID and _ID_CHARACTERS.issuperset(text):
        return None
    sentence = (
        f"client order id was {shown(text)}; expected 1 to {_LONGEST_ID} letters, digits or _ . - /"
    )
    return Breach("client_order_id", f"1 to {_LONGEST_ID} characters", shown(text), sentence)


def symbol(order: ProposedOrder, _limits: OrderLimits) -> Breach | None:
    """Refuse what is no ticker."""
    if normalize_symbol(order.symbol) == order.symbol:
        return None
    sentence = f"symbol was {shown(order.symbol)}; expected a ticker such as AAPL or BRK.B"
    return Breach("symbol", "a ticker", shown(order.symbol), sentence)


def quantity(order: ProposedOrder, _limits: OrderLimits) -> Breach | None:
    """Refuse a quantity that is not positive, not finite, too fine or too large to be meant."""
    if is_quantity(order.quantity) and order.quantity > 0:
        return None
    sentence = (
        f"quantity was {shown(order.quantity)}; expected a positive number of at most nine"
        f" decimals, below {LARGEST:.0e}"
    )
    return Breach("quantity", "above 0", shown(order.quantity), sentence)


def limit_price_usd(order: ProposedOrder, _limits: OrderLimits) -> Breach | None:
    """Refuse a limit order without a limit, and a limit on another order."""
    needs = order.order_type in _LIMITED
    return _price_of_type("limit_price_usd", order.limit_price_usd, order.order_type, needs)


def stop_price_usd(order: ProposedOrder, _limits: OrderLimits) -> Breach | None:
    """Refuse a stop order without a stop, and a stop on another order."""
    needs = order.order_type in _STOPPED
    return _price_of_type("stop_price_usd", order.stop_price_usd, order.order_type, needs)


def reference_price_usd(order: ProposedOrder, _limits: OrderLimits) -> Breach | None:
    """Refuse an order whose reference price is missing or none."""
    price = order.reference_price_usd
    if is_price(price):
        return None
    sentence = f"reference price of {order.symbol[:40]} was {price}; expected a positive close"
    return Breach("reference_price_usd", "above 0", str(price), sentence)


def max_data_age_sessions(order: ProposedOrder, limits: OrderLimits) -> Breach | None:
    """Refuse an order on data that is too old, of unknown age or from the future."""
    name, age = "max_data_age_sessions", order.data_age_sessions
    limit = limits.max_data_age_sessions
    if age is not None and 0 <= age <= limit:
        return None
    found = "of unknown age" if age is None else f"{age} sessions old"
    sentence = f"newest bar of {order.symbol[:40]} is {found}; expected at most {name} {limit}"
    return Breach(name, str(limit), str(age), sentence)


FORM_RULES: tuple[FormRule, ...] = (
    client_order_id,
    symbol,
    quantity,
    limit_price_usd,
    stop_price_usd,
    reference_price_usd,
    max_data_age_sessions,
)


def _price_of_type(name: str, price: Decimal | None, kind: str, needs: bool) -> Breach | None:
    if is_price(price) if needs else price is None:
        return None
    expected = "a positive price of at most thirty decimals" if needs else "none"
    sentence = f"{name} was {price}; expected {expected} for a {kind} order"
    return Breach(name, expected, str(price), sentence)
