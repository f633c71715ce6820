"""Keys of the environment are sent to broker and market data, and appear nowhere else."""

import base64
import gzip
import json
import logging
import sqlite3
import traceback
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import dagster as dg
import polars as pl
import pytest

from trading_assets.bars.actions.companies import actions_by_company
from trading_assets.errors import UserError
from trading_assets.paper.alpaca_account import choose_account
from trading_assets.paper.alpaca_gateway import AlpacaGateway
from trading_assets.paper.alpaca_hours import DecisionWindow
from trading_assets.paper.alpaca_session import AlpacaSession
from trading_assets.paper.alpaca_transport import PATIENCE
from trading_assets.paper.gateways import BrokerError
from trading_assets.paper.simulated_broker.alpaca_app import SetClock, build_app
from trading_assets.paper.simulated_broker.book import Book
from trading_assets.paper.simulated_broker.broker import SimulatedBroker
from trading_assets.paper.simulated_broker.http_guard import Keys
from trading_assets.paper.simulated_broker.server import serving as serving_app
from trading_assets.paper.trading import market_until
from trading_assets_tests.bars.alpaca.market_data_server import (
    Fault as MarketDataFault,
)
from trading_assets_tests.bars.alpaca.market_data_server import (
    MarketDataServer,
)
from trading_assets_tests.faults.canaries import CANARIES, canaries_in
from trading_assets_tests.paper.alpaca_double import (
    HEALTHY,
    AlpacaDouble,
    Fault,
    ToldClock,
    serving,
)
from trading_assets_tests.paper.fixtures import CALENDAR
from trading_assets_tests.paper.scripted import make_order
from trading_assets_tests.pipeline import live_world
from trading_assets_tests.pipeline.alpaca_world import (
    DAY,
    MORNING,
    alpaca_world,
    before_open,
    reach,
    trade,
)
from trading_assets_tests.pipeline.live_world import DATA, LiveWorld, failures_of, open_world

ECHO = json.dumps({"code": 1, "message": f"bad key {' or '.join(CANARIES.values())} given"})
NO_SERVER = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, key in CANARIES.items():
        monkeypatch.setenv(name, key)


def echoing(status: int | str, body: str = ECHO) -> Fault:
    """An answer that repeats the keys, in its headers as well."""
    told = {"X-Request-ID": CANARIES["ALPACA_API_KEY"], "Location": f"{NO_SERVER}/{body[:80]}"}
    return Fault(status, body, headers=told)


@contextmanager
def connected(url: str) -> Generator[AlpacaGateway]:
    session = AlpacaSession(
        choose_account(CANARIES, url),
        clock=ToldClock(),
        rng=Random(1),
        patience=replace(PATIENCE, connect_s=0.5, read_s=0.2),
    )
    gateway = AlpacaGateway(session, CALENDAR, DecisionWindow(timedelta(minutes=15)))
    try:
        yield gateway
    finally:
        gateway.close()


def told(error: BaseException) -> str:
    return "".join(traceback.format_exception(error, chain=True)) + repr(error)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 422, 429, 500, 503])
@pytest.mark.parametrize(
    "body", [ECHO, f"<html>{ECHO}</html>", ECHO[:-5], json.dumps([ECHO])], ids=str.__len__
)
def test_no_answer_of_the_broker_brings_a_key_into_a_message(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, status: int, body: str
) -> None:
    caplog.set_level(logging.DEBUG)
    faults = {"GET": [echoing(status, body) for _ in range(4)], "POST": [echoing(status, body)]}
    with serving(AlpacaDouble(faults=faults)) as broker, connected(broker.url) as gateway:
        texts = {"session": repr(gateway._session) + repr(gateway._session.account)}
        with pytest.raises(BrokerError) as caught:
            gateway.blocked()
        texts["error"] = told(caught.value)
        texts["posted"] = repr(gateway.send(make_order()))
    assert CANARIES["ALPACA_SECRET_KEY"] in str(broker.seen)
    assert canaries_in(tmp_path, {**texts, "log": caplog.text}) == []


def test_no_missing_server_brings_a_key_into_a_message(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with connected(NO_SERVER) as gateway:
        with pytest.raises(BrokerError) as caught:
            gateway.account()
        answer = gateway.send(make_order())
    assert answer.outcome == "unclear"
    texts = {"error": told(caught.value), "answer": repr(answer), "log": caplog.text}
    assert canaries_in(tmp_path, texts) == []


@pytest.mark.parametrize("sign", ["\n", "\x00", "\u20ac", " "])
def test_a_key_that_cannot_be_sent_is_named_and_not_shown(tmp_path: Path, sign: str) -> None:
    keys = {**CANARIES, "ALPACA_SECRET_KEY": CANARIES["ALPACA_SECRET_KEY"] + sign}
    with pytest.raises(UserError, match="ALPACA_SECRET_KEY holds") as caught:
        choose_account(keys)
    assert canaries_in(tmp_path, {"error": told(caught.value)}) == []


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LiveWorld]:
    """Months of bars, and a session to be decided at Alpaca's paper account."""
    with alpaca_world(tmp_path / "world") as opened:
        yield opened


