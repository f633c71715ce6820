from pathlib import Path

import pytest

from trading_assets.errors import DataError
from trading_assets.paper.account_folder import account_path, session_logs
from trading_assets.paper.log_folder import DiskFolder
from trading_assets.paper.open_orders import open_order_ids
from trading_assets_tests.paper.audit_disks import intents, open_log

FILLED = {"execution_id": "x", "symbol": "AAA", "side": "buy", "quantity": "1", "price_usd": "1"}


def test_an_order_is_open_from_its_intent_to_its_end_across_sessions(tmp_path: Path) -> None:
    with open_log(tmp_path / "2020-01-02.jsonl") as log:
        log.append_batch(intents(6))
        log.append("REJECTED", client_order_id="order-0", reason="no")
        log.append("PARF", client_order_id="order-1", **FILLED)
        log.append("FILL", client_order_id="order-2", **FILLED)
        log.append("UNKNOWN", client_order_id="order-3", reason="timed out")
    with open_log(tmp_path / "2020-01-03.jsonl") as log:
        log.append("CAME", client_order_id="order-4")
        log.append("NOT_SENT", client_order_id="order-5", reason="late")
    logs = session_logs(DiskFolder(tmp_path))
    assert list(logs) == ["2020-01-02", "2020-01-03"]
    assert open_order_ids(logs.values()) == ("order-1", "order-3")


def test_a_damaged_log_still_tells_what_may_be_open(tmp_path: Path) -> None:
    with open_log(tmp_path / "log") as log:
        log.append_batch(intents(3))
        lines = log.content().splitlines()
    damaged = [
        b"[" * 100_000,
        b"\xff",
        b"3",
        b'{"event": "INTENT", "client_order_id": []}',
        b"{}",
        *lines[1:],
        b'{"ev',
    ]
    assert open_order_ids([b"\n".join(damaged)]) == ("order-1", "order-2")


def test_files_that_are_no_session_logs_are_left_out(tmp_path: Path) -> None:
    for name in ("control.jsonl", "switch.json", "2020-01-02.jsonl", "2020-01-02.txt"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "2020-01-03.jsonl").mkdir()
    assert list(session_logs(DiskFolder(tmp_path))) == ["2020-01-02"]
    assert session_logs(DiskFolder(tmp_path / "none")) == {}


@pytest.mark.parametrize("name", ["", "../up", "/etc", "a/b", "A", "a" * 201, "a\n", "."])
def test_a_name_that_no_strategy_has_is_no_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="expected a declared name"):
        account_path(tmp_path, name)
