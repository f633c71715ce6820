import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trading_assets.errors import DataError
from trading_assets.paper.account_memory import memory_before
from trading_assets.paper.audit import audit_records, verify_audit
from trading_assets.paper.fills import Fill
from trading_assets.paper.ledger import Ledger, reconcile
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.session import run_session
from trading_assets.paper.simulated_broker.book import Book
from trading_assets.policy.bundle import Bundle
from trading_assets.simulation.core import (
    StepResult,
    decide_quantities,
    equity_of,
    open_books,
    step,
)
from trading_assets.simulation.market import Market, bar_after
from trading_assets.simulation.rewards.declared import declared_trackers
from trading_assets.simulation.trackers.tracker import Memory
from trading_assets.strategy import Strategy
from trading_assets_tests.paper.fixtures import (
    concatenated,
    cut,
    decide_with,
    hold,
    make_inputs,
    make_market,
    make_strategy,
    same_tables,
    session_at,
)
from trading_assets_tests.paper.four_ways import random_weights, run_sessions
from trading_assets_tests.policy.tasks import make_policy

LONG_SHORT = {
    "policy": {
        "agents": {"ppo": {}},
        "position": "long_short",
        "sizing": "constant_notional",
    },
    "costs": {"fee_bps": 0, "half_spread_bps": 0, "quadratic_lambda": 250},
    "risk": {"max_weight": 1.0, "max_gross": 3.0, "max_order_notional_usd": 5_000_000},
}


def backtest_steps(
    market: Market, strategy: Strategy, weights: dict[date, np.ndarray]
) -> Iterator[StepResult]:
    """Carry one book over the market as a backtest does, bar by bar."""
    sizing, notional = strategy.policy.sizing, strategy.paper.initial_cash_usd
    books = open_books(1, notional, market.close[1])
    for row in range(1, len(market.sessions) - 1):
        wanted = weights[session_at(market, row)][None, :]
        done = step(
            books,
            decide_quantities(books, wanted, market.close[row], sizing, notional),
            bar_after(market, row),
            strategy.costs,
            is_long_only=strategy.policy.position == "long_only",
            notional_usd=notional if sizing == "constant_notional" else None,
        )
        books = done.books
        yield done


def backtest_equity(
    market: Market, strategy: Strategy, weights: dict[date, np.ndarray]
) -> list[float]:
    return [float(equity_of(done.books)[0]) for done in backtest_steps(market, strategy, weights)]


