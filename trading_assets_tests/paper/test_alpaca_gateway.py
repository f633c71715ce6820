import itertools
import json
import traceback
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from trading_assets.errors import MissingKeyError, UserError
from trading_assets.paper.alpaca_account import LIVE_URL, PAPER_URL, choose_account
from trading_assets.paper.gateways import BrokerError, Gateway
from trading_assets.paper.orders import Bracket, Order
from trading_assets_tests.paper.alpaca_double import (
    KEYS,
    NOON,
    AlpacaDouble,
    Fault,
    ToldClock,
    make_gateway,
)

SESSION = date(2024, 5, 6)
ORDER = Order("tested-2024-05-06-AAPL-0", SESSION, "AAPL", "buy", Decimal("10.5"))
NO_PROOF = [
    Fault(429, '{"code": 42910000, "message": "rate limit exceeded"}'),
    Fault(500, "<html>oops</html>"),
    Fault(500, '{"message": "internal server error"}'),
    Fault(501),
    Fault(502, ""),
    Fault(503),
    Fault(504),
    Fault(408),
    Fault(307, "", headers={"Location": "https://elsewhere.example"}),
    Fault(403, "<html>blocked</html>"),
    Fault(422, ""),
    Fault(422, "[]"),
    Fault(200, ""),
    Fault(200, "<html>fine</html>"),
    Fault(200, "{}"),
    Fault(200, '{"id": NaN}'),
    Fault(200, "[" * 100_000),
    Fault(202, '{"id": "x"}'),
    Fault("truncate"),
    Fault("hang"),
    Fault("reset"),
    Fault("close"),
]


@pytest.fixture
def double() -> AlpacaDouble:
    return AlpacaDouble()


@pytest.mark.parametrize("is_applied", [True, False])
@pytest.mark.parametrize("number", range(len(NO_PROOF)))
def test_an_answer_that_proves_nothing_is_unclear_and_nothing_is_sent_again(
    double: AlpacaDouble, number: int, is_applied: bool
) -> None:
    gateway, clock = make_gateway(double)
    fault = NO_PROOF[number]
    double.faults["POST"] = [Fault(fault.kind, fault.body, is_applied, fault.headers)]
    answer = gateway.send(ORDER)
    assert answer.outcome == "unclear"
    assert answer.reason
    assert len(double.requests("POST")) == 1
    assert clock.waits == []
    known = gateway.look_up(ORDER.client_order_id)
    assert (known is not None) == is_applied


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (403, {"code": 40310000, "message": "insufficient buying power"}, "insufficient buying"),
        (403, {"code": 40310000, "message": "potential wash trade detected"}, "wash trade"),
        (401, {"code": 40110000, "message": "request is not authorized"}, "check ALPACA_API_KEY"),
        (404, {"message": "endpoint not found."}, "endpoint not found"),
        (422, {"code": 42210000, "message": "sub-penny increment"}, "sub-penny"),
        (400, {"message": "invalid"}, "invalid"),
    ],
)
def test_a_refusal_in_alpacas_words_is_refused_with_its_evidence(
    double: AlpacaDouble, status: int, body: dict[str, Any], words: str
) -> None:
    gateway, _ = make_gateway(double)
    double.faults["POST"] = [Fault(status, json.dumps(body), headers={"X-Request-ID": "abc"})]
    answer = gateway.send(ORDER)
    assert answer.outcome == "refused"
    assert words in answer.reason
    assert answer.evidence.http_status == str(status)
    assert answer.evidence.broker_code == str(body.get("code", ""))
    assert answer.evidence.x_request_id == "abc"
    assert len(answer.evidence.response_sha256) == 64


@pytest.mark.parametrize(
    "body",
    [
        '{"code": 40010001, "message": "client_order_id must be unique"}',
        '{"code": 40010001, "message": "words that are new"}',
        '{"code": 1, "message": "client_order_id must be unique"}',
    ],
)
def test_an_id_that_may_be_there_is_unclear_so_that_it_is_looked_up(
    double: AlpacaDouble, body: str
) -> None:
    gateway, _ = make_gateway(double)
    double.faults["POST"] = [Fault(422, body)]
    answer = gateway.send(ORDER)
    assert answer.outcome == "unclear"
    assert f"may hold {ORDER.client_order_id} already" in answer.reason


