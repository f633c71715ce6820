import traceback
from collections.abc import Generator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from trading_assets.errors import MissingKeyError, UserError
from trading_assets.paper.alpaca import AlpacaBroker
from trading_assets.paper.alpaca_client import LIVE_URL, AlpacaClient
from trading_assets.paper.gateways import BrokerError, OrderConflictError, build_gateway
from trading_assets.paper.orders import Order
from trading_assets.paper.replay import trade_again
from trading_assets.paper.replay_tables import unexplained
from trading_assets.paper.session import run_session
from trading_assets.simulation.market import Market
from trading_assets.strategy import PaperSpec
from trading_assets_tests.paper.fixtures import (
    CALENDAR,
    decide_with,
    make_inputs,
    make_market,
    make_strategy,
)
from trading_assets_tests.paper.loopback import Broker, serving

KEYS = {"ALPACA_API_KEY": "canary-key-1", "ALPACA_SECRET_KEY": "canary-secret-2"}
SESSION = date(2024, 5, 6)
IN_WINDOW = {
    "timestamp": "2024-05-06T09:16:00.123456789-04:00",
    "is_open": False,
    "next_open": "2024-05-06T09:30:00-04:00",
    "next_close": "2024-05-06T16:00:00-04:00",
}
ORDER = Order("tested-2024-05-06-AAPL-0", SESSION, "AAPL", "buy", Decimal("10.500000000"))


@pytest.fixture
def broker() -> Generator[Broker]:
    with serving(Broker(dict(IN_WINDOW))) as running:
        yield running


@pytest.fixture
def client(broker: Broker) -> Generator[AlpacaClient]:
    connection = AlpacaClient(
        KEYS, broker.url, timeout_seconds=(1.0, 0.3), sleep=lambda seconds: None
    )
    yield connection
    connection.close()


@pytest.fixture
def gateway(client: AlpacaClient) -> AlpacaBroker:
    return AlpacaBroker(client, CALENDAR, PaperSpec(gateway="alpaca"))


def test_an_order_travels_as_decimal_strings(gateway: AlpacaBroker, broker: Broker) -> None:
    known = gateway.submit(ORDER)
    assert broker.posts == [
        {
            "symbol": "AAPL",
            "qty": "10.5",
            "side": "buy",
            "type": "market",
            "time_in_force": "day",
            "client_order_id": ORDER.client_order_id,
        }
    ]
    assert (known.status, known.quantity) == ("accepted", Decimal("10.5"))


def test_whole_shares_go_to_the_opening_auction(gateway: AlpacaBroker, broker: Broker) -> None:
    gateway.submit(Order("id-0", SESSION, "AAPL", "sell", Decimal("1000")))
    assert (broker.posts[0]["time_in_force"], broker.posts[0]["qty"]) == ("opg", "1000")


@pytest.mark.parametrize("is_applied", [True, False])
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (504, "{}"),
        (500, "<html>oops</html>"),
        (502, ""),
        (503, "{}"),
        (429, "{}"),
        (200, '{"id": "cut'),
        ("hang", ""),
        (None, ""),
        (307, ""),
    ],
)
def test_an_unknown_outcome_leads_to_exactly_one_order(
    gateway: AlpacaBroker, broker: Broker, status: int | str | None, body: str, is_applied: bool
) -> None:
    broker.faults = [(status, body, is_applied)]
    known = gateway.submit(ORDER)
    assert list(broker.orders) == [ORDER.client_order_id]
    assert known.status == "accepted"
    assert len(broker.posts) == (1 if is_applied else 2)


def test_a_redirect_is_not_followed_with_the_keys(gateway: AlpacaBroker, broker: Broker) -> None:
    with serving(Broker(dict(IN_WINDOW))) as elsewhere:
        broker.redirect_to = elsewhere.url
        broker.get_faults = [302] * 4
        with pytest.raises(BrokerError, match=r"GET /v2/account"):
            gateway.account()
        broker.faults = [(307, "", False)]
        gateway.submit(ORDER)
        assert elsewhere.headers == []
        assert elsewhere.posts == []


