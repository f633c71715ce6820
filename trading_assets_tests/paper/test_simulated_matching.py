from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from trading_assets.backtest.event_engine import EventEngine
from trading_assets.backtest.orders import Order as EngineOrder
from trading_assets.paper.ledger import Ledger
from trading_assets.paper.orders import Bracket, Order, round_to_tick, to_money, to_quantity
from trading_assets.paper.simulated_broker.behaviour import Behaviour
from trading_assets.paper.simulated_broker.booked import exit_order_id
from trading_assets.paper.simulated_broker.gateway import SimulatedGateway
from trading_assets.simulation.market import Market
from trading_assets_tests.paper.brokers import market_order, open_gateway, with_extremes
from trading_assets_tests.paper.fixtures import make_market, make_strategy, session_at

FREE = {"fee_bps": 0, "half_spread_bps": 0}
FINANCED = {
    "fee_bps": 1,
    "half_spread_bps": 2,
    "financing_bps_per_year": 500,
    "borrow_bps_per_year": 300,
}


@pytest.mark.parametrize("position", ["long_only", "long_short"])
@pytest.mark.parametrize("participation", [0.0, 0.003])
@pytest.mark.parametrize("seed", range(5))
def test_all_kinds_of_orders_fill_as_in_the_event_driven_engine(
    seed: int, participation: float, position: str
) -> None:
    rng = np.random.default_rng(seed)
    strategy = make_strategy(
        costs={**FINANCED, "max_participation": participation},
        policy={"agents": {"ppo": {}}, "position": position},
        backtest={"initial_equity_usd": 1_000_000.0},
    )
    market = with_extremes(make_market(40, seed), seed)
    gateway = open_gateway(market, strategy)
    engine = EventEngine(market, strategy, 1, 5)
    for row in range(6, 40):
        session = session_at(market, row)
        gateway.refusal(session)
        for number in range(int(rng.integers(0, 5))):
            order = drawn_order(rng, market, row, number)
            if gateway.send(order).outcome == "taken":
                engine.place([engine_order(order, market)])
        engine.carry()
        assert gateway.has_closed(session)
        account = gateway.account()
        held = {
            s: to_quantity(q) for s, q in zip(market.symbols, engine.positions[0, 0], strict=True)
        }
        assert account.quantity == {symbol: q for symbol, q in held.items() if q}
        assert account.cash_usd == to_money(engine.cash[0])
        waiting = sorted(
            (market.symbols[o.symbol], to_quantity(o.shares)) for o in engine.open_orders
        )
        shown = gateway.orders(None, is_open=True)
        left = {o.client_order_id: o.quantity - o.filled_quantity for o in shown}
        assert waiting == sorted(
            (o.symbol, left[o.client_order_id] * (1 if o.side == "buy" else -1)) for o in shown
        )


def drawn_order(rng: np.random.Generator, market: Market, row: int, number: int) -> Order:
    column = int(rng.integers(len(market.symbols)))
    close = market.close[row - 1, column]
    price = 100.0 if np.isnan(close) else close * (1 + 0.02 * rng.standard_normal())
    # An even number of cents, so that a split of 2 for 1 leaves it on the tick.
    price_usd = 2 * round_to_tick(Decimal(repr(float(price))) / 2)
    kind = ("market", "limit", "stop")[int(rng.integers(3))]
    shares = Decimal(int(rng.integers(1, 6000))) * (1 if rng.random() < 0.6 else -1)
    return Order(
        f"drawn-{row}-{number}",
        session_at(market, row),
        market.symbols[column],
        "buy" if shares > 0 else "sell",
        abs(shares),
        kind,
        "day" if kind == "market" or rng.random() < 0.5 else "gtc",
        limit_price_usd=price_usd if kind == "limit" else None,
        stop_price_usd=price_usd if kind == "stop" else None,
    )


def engine_order(order: Order, market: Market) -> EngineOrder:
    price = order.limit_price_usd or order.stop_price_usd
    return EngineOrder(
        0,
        market.symbols.index(order.symbol),
        float(order.signed_quantity),
        order.order_type,  # type: ignore[arg-type]
        float("nan") if price is None else float(price),
        10_000 if order.time_in_force == "gtc" else 1,
    )