def test_the_same_order_sent_twice_is_there_once(double: AlpacaDouble) -> None:
    gateway, _ = make_gateway(double)
    first = gateway.send(ORDER)
    assert (first.outcome, gateway.send(ORDER).outcome) == ("taken", "unclear")
    assert gateway.look_up(ORDER.client_order_id) == first.order
    assert len(double.orders) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("client_order_id", "other"), ("symbol", "IBM"), ("side", "sell"), ("qty", "11")],
)
def test_an_answer_about_another_order_is_unclear(
    double: AlpacaDouble, name: str, value: str
) -> None:
    gateway, _ = make_gateway(double)
    entry = double.add_order(client_order_id=ORDER.client_order_id, qty="10.5") | {name: value}
    double.faults["POST"] = [Fault(200, json.dumps(entry))]
    answer = gateway.send(ORDER)
    assert answer.outcome == "unclear"
    assert "another order" in answer.reason


@pytest.mark.parametrize(
    ("order", "told"),
    [
        (ORDER, {"qty": "10.5", "type": "market", "time_in_force": "day"}),
        (
            Order("a", SESSION, "AAPL", "sell", Decimal(1000)),
            {"qty": "1000", "type": "market", "time_in_force": "opg", "side": "sell"},
        ),
        (
            Order("a", SESSION, "AAPL", "buy", Decimal("1E-9"), time_in_force="day"),
            {"qty": "0.000000001"},
        ),
        (
            Order("a", SESSION, "F", "buy", Decimal(2), "limit", "cls", Decimal("0.0001")),
            {"limit_price": "0.0001", "type": "limit", "time_in_force": "cls"},
        ),
        (
            Order("a", SESSION, "F", "buy", Decimal("1E+3"), "stop", "gtc", None, Decimal("1.50")),
            {"qty": "1000", "stop_price": "1.5", "type": "stop", "time_in_force": "gtc"},
        ),
        (
            Order(
                "a",
                SESSION,
                "F",
                "buy",
                Decimal(1),
                "stop_limit",
                "day",
                Decimal("123456.70"),
                Decimal(9),
                Bracket(Decimal(12), Decimal("8.25")),
            ),
            {
                "type": "stop_limit",
                "limit_price": "123456.7",
                "stop_price": "9",
                "order_class": "bracket",
                "take_profit": {"limit_price": "12"},
                "stop_loss": {"stop_price": "8.25"},
            },
        ),
    ],
)
def test_an_order_travels_in_exact_decimal_strings(
    double: AlpacaDouble, order: Order, told: dict[str, Any]
) -> None:
    gateway, _ = make_gateway(double)
    answer = gateway.send(order)
    [body] = double.bodies()
    assert body.items() >= told.items()
    assert ("order_class" in body) == (order.bracket is not None)
    assert not [value for value in body.values() if isinstance(value, (int, float))]
    assert answer.outcome == "taken"
    assert answer.order is not None
    assert answer.order.quantity == order.quantity
    assert answer.order.limit_price_usd == order.limit_price_usd
    assert answer.order.stop_price_usd == order.stop_price_usd


@pytest.mark.parametrize(
    "order",
    [
        Order("a", SESSION, "F", "buy", Decimal("1.5"), "limit", "day", Decimal(9)),
        Order("a", SESSION, "F", "buy", Decimal("1.5"), time_in_force="gtc"),
        Order(
            "a",
            SESSION,
            "F",
            "buy",
            Decimal("1.5"),
            time_in_force="day",
            bracket=Bracket(Decimal(9), Decimal(8)),
        ),
    ],
)
def test_a_fraction_that_alpaca_cannot_take_is_refused_here(
    double: AlpacaDouble, order: Order
) -> None:
    gateway, _ = make_gateway(double)
    answer = gateway.send(order)
    assert answer.outcome == "refused"
    assert "whole shares" in answer.reason
    assert double.seen == []


def test_a_status_that_is_new_passes_as_it_is(double: AlpacaDouble) -> None:
    gateway, _ = make_gateway(double)
    double.add_order(client_order_id="a", status="pondered", type="trailing_stop", qty=None)
    found = gateway.look_up("a")
    assert found is not None
    assert (found.status, found.order_type, found.quantity) == ("pondered", "trailing_stop", 0)


