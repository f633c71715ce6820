"""Paper sessions under drawn faults keep every order single and every fill booked."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from trading_assets.paper import opening, reconciliation, settlement
from trading_assets_tests.faults.account_checks import examine
from trading_assets_tests.faults.fault_sessions import Tally, run_world, trade
from trading_assets_tests.faults.fault_world import World
from trading_assets_tests.faults.session_sweep import (
    fault_ledger,
    sweep_every_crash,
    sweep_sessions,
)

WORLDS = range(36)
FEW = range(100, 112)


def test_drawn_faults_double_no_order_and_lose_no_fill() -> None:
    tally = sweep_sessions(WORLDS, processes=1)
    assert tally.wrong == []
    assert (tally.duplicate_orders, tally.lost_fills) == (0, 0)
    assert tally.sessions >= 140
    assert tally.crashes > 100
    assert {"bust", "correction", "kill switch", "rename", "late"} <= set(tally.faults)


def test_a_crash_at_any_moment_leaves_a_session_that_goes_on() -> None:
    tally = sweep_every_crash([1], n_sessions=1, step=2)
    assert tally.wrong == []
    assert tally.crashes > 20


def test_a_seed_replays_its_world() -> None:
    one, other = run_world(17), run_world(17)
    assert one == other


def test_the_ledger_is_a_table_with_a_column_for_each_sweep() -> None:
    tally = sweep_sessions(range(1), processes=1)
    lines = fault_ledger({"one": tally, "two": tally}).splitlines()
    assert lines[0] == "| fault ledger | one | two |"
    assert f"| orders | {tally.orders} | {tally.orders} |" in lines


@pytest.mark.slow
def test_no_crash_at_any_moment_of_two_sessions_does_harm() -> None:
    tally = sweep_every_crash([1, 3, 5])
    assert tally.wrong == []


# The judges have to see harm where there is some.


def no_reconciliation(*_: Any) -> list[str]:
    return []


def breaks(
    monkeypatch: pytest.MonkeyPatch, where: Any, name: str, broken: Callable[..., Any]
) -> list[str]:
    monkeypatch.setattr(where, name, broken)
    return sweep_sessions(FEW, processes=1).wrong


def test_a_session_that_does_not_reconcile_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert breaks(monkeypatch, opening, "_reconcile", no_reconciliation)


def test_a_switch_that_is_not_read_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert breaks(monkeypatch, opening, "why_halted", lambda _: "")


def test_a_bust_that_is_not_booked_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciliation, "_note_change", lambda *_: None)
    assert breaks(monkeypatch, settlement, "find_differences", no_reconciliation)


def test_a_closing_ledger_off_by_a_millionth_is_noticed() -> None:
    world = World.draw(3, 1, crash_at=10**9)
    assert trade(world, world.rows.start, Tally())
    left = world.left()
    assert examine(left).wrong == []
    last = left.sessions[-1]
    assert last.closing is not None
    off = replace(last.closing, cash_usd=last.closing.cash_usd + Decimal("1e-6"))
    wrong = examine(replace(left, sessions=[replace(last, closing=off)])).wrong
    assert [text.split(" is ")[0] for text in wrong][:1] == ["cash"]
    cut = b"".join(last.log.splitlines(keepends=True)[:-1])
    wrong = examine(replace(left, sessions=[replace(last, log=cut)])).wrong
    assert "its end was cut off" in wrong[0]