def test_a_proxy_of_the_environment_is_not_used(
    gateway: AlpacaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert gateway.account().cash_usd == Decimal(100_000)


def test_an_outcome_that_stays_unknown_is_an_error_and_no_third_post(
    gateway: AlpacaBroker, broker: Broker
) -> None:
    broker.faults = [(504, "", False), (504, "", False)]
    with pytest.raises(BrokerError, match="could not be found out"):
        gateway.submit(ORDER)
    assert len(broker.posts) == 2


def test_an_unknown_outcome_is_not_sent_again_after_the_window(
    gateway: AlpacaBroker, broker: Broker
) -> None:
    broker.faults = [(504, "", False)]
    broker.clock["timestamp"] = "2024-05-06T09:29:00-04:00"
    with pytest.raises(BrokerError, match="could not be found out"):
        gateway.submit(ORDER)
    assert len(broker.posts) == 1


def test_a_duplicate_id_adopts_the_order_that_is_there(
    gateway: AlpacaBroker, broker: Broker
) -> None:
    first = gateway.submit(ORDER)
    assert gateway.submit(ORDER) == first
    assert len(broker.orders) == 1


def test_a_duplicate_id_with_other_fields_is_refused(gateway: AlpacaBroker) -> None:
    gateway.submit(ORDER)
    other = Order(ORDER.client_order_id, SESSION, "AAPL", "buy", Decimal(11))
    with pytest.raises(OrderConflictError, match=r"not buy 11 AAPL"):
        gateway.submit(other)


def test_a_definite_refusal_is_a_rejected_order(gateway: AlpacaBroker, broker: Broker) -> None:
    broker.faults = [(403, '{"code": 40310000, "message": "insufficient buying power"}', False)]
    known = gateway.submit(ORDER)
    assert (known.status, known.reason) == ("rejected", "insufficient buying power")
    assert len(broker.posts) == 1


def test_a_get_is_repeated_until_it_is_answered(gateway: AlpacaBroker, broker: Broker) -> None:
    broker.get_faults = [500, 429, 502]
    assert gateway.account().cash_usd == Decimal(100_000)
    broker.get_faults = [500] * 4
    with pytest.raises(BrokerError, match="4 attempts"):
        gateway.account()


@pytest.mark.parametrize(
    ("timestamp", "is_open", "session", "reason"),
    [
        ("2024-05-06T09:16:00-04:00", False, SESSION, ""),
        ("2024-05-06T09:10:00-04:00", False, SESSION, ""),
        ("2024-05-06T09:09:59-04:00", False, SESSION, "window opens at 09:10"),
        ("2024-05-06T09:28:00-04:00", False, SESSION, "window closed at 09:28"),
        ("2024-05-06T09:16:00-04:00", False, date(2024, 5, 3), "not 2024-05-03's"),
        ("2024-05-06T09:16:00-04:00", False, date(2024, 5, 7), "not 2024-05-07's"),
        ("2024-05-06T10:00:00-04:00", True, SESSION, "the market is open"),
    ],
)
def test_only_the_session_the_brokers_clock_says_is_next_is_accepted(
    gateway: AlpacaBroker,
    broker: Broker,
    timestamp: str,
    is_open: bool,
    session: date,
    reason: str,
) -> None:
    broker.clock.update(timestamp=timestamp, is_open=is_open)
    if is_open:
        broker.clock["next_open"] = "2024-05-07T09:30:00-04:00"
    refusal = gateway.refusal(session)
    assert reason in refusal if reason else refusal == ""


def alpaca_market() -> Market:
    market = make_market(30)
    days = CALENDAR.sessions(date(2024, 3, 1), date(2024, 5, 31))
    at = days.index(SESSION)
    sessions = np.array(days[at - 29 : at + 1], dtype="datetime64[D]")
    ones = np.ones_like(market.split_ratio)
    return Market(
        sessions=sessions,
        symbols=("AAPL", "IBM", "MSFT"),
        open=market.open,
        close=market.close,
        volume=market.volume,
        tradable=market.tradable,
        split_ratio=ones,
        cash_per_share=0.0 * ones,
        volatility=market.volatility,
        adv_usd=market.adv_usd,
    )


def before_open(market: Market) -> Market:
    rows = slice(0, -1)
    return Market(
        sessions=market.sessions[rows],
        symbols=market.symbols,
        open=market.open[rows],
        close=market.close[rows],
        volume=market.volume[rows],
        tradable=market.tradable[rows],
        split_ratio=market.split_ratio[rows],
        cash_per_share=market.cash_per_share[rows],
        volatility=market.volatility[rows],
        adv_usd=market.adv_usd[rows],
    )


def session_inputs(tmp_path: Path, market: Market, gateway: AlpacaBroker, **changes: object):
    decide = decide_with(lambda _: np.array([0.3, 0.2, 0.1]), market.symbols)
    return make_inputs(tmp_path, market, SESSION, gateway=gateway, decide=decide, **changes)


def test_a_past_session_is_missed_and_nothing_is_sent(
    tmp_path: Path, gateway: AlpacaBroker, broker: Broker
) -> None:
    broker.clock["next_open"] = "2024-05-08T09:30:00-04:00"
    record = run_session(session_inputs(tmp_path, alpaca_market(), gateway))
    assert record.status == "missed"
    assert "2024-05-08" in record.summary["reason"]
    assert broker.posts == []


def test_a_session_is_decided_before_the_open_and_settled_from_the_brokers_fills(
    tmp_path: Path, gateway: AlpacaBroker, broker: Broker
) -> None:
    market = alpaca_market()
    opened = run_session(session_inputs(tmp_path, before_open(market), gateway))
    assert opened.status == "awaiting_fill"
    assert len(broker.orders) == 3
    broker.clock.update(is_open=True, next_open="2024-05-07T09:30:00-04:00")
    again = run_session(session_inputs(tmp_path, before_open(market), gateway, stored=opened))
    assert again.status == "awaiting_fill"
    assert len(broker.posts) == 3

    broker.fill("101.25")
    spent = sum(Decimal(order["qty"]) * Decimal("101.25") for order in broker.orders.values())
    broker.account["cash"] = str(round(Decimal(100_000) - spent, 2))
    broker.positions = [
        {"symbol": order["symbol"], "qty": order["qty"], "side": "long"}
        for order in broker.orders.values()
    ]
    settled = run_session(session_inputs(tmp_path, market, gateway, stored=opened))
    assert settled.status == "settled"
    assert settled.differences == []
    assert settled.tables["fills"]["price_usd"].to_list() == [Decimal("101.25")] * 3
    assert len(broker.posts) == 3

    # What these fills cost beyond the simulation: other prices, and no costs but a cent of rounding
    # at the broker.
    replay = trade_again(settled, market, make_strategy(), None)
    for symbol, price in zip(market.symbols, market.open[-1].tolist(), strict=True):
        [own] = [found for found in replay.symbols if found.symbol == symbol]
        shares = own.recorded.trade
        assert shares == own.replayed.trade > 0
        dearer = shares * (Decimal("101.25") - Decimal(repr(price)))
        assert float(own.difference_usd) == pytest.approx(
            float(own.replayed.cost_usd - dearer), abs=1e-4
        )
        assert own.replayed.cost_usd > 0
        assert own.recorded.cost_usd == 0
    assert replay.receiver == "alpaca-paper"
    assert abs(replay.other_usd) < Decimal("0.01")
    assert abs(replay.divergence_bps) > 1.0
    assert unexplained([replay]) == []


def test_a_run_that_died_after_sending_adopts_its_orders_once_the_window_is_over(
    tmp_path: Path, gateway: AlpacaBroker, broker: Broker
) -> None:
    broker.faults = [(504, "", True), (504, "", False), (504, "", False)]
    inputs = session_inputs(tmp_path, before_open(alpaca_market()), gateway)
    with pytest.raises(BrokerError):
        run_session(inputs)
    assert len(broker.orders) == 1
    posts = len(broker.posts)
    broker.clock["timestamp"] = "2024-05-06T09:29:30-04:00"
    record = run_session(inputs)
    assert record.status == "awaiting_fill"
    assert sorted(record.tables["orders"]["status"]) == ["accepted", "rejected"]
    assert len(broker.posts) == posts


def test_a_run_that_goes_on_in_the_window_asks_before_it_sends(
    tmp_path: Path, gateway: AlpacaBroker, broker: Broker
) -> None:
    broker.faults = [(504, "", True), (504, "", False), (504, "", False)]
    inputs = session_inputs(tmp_path, before_open(alpaca_market()), gateway)
    with pytest.raises(BrokerError):
        run_session(inputs)
    broker.posts.clear()
    record = run_session(inputs)
    assert record.tables["orders"]["status"].unique().to_list() == ["accepted"]
    assert [body["symbol"] for body in broker.posts] == ["IBM", "MSFT"]


def test_a_position_the_ledger_does_not_know_halts(
    tmp_path: Path, gateway: AlpacaBroker, broker: Broker
) -> None:
    market = alpaca_market()
    broker.clock["next_open"] = "2024-05-08T09:30:00-04:00"
    before = run_session(session_inputs(tmp_path, market, gateway))
    broker.clock["next_open"] = IN_WINDOW["next_open"]
    broker.positions = [{"symbol": "TSLA", "qty": "3", "side": "short"}]
    record = run_session(session_inputs(tmp_path, market, gateway, previous=before))
    assert record.status == "halted"
    assert record.differences == ["TSLA is 0 shares in the ledger and -3.000000000 at the broker"]
    assert broker.posts == []


def test_a_blocked_account_is_an_error(gateway: AlpacaBroker, broker: Broker) -> None:
    broker.account["trading_blocked"] = True
    with pytest.raises(BrokerError, match="trading_blocked"):
        gateway.account()


def test_fills_are_read_over_several_pages(gateway: AlpacaBroker, broker: Broker) -> None:
    gateway.submit(ORDER)
    broker.fill("99.5")
    noise = [
        {"activity_type": "DIV", "id": f"n{n}", "net_amount": "0.01", "date": "2024-05-06"}
        for n in range(150)
    ]
    broker.activities = [*noise, *broker.activities]
    settlement = gateway.settle(SESSION, date(2024, 5, 3), (ORDER.client_order_id,))
    assert settlement is not None
    assert len(settlement.events) == 150
    assert [fill.price_usd for fill in settlement.fills] == [Decimal("99.5")]


def test_an_order_without_all_its_fills_is_not_settled(
    gateway: AlpacaBroker, broker: Broker
) -> None:
    gateway.submit(ORDER)
    broker.fill("99.5")
    broker.activities = []
    assert gateway.settle(SESSION, None, (ORDER.client_order_id,)) is None


@pytest.mark.parametrize("field", ["qty", "filled_qty", "side"])
def test_an_unreadable_field_is_an_error(gateway: AlpacaBroker, broker: Broker, field: str) -> None:
    gateway.submit(ORDER)
    broker.orders[ORDER.client_order_id][field] = "NaN"
    with pytest.raises(BrokerError, match=r"Alpaca's"):
        gateway.order_by_client_id(ORDER.client_order_id)


@pytest.mark.parametrize("name", sorted(KEYS))
def test_a_missing_key_is_named(name: str) -> None:
    with pytest.raises(MissingKeyError, match=name):
        AlpacaClient({**KEYS, name: ""})


def test_a_strategy_on_alpaca_without_keys_says_which_is_missing() -> None:
    strategy = make_strategy(paper={"gateway": "alpaca"})
    with pytest.raises(MissingKeyError, match="ALPACA_API_KEY"):
        build_gateway(strategy, make_market(), CALENDAR, b"", {})


@pytest.mark.parametrize(
    "url",
    [
        LIVE_URL,
        "http://paper-api.alpaca.markets",
        "https://paper-api.alpaca.markets.example.com",
        "https://user@127.0.0.1",
        "http://10.0.0.1",
    ],
)
def test_a_url_that_is_not_paper_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="only paper trading"):
        AlpacaClient(KEYS, url)