def test_numbers_outside_strings_are_exact_and_constants_are_none(double: AlpacaDouble) -> None:
    gateway, _ = make_gateway(double)
    entry = json.dumps(double.add_order(client_order_id=ORDER.client_order_id, qty="QTY"))
    texts = ("0.1000000000000000055511151231257827", "10.5", "NaN", "Infinity")
    outcomes = []
    for text in texts:
        double.faults["POST"] = [Fault(200, entry.replace('"QTY"', text))]
        answer = gateway.send(ORDER)
        outcomes.append((answer.outcome, answer.reason.rpartition(": ")[2]))
    assert outcomes[:2] == [("unclear", f"quantity {texts[0]} for 10.5"), ("taken", "")]
    assert all("no readable JSON" in reason for _, reason in outcomes[2:])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *itertools.product(["qty", "filled_qty", "limit_price"], ["NaN", "", "1e400", {}, True]),
        *itertools.product(["side", "id", "status", "symbol"], ["", {}, None, 1]),
        ("legs", "none"),
        ("legs", [1]),
    ],
)
def test_a_field_that_cannot_be_read_is_an_error(
    double: AlpacaDouble, field: str, value: object
) -> None:
    gateway, _ = make_gateway(double)
    double.add_order(client_order_id="a", **{field: value})
    with pytest.raises(BrokerError, match=f"Alpaca's {field} was"):
        gateway.orders(None)


def test_a_read_is_repeated_until_it_is_answered_and_four_times_at_most(
    double: AlpacaDouble,
) -> None:
    gateway, clock = make_gateway(double)
    double.faults["GET"] = [Fault(500), Fault("hang"), Fault("truncate")]
    assert gateway.account().cash_usd == Decimal(100_000)
    assert [round(wait) for wait in clock.waits] == [1, 1, 2]
    assert len({wait % 0.5 for wait in clock.waits}) == 3
    double.faults["GET"] = [Fault(503)] * 5
    with pytest.raises(BrokerError, match="HTTP status 503 to GET /v2/account in 4 attempts"):
        gateway.account()
    assert len(double.faults["GET"]) == 1


def test_a_read_waits_until_the_limit_is_lifted(double: AlpacaDouble) -> None:
    gateway, clock = make_gateway(double)
    reset = str(int(NOON.timestamp()) + 20)
    double.faults["GET"] = [Fault(429, headers={"X-RateLimit-Reset": reset})]
    gateway.account()
    assert 21.0 <= clock.waits[0] <= 21.5


def test_the_brokers_own_date_counts_for_its_limit(double: AlpacaDouble) -> None:
    gateway, clock = make_gateway(double)
    headers = {"X-RateLimit-Reset": "1700000007", "Date": "Tue, 14 Nov 2023 22:13:20 GMT"}
    double.faults["GET"] = [Fault(429, headers=headers)]
    gateway.account()
    assert 8.0 <= clock.waits[0] <= 8.5


def test_no_wait_is_longer_than_the_limit_lasts(double: AlpacaDouble) -> None:
    gateway, clock = make_gateway(double)
    double.faults["GET"] = [Fault(429, headers={"X-RateLimit-Reset": "9" * 12})]
    gateway.account()
    assert clock.waits == [65.0]


@pytest.mark.parametrize("status", [401, 403, 302])
def test_a_refused_read_is_an_error_and_is_not_repeated(double: AlpacaDouble, status: int) -> None:
    gateway, _ = make_gateway(double)
    double.faults["GET"] = [Fault(status, '{"message": "forbidden."}')]
    with pytest.raises(BrokerError, match=r"forbidden\..*check"):
        gateway.account()
    assert len(double.seen) == 1


def test_only_alpacas_own_word_says_that_there_is_no_order(double: AlpacaDouble) -> None:
    gateway, _ = make_gateway(double)
    assert gateway.look_up("a") is None
    double.faults["GET"] = [Fault(404, '{"message": "endpoint not found."}')]
    with pytest.raises(BrokerError, match="expected an order"):
        gateway.look_up("a")
    double.add_order(client_order_id="b")
    double.faults["GET"] = [Fault(200, json.dumps(double.orders["b"]))]
    with pytest.raises(BrokerError, match="has b for a"):
        gateway.look_up("a")


def test_cancelling_is_sent_once_and_judged(double: AlpacaDouble) -> None:
    gateway, _ = make_gateway(double)
    gateway.send(ORDER)
    double.faults["DELETE"] = [Fault(504)]
    assert gateway.cancel(ORDER.client_order_id).outcome == "unclear"
    assert len(double.requests("DELETE")) == 1
    assert double.requests("GET") == []
    assert gateway.cancel(ORDER.client_order_id).outcome == "taken"
    assert double.orders[ORDER.client_order_id]["status"] == "canceled"
    last = gateway.cancel(ORDER.client_order_id)
    assert (last.outcome, last.reason) == (
        "refused",
        f"order {ORDER.client_order_id} is canceled; it cannot be cancelled",
    )


