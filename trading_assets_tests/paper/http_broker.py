"""The simulated broker behind HTTP, as tests talk to it."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from trading_assets.paper.simulated_broker.market_file import write_market
from trading_assets.paper.simulated_broker.server import ServerSpec, build_server, serving
from trading_assets.simulation.market import Market
from trading_assets.strategy import Strategy
from trading_assets_tests.paper.fixtures import make_market, make_strategy

KEY, SECRET = "test-key", "test-secret-canary"


class Client:
    """Requests with the account's keys."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers.update({"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET})

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        return self.session.request(method, self.url + path, timeout=20, **more)

    def get(self, path: str, **query: object) -> Any:
        answer = self.call("GET", path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def order(self, name: str, **terms: object) -> requests.Response:
        body = {
            "symbol": "AAA",
            "qty": "10",
            "side": "buy",
            "type": "market",
            "time_in_force": "opg",
            "client_order_id": name,
            **terms,
        }
        return self.call("POST", "/v2/orders", json=body)

    def move_clock(self, to: datetime) -> None:
        answer = self.call("POST", "/control/clock", json={"now": to.isoformat()})
        assert answer.status_code == 200, answer.text


def make_spec(
    folder: Path,
    now: datetime,
    market: Market | None = None,
    strategy: Strategy | None = None,
    **changes: object,
) -> ServerSpec:
    path = folder / "market.npz"
    write_market(path, market or make_market(30))
    return ServerSpec.model_validate(
        {
            "book": str(folder / "book.sqlite"),
            "market": str(path),
            "strategy": strategy or make_strategy(),
            "key_id": KEY,
            "secret_key": SECRET,
            "now": now,
            "requests_per_minute": 10_000,
            **changes,
        }
    )


@contextmanager
def served(spec: ServerSpec) -> Generator[Client]:
    with serving(build_server(spec)) as url:
        client = Client(url)
        try:
            yield client
        finally:
            client.session.close()
