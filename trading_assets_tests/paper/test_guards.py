"""What stops an account by itself, seen from its sessions."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from trading_assets.errors import DataError
from trading_assets.paper.account_folder import AccountFolder
from trading_assets.paper.guards import GUARDS, Guards
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.session import run_session
from trading_assets.risk.drawdown_ladder import DrawdownState
from trading_assets.simulation.market import Market
from trading_assets.strategy import Strategy
from trading_assets_tests.paper.fixtures import (
    Clock,
    decide_with,
    make_inputs,
    make_market,
    make_strategy,
    session_at,
)

FIRST = 20


def limited(**risk: object) -> Strategy:
    return make_strategy(risk={"max_weight": 0.5, "max_order_notional_usd": 2_000_000, **risk})


def falling(rates: list[float]) -> Market:
    """AAA alone moves, by these returns from the open of session FIRST on."""
    market = make_market(FIRST + len(rates) + 1)
    price = 100.0
    for place in range(len(market.sessions)):
        before = price
        if place >= FIRST:
            price *= 1.0 + rates[min(place - FIRST, len(rates) - 1)]
        market.open[place], market.close[place] = before, before
        market.close[place, 0] = price
        market.open[place, 0] = before
    market.split_ratio[:], market.cash_per_share[:] = 1.0, 0.0
    return market


def trade(
    folder: Path, market: Market, strategy: Strategy, weight: float = 0.5, count: int = 3
) -> list[SessionRecord]:
    records: list[SessionRecord] = []
    for row in range(FIRST, FIRST + count):
        previous = records[-1] if records else None
        if previous is not None:
            previous = SessionRecord.from_files(previous.tables, previous.to_files())
        records.append(one(folder, market, strategy, row, previous, weight))
    return records


def one(
    folder: Path,
    market: Market,
    strategy: Strategy,
    row: int,
    previous: SessionRecord | None,
    weight: float = 0.5,
) -> SessionRecord:
    decide = decide_with(lambda day: np.array([weight, 0.0, 0.0]))
    day = session_at(market, row)
    return run_session(make_inputs(folder, market, day, previous, strategy=strategy, decide=decide))


def rearm(folder: Path, by: str = "Ada", reason: str = "looked at it") -> None:
    AccountFolder.on_disk(folder, Clock()).switch.rearm(by, reason)


def statuses(records: list[SessionRecord]) -> list[str]:
    return [record.status for record in records]


def test_a_days_loss_halts_until_a_person_re_arms(tmp_path: Path) -> None:
    strategy = limited(breakers={"max_daily_loss_pct": 3.0})
    market = falling([0.0, -0.10, 0.0, 0.0])
    records = trade(tmp_path, market, strategy, count=3)
    assert statuses(records) == ["settled", "settled", "halted"]
    assert "expected max_daily_loss_pct 3.0" in str(records[2].summary["reason"])
    assert records[2].tables["orders"].is_empty()
    rearm(tmp_path)
    assert one(tmp_path, market, strategy, FIRST + 3, records[2]).status == "settled"


def test_a_loss_within_the_limit_halts_nothing(tmp_path: Path) -> None:
    strategy = limited(breakers={"max_daily_loss_pct": 6.0})
    records = trade(tmp_path, falling([0.0, -0.10, 0.0, 0.0]), strategy)
    assert statuses(records) == ["settled"] * 3


def test_the_throttle_lets_so_many_decisions_pass_and_counts_over_restarts(tmp_path: Path) -> None:
    strategy = limited(breakers={"max_repeated_executions": 2})
    market = falling([0.0] * 5)
    records = trade(tmp_path, market, strategy, count=4)
    assert statuses(records) == ["settled", "settled", "halted", "halted"]
    assert "has decided 2 times" in str(records[2].summary["reason"])
    rearm(tmp_path)
    assert one(tmp_path, market, strategy, FIRST + 4, records[3]).status == "settled"


def weights(record: SessionRecord) -> tuple[float, str]:
    row = record.tables["decisions"].filter(symbol="AAA").row(0, named=True)
    return row["weight"], row["binding_limits"]


def test_the_ladder_halves_then_reduces_then_sells_everything(tmp_path: Path) -> None:
    strategy = limited(drawdown_ladder={})
    market = falling([0.0, -0.12, -0.10, -0.12, 0.0, 0.0])
    records = trade(tmp_path, market, strategy, count=5)
    assert [weights(record) for record in records[:2]] == [(0.5, ""), (0.5, "")]
    # 6 % below the highest equity: half of what is wanted.
    assert weights(records[2]) == (0.25, "drawdown_ladder")
    # 8.4 % below: nothing larger than what is held.
    assert records[3].status == "settled"
    held = weights(records[3])[0]
    assert held <= 0.25
    switch = AccountFolder.on_disk(tmp_path, Clock()).switch
    assert switch.state().state in ("REDUCING", "HALTED")
    drawdowns = [Guards.from_bytes((tmp_path / GUARDS).read_bytes()).rung]
    assert drawdowns[0] in ("close_only", "flat")


def test_an_account_on_the_last_rung_sells_everything_and_is_halted(tmp_path: Path) -> None:
    strategy = limited(drawdown_ladder={})
    market = falling([0.0, -0.25, 0.0, 0.0])
    records = trade(tmp_path, market, strategy, count=4)
    assert statuses(records) == ["settled", "settled", "settled", "halted"]
    assert weights(records[2]) == (0.0, "drawdown_ladder")
    assert records[2].closing is not None
    assert records[2].closing.quantity == {}
    assert "drawdown ladder" in str(records[3].summary["reason"])
    rearm(tmp_path)
    again = one(tmp_path, market, strategy, FIRST + 4, records[3])
    assert again.status == "settled"
    assert weights(again) == (0.5, "")


def test_a_reducing_account_sends_only_what_brings_positions_nearer_to_zero(
    tmp_path: Path,
) -> None:
    strategy, market = limited(), falling([0.0] * 4)
    first = one(tmp_path, market, strategy, FIRST, None, 0.3)
    AccountFolder.on_disk(tmp_path, Clock()).switch.reduce("Ada", "calmer")
    larger = one(tmp_path, market, strategy, FIRST + 1, first, 0.5)
    row = larger.tables["orders"].row(0, named=True)
    assert row["status"] == "refused"
    assert "the account only reduces positions" in row["reason"]
    smaller = one(tmp_path, market, strategy, FIRST + 2, larger, 0.1)
    assert smaller.tables["orders"]["status"].to_list() == ["filled"]


def test_a_state_nobody_can_read_lets_nothing_pass(tmp_path: Path) -> None:
    market = falling([0.0] * 3)
    first = one(tmp_path, market, limited(), FIRST, None)
    (tmp_path / GUARDS).write_bytes(b"{}")
    with pytest.raises(DataError, match=r"guards\.json was .*restore the file"):
        one(tmp_path, market, limited(), FIRST + 1, first)


def test_the_state_is_read_back_as_it_was() -> None:
    state = Guards(drawdown=DrawdownState(Decimal("12.5"), "close_only", "Ada"))
    assert Guards.from_bytes(state.to_bytes()) == state
    assert Guards.from_bytes(Guards().to_bytes()) == Guards()
