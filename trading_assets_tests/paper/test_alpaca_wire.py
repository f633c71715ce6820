from collections.abc import Generator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from trading_assets.paper.alpaca_gateway import AlpacaGateway
from trading_assets.paper.gateways import BrokerError
from trading_assets.paper.orders import Order
from trading_assets_tests.paper.alpaca_double import AlpacaDouble, Fault, connected, serving

ORDER = Order("tested-2024-05-06-AAPL-0", date(2024, 5, 6), "AAPL", "buy", Decimal("10.5"))


@pytest.fixture
def double() -> Generator[AlpacaDouble]:
    with serving(AlpacaDouble()) as running:
        yield running


@pytest.fixture
def gateway(double: AlpacaDouble) -> Generator[AlpacaGateway]:
    with connected(double) as found:
        yield found


@pytest.mark.parametrize("is_applied", [True, False])
@pytest.mark.parametrize(
    "kind", ["hang", "reset", "close", "truncate", 429, 500, 502, 503, 504, 307]
)
def test_a_lost_answer_is_unclear_and_the_order_is_there_at_most_once(
    double: AlpacaDouble, gateway: AlpacaGateway, kind: int | str, is_applied: bool
) -> None:
    # The second request finds a connection that the first has left open, as the session does.
    gateway.blocked()
    double.faults["POST"] = [Fault(kind, "<html>", is_applied)]
    assert gateway.send(ORDER).outcome == "unclear"
    assert len(double.requests("POST")) == 1
    assert len(double.orders) == int(is_applied)
    assert (gateway.look_up(ORDER.client_order_id) is not None) == is_applied
    again = gateway.send(ORDER)
    assert again.outcome == ("unclear" if is_applied else "taken")
    assert len(double.orders) == 1


@pytest.mark.parametrize("kind", ["hang", "reset", "close", "truncate"])
@pytest.mark.parametrize("method", ["DELETE", "PATCH"])
def test_no_write_is_repeated(
    double: AlpacaDouble, gateway: AlpacaGateway, method: str, kind: str
) -> None:
    double.faults[method] = [Fault(kind)]
    answer = gateway.cancel_all() if method == "DELETE" else gateway.suspend()
    assert answer.outcome == "unclear"
    assert len(double.requests(method)) == 1


def test_a_read_outlasts_lost_answers(double: AlpacaDouble, gateway: AlpacaGateway) -> None:
    double.faults["GET"] = [Fault("hang"), Fault("reset"), Fault("truncate", is_applied=True)]
    assert gateway.account().cash_usd == Decimal(100_000)


def test_an_answer_that_comes_late_is_not_waited_for(double: AlpacaDouble) -> None:
    with connected(double, read_s=0.05) as gateway:
        double.faults["POST"] = [Fault("hang")]
        answer = gateway.send(ORDER)
    assert "no answer in time" in answer.reason


def test_nobody_listening_is_unclear() -> None:
    with serving(AlpacaDouble()) as double:
        pass
    with connected(double) as gateway:
        answer = gateway.send(ORDER)
        with pytest.raises(BrokerError, match="broken connection"):
            gateway.account()
    assert (answer.outcome, "broken connection" in answer.reason) == ("unclear", True)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_with_the_keys(
    double: AlpacaDouble, gateway: AlpacaGateway, status: int
) -> None:
    with serving(AlpacaDouble()) as elsewhere:
        away = Fault(status, "", headers={"Location": f"{elsewhere.url}/v2/account"})
        double.faults = {"GET": [away] * 4, "POST": [away], "DELETE": [away]}
        with pytest.raises(BrokerError, match="GET /v2/account"):
            gateway.account()
        assert gateway.send(ORDER).outcome == "unclear"
        assert gateway.cancel_all().outcome == "unclear"
        assert elsewhere.seen == []


def test_nothing_of_the_environment_changes_what_is_sent(
    double: AlpacaDouble,
    gateway: AlpacaGateway,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert gateway.account().cash_usd == Decimal(100_000)
    assert all("Authorization" not in headers for _, _, headers, _ in double.seen)
