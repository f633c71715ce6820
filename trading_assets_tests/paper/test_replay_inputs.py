"""What a replay is made from: stored records, renamed tickers, and what is wrong with them."""

import math
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from trading_assets.bars.actions.companies import actions_by_company
from trading_assets.errors import DataError
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.renamed import RENAMED_UNTIL
from trading_assets.paper.replay import (
    ReplayData,
    replay_session,
    trade_again,
    why_not_replayed,
)
from trading_assets.paper.replay_due import replay_due
from trading_assets.paper.replay_opening import last_targets
from trading_assets.paper.replay_tables import session_table, symbol_table, unexplained
from trading_assets.paper.replayed import SessionReplay
from trading_assets.simulation.market import Market
from trading_assets.strategy import Strategy
from trading_assets_tests.paper import test_renamed
from trading_assets_tests.paper.fixtures import cut, make_market, make_strategy, session_at
from trading_assets_tests.paper.four_ways import random_weights, run_sessions
from trading_assets_tests.paper.replays import (
    MARKET_DATA,
    NO_ACTIONS,
    plant,
    replay_all,
    run_rows,
)
from trading_assets_tests.paper.test_four_ways import LONG_SHORT
from trading_assets_tests.paper.test_renamed import MARKET_DATA as RENAMED_DATA
from trading_assets_tests.paper.test_renamed import (
    SESSIONS,
    Vendor,
    champion,
    fetched,
    traded,
)

# Fixtures of another module are found by their names here.
__all__ = ["champion", "fetched"]

QUADRATIC = {"fee_bps": 1.0, "half_spread_bps": 2.0, "quadratic_lambda": 25.0}


