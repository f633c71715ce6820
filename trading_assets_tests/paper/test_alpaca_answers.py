"""Whatever Alpaca answers, a write gets an outcome and a read a value or one clear error."""

import copy
import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.paper.alpaca_gateway import AlpacaGateway
from trading_assets.paper.alpaca_updates import frame_of, update_of
from trading_assets.paper.gateways import Answer, BrokerError
from trading_assets.paper.orders import Order
from trading_assets_tests.paper.alpaca_double import (
    HEALTHY,
    IN_WINDOW,
    AlpacaDouble,
    Fault,
    make_gateway,
)
from trading_assets_tests.paper.alpaca_stream_double import message

SESSION = date(2024, 5, 6)
ORDER = Order("a", SESSION, "AAPL", "buy", Decimal(10))
READS: dict[str, tuple[Callable[[AlpacaGateway], object], object]] = {
    "account": (lambda gateway: gateway.account(), HEALTHY),
    "blocked": (lambda gateway: gateway.blocked(), HEALTHY),
    "refusal": (lambda gateway: gateway.refusal(SESSION), IN_WINDOW),
    "has_closed": (lambda gateway: gateway.has_closed(SESSION), IN_WINDOW),
    "look_up": (
        lambda gateway: gateway.look_up("a"),
        AlpacaDouble().add_order(client_order_id="a"),
    ),
    "orders": (
        lambda gateway: gateway.orders(None),
        [AlpacaDouble().add_order(legs=[AlpacaDouble().add_order(id="leg")])],
    ),
    "activities": (
        lambda gateway: gateway.activities(None, SESSION),
        [
            {
                "activity_type": "FILL",
                "id": "1::2",
                "order_id": "3",
                "qty": "1",
                "price": "2",
                "side": "buy",
                "symbol": "A",
                "transaction_time": "2024-05-06T13:30:00Z",
            },
            {"activity_type": "SPLIT", "id": "4", "date": "2024-05-06", "qty": "1", "symbol": "A"},
        ],
    ),
}
WRITES: dict[str, Callable[[AlpacaGateway], Answer]] = {
    "POST": lambda gateway: gateway.send(ORDER),
    "DELETE": lambda gateway: gateway.cancel_all(),
    "PATCH": lambda gateway: gateway.suspend(),
}
ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    1e308,
    "",
    "x",
    "1e9999",
    "\0",
    [],
    {},
    [[]],
    {"a": 1},
    "9" * 99,
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def bent(content: object, rng: Random) -> object:
    """Return the content with one part of it replaced or left out."""
    content = copy.deepcopy(content)
    place = content
    while True:
        if not place:
            return rng.choice(ODD)
        key: Any = (
            rng.choice(sorted(place)) if isinstance(place, dict) else rng.randrange(len(place))
        )
        inner: Any = place[key]
        if isinstance(inner, (dict, list)) and inner and rng.random() < 0.9:
            place = inner
        elif rng.random() < 0.2:
            del place[key]
            return content
        else:
            place[key] = rng.choice(ODD)
            return content


@pytest.mark.parametrize("name", sorted(READS))
def test_a_bent_answer_to_a_read_is_read_or_one_error(name: str) -> None:
    read, content = READS[name]
    errors: list[str] = []
    for seed in range(300):
        double = AlpacaDouble()
        gateway, _ = make_gateway(double)
        double.faults["GET"] = [Fault(200, json.dumps(bent(content, Random(seed))))]
        try:
            read(gateway)
        except BrokerError as error:
            errors.append(str(error))
    assert all("\n" not in error and len(error) < 400 for error in errors)
    # Of an account that is no account, `blocked` says that it is blocked.
    assert errors or name == "blocked"


@pytest.mark.parametrize("method", sorted(WRITES))
@settings(max_examples=150, deadline=None)
@given(
    content=JSON, status=st.sampled_from([200, 201, 202, 204, 207, 304, 400, 403, 422, 429, 500])
)
def test_any_json_answers_a_write_with_an_outcome(method: str, content: Any, status: int) -> None:
    double = AlpacaDouble()
    gateway, _ = make_gateway(double)
    double.faults[method] = [Fault(status, json.dumps(content))]
    answer = WRITES[method](gateway)
    assert len(double.requests(method)) == 1
    if answer.outcome == "taken":
        assert status in (200, 204, 207)
        assert method != "POST"
    elif answer.outcome == "refused":
        assert status in (400, 403, 422)


def test_a_bent_message_of_the_stream_is_read_or_one_error() -> None:
    whole = {
        "stream": "trade_updates",
        "data": message(
            "trade_correct", execution_id="1", previous_execution_id="2", qty="1", price="2"
        ),
    }
    outcomes = set()
    for seed in range(1000):
        try:
            update = update_of(frame_of(json.dumps(bent(whole, Random(seed)))))
        except BrokerError:
            outcomes.add("error")
        else:
            outcomes.add("none" if update is None else "update")
    assert outcomes == {"error", "none", "update"}
