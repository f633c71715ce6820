"""The steps of the market core that make up one session of the simulated broker."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

import numpy as np

from trading_assets.paper.core_fills import SessionOpen, core_money, translate_step
from trading_assets.paper.fills import Fill
from trading_assets.paper.ledger import AccountEvent
from trading_assets.paper.orders import ZERO, Order, to_quantity
from trading_assets.paper.simulated_broker.bar_prices import SessionBar
from trading_assets.paper.simulated_broker.behaviour import Behaviour
from trading_assets.simulation.core import Bar, Books, StepResult, step
from trading_assets.simulation.market import bar_after
from trading_assets.simulation.terms import Floats
from trading_assets.strategy import CostsSpec


@dataclass(frozen=True, slots=True)
class AccountTerms:
    """On what terms the account trades.

    Attributes
    ----------
    costs : CostsSpec
        Costs, lot, tick and share of a bar's volume; orders reach the bar they are sent for,
        whatever latency is declared.
    is_long_only : bool
        Whether the account may neither borrow nor go short.
    notional_usd : float or None
        Base of weights under constant notional.
    behaviour : Behaviour
        What goes wrong.
    """

    costs: CostsSpec
    is_long_only: bool
    notional_usd: float | None
    behaviour: Behaviour

    @property
    def least_shares(self) -> Decimal:
        """Shares below which a rest counts as nothing."""
        return to_quantity(self.costs.lot_shares or 1.1e-8)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a step is to trade of one symbol.

    Attributes
    ----------
    order : Order
        The order behind it.
    shares : Decimal
        Shares, negative for a sale; in the first step before the session's split.
    price_usd : float
        Price of the step, USD; the first one trades at the bar's open.
    """

    order: Order
    shares: Decimal
    price_usd: float


@dataclass(slots=True)
class SessionSteps:
    """Steps over one session, of which the last is made again up to the close.

    Attributes
    ----------
    books : Books
        One book; at first at the close before.
    bar : SessionBar
        The session.
    terms : AccountTerms
        Rules of the account.
    costs : CostsSpec
        What trading costs in this session.
    made : int
        Steps so far.
    """

    books: Books
    bar: SessionBar
    terms: AccountTerms
    costs: CostsSpec
    made: int = 0
    _events: dict[str, AccountEvent] = field(default_factory=dict[str, AccountEvent])
    _traded: Floats = field(init=False)
    _last: tuple[Books, Floats, Bar] | None = None

    def __post_init__(self) -> None:
        self._traded = np.zeros(len(self.bar.market.symbols))

    @property
    def events(self) -> list[AccountEvent]:
        """What moved cash or shares without a fill so far."""
        return list(self._events.values())

    def make(self, wanted: Sequence[Wanted], filled_at: datetime) -> dict[str, Fill]:
        """Trade each symbol at most once and return what was filled, by symbol.

        The first step is that of the open, corporate actions included; later ones have prices of
        their own.
        """
        before, bar = self.books, self._bar_of(wanted)
        target = before.quantity.copy()
        for wish in wanted:
            column = self.bar.column(wish.order.symbol)
            shares = to_quantity(target[0, column]) + wish.shares
            target[0, column] = float(max(shares, ZERO) if self.terms.is_long_only else shares)
        # Marked at the prices it fills at; interest is charged once, at the close.
        free = {"financing_bps_per_year": 0.0, "borrow_bps_per_year": 0.0}
        result = self._step(
            before, target, replace(bar, close=bar.open), self.costs.model_copy(update=free)
        )
        moment = SessionOpen(self.bar.session, filled_at, self.bar.market.symbols)
        orders = {wish.order.symbol: wish.order for wish in wanted}
        happened = translate_step(moment, before, bar, result, orders)
        for event in happened.events:
            self._add_event(event)
        self.books, self._last = result.books, (before, target, bar)
        self._traded += np.abs(result.trade[0])
        self.made += 1
        return {fill.symbol: fill for fill in happened.fills}

    def finish(self) -> None:
        """Make the last step again, up to the close: mark, and charge interest."""
        assert self._last is not None
        before, target, bar = self._last
        closes = replace(bar, close=self.bar.market.close[self.bar.row])
        result = self._step(before, target, closes, self.costs)
        self.books = result.books
        financing = core_money(float(result.financing[0]))
        if financing:
            session = self.bar.session
            event_id = f"sim-financing-{session}-"
            self._add_event(AccountEvent(event_id, "financing", session, "", ZERO, -financing))

    def _bar_of(self, wanted: Sequence[Wanted]) -> Bar:
        whole = bar_after(self.bar.market, self.bar.row - 1)
        if not self.made:
            return whole
        prices = np.full(len(self.bar.market.symbols), np.nan)
        for wish in wanted:
            prices[self.bar.column(wish.order.symbol)] = wish.price_usd
        share = self.costs.max_participation
        volume = whole.volume
        if share and volume is not None:
            volume = volume - self._traded / share
        return replace(
            whole,
            open=prices,
            split_ratio=np.ones_like(prices),
            cash_per_share=np.zeros_like(prices),
            payout_per_share=None,
            volume=volume,
        )

    def _step(self, before: Books, target: Floats, bar: Bar, costs: CostsSpec) -> StepResult:
        return step(
            before,
            target,
            bar,
            costs,
            is_long_only=self.terms.is_long_only,
            notional_usd=self.terms.notional_usd,
        )

    def _add_event(self, event: AccountEvent) -> None:
        earlier = self._events.get(event.event_id)
        if earlier is not None:
            event = replace(event, cash_usd=earlier.cash_usd + event.cash_usd)
        self._events[event.event_id] = event
