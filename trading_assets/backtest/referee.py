"""The referee: replays target weights order by order, without the market core.

Written from the declared rules in exact decimal arithmetic, one order at a time, so that a mistake
in the vectorised core and the same mistake here are unlikely to coincide. It calls nothing of
`trading_assets.simulation.core`; prices come as the market's arrays.
"""

import math
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal, localcontext

import polars as pl

from trading_assets.simulation.market import Market
from trading_assets.strategy import Strategy

_SHARE = Decimal("1e-9")
_USD = Decimal("1e-6")
_BPS = Decimal("1e-4")
_ZERO = Decimal(0)
_ONE = Decimal(1)


def referee_equity(
    market: Market, weights: pl.DataFrame, strategy: Strategy
) -> dict[date, Decimal]:
    """Return the equity at each close after replaying the target weights of one portfolio.

    Parameters
    ----------
    market : Market
        The market that was traded.
    weights : DataFrame
        Rows of table `weights` of one portfolio and one fold; each session's targets are filled at
        the next session's open.
    strategy : Strategy
        Costs, sizing and initial equity.
    """
    row_of_day = {day: row for row, day in enumerate(market.sessions.astype(object).tolist())}
    targets: dict[date, dict[str, float]] = {}
    for session, symbol, weight in weights["session", "symbol", "weight"].iter_rows():
        targets.setdefault(session, {})[symbol] = weight
    with localcontext() as context:
        context.prec = 40
        ledger = _Ledger(strategy, list(market.symbols))
        equity: dict[date, Decimal] = {}
        waiting: list[list[Decimal] | None] = [None] * (strategy.costs.latency_bars - 1)
        for session in sorted(targets):
            row = row_of_day[session]
            closes = _quotes(market.close[row].tolist())
            ledger.see_closes(closes)
            waiting.append(ledger.size_targets(targets[session], closes))
            orders = ledger.write_orders(waiting.pop(0))
            ledger.start_session(
                orders,
                market.split_ratio[row + 1].tolist(),
                market.cash_per_share[row + 1].tolist(),
            )
            ratios = [_exact(ratio) for ratio in market.split_ratio[row + 1].tolist()]
            waiting = [_after_splits(shares, ratios) for shares in waiting]
            if market.payout_per_share is not None:
                ledger.pay_out(orders, _quotes(market.payout_per_share[row + 1].tolist()))
            ledger.fill(
                orders,
                _quotes(market.open[row + 1].tolist()),
                _Liquidity(
                    market.volatility[row].tolist(),
                    market.adv_usd[row].tolist(),
                    market.volume[row + 1].tolist(),
                ),
            )
            ledger.end_session(_quotes(market.close[row + 1].tolist()))
            equity[market.sessions[row + 1].astype(object)] = ledger.equity()
    return equity


Quotes = list[Decimal | None]


@dataclass(frozen=True, slots=True)
class _Liquidity:
    volatility: list[float]
    adv_usd: list[float]
    volume: list[float]


@dataclass(slots=True)
class _Position:
    shares: Decimal = _ZERO
    price: Decimal = _ZERO
    filled_weight: Decimal = _ZERO


@dataclass(slots=True)
class _Order:
    column: int
    shares: Decimal
    weight_change: Decimal