def test_an_order_of_an_earlier_run_is_looked_up_and_cancelled(double: AlpacaDouble) -> None:
    gateway, _ = make_gateway(double)
    entry = double.add_order(client_order_id="a/b")
    assert gateway.cancel("a/b").outcome == "taken"
    assert double.requests("DELETE") == [f"/v2/orders/{entry['id']}?"]
    assert gateway.cancel("unknown").outcome == "refused"
    double.faults["GET"] = [Fault(500)] * 4
    assert gateway.cancel("other").outcome == "unclear"


def test_an_order_that_alpaca_replaced_is_cancelled_under_its_new_id(double: AlpacaDouble) -> None:
    gateway, _ = make_gateway(double)
    gateway.send(ORDER)
    double.orders[ORDER.client_order_id]["id"] = "new-id"
    assert gateway.cancel(ORDER.client_order_id).outcome == "taken"
    assert double.requests("DELETE")[-1] == "/v2/orders/new-id?"


def test_all_orders_are_cancelled_by_one_request(double: AlpacaDouble) -> None:
    gateway, _ = make_gateway(double)
    assert gateway.cancel_all().outcome == "taken"
    for _ in range(50):
        double.add_order()
    assert gateway.cancel_all().outcome == "taken"
    assert {order["status"] for order in double.orders.values()} == {"canceled"}
    assert double.requests("DELETE") == ["/v2/orders?"] * 2


@pytest.mark.parametrize(
    "fault",
    [
        Fault(207, '[{"id": "a", "status": 200}, {"id": "b", "status": 500}]'),
        Fault(207, '[{"id": "a", "status": 422}]'),
        Fault(207, '{"message": "odd"}'),
        Fault(500, '{"message": "failed to cancel orders"}'),
        Fault("hang"),
    ],
)
def test_a_cancel_of_all_that_left_one_is_unclear(double: AlpacaDouble, fault: Fault) -> None:
    gateway, _ = make_gateway(double)
    double.faults["DELETE"] = [fault]
    assert gateway.cancel_all().outcome == "unclear"


def test_trading_is_suspended_and_resumed_at_the_broker(double: AlpacaDouble) -> None:
    gateway, _ = make_gateway(double)
    assert gateway.suspend().outcome == "taken"
    assert "trade_suspended_by_user" in gateway.blocked()
    assert gateway.resume().outcome == "taken"
    assert gateway.blocked() == ""
    assert double.bodies("PATCH") == [{"suspend_trade": True}, {"suspend_trade": False}]
    double.faults["PATCH"] = [Fault(200, '{"suspend_trade": false}'), Fault(500), Fault(403)]
    assert [gateway.suspend().outcome for _ in range(3)] == ["unclear"] * 3


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("account_blocked", True, "account_blocked"),
        ("trading_blocked", True, "trading_blocked"),
        ("trading_blocked", None, "trading_blocked"),
        ("trade_suspended_by_user", True, "trade_suspended_by_user"),
        ("status", "ACCOUNT_UPDATED", "status ACCOUNT_UPDATED"),
        ("status", None, "status None"),
    ],
)
def test_a_blocked_account_says_why(
    double: AlpacaDouble, field: str, value: object, words: str
) -> None:
    gateway, _ = make_gateway(double)
    assert gateway.blocked() == ""
    double.account[field] = value
    assert words in gateway.blocked()


def test_cash_and_positions_are_exact(double: AlpacaDouble) -> None:
    gateway, _ = make_gateway(double)
    double.account["cash"] = "-0.1234567"
    double.positions = [
        {"symbol": "AAPL", "qty": "0.000000001", "side": "long"},
        {"symbol": "IBM", "qty": "-3", "side": "short"},
    ]
    state = gateway.account()
    assert state.cash_usd == Decimal("-0.123457")
    assert state.quantity == {"AAPL": Decimal("1e-9"), "IBM": Decimal(-3)}