def quiet_market(bars: list[tuple[float, float, float, float]]) -> Market:
    """One bar at 100 and then those given, as (open, high, low, close), for every symbol."""
    market = make_market(len(bars) + 2)
    rows = np.array([(100.0,) * 4, (100.0,) * 4, *bars])
    values = {
        name: np.repeat(rows[:, [place]], 3, axis=1)
        for place, name in enumerate(("open", "high", "low", "close"))
    }
    plain = {
        "split_ratio": np.ones_like(market.open),
        "cash_per_share": np.zeros_like(market.open),
    }
    return replace(market, **values, **plain)


def traded(
    bars: list[tuple[float, float, float, float]], *orders: Order, days: int = 1
) -> SimulatedGateway:
    market = quiet_market(bars)
    gateway = open_gateway(market, make_strategy(costs=FREE))
    for order in orders:
        answer = gateway.send(order)
        assert answer.outcome == "taken", answer.reason
    for row in range(2, 2 + days):
        assert gateway.has_closed(session_at(market, row))
    return gateway


SESSION = session_at(make_market(3), 2)


def asked(name: str, side: str = "buy", shares: int = 10, **terms: object) -> Order:
    prices = {
        key: Decimal(str(terms.pop(short)))
        for key, short in (("limit_price_usd", "limit"), ("stop_price_usd", "stop"))
        if short in terms
    }
    force = terms.pop("force", "day")
    return Order(
        name, SESSION, "AAA", side, Decimal(shares), time_in_force=force, **prices, **terms
    )  # type: ignore[arg-type]


def fills_of(gateway: SimulatedGateway) -> list[tuple[str, Decimal, Decimal]]:
    told = gateway.activities(session_at(make_market(3), 1), date(2022, 1, 1))
    return [(fill.client_order_id, fill.quantity, fill.price_usd) for fill in told.fills]


def status_of(gateway: SimulatedGateway, name: str) -> str:
    order = gateway.look_up(name)
    assert order is not None
    return order.status


def test_an_order_for_the_close_fills_at_the_close() -> None:
    gateway = traded(
        [(101, 105, 99, 104)],
        asked("at-close", force="cls"),
        asked("limited", force="cls", order_type="limit", limit=103),
        asked("allowed", force="cls", order_type="limit", limit=104),
    )
    assert fills_of(gateway) == [("at-close", 10, 104), ("allowed", 10, 104)]
    assert status_of(gateway, "limited") == "expired"


@pytest.mark.parametrize(("force", "status"), [("opg", "expired"), ("ioc", "canceled")])
def test_an_order_for_the_open_does_not_wait_for_the_range(force: str, status: str) -> None:
    gateway = traded(
        [(101, 105, 99, 104)],
        asked("low", force=force, order_type="limit", limit=100),
        asked("high", force=force, order_type="limit", limit=102),
    )
    assert fills_of(gateway) == [("high", 10, 101)]
    assert status_of(gateway, "low") == status


@pytest.mark.parametrize(
    ("bars", "fill"),
    [
        ([(101, 102, 100, 101)], []),
        ([(101, 103, 100, 101)], [("sl", 10, 103)]),
        ([(104, 105, 103.5, 104)], [("sl", 10, 104)]),
        ([(107, 109, 106, 108)], []),
        ([(107, 109, 104, 108)], [("sl", 10, 105)]),
        ([(101, 102, 100, 101), (103, 104, 102, 103)], [("sl", 10, 103)]),
    ],
)
def test_a_stop_limit_order_is_set_off_by_its_stop_and_kept_by_its_limit(
    bars: list[tuple[float, float, float, float]], fill: list[tuple[str, int, float]]
) -> None:
    order = asked("sl", force="gtc", order_type="stop_limit", stop=103, limit=105)
    assert fills_of(traded(bars, order, days=len(bars))) == fill


