from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest

from trading_assets.paper.gateways import Answer, BrokerError, BrokerOrder, Evidence, Gateway
from trading_assets.paper.kill import KillLimits, KillResult, kill_account
from trading_assets.paper.kill_switch import KillSwitch
from trading_assets.paper.log_folder import DiskFolder
from trading_assets_tests.paper.audit_disks import FaultyFolder, TickingClock

TAKEN = Answer("taken")
LIMITED = Answer("refused", reason="too many requests", evidence=Evidence(http_status="429"))
UNCLEAR = Answer("unclear", reason="timed out")
LATE = Answer("refused", reason="order is not open", evidence=Evidence(http_status="422"))


@dataclass
class FakeBroker:
    """Open orders, and answers that a test scripts; by default every cancel works at once."""

    orders_: dict[str, str]
    clock: TickingClock
    all_answers: list[Answer] = field(default_factory=list)
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    filled_meanwhile: set[str] = field(default_factory=set)
    ignored_by_all: set[str] = field(default_factory=set)
    refused_reads: int = 0
    is_reachable: bool = True
    calls: list[str] = field(default_factory=list)
    before: Callable[[], object] = lambda: None

    def cancel_all(self) -> Answer:
        self._call("cancel_all")
        answer = self.all_answers.pop(0) if self.all_answers else TAKEN
        if answer.outcome == "taken":
            for name in self.orders_.keys() - self.ignored_by_all:
                self._end(name)
        return answer

    def cancel(self, client_order_id: str) -> Answer:
        self._call(f"cancel {client_order_id}")
        script = self.answers.get(client_order_id, [])
        answer = script.pop(0) if script else TAKEN
        if answer in (TAKEN, LATE):
            self._end(client_order_id)
        return answer

    def orders(self, since: datetime | None, *, is_open: bool = False) -> tuple[BrokerOrder, ...]:
        assert since is None
        assert is_open
        self._call("orders")
        if self.refused_reads:
            self.refused_reads -= 1
            raise BrokerError("the broker answered 503")
        return tuple(shown(n, s) for n, s in self.orders_.items() if s in ("new", "pending_cancel"))

    def look_up(self, client_order_id: str) -> BrokerOrder | None:
        self._call(f"look_up {client_order_id}")
        status = self.orders_.get(client_order_id)
        return None if status is None else shown(client_order_id, status)

    def suspend(self) -> Answer:
        self._call("suspend")
        return TAKEN

    def _call(self, name: str) -> None:
        self.before()
        self.clock.sleep(0.01)
        self.calls.append(name)
        if not self.is_reachable:
            raise BrokerError("the broker could not be reached")

    def _end(self, name: str) -> None:
        self.orders_[name] = "filled" if name in self.filled_meanwhile else "canceled"


def shown(name: str, status: str) -> BrokerOrder:
    return BrokerOrder(f"b-{name}", name, "AAA", "buy", Decimal(1), status, Decimal(0))


def broker_of(count: int = 3, **changes: object) -> FakeBroker:
    return FakeBroker(
        {f"o-{n}": "new" for n in range(count)},
        TickingClock(),
        **changes,  # type: ignore[arg-type]
    )


def kill(folder: Path | DiskFolder, broker: FakeBroker, **changes: object) -> KillResult:
    where = folder if isinstance(folder, DiskFolder) else DiskFolder(folder)
    switch = KillSwitch(where, TickingClock())
    gateway = cast("Gateway", broker)
    return kill_account(gateway, switch, broker.clock, "ann", "drawdown", **changes)  # type: ignore[arg-type]


def halted_in(folder: Path) -> bool:
    return KillSwitch(DiskFolder(folder), TickingClock()).is_halted


def test_fifty_open_orders_are_cancelled_by_one_request_and_the_account_suspended(
    tmp_path: Path,
) -> None:
    broker = broker_of(50)
    result = kill(tmp_path, broker, known_open=[f"o-{n}" for n in range(50)])
    assert broker.calls[:3] == ["cancel_all", "orders", "suspend"]
    assert set(result.cancelled) == set(broker.orders_)
    assert result.is_verified
    assert result.is_suspended
    assert (result.still_open, result.unknown, result.problems) == ((), (), ())
    assert result.switch.state == "HALTED"


def test_the_switch_is_tripped_before_the_broker_hears_anything(tmp_path: Path) -> None:
    seen: list[bool] = []
    broker = broker_of(1)
    broker.before = lambda: seen.append(halted_in(tmp_path))
    kill(tmp_path, broker)
    assert seen
    assert all(seen)


def test_killing_twice_finds_nothing_more_to_do(tmp_path: Path) -> None:
    broker = broker_of()
    first = kill(tmp_path, broker)
    again = kill(tmp_path, broker)
    assert again.switch == first.switch
    assert again.is_verified
    assert again.cancelled == ()
    assert [r["event"] for r in KillSwitch(DiskFolder(tmp_path), TickingClock()).history()] == [
        "HALT"
    ]