@pytest.mark.parametrize(
    ("timestamp", "is_open", "session", "reason"),
    [
        ("2024-05-06T09:16:00-04:00", False, SESSION, ""),
        ("2024-05-06T09:10:00-04:00", False, SESSION, ""),
        ("2024-05-06T09:09:59-04:00", False, SESSION, "opens at 09:10"),
        ("2024-05-06T09:27:59-04:00", False, SESSION, ""),
        ("2024-05-06T09:28:00-04:00", False, SESSION, "missed: the decision window closed"),
        ("2024-05-06T09:16:00-04:00", False, date(2024, 5, 3), "2024-05-03 is missed"),
        ("2024-05-06T09:16:00-04:00", False, date(2024, 5, 7), "2024-05-07 is not due"),
        ("2024-05-06T10:00:00-04:00", True, SESSION, "missed: the market is open"),
        ("2024-05-06T10:00:00-04:00", True, date(2024, 5, 7), "not due"),
    ],
)
def test_only_the_session_of_the_brokers_clock_inside_its_window_is_accepted(
    double: AlpacaDouble, timestamp: str, is_open: bool, session: date, reason: str
) -> None:
    gateway, _ = make_gateway(double)
    double.clock.update(timestamp=timestamp, is_open=is_open)
    if is_open:
        double.clock["next_open"] = "2024-05-07T09:30:00-04:00"
    refusal = gateway.refusal(session)
    assert reason in refusal if reason else refusal == ""
    assert double.requests("POST") == []


def test_a_session_that_goes_on_takes_intraday_decisions(double: AlpacaDouble) -> None:
    gateway, _ = make_gateway(double, is_intraday=True)
    double.clock.update(
        timestamp="2024-05-06T10:00:00-04:00",
        is_open=True,
        next_open="2024-05-07T09:30:00-04:00",
    )
    assert gateway.refusal(SESSION) == ""
    assert "missed" in gateway.refusal(date(2024, 5, 3))
    assert "not due" in gateway.refusal(date(2024, 5, 7))


def test_a_session_is_over_when_the_closing_auction_was_reported(double: AlpacaDouble) -> None:
    gateway, _ = make_gateway(double)
    assert not gateway.has_closed(SESSION)
    double.clock.update(
        timestamp="2024-05-06T16:09:59-04:00", next_open="2024-05-07T09:30:00-04:00"
    )
    assert not gateway.has_closed(SESSION)
    double.clock["timestamp"] = "2024-05-06T16:10:00-04:00"
    assert gateway.has_closed(SESSION)
    assert not gateway.has_closed(date(2024, 5, 7))


@pytest.mark.parametrize("value", ["true", None, 1])
def test_a_clock_that_cannot_be_read_is_an_error(double: AlpacaDouble, value: object) -> None:
    gateway, _ = make_gateway(double)
    double.clock["is_open"] = value
    with pytest.raises(BrokerError, match="is_open"):
        gateway.refusal(SESSION)


class Narrow:
    def __init__(self, waits: dict[str, list[float]]) -> None:
        self.waits = waits
        self.taken: list[str] = []
        self.observed: list[tuple[int, float]] = []

    def take(self, message: str) -> float:
        wait_s = self.waits[message].pop(0) if self.waits.get(message) else 0.0
        if not wait_s:
            self.taken.append(message)
        return wait_s

    def observe(self, remaining: int, reset_seconds: float) -> None:
        self.observed.append((remaining, reset_seconds))


def test_every_request_takes_a_token_of_its_kind_and_waits_for_it(double: AlpacaDouble) -> None:
    budget = Narrow({"submit": [3.0, 1.5]})
    gateway, clock = make_gateway(double, budget=budget)
    gateway.send(ORDER)
    assert clock.waits == [3.0, 1.5]
    double.add_order(client_order_id="other")
    gateway.cancel("other")
    double.faults["GET"] = [Fault(500)]
    gateway.blocked()
    gateway.suspend()
    gateway.cancel_all()
    assert budget.taken == ["submit", "cancel", "cancel", "read", "read", "cancel", "cancel"]


def test_the_budget_is_told_what_the_broker_says_is_left(double: AlpacaDouble) -> None:
    budget = Narrow({})
    gateway, _ = make_gateway(double, budget=budget)
    reset = {"X-RateLimit-Reset": str(int(NOON.timestamp()) + 30)}
    double.headers = {"X-RateLimit-Remaining": "199", **reset}
    gateway.account()
    double.headers = {"X-RateLimit-Remaining": "many", **reset}
    gateway.account()
    double.headers = {}
    double.faults["POST"] = [Fault(429, headers=reset), Fault(429)]
    gateway.send(ORDER)
    gateway.send(ORDER)
    assert budget.observed == [(199, 31.0)] * 2 + [(0, 31.0), (0, 65.0)]