class _Ledger:
    def __init__(self, strategy: Strategy, symbols: list[str]) -> None:
        self.costs = strategy.costs
        self.symbols = symbols
        self.is_long_only = strategy.policy.position == "long_only"
        self.initial = _exact(strategy.backtest.initial_equity_usd)
        self.is_constant = strategy.policy.sizing == "constant_notional"
        self.cash = self.initial
        self.base = self.initial
        self.positions = [_Position() for _ in symbols]

    def equity(self) -> Decimal:
        return self.cash + sum((p.shares * p.price for p in self.positions), _ZERO)

    def see_closes(self, closes: Quotes) -> None:
        for position, close in zip(self.positions, closes, strict=True):
            position.price = position.price if close is None else close
        self.base = self.initial if self.is_constant else self.equity()

    def size_targets(self, weights: dict[str, float], closes: Quotes) -> list[Decimal]:
        return [
            position.shares if close is None else _exact(weights[symbol]) * self.base / close
            for position, symbol, close in zip(self.positions, self.symbols, closes, strict=True)
        ]

    def write_orders(self, targets: list[Decimal] | None) -> list[_Order]:
        orders: list[_Order] = []
        for column, position in enumerate(self.positions):
            wanted = position.shares if targets is None else targets[column]
            change = wanted * position.price / self.base - position.filled_weight
            orders.append(_Order(column, wanted, change))
        return orders

    def start_session(
        self, orders: list[_Order], ratios: list[float], cash_per_share: list[float]
    ) -> None:
        for order, ratio, dividend in zip(orders, ratios, cash_per_share, strict=True):
            position = self.positions[order.column]
            self.cash += (position.shares * _exact(dividend)).quantize(_USD)
            position.shares = (position.shares * _exact(ratio)).quantize(_SHARE)
            position.price /= _exact(ratio)
            order.shares = self._shares_to_trade(order.shares * _exact(ratio), position.shares)

    def pay_out(self, orders: list[_Order], payouts: Quotes) -> None:
        for order in orders:
            payout = payouts[order.column]
            if payout is not None:
                position = self.positions[order.column]
                self.cash += (position.shares * payout).quantize(_USD)
                position.shares = position.filled_weight = _ZERO
                order.shares = order.weight_change = _ZERO

    def fill(self, orders: list[_Order], opens: Quotes, liquidity: _Liquidity) -> None:
        open_orders: list[_Order] = []
        prices: dict[int, Decimal] = {}
        for order in orders:
            quote = opens[order.column]
            if quote is not None:
                prices[order.column] = self._round_to_tick(quote)
                self._cap(order, liquidity.volume[order.column])
                open_orders.append(order)
        sales = [order for order in open_orders if order.shares <= 0]
        buys = [order for order in open_orders if order.shares > 0]
        for order in sales:
            self._book(order, prices[order.column], liquidity)
        if self.is_long_only:
            self._scale_to_cash(buys, prices, liquidity)
        for order in buys:
            self._book(order, prices[order.column], liquidity)

    def end_session(self, closes: Quotes) -> None:
        self.see_closes(closes)
        shorts = sum((max(-p.shares * p.price, _ZERO) for p in self.positions), _ZERO)
        interest = max(-self.cash, _ZERO) * _exact(self.costs.financing_bps_per_year)
        fee = shorts * _exact(self.costs.borrow_bps_per_year)
        self.cash -= ((interest + fee) * _BPS / 252).quantize(_USD)

    def _book(self, order: _Order, price: Decimal, liquidity: _Liquidity) -> None:
        position = self.positions[order.column]
        self.cash -= (order.shares * price).quantize(_USD)
        self.cash -= self._cost(order, price, liquidity)
        position.shares += order.shares
        position.filled_weight += order.weight_change

    def _cost(self, order: _Order, price: Decimal, liquidity: _Liquidity) -> Decimal:
        notional = abs(order.shares) * price
        cost = notional * (_exact(self.costs.fee_bps) + _exact(self.costs.half_spread_bps)) * _BPS
        if self.costs.impact_coefficient > 0 and notional > 0:
            share = notional / _exact(liquidity.adv_usd[order.column])
            volatility = _exact(liquidity.volatility[order.column])
            cost += notional * _exact(self.costs.impact_coefficient) * volatility * share.sqrt()
        if self.costs.quadratic_lambda > 0 and order.weight_change != 0:
            deviation = _exact(liquidity.volatility[order.column]) * order.weight_change
            cost += _exact(self.costs.quadratic_lambda) / 2 * deviation**2 * self.base
        return cost.quantize(_USD)

    def _scale_to_cash(
        self, buys: list[_Order], prices: dict[int, Decimal], liquidity: _Liquidity
    ) -> None:
        needed = _ZERO
        for order in buys:
            price = prices[order.column]
            needed += (order.shares * price).quantize(_USD) + self._cost(order, price, liquidity)
        if needed <= self.cash:
            return
        # The declared rule keeps back a micro-dollar, one more for each symbol, and a 1e-12 part.
        kept = (len(liquidity.adv_usd) + 1) * _USD
        spendable = max(self.cash * (_ONE - Decimal("1e-12")) - kept, _ZERO)
        factor = spendable / needed
        lot = _exact(self.costs.lot_shares) or _SHARE
        for order in buys:
            order.shares = (order.shares * factor / lot).to_integral_value(ROUND_FLOOR) * lot
            order.weight_change *= factor

    def _cap(self, order: _Order, volume: float) -> None:
        """Leave of an order what the declared share of the bar's volume fills."""
        if not self.costs.max_participation:
            return
        lot = _exact(self.costs.lot_shares) or _SHARE
        most = _exact(self.costs.max_participation) * (
            _ZERO if math.isnan(volume) else _exact(volume)
        )
        if abs(order.shares) > most:
            filled = (most / lot).to_integral_value(ROUND_FLOOR) * lot
            capped = filled.copy_sign(order.shares)
            order.weight_change *= capped / order.shares
            order.shares = capped

    def _shares_to_trade(self, wanted: Decimal, held: Decimal) -> Decimal:
        lot = _exact(self.costs.lot_shares)
        if not lot:
            return (wanted - held).quantize(_SHARE)
        if not wanted:
            return -held
        # A target within 1e-9 lots of a whole number of lots is that number.
        tolerance = Decimal("1e-9").copy_sign(wanted - held)
        return ((wanted - held) / lot + tolerance).to_integral_value(ROUND_DOWN) * lot

    def _round_to_tick(self, price: Decimal) -> Decimal:
        tick = _exact(self.costs.tick_usd)
        return (price / tick).to_integral_value(ROUND_HALF_EVEN) * tick if tick else price


def _after_splits(shares: list[Decimal] | None, ratios: list[Decimal]) -> list[Decimal] | None:
    if shares is None:
        return None
    return [held * ratio for held, ratio in zip(shares, ratios, strict=True)]


def _exact(value: float) -> Decimal:
    # The shortest text that reads back as this float: 0.1 is 0.1, as declared.
    return Decimal(repr(value))


def _quotes(prices: list[float]) -> Quotes:
    return [None if math.isnan(price) else _exact(price) for price in prices]
