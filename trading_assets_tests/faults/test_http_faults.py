import asyncio
import json
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta

import numpy as np
import pytest
import requests
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from trading_assets.paper.simulated_broker.alpaca_app import SetClock, build_app
from trading_assets.paper.simulated_broker.book import Book
from trading_assets.paper.simulated_broker.broker import SimulatedBroker
from trading_assets.paper.simulated_broker.http_guard import Keys
from trading_assets_tests.faults.http_faults import (
    REQUEST_FAULTS,
    FaultScript,
    RequestFault,
    disturb_executions,
    serving_with_faults,
)
from trading_assets_tests.paper.fixtures import CALENDAR, make_market, make_strategy, session_at
from trading_assets_tests.paper.http_broker import KEY, SECRET, Client

MARKET = make_market(30)
FIRST = session_at(MARKET, 6)


@contextmanager
def faulty(script: FaultScript) -> Generator[tuple[Client, SimulatedBroker]]:
    clock = SetClock(CALENDAR.open_time(FIRST) - timedelta(minutes=15))
    broker = SimulatedBroker(Book(), make_strategy(), MARKET, CALENDAR, clock=clock)
    app = build_app(broker, Keys(KEY, SECRET), 10_000, is_controlled=True)
    with serving_with_faults(app, script) as url:
        client = Client(url)
        yield client, broker
        client.session.close()


def seen(answer: requests.Response) -> str:
    try:
        answer.json()
    except ValueError:
        return "html"
    return str(answer.status_code)


@pytest.mark.parametrize("fault", REQUEST_FAULTS, ids=lambda fault: fault.name)
def test_a_request_meets_its_fault_and_is_applied_as_scripted(fault: RequestFault) -> None:
    with faulty(FaultScript(requests=[fault], hang_seconds=0.2)) as (client, broker):
        try:
            found = seen(client.order("a"))
        except requests.ConnectionError:
            found = "cut"
        except requests.exceptions.ChunkedEncodingError:
            found = "cut"
        expected = {"status": str(fault.status), "html": "html", "twice": "422"}
        assert found == expected.get(fault.kind, "cut")
        assert (broker.book.order("a") is not None) == fault.is_applied
        again = client.order("a")
        assert again.status_code == (422 if fault.is_applied else 200)
        client.move_clock(CALENDAR.close_time(FIRST))
        assert [p["qty"] for p in client.get("/v2/positions")] == ["10"]


def test_a_seed_draws_the_same_faults_again() -> None:
    tallies = []
    for _ in range(2):
        script = FaultScript(seed=4, write_share=0.7, hang_seconds=0.01)
        with faulty(script) as (client, _):
            for number in range(40):
                try:
                    client.order(f"o-{number}")
                except requests.RequestException:
                    continue
        tallies.append(script.tally)
    assert tallies[0] == tallies[1]
    assert len(tallies[0]) > 8


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        ([], ["new", "new", "fill", "fill"]),
        (["mute"], ["new", "fill", "fill"]),
        (["duplicate"], ["new", "new", "new", "fill", "fill"]),
        ([None, "swap"], ["new", "fill", "new", "fill"]),
        ([None, "drop"], ["new"]),
    ],
)
def test_the_stream_meets_its_faults(faults: list, told: list[str]) -> None:
    class Scripted(FaultScript):
        def of_message(self):
            return faults.pop(0) if faults else None

    with faulty(Scripted()) as (client, _):
        assert asyncio.run(listen(client, len(told))) == told


async def listen(client: Client, count: int) -> list[str]:
    def act() -> None:
        client.order("a")
        client.order("b", symbol="BBB")
        client.move_clock(CALENDAR.close_time(FIRST))

    events: list[str] = []
    async with connect(client.url.replace("http", "ws") + "/stream", proxy=None) as stream:
        keys = {"key_id": KEY, "secret_key": SECRET}
        await stream.send(json.dumps({"action": "authenticate", "data": keys}))
        await stream.recv()
        await stream.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
        await stream.recv()
        await asyncio.get_running_loop().run_in_executor(None, act)
        try:
            while True:
                message = json.loads(await asyncio.wait_for(stream.recv(), 1))
                events.append(message["data"]["event"])
        except (ConnectionClosed, TimeoutError):
            return events


def test_busted_executions_are_gone_from_the_account() -> None:
    with faulty(FaultScript()) as (client, broker):
        client.order("a")
        client.move_clock(CALENDAR.close_time(FIRST))
        assert disturb_executions(broker, np.random.default_rng(0), 1.0) == 1
        assert client.get("/v2/positions") == []
        assert client.get("/v2/account/activities") == []
        assert client.get("/v2/account")["cash"] == "1000000"