def test_a_message_that_had_to_wait_too_long_is_not_sent(double: AlpacaDouble) -> None:
    waits = {"submit": [40.0, 40.0], "read": [100.0], "cancel": [100.0] * 3}
    gateway, clock = make_gateway(double, budget=Narrow(waits))
    answer = gateway.send(ORDER)
    assert (answer.outcome, "was not sent" in answer.reason) == ("refused", True)
    with pytest.raises(BrokerError, match="was not sent"):
        gateway.account()
    assert gateway.suspend().outcome == "refused"
    assert gateway.cancel_all().outcome == "unclear"
    assert double.seen == []
    assert clock.waits == [40.0]


def test_the_gateway_follows_the_protocol(double: AlpacaDouble) -> None:
    gateway: Gateway = make_gateway(double)[0]
    assert (gateway.receiver, gateway.is_simulated) == ("alpaca-paper", False)
    assert gateway.updates() == ()
    gateway.close()


@pytest.mark.parametrize("name", sorted(KEYS))
@pytest.mark.parametrize("value", ["", None])
def test_a_missing_key_is_named(name: str, value: str | None) -> None:
    credentials = {key: text for key, text in {**KEYS, name: value}.items() if text is not None}
    with pytest.raises(MissingKeyError, match=f"the alpaca gateway needs {name}"):
        choose_account(credentials)


@pytest.mark.parametrize(
    "url",
    [
        "http://paper-api.alpaca.markets",
        "https://paper-api.alpaca.markets.example.com",
        "https://paper-api.alpaca.markets/v2",
        "https://user:canary@127.0.0.1",
        "http://user:canary@127.0.0.1",
        "http://127.0.0.1.example.com",
        "http://127.0.0.1:80/path",
        "http://10.0.0.1",
        "http://127.0.0.1:999999",
        "ftp://127.0.0.1",
        "HTTPS://API.ALPACA.MARKETS",
        "",
        "http://[::1",
    ],
)
@pytest.mark.parametrize("permits_live", [True, False])
def test_another_address_is_refused(url: str, permits_live: bool) -> None:
    with pytest.raises(UserError, match="Alpaca base URL was") as caught:
        choose_account(KEYS, url, permits_live=permits_live)
    assert "canary" not in str(caught.value)


def test_the_live_address_needs_the_second_switch() -> None:
    with pytest.raises(UserError, match="trades real money"):
        choose_account(KEYS, LIVE_URL)
    assert choose_account(KEYS, LIVE_URL, permits_live=True).is_live
    paper = choose_account(KEYS, PAPER_URL, permits_live=True)
    assert (paper.is_live, paper.stream_url) == (False, "wss://paper-api.alpaca.markets/stream")
    local = choose_account(KEYS, "http://127.0.0.1:4010/")
    assert local.stream_url == "ws://127.0.0.1:4010/stream"


ECHO = json.dumps({"code": 40310000, "message": f"sent with {KEYS['ALPACA_SECRET_KEY']}"})


def test_keys_are_sent_and_appear_nowhere_else(double: AlpacaDouble) -> None:
    gateway, _ = make_gateway(double)
    shown: list[str] = [repr(vars(gateway)), repr(choose_account(KEYS))]
    for fault in (*NO_PROOF, Fault(403, ECHO), Fault(403, ECHO, headers={"X-Request-ID": ECHO})):
        double.faults = {"POST": [fault], "GET": [fault] * 4, "DELETE": [fault], "PATCH": [fault]}
        shown.append(repr((gateway.send(ORDER), gateway.cancel_all(), gateway.suspend())))
        if fault.kind not in (202, 408) and fault.body != "{}":
            with pytest.raises(BrokerError) as caught:
                gateway.account()
            assert caught.value.__context__ is None
            shown.append("".join(traceback.format_exception(caught.value)))
    sent = double.seen[0][2]
    assert sent["APCA-API-KEY-ID"] == KEYS["ALPACA_API_KEY"]
    assert sent["APCA-API-SECRET-KEY"] == KEYS["ALPACA_SECRET_KEY"]
    assert "canary" not in "".join(shown)
    assert "canary" not in "".join(path for _, path, _, _ in double.seen)


def test_times_are_told_by_the_clock_that_is_given(double: AlpacaDouble) -> None:
    clock = ToldClock(datetime(2030, 1, 1, tzinfo=UTC))
    gateway, _ = make_gateway(double, clock=clock)
    reset = str(int(clock.now().timestamp()) + 5)
    double.faults["GET"] = [Fault(429, headers={"X-RateLimit-Reset": reset})]
    gateway.account()
    assert 6.0 <= clock.waits[0] <= 6.5