@pytest.mark.parametrize("decimals", [2, None])
@pytest.mark.parametrize("declared", [{}, LONG_SHORT])
def test_sessions_have_the_equity_of_the_backtest(
    tmp_path: Path, declared: dict[str, object], decimals: int | None
) -> None:
    strategy, market = make_strategy(**declared), make_market(30, decimals=decimals)
    weights = random_weights(strategy, market)
    records = run_sessions(tmp_path, market, strategy, weights)
    equity = [float(record.tables["account"]["equity_usd"][0]) for record in records]
    np.testing.assert_allclose(
        equity, backtest_equity(market, strategy, weights), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("declared", [{}, LONG_SHORT])
def test_sessions_remember_of_the_account_what_the_backtest_does(
    tmp_path: Path, declared: dict[str, dict[str, object]]
) -> None:
    observed = {"observed_account": ["drawdown", "recent_turnover", "trailing_return"]}
    policy = {"agents": {"ppo": {}}, **declared.get("policy", {}), **observed}
    shown = {**declared, "policy": {**policy, "uses_forecasts": False}}
    strategy, market = make_strategy(**shown), make_market(30)
    weights = random_weights(strategy, market)
    member = make_policy(strategy, market.symbols)
    bundle = Bundle.from_parts(strategy, (), None, {"ppo": [member]})
    remembered: list[Mapping[str, Sequence[float]]] = []
    previous = None
    for row in range(2, len(market.sessions)):

        def decide(held: Mapping[str, float], day: date, before: Mapping[str, Any] | None):
            memory = memory_before(before, bundle)
            remembered.append(memory.states)
            decided = decide_with(lambda day: weights[day])(held, day)
            return replace(decided, remembered=memory.to_summary())

        day = session_at(market, row)
        inputs = make_inputs(tmp_path, market, day, previous, strategy=strategy, decide=decide)
        record = run_session(inputs)
        previous = SessionRecord.from_files(record.tables, record.to_files())
    expected = backtest_memories(market, strategy, weights)
    assert len(remembered) == len(expected)
    for ours, theirs in zip(remembered, expected, strict=True):
        assert set(ours) == set(theirs)
        for name, state in ours.items():
            np.testing.assert_allclose(state, theirs[name][0], rtol=1e-6, atol=1e-9)
    assert max(remembered[-1]["recent_turnover"]) > 0.01


def backtest_memories(
    market: Market, strategy: Strategy, weights: dict[date, np.ndarray]
) -> list[dict[str, np.ndarray]]:
    """Return what trackers know of the backtest's account at each decision."""
    notional = np.array([strategy.paper.initial_cash_usd])
    memory = Memory(declared_trackers(strategy), 1)
    known: list[dict[str, np.ndarray]] = []
    for done in backtest_steps(market, strategy, weights):
        known.append(dict(memory.states))
        base = done.equity_before if strategy.policy.sizing == "equity" else notional
        traded = np.abs(done.trade * done.fill_price).sum(axis=1)
        memory.advance((done.equity - done.equity_before) / base, traded / base)
    return known


@pytest.mark.parametrize("decimals", [2, None])
def test_the_ledger_equals_the_broker_to_the_last_decimal(
    tmp_path: Path, decimals: int | None
) -> None:
    strategy, market = make_strategy(), make_market(20, decimals=decimals)
    for record in run_sessions(tmp_path, market, strategy, random_weights(strategy, market)):
        assert record.status == "settled"
        assert record.differences == []


def test_cash_is_what_fills_and_dividends_add_up_to(tmp_path: Path) -> None:
    strategy, market = make_strategy(), make_market(20, decimals=None)
    records = run_sessions(tmp_path, market, strategy, random_weights(strategy, market))
    cash = Decimal(1_000_000)
    for row in concatenated(records, "fills").iter_rows(named=True):
        sign = 1 if row["side"] == "buy" else -1
        cash -= (sign * row["quantity"] * row["price_usd"]).quantize(Decimal("1e-6"))
        cash -= row["cost_usd"]
        assert row["cost_usd"] >= 0
    cash += concatenated(records, "account")["dividends_usd"].sum()
    assert records[-1].tables["account"]["cash_usd"][0] == cash


def test_a_split_scales_the_position_and_the_order(tmp_path: Path) -> None:
    strategy, market = make_strategy(), make_market(14)
    weights = {day: np.array([0.3, 0.0, 0.0]) for day in random_weights(strategy, market)}
    records = run_sessions(tmp_path, market, strategy, weights)
    before, after = records[9], records[10]
    assert after.session == session_at(market, 12)
    held = before.closing.quantity["AAA"]
    order = after.tables["orders"].row(0, named=True)
    signed = order["quantity"] if order["side"] == "buy" else -order["quantity"]
    assert after.closing.quantity["AAA"] == 2 * (held + signed)
    assert "split" in order["reason"]
    assert order["status"] == "filled"


def test_a_dividend_is_paid_on_its_ex_date(tmp_path: Path) -> None:
    strategy, market = make_strategy(), make_market(14)
    weights = {day: np.array([0.0, 0.4, 0.0]) for day in random_weights(strategy, market)}
    records = run_sessions(tmp_path, market, strategy, weights)
    held = records[6].closing.quantity["BBB"]
    paid = records[7].tables["account"]["dividends_usd"][0]
    assert paid == (held * Decimal("0.37")).quantize(Decimal("1e-6"))
    assert sum(r.tables["account"]["dividends_usd"][0] for r in records) == paid


def test_a_decision_does_not_depend_on_the_session_it_is_for(tmp_path: Path) -> None:
    market = make_market()
    session = session_at(market, 20)
    spoilt = make_market()
    spoilt.open[20:] *= 3.0
    spoilt.close[20:] *= 0.2
    one = run_session(make_inputs(tmp_path / "a", market, session))
    other = run_session(make_inputs(tmp_path / "b", spoilt, session))
    assert one.tables["decisions"].equals(other.tables["decisions"])
    columns = ["client_order_id", "side", "quantity"]
    assert one.tables["orders"].select(columns).equals(other.tables["orders"].select(columns))
    assert not one.tables["fills"].equals(other.tables["fills"])


def test_a_decision_time_after_the_open_is_refused(tmp_path: Path) -> None:
    market = make_market()
    session = session_at(market, 20)
    inputs = make_inputs(tmp_path, market, session)
    late = replace(inputs, decision_time=inputs.decision_time + timedelta(minutes=15))
    with pytest.raises(DataError, match="expected a time before the open"):
        run_session(late)


def test_a_decision_taken_at_the_sessions_own_close_is_refused(tmp_path: Path) -> None:
    market = make_market()
    session = session_at(market, 20)
    decide = hold(0.1, 0.1, 0.1)
    inputs = make_inputs(
        tmp_path, market, session, decide=lambda held, _, __: decide(held, session)
    )
    with pytest.raises(DataError, match="decided at the close of"):
        run_session(inputs)


def test_weights_outside_the_limits_are_refused(tmp_path: Path) -> None:
    market = make_market()
    inputs = make_inputs(tmp_path, market, session_at(market, 20), decide=hold(0.6, 0.1, 0.1))
    with pytest.raises(DataError, match="expected at most max_weight"):
        run_session(inputs)


def test_weights_that_break_a_limit_on_sums_are_refused(tmp_path: Path) -> None:
    market = make_market()
    limited = make_strategy(risk={"max_weight": 0.5, "max_turnover": 0.7})
    decide = hold(0.3, 0.3, 0.2)
    inputs = make_inputs(tmp_path, market, session_at(market, 20), strategy=limited, decide=decide)
    with pytest.raises(DataError, match=r"0\.8000 turnover, which break max_turnover 0\.7"):
        run_session(inputs)
    wider = make_strategy(risk={"max_weight": 0.5, "max_turnover": 0.8})
    assert run_session(replace(inputs, strategy=wider)).status == "settled"


def test_a_settled_session_is_returned_as_it_is(tmp_path: Path) -> None:
    market = make_market()
    session = session_at(market, 20)
    record = run_session(make_inputs(tmp_path, market, session))
    stored = SessionRecord.from_files(record.tables, record.to_files())
    again = make_inputs(tmp_path, market, session, stored=stored)

    class Unreachable:
        def __getattr__(self, name: str) -> object:
            raise AssertionError(name)

    assert run_session(replace(again, gateway=Unreachable())) is stored  # type: ignore[arg-type]


def test_a_session_without_its_bar_waits_and_settles_later_as_if_it_had_been_known(
    tmp_path: Path,
) -> None:
    market = make_market()
    session = session_at(market, 20)
    at_once = run_session(make_inputs(tmp_path / "a", market, session))
    open_ = run_session(make_inputs(tmp_path / "b", cut(market, 19), session))
    assert open_.status == "awaiting_fill"
    assert open_.tables["orders"]["status"].unique().to_list() == ["accepted"]
    assert open_.tables["account"].is_empty()
    stored = SessionRecord.from_files(open_.tables, open_.to_files())
    settled = run_session(make_inputs(tmp_path / "b", market, session, stored=stored))
    assert settled.status == "settled"
    assert same_tables(settled, at_once)


def test_the_next_session_settles_the_open_one_first(tmp_path: Path) -> None:
    market = make_market()
    first = run_session(make_inputs(tmp_path, cut(market, 19), session_at(market, 20)))
    known = cut(market, 20)
    second = run_session(make_inputs(tmp_path, known, session_at(market, 21), first))
    assert second.status == "awaiting_fill"
    assert second.settled_previous is not None
    assert second.settled_previous.status == "settled"
    assert second.opening == second.settled_previous.closing
    alone = run_session(make_inputs(tmp_path / "b", market, session_at(market, 20)))
    assert same_tables(second.settled_previous, alone)


def test_a_session_is_not_decided_while_the_one_before_cannot_be_settled(tmp_path: Path) -> None:
    market = cut(make_market(), 19)
    full = make_market()
    first = run_session(make_inputs(tmp_path, market, session_at(full, 20)))
    with pytest.raises(DataError, match="is not settled"):
        run_session(make_inputs(tmp_path, market, session_at(full, 21), first))


def test_sessions_that_were_not_run_are_carried_without_orders(tmp_path: Path) -> None:
    market, strategy = make_market(), make_strategy()
    first = run_session(make_inputs(tmp_path, market, session_at(market, 8)))
    later = run_session(make_inputs(tmp_path, market, session_at(market, 14), first))
    assert later.differences == []
    events = [r for r in audit_records(later.audit) if r["event"] == "ACCOUNT_EVENT"]
    assert [(r["kind"], r["symbol"]) for r in events] == [("dividend", "BBB"), ("split", "AAA")]
    assert strategy.paper.gateway == "simulated"


def test_a_crash_after_sending_leads_to_the_same_record(tmp_path: Path) -> None:
    market = make_market()
    session = session_at(market, 20)
    control = run_session(make_inputs(tmp_path / "control", market, session))
    run_session(make_inputs(tmp_path / "sent", cut(market, 19), session))
    whole = (tmp_path / "sent" / f"{session}.jsonl").read_bytes().splitlines(keepends=True)
    decided = [json.loads(line)["event"] for line in whole].index("DECIDED") + 1
    for kept in range(len(whole)):
        crashed = tmp_path / str(kept)
        crashed.mkdir()
        # Before the decision was durable nothing had been sent; after it everything may have been.
        if kept >= decided:
            shutil.copy(tmp_path / "sent" / "broker.sqlite", crashed)
        (crashed / f"{session}.jsonl").write_bytes(b"".join(whole[:kept]) + whole[kept][:30])
        again = run_session(make_inputs(crashed, market, session))
        assert same_tables(again, control)
        assert verify_audit(again.audit) == []
        events = [record["event"] for record in audit_records(again.audit)]
        assert events.count("CRASH_RECOVERED") == 1
        assert events.count("INTENT") == len(control.tables["orders"])


def test_the_log_has_one_intent_before_each_acceptance_and_one_fill(tmp_path: Path) -> None:
    market = make_market()
    record = run_session(make_inputs(tmp_path, market, session_at(market, 20)))
    events = [(r["event"], r.get("client_order_id")) for r in audit_records(record.audit)]
    for order_id in record.tables["orders"]["client_order_id"]:
        places = [events.index((name, order_id)) for name in ("INTENT", "ACCEPTED", "FILL", "DONE")]
        assert places == sorted(places)
        assert sum(event == ("FILL", order_id) for event in events) == 1


def test_a_changed_broker_account_halts_the_next_session(tmp_path: Path) -> None:
    market = make_market()
    first = run_session(make_inputs(tmp_path, market, session_at(market, 20)))
    book = Book(tmp_path / "broker.sqlite")
    account = book.account()
    book.write_account(replace(account, cash_usd=account.cash_usd + 1))
    book.close()
    record = run_session(make_inputs(tmp_path, market, session_at(market, 21), first))
    assert record.status == "halted"
    assert "cash is" in record.differences[0]
    assert record.tables["orders"].is_empty()
    assert "INTENT" not in {r["event"] for r in audit_records(record.audit)}


def test_a_symbol_without_a_bar_at_the_decision_keeps_its_quantity(tmp_path: Path) -> None:
    market = make_market()
    market.close[18:20, 1] = market.open[18:20, 1] = np.nan
    record = run_session(make_inputs(tmp_path, market, session_at(market, 20)))
    assert record.tables["orders"]["symbol"].to_list() == ["AAA", "CCC"]


def test_an_order_without_a_bar_at_the_open_expires(tmp_path: Path) -> None:
    market = make_market()
    market.close[20, 1] = market.open[20, 1] = np.nan
    record = run_session(make_inputs(tmp_path, market, session_at(market, 20)))
    status = dict(record.tables["orders"].select("symbol", "status").iter_rows())
    assert status == {"AAA": "filled", "BBB": "expired", "CCC": "filled"}
    assert record.differences == []


def test_orders_on_an_old_market_are_refused(tmp_path: Path) -> None:
    market = make_market()
    session = session_at(market, 21)
    record = run_session(make_inputs(tmp_path, cut(market, 19), session))
    orders = record.tables["orders"]
    assert orders["status"].unique().to_list() == ["refused"]
    assert "2 sessions old" in orders["reason"][0]


def test_a_tampered_audit_log_is_refused_on_reading(tmp_path: Path) -> None:
    market = make_market()
    record = run_session(make_inputs(tmp_path, market, session_at(market, 20)))
    files = record.to_files()
    files["audit.jsonl"] = b"".join(files["audit.jsonl"].splitlines(keepends=True)[:-1])
    with pytest.raises(DataError, match="audit log"):
        SessionRecord.from_files(record.tables, files)


def test_an_execution_is_booked_once() -> None:
    ledger = Ledger(Decimal(1000), {})
    fill = Fill(
        "x1",
        "o1",
        "AAA",
        "buy",
        Decimal(2),
        Decimal("10.5"),
        Decimal("0.01"),
        datetime(2020, 1, 2, tzinfo=UTC),
    )
    assert ledger.book_fill(fill)
    assert not ledger.book_fill(fill)
    assert ledger.cash_usd == Decimal("978.99")


def test_reconcile_names_cash_and_every_symbol_that_differs() -> None:
    ours = Ledger(Decimal(1), {"AAA": Decimal(1)}).state(None)
    theirs = Ledger(Decimal(2), {"BBB": Decimal(1)}).state(None)
    assert [text.split(" is ")[0] for text in reconcile(ours, theirs)] == ["cash", "AAA", "BBB"]
