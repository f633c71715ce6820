import json
import logging

import pytest

from trading_assets.bars.alpaca.refusals import InvalidRequestError
from trading_assets.errors import DataError, UserError
from trading_assets_tests.bars.alpaca.alpaca_source import (
    END,
    START,
    alpaca_bars,
    assert_no_secret,
    two_symbols,
)
from trading_assets_tests.bars.alpaca.market_data_server import KEYS, Fault, MarketDataServer
from trading_assets_tests.bars.example_bars import NOW

PAGE_HTML = "<html><body>Service Unavailable</body></html>"


def _refused(status: int, message: str, code: int = 0) -> Fault:
    return Fault(status, json.dumps({"code": code, "message": message}))


@pytest.mark.parametrize(
    ("fault", "error", "sentences"),
    [
        (Fault(401, ""), UserError, ["status 401", "set ALPACA_API_KEY and ALPACA_SECRET_KEY"]),
        (
            _refused(403, "forbidden."),
            UserError,
            ["status 403 (forbidden)", "check ALPACA_API_KEY and ALPACA_SECRET_KEY", "feed iex"],
        ),
        (
            _refused(403, "subscription does not permit", 42210000),
            UserError,
            ["no sip data of the last 15 minutes", "publication_lag_minutes to 15", "feed iex"],
        ),
        (
            _refused(422, "invalid symbol: AAPL"),
            InvalidRequestError,
            ["bars of AAPL, IBM", "(invalid symbol: AAPL)", "correct the universe"],
        ),
        (_refused(400, "invalid feed"), InvalidRequestError, ["status 400 (invalid feed)"]),
        (Fault(404, PAGE_HTML), UserError, ["127.0.0.1 knows no address", "correct the source's"]),
        (
            Fault(302, "", (("Location", "http://127.0.0.1:9/steal"),)),
            UserError,
            ["redirects", "status 302", "no key is sent"],
        ),
        (Fault(418, PAGE_HTML), DataError, ["status 418; try again later"]),
        (Fault(200, "<html>maintenance</html>"), DataError, ["is no JSON"]),
        (Fault(200, '{"bars": {"IBM": [{'), DataError, ["is no JSON"]),
        (Fault(cut=700), DataError, ["is no JSON"]),
        (Fault(200, ""), DataError, ["no readable page of bars"]),
        (Fault(200, "[]"), DataError, ["no readable page of bars"]),
        (Fault(200, "[" * 100_000), DataError, ["is no JSON"]),
        (Fault(200, f'{{"bars": {"9" * 5000}}}'), DataError, ["is no JSON"]),
        (Fault(200, '{"surprise": 1}'), DataError, ["no readable page of bars"]),
        (Fault(200, '{"bars": null, "next_page_token": null}'), DataError, ["no readable page"]),
        (Fault(200, '{"bars": {"IBM": 5}, "next_page_token": null}'), DataError, ["no readable"]),
        (Fault(200, '{"bars": {}}'), DataError, ["does not say whether more pages follow"]),
        (Fault(200, '{"bars": {}, "next_page_token": 5}'), DataError, ["no readable page token"]),
        (Fault(200, '{"bars": {}, "next_page_token": ""}'), DataError, ["no readable page token"]),
        (
            Fault(200, '{"bars": {}, "trades": {}, "next_page_token": null}'),
            DataError,
            ["holds no readable page"],
        ),
    ],
)
def test_each_refusal_and_each_broken_answer_has_its_sentence(
    fault: Fault, error: type[UserError], sentences: list[str]
) -> None:
    waits: list[float] = []
    with (
        MarketDataServer(two_symbols(), [fault]) as server,
        pytest.raises(error) as caught,
    ):
        alpaca_bars(server.url, waits).fetch(START, END, NOW)
    assert type(caught.value) is error
    assert len(server.requests) == 1
    assert waits == []
    for sentence in sentences:
        assert sentence in str(caught.value)
    assert "html" not in str(caught.value)
    assert_no_secret(caught.value)


def test_the_servers_own_rules_are_told_apart() -> None:
    wrong = KEYS | {"ALPACA_SECRET_KEY": "canary9of9another"}
    with MarketDataServer(two_symbols(), now=NOW) as server:
        with pytest.raises(UserError, match=r"status 403 \(forbidden\)") as caught:
            alpaca_bars(server.url, credentials=wrong).fetch(START, END, NOW)
        assert "canary9" not in str(caught.value)
        wrong = KEYS | {"ALPACA_API_KEY": "PKOTHER"}
        with pytest.raises(UserError, match="status 401"):
            alpaca_bars(server.url, credentials=wrong).fetch(START, END, NOW)
        late = alpaca_bars(server.url, feed="sip", publication_lag_minutes=0)
        with pytest.raises(UserError, match="no sip data of the last 15 minutes"):
            late.fetch(START, NOW.date(), NOW)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 418, 422, 429, 500, 503])
def test_no_secret_appears_even_if_the_server_repeats_it(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    echo = json.dumps({"message": f"bad key {' or '.join(KEYS.values())}", "code": 1})
    with (
        caplog.at_level(logging.DEBUG),
        MarketDataServer(faults=[Fault(status, echo)] * 4) as server,
        pytest.raises(UserError) as caught,
    ):
        alpaca_bars(server.url).fetch(START, END, NOW)
    assert server.requests[0][2]["APCA-API-SECRET-KEY"] == KEYS["ALPACA_SECRET_KEY"]
    assert_no_secret(caught.value)
    assert not any(secret in caplog.text for secret in KEYS.values())


def test_an_objects_own_words_hold_no_secret() -> None:
    source = alpaca_bars("http://127.0.0.1:9")
    assert not any(secret in f"{source!r} {source}" for secret in KEYS.values())