def test_the_live_url_needs_the_second_switch() -> None:
    assert not AlpacaClient(KEYS, LIVE_URL, permits_live=True).is_paper


def test_a_decision_too_close_to_the_open_is_refused(client: AlpacaClient) -> None:
    with pytest.raises(UserError, match="decision_minutes_before_open was 2"):
        AlpacaBroker(client, CALENDAR, PaperSpec(decision_minutes_before_open=2))


def test_keys_are_sent_and_appear_nowhere_else(
    tmp_path: Path, gateway: AlpacaBroker, client: AlpacaClient, broker: Broker
) -> None:
    broker.faults = [(504, "", False), (504, "", False)]
    inputs = session_inputs(tmp_path, before_open(alpaca_market()), gateway)
    with pytest.raises(BrokerError) as caught:
        run_session(inputs)
    shown = "".join(traceback.format_exception(caught.value, chain=True))
    log = (tmp_path / f"{SESSION}.jsonl").read_text()
    assert broker.headers[0]["APCA-API-KEY-ID"] == KEYS["ALPACA_API_KEY"]
    for text in (shown, log, repr(client), str(vars(gateway)), *broker.paths):
        assert "canary" not in text


def test_times_with_nanoseconds_are_read(gateway: AlpacaBroker, broker: Broker) -> None:
    gateway.submit(ORDER)
    broker.fill("99.5")
    settlement = gateway.settle(SESSION, None, (ORDER.client_order_id,))
    assert settlement is not None
    assert settlement.fills[0].filled_at == datetime(2024, 5, 6, 13, 30, 0, 123456, tzinfo=UTC)