def test_what_the_first_request_leaves_open_is_cancelled_by_name(tmp_path: Path) -> None:
    broker = broker_of(3, ignored_by_all={"o-1"})
    result = kill(tmp_path, broker)
    assert "cancel o-1" in broker.calls
    assert "cancel o-0" not in broker.calls
    assert broker.calls.count("cancel_all") == 1
    assert result.cancelled == ("o-1",)
    assert result.is_verified


def test_an_order_that_filled_just_before_its_cancel_is_told_as_filled(tmp_path: Path) -> None:
    broker = broker_of(2, ignored_by_all={"o-1"}, filled_meanwhile={"o-1"}, answers={"o-1": [LATE]})
    result = kill(tmp_path, broker)
    assert result.ended_otherwise == ("o-1",)
    assert result.is_verified
    assert result.problems == ()


@pytest.mark.parametrize("answer", [LIMITED, UNCLEAR])
def test_cancels_are_sent_again_until_they_are_taken(tmp_path: Path, answer: Answer) -> None:
    broker = broker_of(
        2, all_answers=[answer] * 3, answers={"o-0": [answer] * 2, "o-1": [answer] * 9}
    )
    result = kill(tmp_path, broker)
    assert broker.calls.count("cancel_all") == 4
    assert broker.calls[:4] == ["cancel_all", "orders", "cancel o-0", "cancel o-1"]
    assert result.is_verified
    assert result.problems == ()
    assert set(result.cancelled) == {"o-0", "o-1"}


def test_pauses_grow_and_stay_bounded(tmp_path: Path) -> None:
    broker = broker_of(1, ignored_by_all={"o-0"}, answers={"o-0": [LIMITED] * 8})
    kill(tmp_path, broker)
    pauses = [seconds for seconds in broker.clock.slept if seconds != 0.01]
    assert pauses[:6] == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0]
    assert max(pauses) == 2.0


def test_a_cancel_that_the_broker_works_on_is_not_sent_again(tmp_path: Path) -> None:
    broker = broker_of(2, ignored_by_all={"o-0", "o-1"})
    broker.orders_["o-0"] = "pending_cancel"
    result = kill(tmp_path, broker, limits=KillLimits(deadline_seconds=1))
    assert "cancel o-0" not in broker.calls
    assert "cancel o-1" in broker.calls
    assert result.still_open == ("o-0",)
    assert not result.is_verified


def test_what_is_still_open_at_the_deadline_is_named(tmp_path: Path) -> None:
    broker = broker_of(2, ignored_by_all={"o-1"}, answers={"o-1": [UNCLEAR] * 100})
    result = kill(tmp_path, broker, limits=KillLimits(deadline_seconds=5))
    assert result.still_open == ("o-1",)
    assert not result.is_verified
    assert result.problems == ("a cancel was unclear: timed out",)
    assert 5 <= result.seconds < 8
    assert "suspend" in broker.calls


def test_reads_that_fail_are_repeated_and_never_taken_for_none_open(tmp_path: Path) -> None:
    broker = broker_of(2, refused_reads=3)
    assert kill(tmp_path, broker).is_verified
    assert broker.calls.count("orders") == 4
    broker = broker_of(2, refused_reads=1_000)
    result = kill(tmp_path, broker, limits=KillLimits(deadline_seconds=3))
    assert not result.is_verified
    assert "open orders could not be read" in result.problems[0]


def test_a_broker_out_of_reach_leaves_the_halt_standing(tmp_path: Path) -> None:
    broker = broker_of(2, is_reachable=False)
    limits = KillLimits(deadline_seconds=3)
    result = kill(tmp_path, broker, known_open=["o-0"], limits=limits)
    assert halted_in(tmp_path)
    assert not result.is_verified
    assert not result.is_suspended
    assert result.unknown == ("o-0",)
    assert any("could not be reached" in problem for problem in result.problems)


def test_a_disk_that_refuses_the_halt_does_not_keep_orders_from_being_cancelled(
    tmp_path: Path,
) -> None:
    broker = broker_of()
    result = kill(FaultyFolder(tmp_path, refuse_at=3), broker)
    assert any("could not be written" in problem for problem in result.problems)
    assert result.is_verified
    assert result.switch.state == "HALTED"


def test_a_suspension_is_asked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = broker_of()
    asked: list[None] = []
    monkeypatch.setattr(broker, "suspend", lambda: (asked.append(None), UNCLEAR)[1])
    result = kill(tmp_path, broker)
    assert len(asked) == 1
    assert not result.is_suspended
    assert result.problems == ("the broker did not suspend the account: timed out",)
