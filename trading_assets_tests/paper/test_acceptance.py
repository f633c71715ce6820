import json
from decimal import Decimal
from pathlib import Path

import pytest

from trading_assets.errors import DataError, UserError
from trading_assets.paper.acceptance import ACCEPTED, read_differences
from trading_assets.paper.audit import audit_records, stated_genesis
from trading_assets.paper.gateways import BrokerOrder
from trading_assets.paper.inputs import orders_since
from trading_assets.paper.ledger import AccountState
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.session import run_session
from trading_assets_tests.paper.fixtures import make_inputs, make_market, session_at

MARKET = make_market(16)


class Moved:
    """A gateway whose account holds other cash and shares than its broker booked."""

    def __init__(self, gateway, cash, shares=None):
        self._gateway, self._cash, self._shares = gateway, Decimal(cash), shares or {}

    def account(self):
        told = self._gateway.account()
        quantity = dict(told.quantity)
        for symbol, change in self._shares.items():
            quantity[symbol] = quantity.get(symbol, Decimal(0)) + Decimal(change)
        return AccountState(told.as_of, told.cash_usd + self._cash, quantity)

    def __getattr__(self, name):
        return getattr(self._gateway, name)


def inputs_at(folder, row, previous=None, cash="0", shares=None, **given):
    inputs = make_inputs(folder, MARKET, session_at(MARKET, row), previous, **given)
    gateway = Moved(inputs.gateway, cash, shares)
    return make_inputs(folder, MARKET, session_at(MARKET, row), previous, gateway=gateway, **given)


def again(record):
    return SessionRecord.from_files(record.tables, record.to_files())


def events(record, name):
    records = audit_records(record.audit, stated_genesis(record.audit))
    return [found for found in records if found["event"] == name]


def accept(inputs, record, by="ann", reason="wire of Friday"):
    since = orders_since(inputs, record.latest_state.as_of)
    found = read_differences(record, inputs.gateway, inputs.session, since)
    inputs.switch.rearm(by, reason, [each.fields() for each in found])
    return found


@pytest.fixture
def halted(tmp_path: Path):
    """A first session, and a second that 5 USD and three shares of AAA halted."""
    first = again(run_session(inputs_at(tmp_path, 2)))
    assert first.status == "settled"
    second = run_session(inputs_at(tmp_path, 3, first, "5", {"AAA": "3"}))
    assert second.status == "halted"
    return tmp_path, again(second)


def test_accepted_differences_are_booked_by_name_and_the_session_trades(halted):
    folder, record = halted
    inputs = inputs_at(folder, 4, record, "5", {"AAA": "3"})
    accept(inputs, record)
    traded = run_session(inputs)
    assert traded.status == "settled"
    assert traded.differences == []
    noted = {found["kind"]: found for found in events(traded, ACCEPTED)}
    assert set(noted) == {"accepted_cash", "accepted_shares"}
    assert Decimal(noted["accepted_cash"]["cash_usd"]) == 5
    shares = noted["accepted_shares"]
    assert (shares["symbol"], Decimal(shares["quantity_change"])) == ("AAA", 3)
    assert {(n["by"], n["reason"]) for n in noted.values()} == {("ann", "wire of Friday")}
    assert "5 USD" not in noted["accepted_cash"]["reason"]
    broker = inputs.gateway.account()
    assert traded.closing.cash_usd == broker.cash_usd
    assert dict(traded.closing.quantity) == dict(broker.quantity)
    assert json.loads(traded.to_files()["summary.json"])["accepted_cash_usd"] == "5.000000"


@pytest.mark.parametrize(
    ("cash", "shares"),
    [("6", {"AAA": "3"}), ("5", {"AAA": "2"}), ("5", {}), ("5", {"AAA": "3", "BBB": "1"})],
)
def test_any_other_difference_halts_again(halted, cash, shares):
    folder, record = halted
    accept(inputs_at(folder, 4, record, "5", {"AAA": "3"}), record)
    inputs = inputs_at(folder, 4, record, cash, shares)
    refused = run_session(inputs)
    assert refused.status == "halted"
    assert refused.differences
    assert events(refused, ACCEPTED) == []
    assert inputs.switch.is_halted


def test_rearming_without_accepting_halts_again(halted):
    folder, record = halted
    inputs = inputs_at(folder, 4, record, "5", {"AAA": "3"})
    inputs.switch.rearm("ann", "looks fine")
    assert run_session(inputs).status == "halted"


def test_an_acceptance_serves_once(halted):
    folder, record = halted
    inputs = inputs_at(folder, 4, record, "5", {"AAA": "3"})
    accept(inputs, record)
    traded = again(run_session(inputs))
    # The same amounts once more: 10 USD and six shares beyond what the broker booked.
    later = run_session(inputs_at(folder, 5, traded, "10", {"AAA": "6"}))
    assert later.status == "halted"
    assert events(later, ACCEPTED) == []


def test_a_halt_after_the_acceptance_undoes_it(halted):
    folder, record = halted
    inputs = inputs_at(folder, 4, record, "5", {"AAA": "3"})
    accept(inputs, record)
    inputs.switch.halt("bob", "not so fast")
    inputs.switch.rearm("bob", "go on")
    assert inputs.switch.accepted() == ()
    assert run_session(inputs).status == "halted"


def test_the_control_log_names_each_difference_with_who_and_why(halted):
    folder, record = halted
    inputs = inputs_at(folder, 4, record, "5", {"AAA": "3"})
    found = accept(inputs, record)
    noted = [line for line in inputs.switch.history() if line["event"] == ACCEPTED]
    assert [line["difference"] for line in noted] == [each.difference for each in found]
    assert {line["by"] for line in noted} == {"ann"}
    assert len({line["event_id"] for line in noted}) == 2


def test_an_order_of_somebody_else_is_accepted_by_name_until_the_session_is_settled(halted):
    folder, record = halted
    inputs = inputs_at(folder, 4, record, "5", {"AAA": "3"})
    stranger = "order x (buy 3 AAA) is at the broker and not ours"

    class WithOrder(Moved):
        def orders(self, since, *, is_open=False):
            strange = BrokerOrder("b", "x", "AAA", "buy", Decimal(3), "filled", Decimal(3))
            return (*self._gateway.orders(since, is_open=is_open), strange)

    gateway = WithOrder(inputs.gateway, "0")
    inputs = make_inputs(folder, MARKET, session_at(MARKET, 4), record, gateway=gateway)
    found = accept(inputs, record)
    assert [each.difference for each in found if each.kind == "accepted_stranger"] == [stranger]
    traded = run_session(inputs)
    assert traded.status == "settled"
    assert traded.differences == []


def test_differences_are_accepted_of_a_halted_account_only(tmp_path):
    switch = inputs_at(tmp_path, 2).switch
    with pytest.raises(UserError, match="expected a halted one"):
        switch.rearm("ann", "why not", [{"kind": "accepted_cash", "difference": "x"}])


def test_an_account_that_the_broker_blocks_has_nothing_to_accept(halted):
    folder, record = halted
    inputs = inputs_at(folder, 4, record, "5")
    inputs.gateway.suspend()
    with pytest.raises(DataError, match="suspended at the broker"):
        accept(inputs, record)