@pytest.fixture(scope="module")
def settled(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[list[SessionRecord], Market, Strategy]:
    strategy, market = make_strategy(), make_market(9)
    folder = tmp_path_factory.mktemp("settled")
    return (
        run_sessions(folder, market, strategy, random_weights(strategy, market)),
        market,
        strategy,
    )


Settled = tuple[list[SessionRecord], Market, Strategy]


@pytest.mark.parametrize("costs", [{}, QUADRATIC], ids=["linear", "quadratic"])
def test_sessions_on_both_sides_of_a_rename_replay_on_the_newest_data(
    costs: dict[str, float],
    champion: dict[str, bytes],
    fetched: tuple[pl.DataFrame, pl.DataFrame],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    declared = test_renamed.STRATEGY.model_dump(exclude_unset=True)
    strategy = Strategy.model_validate({**declared, "costs": costs})
    monkeypatch.setattr(test_renamed, "STRATEGY", strategy)
    vendor = Vendor(*fetched, is_renamed=True)
    records = traded(vendor, champion if not costs else {}, tmp_path)
    bars, actions = vendor.known_before(SESSIONS[-1] + timedelta(days=1))
    data = ReplayData(strategy, RENAMED_DATA, bars, actions_by_company(actions))
    before = [None, *records[:-1]]
    done = replay_due(list(zip(records, before, strict=True)), data)
    assert not done.failed
    assert len(done.replays) == len(records) == len(SESSIONS) - 1
    for record, replay in zip(records, done.replays, strict=True):
        assert abs(replay.recorded_equity_usd - replay.replayed_equity_usd) < Decimal("0.0001")
        assert not [symbol for symbol in replay.symbols if symbol.differs]
        # As the session has them: MSFT, and MSFX once its data knew of the rename.
        knew = RENAMED_UNTIL in record.summary
        assert {s.symbol for s in replay.symbols} == {"IBM", "MSFX" if knew else "MSFT"}
    assert unexplained(done.replays) == []


@pytest.mark.parametrize("status", ["awaiting_fill", "missed", "halted"])
def test_a_session_without_a_close_has_no_replay(settled: Settled, status: str) -> None:
    [record, *_], _, strategy = settled
    summary = {**record.summary, "reason": "the window closed at 09:28 EST"}
    unsettled = replace(record, status=status, summary=summary)
    why = why_not_replayed(unsettled, strategy)
    expected = {"awaiting_fill": "not settled yet", "missed": "it was missed and nothing was"}
    assert expected.get(status, "it was halted and nothing was decided: the window") in why
    data = ReplayData(strategy, MARKET_DATA, pl.DataFrame(), NO_ACTIONS)
    with pytest.raises(DataError, match=r"has no replay, as .*; expected a settled one"):
        replay_session(unsettled, None, data)


def test_a_session_whose_broker_differed_has_no_replay(settled: Settled) -> None:
    [record, *_], _, strategy = settled
    differing = {**record.summary, "differences": ["cash is 1 USD in the ledger and 2 elsewhere"]}
    assert why_not_replayed(record, strategy) == ""
    why = why_not_replayed(replace(record, summary=differing), strategy)
    assert why == ("its ledger and its broker differ: cash is 1 USD in the ledger and 2 elsewhere")


def test_a_broker_without_targets_has_no_replay_under_a_quadratic_cost(settled: Settled) -> None:
    [record, *_], _, strategy = settled
    told = {"receiver": "alpaca-paper", "last_targets": {}}
    remote = replace(record, summary={**record.summary, **told})
    assert why_not_replayed(remote, strategy) == ""
    why = why_not_replayed(remote, make_strategy(**LONG_SHORT))
    assert why.startswith("costs.quadratic_lambda is 25 and alpaca-paper keeps no targets")


def test_one_session_that_cannot_be_replayed_keeps_no_other_back(
    champion: dict[str, bytes], fetched: tuple[pl.DataFrame, pl.DataFrame], tmp_path: Path
) -> None:
    vendor = Vendor(*fetched, is_renamed=False)
    first, second = traded(vendor, champion, tmp_path, SESSIONS[:3])
    bars, actions = vendor.known_before(SESSIONS[3])
    damaged = plant(first, "decisions", weight=math.nan)
    data = ReplayData(test_renamed.STRATEGY, RENAMED_DATA, bars, actions)
    done = replay_due([(damaged, None), (second, first)], data)
    assert [replay.session for replay in done.replays] == [second.session]
    assert list(done.failed) == [first.session]
    assert "a weight of nan for IBM" in done.failed[first.session]


def test_bars_after_the_session_change_nothing(
    champion: dict[str, bytes], fetched: tuple[pl.DataFrame, pl.DataFrame], tmp_path: Path
) -> None:
    vendor = Vendor(*fetched, is_renamed=False)
    [record] = traded(vendor, champion, tmp_path, SESSIONS[:2])

    def replayed(until: date) -> SessionReplay:
        data = ReplayData(test_renamed.STRATEGY, RENAMED_DATA, *vendor.known_before(until))
        return replay_session(record, None, data)

    assert replayed(SESSIONS[1]) == replayed(SESSIONS[-1])


def without(record: SessionRecord, table: str) -> SessionRecord:
    return replace(record, tables={**record.tables, table: record.tables[table].clear()})


def test_what_a_record_lacks_is_said(settled: Settled) -> None:
    records, market, strategy = settled
    record = records[-1]
    held = next(iter(record.opening.quantity))
    rest = record.tables["decisions"].filter(pl.col("symbol") != held)
    twice = pl.concat([record.tables["decisions"]] * 2)
    cases = [
        (without(record, "account"), r"has 0 rows of account; expected one: restore"),
        (without(record, "decisions"), r"recorded no weight for .*, which the account held"),
        (plant(record, "decisions", weight=math.inf), r"a weight of inf for AAA; expected one"),
        (plant(record, "decisions", symbol="ZZZ", weight=0.1), "no symbol of the data set|no wei"),
        (plant(record, "positions", symbol="ZZZ"), r"holds or traded ZZZ; expected symbols of"),
        (plant(record, "fills", quantity=Decimal(0)), r"a fill of 0\S* \w+ at .*above 0: restore"),
        (plant(record, "account", equity_usd=Decimal(-5)), r"was -5\S* USD and .*expected both"),
        (
            replace(record, tables={**record.tables, "decisions": rest}),
            rf"recorded no weight for {held}, which the account held",
        ),
        (
            replace(record, tables={**record.tables, "decisions": twice}),
            r"recorded 6 decisions for 3 symbols; expected one finite weight for each",
        ),
        (
            replace(record, opening=replace(record.opening, as_of=record.session)),
            r"opened from the account of .*; expected an earlier one: restore",
        ),
        (
            replace(record, opening=replace(record.opening, quantity={"ZZZ": Decimal(1)})),
            r"the account holds ZZZ; expected only symbols of the data set",
        ),
    ]
    for damaged, said in cases:
        with pytest.raises(DataError, match=said):
            trade_again(damaged, market, strategy, None)


def test_a_first_session_without_decisions_is_not_taken_for_one_that_keeps_its_cash(
    settled: Settled,
) -> None:
    [first, *_], market, strategy = settled
    with pytest.raises(DataError, match=r"recorded 0 decisions for 0 symbols"):
        trade_again(without(first, "decisions"), market, strategy, None)


def test_a_market_has_to_cover_the_session_and_the_close_before(settled: Settled) -> None:
    records, market, strategy = settled
    with pytest.raises(DataError, match=r"is not in the market, which covers"):
        trade_again(records[-1], cut(market, 6), strategy, None)
    late = replace(
        market,
        **{
            name: getattr(market, name)[2:]
            for name in (
                "sessions",
                "open",
                "close",
                "volume",
                "tradable",
                "split_ratio",
                "cash_per_share",
                "volatility",
                "adv_usd",
            )
        },
    )
    with pytest.raises(DataError, match=r"expected the session before it too"):
        trade_again(records[0], late, strategy, None)


def test_targets_are_those_of_the_session_that_the_account_comes_from(tmp_path: Path) -> None:
    strategy, market = make_strategy(**LONG_SHORT), make_market(9)
    weights = random_weights(strategy, market)
    first, second, third = run_rows(tmp_path, market, strategy, weights, [3, 4, 5])

    def targets(record: SessionRecord, previous: SessionRecord | None):
        return last_targets(record, previous, market, MARKET_DATA, NO_ACTIONS)

    assert targets(first, None) is None
    found = targets(second, first)
    assert found is not None
    decided = weights[session_at(market, 2)]
    assert found == pytest.approx(decided, abs=1e-6)
    for given in (None, first):
        with pytest.raises(DataError, match=rf"expected the record of {second.session}, whose"):
            targets(third, given)
    without = replace(second, summary={**second.summary, "last_targets": {}})
    with pytest.raises(DataError, match=rf"record of {second.session} has no last_targets"):
        targets(third, without)
    # Without them, the change of targets would cost other than it did.
    right, wrong = (trade_again(third, market, strategy, t) for t in (targets(third, second), None))
    assert abs(right.divergence_bps) < 1e-5
    assert abs(wrong.divergence_bps) > 0.01


def test_sessions_compound(settled: Settled) -> None:
    records, market, strategy = settled
    one, other = replay_all(records[:2], market, strategy)
    up = replace(one, recorded_equity_usd=Decimal(1_001_000), replayed_equity_usd=Decimal(10**6))
    down = replace(other, recorded_equity_usd=Decimal(999_500), replayed_equity_usd=Decimal(10**6))
    table = session_table([up, down], 2.0)
    assert table["divergence_bps"].to_list() == pytest.approx([10.0, -5.0], abs=1e-12)
    # 1.0002 x 1.001 = 1.0012002, and times 0.9995 it is 1.0006996.
    assert table["cumulative_bps"].to_list() == pytest.approx([12.002, 6.995999], abs=1e-9)
    assert symbol_table([up, down])["session"].n_unique() == 2
    assert session_table([], 2.0).is_empty()
    for before in (math.nan, -10_000.0):
        with pytest.raises(DataError, match=r"expected a finite number above -10000"):
            session_table([up], before)
    with pytest.raises(DataError, match="expected ascending sessions"):
        session_table([down, up], 0.0)


def test_positions_that_are_not_those_of_the_equity_are_said(settled: Settled) -> None:
    records, market, strategy = settled
    row = records[-1].tables["account"].row(0, named=True)
    other = plant(records[-1], "account", equity_usd=row["equity_usd"] + 3)
    [replay] = [trade_again(other, market, strategy, None)]
    [problem] = unexplained([replay])
    assert "equity differs by 3.000000 USD, and its symbols and other cash by 0.000000" in problem
