"""Keys of the environment are sent to broker and market data, and appear nowhere else."""

import base64
import functools
import gzip
import json
import logging
import sqlite3
import traceback
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from trading_assets.paper.alpaca_client import AlpacaClient

from trading_assets.errors import UserError
from trading_assets.paper import alpaca_client
from trading_assets_tests.bars.alpaca.market_data_server import Fault, MarketDataServer
from trading_assets_tests.faults.canaries import CANARIES, canaries_in
from trading_assets_tests.paper.loopback import Broker, serving
from trading_assets_tests.pipeline import live_world
from trading_assets_tests.pipeline.live_world import LiveWorld, failures_of, ny, open_world

DAY = "2022-07-28"
MORNING = ny(DAY, "09:15")
PAPER = "tiny/paper_session"
ECHO = json.dumps({"code": 1, "message": f"bad key {' or '.join(CANARIES.values())} given"})
BEFORE_OPEN = {
    "timestamp": f"{DAY}T09:15:00-04:00",
    "is_open": False,
    "next_open": f"{DAY}T09:30:00-04:00",
    "next_close": f"{DAY}T16:00:00-04:00",
}


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, key in CANARIES.items():
        monkeypatch.setenv(name, key)


@pytest.fixture
def broker() -> Iterator[Broker]:
    with serving(Broker(dict(BEFORE_OPEN))) as running:
        yield running


def connect(url: str) -> AlpacaClient:
    return AlpacaClient(CANARIES, url, timeout_seconds=(0.5, 0.2), sleep=lambda seconds: None)


def told(error: BaseException) -> str:
    return "".join(traceback.format_exception(error, chain=True)) + repr(error)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 422, 429, 500, 503])
@pytest.mark.parametrize("body", [ECHO, f"<html>{ECHO}</html>", ECHO[:40], json.dumps([ECHO])])
def test_no_answer_of_the_broker_brings_a_key_into_a_message(
    broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture, status: int, body: str
) -> None:
    caplog.set_level(logging.DEBUG)
    broker.get_faults = [status] * 4
    broker.get_body = body
    broker.faults = [(status, body, False)]
    client = connect(broker.url)
    texts = {"client": repr(client)}
    try:
        texts["answer"] = client.get("/v2/account").message
    except UserError as error:
        texts["error"] = told(error)
    answer = client.post("/v2/orders", {"client_order_id": "one"})
    texts["posted"] = "nothing" if answer is None else answer.message
    client.close()
    assert CANARIES["ALPACA_SECRET_KEY"] in str(broker.headers)
    assert canaries_in(tmp_path, {**texts, "log": caplog.text}) == []


def test_no_missing_server_brings_a_key_into_a_message(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = connect("http://127.0.0.1:9")
    with pytest.raises(UserError) as caught:
        client.get("/v2/account")
    assert client.post("/v2/orders", {}) is None
    assert canaries_in(tmp_path, {"error": told(caught.value), "log": caplog.text}) == []


@pytest.mark.parametrize("sign", ["\n", "\x00", "\u20ac", " "])
def test_a_key_that_cannot_be_sent_is_named_and_not_shown(tmp_path: Path, sign: str) -> None:
    keys = {**CANARIES, "ALPACA_SECRET_KEY": CANARIES["ALPACA_SECRET_KEY"] + sign}
    with pytest.raises(UserError, match="ALPACA_SECRET_KEY holds") as caught:
        AlpacaClient(keys)
    assert canaries_in(tmp_path, {"error": told(caught.value)}) == []


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveWorld]:
    """Months of bars, and a session to be decided at Alpaca's paper account."""
    paper = "market_data: tiny_daily\n  paper: {gateway: alpaca}"
    declared = live_world.STRATEGY.replace("market_data: tiny_daily", paper)
    monkeypatch.setattr(live_world, "STRATEGY", declared)
    with open_world(tmp_path / "world", "on_drift") as opened:
        now = ny(DAY, "01:00")
        for _ in range(3):
            [request] = opened.tick("nightly_retrain", now)
            assert isinstance(request, dg.RunRequest)
            assert failures_of(opened.execute(request, now)) == []
        yield opened


def test_no_session_at_the_broker_writes_a_key(
    world: LiveWorld,
    broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "urllib3")
    broker.get_body = ECHO
    texts: dict[str, str] = {}
    # (what is wrong, answers to GETs, answers to POSTs); the last session is sent.
    for what, gets, posts in (
        ("no server", [], []),
        ("wrong keys", [401], []),
        ("forbidden", [403], []),
        ("out of order", [500] * 4, []),
        ("no answer to orders", [], [("hang", "", False)] * 9),
        ("nothing", [], []),
    ):
        url = "http://127.0.0.1:9" if what == "no server" else broker.url
        client = functools.partial(
            AlpacaClient, base_url=url, timeout_seconds=(0.5, 0.2), sleep=lambda seconds: None
        )
        monkeypatch.setattr(alpaca_client, "AlpacaClient", client)
        broker.get_faults, broker.faults = gets, posts
        request = dg.RunRequest(asset_selection=[dg.AssetKey(PAPER.split("/"))], partition_key=DAY)
        result = world.execute(request, MORNING)
        failures = failures_of(result)
        assert bool(failures) == (what != "nothing"), failures
        texts |= {
            f"events of {what}": "\n".join(str(event) for event in result.all_events),
            f"failures of {what}": "\n".join(failures),
            f"run of {what}": str(world.instance.get_run_by_id(result.run_id)),
        }
    assert CANARIES["ALPACA_API_KEY"] in str(broker.headers)
    printed = capfd.readouterr()
    texts |= {"stdout": printed.out, "stderr": printed.err, "log": caplog.text}
    assert canaries_in(world.root, texts) == []


def test_market_data_that_refuses_writes_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with MarketDataServer(faults=[Fault(403, ECHO)] * 4) as server:
        source = f"{{kind: alpaca, feed: iex, url: '{server.url}'}}"
        bars = live_world.MARKET_DATA.replace("{kind: world, seed: 7}", source)
        assert bars != live_world.MARKET_DATA
        monkeypatch.setattr(live_world, "MARKET_DATA", bars)
        with open_world(tmp_path / "world", "on_drift") as world:
            key = dg.AssetKey([live_world.DATA, "raw_bars"])
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
