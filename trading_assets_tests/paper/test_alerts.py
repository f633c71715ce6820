import json
from dataclasses import replace

import pytest

from trading_assets.paper.alerts import ALERTS, Alert, keep_alerts, read_alerts, session_alerts
from trading_assets.paper.kill_switch import SwitchState
from trading_assets.paper.log_folder import DiskFolder
from trading_assets.paper.session import run_session
from trading_assets_tests.paper.fixtures import Clock, make_inputs, make_market, session_at

ACTIVE = SwitchState("ACTIVE")
LOST = Alert("missed", "2020-01-03", "the session opened")


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    market = make_market(6)
    return run_session(make_inputs(tmp_path_factory.mktemp("a"), market, session_at(market, 4)))


def test_a_session_that_went_well_tells_nothing(record):
    assert session_alerts(record, ACTIVE) == []


def test_each_kind_of_trouble_is_told_with_its_reason(record):
    halted = SwitchState("HALTED", "a breaker", "daily loss of 4 %")
    said = {"reason": "the session opened", "differences": ["cash differs", "AAA differs"]}
    missed = replace(record, status="missed", summary={**record.summary, **said})
    found = session_alerts(missed, halted)
    assert [(alert.kind, alert.reason[:24]) for alert in found] == [
        ("reconciliation", "cash differs"),
        ("reconciliation", "AAA differs"),
        ("missed", "the session opened"),
        ("halted", "the account is HALTED by"),
    ]
    assert "a breaker: daily loss of 4 %" in found[-1].reason
    assert {alert.session for alert in found} == {record.session.isoformat()}


def test_an_alert_is_kept_once_and_the_file_only_grows(tmp_path):
    folder = DiskFolder(tmp_path)
    assert keep_alerts(folder, Clock(), [LOST, LOST]) == [LOST]
    before = folder.read(ALERTS)
    other = replace(LOST, session="2020-01-06")
    assert keep_alerts(folder, Clock(), [LOST, other]) == [other]
    assert folder.read(ALERTS).startswith(before)
    assert read_alerts(folder) == [LOST, other]
    [first, _] = folder.read(ALERTS).splitlines()
    assert json.loads(first)["ts_utc"].endswith("+00:00")


def test_without_alerts_no_file_is_made(tmp_path):
    assert keep_alerts(DiskFolder(tmp_path), Clock(), []) == []
    assert list(tmp_path.iterdir()) == []


def test_a_line_that_was_cut_off_loses_no_later_one(tmp_path):
    folder = DiskFolder(tmp_path)
    (tmp_path / ALERTS).write_bytes(b'{"kind": "mis')
    assert keep_alerts(folder, Clock(), [LOST]) == [LOST]
    assert read_alerts(folder) == [LOST]