class Forgetful(AlpacaDouble):
    """Never says what became of an order, and repeats the keys when asked."""

    def take(
        self, method: str, address: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[Fault | None, int, Any]:
        taken = super().take(method, address, headers, body)
        return (echoing(500), 0, None) if "by_client_order_id" in address else taken


@contextmanager
def scripted(double: AlpacaDouble) -> Generator[str]:
    with serving(double) as broker:
        yield broker.url
    assert CANARIES["ALPACA_API_KEY"] in str(double.seen)


@contextmanager
def simulated(world: LiveWorld) -> Generator[str]:
    """Serve the simulated broker on the world's bars, and see that it took an order."""
    lake = world.lake
    bars = lake.read(f"{DATA}/validated_bars", list(world.records("validated_bars")))
    actions = actions_by_company(lake.read(f"{DATA}/corporate_actions", [None]))
    strategy = world.declared.trading
    market = market_until(date.fromisoformat(DAY), bars, actions, world.declared.market)
    book = Book()
    # The account that the sessions before have seen, or the books would differ.
    book.open_account(Decimal(HEALTHY["cash"]))
    broker = SimulatedBroker(book, strategy, market, CALENDAR, None, SetClock(MORNING))
    keys = Keys(CANARIES["ALPACA_API_KEY"], CANARIES["ALPACA_SECRET_KEY"])
    with serving_app(build_app(broker, keys, 100_000)) as url:
        yield url
    assert len(broker.book.orders()) == 1


@contextmanager
def no_server() -> Generator[str]:
    yield NO_SERVER


def test_no_session_at_the_broker_writes_a_key(
    world: LiveWorld,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "urllib3")
    texts: dict[str, str] = {}
    silent = before_open(faults={"POST": [Fault("hang")] * 9})
    # What is wrong; the last session is sent.
    for what, broker in (
        ("no server", no_server()),
        ("wrong keys", scripted(before_open(faults={"GET": [echoing(401)]}))),
        ("forbidden", scripted(before_open(faults={"GET": [echoing(403)]}))),
        ("out of order", scripted(before_open(faults={"GET": [echoing(500)] * 4}))),
        ("another address", scripted(before_open(faults={"GET": [echoing(301)] * 4}))),
        ("no answer to orders", scripted(Forgetful(silent.clock, faults=silent.faults))),
        ("nothing", simulated(world)),
    ):
        with broker as url:
            reach(monkeypatch, url)
            result = trade(world)
        failures = failures_of(result)
        assert bool(failures) == (what != "nothing"), (what, failures)
        texts |= {
            f"events of {what}": "\n".join(str(event) for event in result.all_events),
            f"failures of {what}": "\n".join(failures),
            f"run of {what}": str(world.instance.get_run_by_id(result.run_id)),
        }
    printed = capfd.readouterr()
    texts |= {"stdout": printed.out, "stderr": printed.err, "log": caplog.text}
    assert canaries_in(world.root, texts) == []


def test_market_data_that_refuses_writes_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with MarketDataServer(faults=[MarketDataFault(403, ECHO)] * 4) as server:
        source = f"{{kind: alpaca, feed: iex, url: '{server.url}'}}"
        bars = live_world.MARKET_DATA.replace("{kind: world, seed: 7}", source)
        assert bars != live_world.MARKET_DATA
        monkeypatch.setattr(live_world, "MARKET_DATA", bars)
        with open_world(tmp_path / "world", "on_drift") as world:
            key = dg.AssetKey([DATA, "raw_bars"])
            request = dg.RunRequest(asset_selection=[key], partition_key="2022-06-01")
            result = world.execute(request, MORNING)
            failures = failures_of(result)
            assert "status 403" in "".join(failures)
            assert CANARIES["ALPACA_API_KEY"] in str(server.requests[0])
            texts = {"failures": "\n".join(failures), "printed": str(capfd.readouterr())}
            assert canaries_in(world.root, texts) == []


def test_a_written_key_is_found_in_any_form(tmp_path: Path) -> None:
    key = CANARIES["ALPACA_SECRET_KEY"]
    header = base64.b64encode(f"user:{key}".encode()).decode()
    (tmp_path / "plain.log").write_text(f"x{key}x")
    (tmp_path / "encoded.log").write_text(f"Basic {header}")
    pl.DataFrame({"a": [key] * 3}).write_parquet(tmp_path / "table.parquet", compression="zstd")
    with sqlite3.connect(tmp_path / "events.db") as database:
        database.execute("create table events (body text)")
        # Long enough for the text to run over the end of a page.
        database.execute("insert into events values (?)", ("y" * 4_070 + key,))
    database.close()
    (tmp_path / "innocent.gz").write_bytes(gzip.compress(b"nothing"))
    found = canaries_in(tmp_path, {"printed": key.encode().hex()})
    named = ("plain", "encoded", "rows of table", "rows of events", "printed")
    assert all(any(name in place for place in found) for name in named), found
    assert not any("innocent" in place for place in found)