def test_a_stop_limit_order_once_set_off_waits_as_a_limit_order() -> None:
    order = asked("sl", force="gtc", order_type="stop_limit", stop=103, limit=102)
    bars = [(101, 104, 100, 101), (106, 107, 101, 103)]
    assert fills_of(traded(bars[:1], order)) == []
    assert fills_of(traded(bars, order, days=2)) == [("sl", 10, 102)]


BRACKET = Bracket(Decimal(110), Decimal(95))


@pytest.mark.parametrize(
    ("bars", "exit_fill", "gone"),
    [
        ([(100, 112, 99, 111)], ("take_profit", 110), "stop_loss"),
        ([(100, 101, 94, 96)], ("stop_loss", 95), "take_profit"),
        ([(100, 112, 94, 96)], ("stop_loss", 95), "take_profit"),
        ([(100, 101, 99, 100), (93, 94, 92, 93)], ("stop_loss", 93), "take_profit"),
        ([(100, 101, 99, 100), (113, 114, 90, 113)], ("take_profit", 113), "stop_loss"),
    ],
)
def test_of_a_brackets_exits_one_fills_and_the_other_is_cancelled(
    bars: list[tuple[float, float, float, float]], exit_fill: tuple[str, float], gone: str
) -> None:
    entry = asked("entry", force="gtc", bracket=BRACKET)
    gateway = traded(bars, entry, days=len(bars))
    role, price = exit_fill
    filled = exit_order_id("entry", role)  # type: ignore[arg-type]
    assert fills_of(gateway) == [("entry", 10, 100), (filled, 10, price)]
    assert status_of(gateway, exit_order_id("entry", gone)) == "canceled"  # type: ignore[arg-type]
    assert gateway.account().quantity == {}


def test_exits_wait_until_the_entry_fills_and_go_with_it() -> None:
    entry = asked("entry", force="gtc", bracket=BRACKET, order_type="limit", limit=98)
    held = traded([(100, 120, 99, 100)], entry)
    assert fills_of(held) == []
    assert status_of(held, "entry-stop_loss") == "held"
    assert held.cancel("entry").outcome == "taken"
    assert status_of(held, "entry-stop_loss") == "canceled"
    assert status_of(held, "entry-take_profit") == "canceled"
    day = asked("entry", force="day", bracket=BRACKET, order_type="limit", limit=98)
    assert status_of(traded([(100, 120, 99, 100)], day), "entry-take_profit") == "canceled"


def test_an_entry_within_the_bar_may_be_stopped_out_in_it_but_takes_no_profit() -> None:
    entry = asked("entry", force="gtc", bracket=BRACKET, order_type="limit", limit=98)
    stopped = traded([(100, 120, 90, 100)], entry)
    assert fills_of(stopped) == [("entry", 10, 98), ("entry-stop_loss", 10, 95)]
    spared = traded([(100, 120, 96, 100)], entry)
    assert fills_of(spared) == [("entry", 10, 98)]
    assert status_of(spared, "entry-take_profit") == "accepted"


def test_an_order_good_till_cancelled_is_restated_by_a_split() -> None:
    market = quiet_market([(100, 101, 99, 100), (50, 51, 47, 50)])
    ratio = np.ones_like(market.open)
    ratio[3] = 2.0
    gateway = open_gateway(replace(market, split_ratio=ratio), make_strategy(costs=FREE))
    gateway.send(asked("waits", force="gtc", order_type="limit", limit=96))
    gateway.has_closed(session_at(market, 2))
    gateway.has_closed(session_at(market, 3))
    order = gateway.look_up("waits")
    assert order is not None
    assert (order.quantity, order.split_ratio, order.limit_price_usd) == (20, 2, 48)
    assert fills_of(gateway) == [("waits", 20, 48)]


def test_several_orders_of_a_symbol_fill_at_one_open() -> None:
    gateway = traded([(101, 105, 99, 104)], asked("a"), asked("b", shares=5), asked("c", shares=1))
    assert fills_of(gateway) == [("a", 10, 101), ("b", 5, 101), ("c", 1, 101)]


