"""A session that goes on after a crash reconciles first; a log that has ended stays as it is."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from trading_assets.paper.account_folder import AccountFolder
from trading_assets.paper.audit import audit_head
from trading_assets.paper.gateways import Answer, Gateway
from trading_assets.paper.orders import Order
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.session import run_session
from trading_assets.paper.simulated_broker.book import Book
from trading_assets.paper.simulated_broker.broker import SimulatedBroker
from trading_assets.paper.simulated_broker.gateway import open_simulated
from trading_assets.paper.simulated_broker.interventions import bust, move
from trading_assets.paper.witness import Witness, read_heads
from trading_assets.simulation.market import Market
from trading_assets_tests.paper.fixtures import (
    CALENDAR,
    NAME,
    Clock,
    cut,
    make_inputs,
    make_market,
    make_strategy,
    session_at,
)
from trading_assets_tests.paper.test_checkpoints import SIGNER, KeptHeads

ROW = 20
MARKET = make_market()


class Killed(BaseException):
    """The process is gone."""


class Between:
    """A gateway that does something before one of its requests; all else is the broker's."""

    def __init__(self, gateway: Gateway, request: str, times: int, act: Any) -> None:
        self.gateway, self.request, self.left, self.act = gateway, request, times, act
        self.sent: list[str] = []

    def send(self, order: Order) -> Answer:
        self._pass("send")
        self.sent.append(order.client_order_id)
        return self.gateway.send(order)

    def __getattr__(self, name: str) -> Any:
        self._pass(name)
        return getattr(self.gateway, name)

    def _pass(self, name: str) -> None:
        if name == self.request:
            self.left -= 1
            if self.left == 0:
                self.act()


def kill() -> None:
    raise Killed


def simulated(folder: Path, market: Market = MARKET) -> Gateway:
    return open_simulated(folder / "broker.sqlite", make_strategy(), market, CALENDAR)


def broker_of(folder: Path, market: Market) -> SimulatedBroker:
    book = Book(folder / "broker.sqlite")
    return SimulatedBroker(book, make_strategy(), market, CALENDAR)


def run(
    path: Path,
    gateway: Any,
    market: Market,
    stored: SessionRecord | None = None,
    account: AccountFolder | None = None,
) -> SessionRecord:
    session = session_at(MARKET, ROW)
    inputs = make_inputs(path, market, session, stored=stored, gateway=gateway)
    return run_session(inputs if account is None else replace(inputs, folder=account))


def test_a_resumed_run_sends_nothing_once_the_broker_has_changed(tmp_path: Path) -> None:
    known = cut(MARKET, ROW - 1)
    first = Between(simulated(tmp_path, known), "send", 2, kill)
    with pytest.raises(Killed):
        run(tmp_path, first, known)
    assert len(first.sent) == 1
    move(broker_of(tmp_path, known), "AAA", Decimal(3), Decimal(0), is_told=False)
    again = Between(simulated(tmp_path, known), "none", 0, kill)
    record = run(tmp_path, again, known)
    assert again.sent == []
    statuses = record.tables["orders"]["status"].to_list()
    assert statuses.count("not_sent") == 2
    assert AccountFolder.on_disk(tmp_path, Clock()).switch.is_halted


def test_a_switch_thrown_while_the_broker_is_asked_keeps_the_order(tmp_path: Path) -> None:
    known = cut(MARKET, ROW - 1)

    def throw() -> None:
        AccountFolder.on_disk(tmp_path, Clock()).switch.halt("A. Person", "drill")

    # The first refusal is asked for the session, the second for the first order.
    gateway = Between(simulated(tmp_path, known), "refusal", 2, throw)
    record = run(tmp_path, gateway, known)
    assert gateway.sent == []
    assert set(record.tables["orders"]["status"]) == {"not_sent"}


def test_a_log_that_has_ended_takes_no_later_bust(tmp_path: Path) -> None:
    heads, clock = KeptHeads(), Clock()
    folder = AccountFolder.on_disk(tmp_path, clock, Witness(NAME, SIGNER, heads, clock))
    known = cut(MARKET, ROW - 1)
    stored = run(tmp_path, simulated(tmp_path, known), known, account=folder)
    settled = run(tmp_path, simulated(tmp_path), MARKET, account=folder, stored=stored)
    assert settled.status == "settled"
    signed = read_heads(heads, NAME)[-1]
    assert (signed.is_final, signed.head) == (True, audit_head(settled.audit))
    broker = broker_of(tmp_path, MARKET)
    bust(broker, broker.book.executions()[0].fill.execution_id)
    # The record was lost before it was stored.
    again = run(tmp_path, simulated(tmp_path), MARKET, account=folder, stored=stored)
    assert again.audit == settled.audit
    assert (again.closing, again.differences) == (settled.closing, [])
    following = make_inputs(tmp_path, MARKET, session_at(MARKET, ROW + 1), again)
    assert run_session(replace(following, folder=folder)).status == "halted"