def market_price(market: Market, row: int, symbol: str) -> Decimal:
    return Decimal(repr(float(market.open[row, market.symbols.index(symbol)])))


@pytest.mark.parametrize("seed", range(20))
def test_pieces_of_a_fill_add_up_to_it(seed: int) -> None:
    market = make_market(30, seed, decimals=None)
    whole = open_gateway(market)
    split = open_gateway(market, behaviour=Behaviour(seed=seed, max_pieces=5))
    ledger = Ledger.opened(split.account())
    rng = np.random.default_rng(seed)
    n_pieces = 0
    for row in range(6, 30):
        session = session_at(market, row)
        for column in range(3):
            have = whole.account().quantity.get(market.symbols[column], Decimal(0))
            shares = to_quantity(rng.uniform(0, 900)) if rng.random() < 0.6 else -have
            if shares:
                order = market_order(session, market.symbols[column], shares)
                assert whole.send(order).outcome == split.send(order).outcome == "taken"
        assert whole.has_closed(session)
        assert split.has_closed(session)
        assert split.account() == whole.account()
        told = split.activities(session_at(market, row - 1), session)
        n_pieces += len(told.fills)
        for event in told.events:
            ledger.book_event(event)
        for fill in told.fills:
            assert abs(fill.price_usd / market_price(market, row, fill.symbol) - 1) < 0.001
            ledger.book_fill(fill)
        assert (ledger.cash_usd, ledger.quantity) == (
            whole.account().cash_usd,
            dict(whole.account().quantity),
        )
        assert not any(event.kind == "rounding" for event in told.events)
        ids = [fill.execution_id for fill in told.fills]
        assert len(ids) == len(set(ids))
    assert n_pieces > 60


def test_a_partial_fill_leaves_the_rest_unfilled() -> None:
    market = quiet_market([(100, 101, 99, 100)])
    behaviour = Behaviour(seed=1, partial_share=1.0)
    gateway = open_gateway(market, make_strategy(costs=FREE), behaviour=behaviour)
    gateway.send(asked("part", shares=1000))
    gateway.has_closed(SESSION)
    order = gateway.look_up("part")
    assert order is not None
    assert order.status == "expired"
    assert 0 < order.filled_quantity < 1000
    assert order.filled_quantity == order.filled_quantity.to_integral_value()


def test_a_halted_symbol_is_not_traded() -> None:
    market = quiet_market([(100, 101, 99, 100)])
    behaviour = Behaviour(halts=frozenset({("AAA", SESSION)}))
    gateway = open_gateway(market, make_strategy(costs=FREE), behaviour=behaviour)
    gateway.send(asked("halted"))
    gateway.has_closed(SESSION)
    assert status_of(gateway, "halted") == "expired"
    assert gateway.account().quantity == {}


def test_amounts_on_a_tie_are_rounded_as_the_core_rounds_them() -> None:
    market = make_market(60, decimals=None)
    # Of such numbers, two in a hundred are rounded otherwise as decimals than as floats.
    unlike = np.array([8.1327025, 32.6846335, 16.5276355, 66.0824965, 32.3734895, 257.2997925])
    ties = np.resize(unlike, (60, 3))
    plain = {"split_ratio": np.ones_like(ties), "cash_per_share": ties / 1024}
    market = replace(market, open=ties, close=ties, **plain)
    gateway = open_gateway(market, make_strategy(costs=FREE))
    first = session_at(market, 6)
    for row in range(6, 60):
        for symbol in market.symbols:
            assert gateway.send(market_order(session_at(market, row), symbol, Decimal(1))).order
        assert gateway.has_closed(session_at(market, row))
    told = gateway.activities(session_at(market, 5), session_at(market, 59))
    assert {event.kind for event in told.events} == {"dividend"}
    ledger = Ledger(Decimal(1_000_000), {})
    for event in told.events:
        ledger.book_event(event)
    for fill in told.fills:
        ledger.book_fill(fill)
    assert ledger.cash_usd == gateway.account().cash_usd
    assert len(told.fills) == 3 * 54
    assert told.fills[0].filled_at.date() == first
