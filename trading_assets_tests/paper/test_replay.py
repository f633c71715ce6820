"""A settled session is traded again as the backtest would, and differs by what was different."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.vectorised import trade_weights
from trading_assets.paper.audit import audit_records, stated_genesis
from trading_assets.paper.core_fills import fill_terms
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.replay import trade_again
from trading_assets.paper.replay_tables import divergences, session_table, unexplained
from trading_assets.paper.replayed import SessionReplay
from trading_assets.simulation import core
from trading_assets.simulation.compiled.layout import EQUITY
from trading_assets.simulation.market import Market
from trading_assets.strategy import Strategy
from trading_assets_tests.paper.fixtures import make_market, make_strategy, session_at
from trading_assets_tests.paper.four_ways import random_weights, run_sessions
from trading_assets_tests.paper.replays import plant, replay_all, run_rows, with_account
from trading_assets_tests.paper.test_four_ways import CASES

MICRO = Decimal("0.0001")
BORROWING = {
    "policy": {"agents": {"ppo": {}}, "position": "long_short"},
    "costs": {"fee_bps": 1, "financing_bps_per_year": 500, "borrow_bps_per_year": 300},
    "risk": {"max_weight": 1.0, "max_gross": 3.0, "max_order_notional_usd": 5_000_000},
}


def gap_usd(replay: SessionReplay) -> Decimal:
    return replay.recorded_equity_usd - replay.replayed_equity_usd


def require_alike(replays: list[SessionReplay]) -> None:
    for replay in replays:
        assert abs(gap_usd(replay)) < MICRO, replay.session
        assert abs(replay.divergence_bps) < 1e-5
        assert abs(replay.other_usd) < MICRO
        assert not [symbol for symbol in replay.symbols if symbol.differs]
    assert unexplained(replays) == []


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("case", [*CASES, "borrowing"])
def test_what_the_embedded_broker_filled_does_not_diverge(
    tmp_path: Path, case: str, seed: int
) -> None:
    # Dividends, a late listing and a halt; the market of whole shares ends before its split.
    bars = 12 if case == "whole shares and cents" else 30
    declared = {**CASES, "borrowing": BORROWING}[case]
    strategy, market = make_strategy(**declared), make_market(bars, seed=seed)
    records = run_sessions(tmp_path, market, strategy, random_weights(strategy, market, seed))
    replays = replay_all(records, market, strategy)
    require_alike(replays)
    assert sum(len(replay.symbols) for replay in replays) > 2 * len(replays)
    traded = [s.recorded.trade for replay in replays for s in replay.symbols]
    assert any(trade < 0 for trade in traded)
    assert any(trade > 0 for trade in traded)


def test_the_first_session_replays_as_the_vectorised_engine_trades_it(tmp_path: Path) -> None:
    strategy, market = make_strategy(), make_market(30)
    weights = random_weights(strategy, market)
    [first, *_] = run_sessions(tmp_path, market, strategy, weights)
    [replay] = replay_all([first], market, strategy)
    same = strategy.backtest.model_copy(
        update={"initial_equity_usd": strategy.paper.initial_cash_usd}
    )
    engine = trade_weights(
        market,
        ["a"],
        weights[session_at(market, 1)][None, None],
        range(1, 2),
        strategy.model_copy(update={"backtest": same}),
    )
    assert float(replay.replayed_equity_usd) == pytest.approx(engine.outcomes[0, 0, EQUITY], 1e-12)


@pytest.mark.parametrize("case", [*CASES, "borrowing"])
def test_sessions_that_nobody_traded_are_carried_without_trades(tmp_path: Path, case: str) -> None:
    declared = {**CASES, "borrowing": BORROWING}[case]
    strategy, market = make_strategy(**declared), make_market(30, seed=1)
    quiet = replace(
        market,
        split_ratio=np.ones_like(market.split_ratio),
        cash_per_share=np.zeros_like(market.cash_per_share),
    )
    if case == "borrowing":
        # What the account owes while nobody decides is not known to who decides next.
        free = {"financing_bps_per_year": 0.0, "borrow_bps_per_year": 0.0}
        strategy = strategy.model_copy(update={"costs": strategy.costs.model_copy(update=free)})
    weights = random_weights(strategy, quiet)
    records = run_rows(tmp_path, quiet, strategy, weights, [3, 6, 8, 11, 20])
    require_alike(replay_all(records, quiet, strategy))


def test_a_session_decides_from_what_a_split_before_it_has_made_of_the_account(
    tmp_path: Path,
) -> None:
    # Nobody traded the split's session; the next one opens with what has become of the account.
    strategy, market = make_strategy(), make_market(30, seed=1)
    records = run_rows(tmp_path, market, strategy, random_weights(strategy, market), [11, 14, 15])
    assert records[0].closing is not None
    held = records[0].closing.quantity["AAA"]
    [split] = [
        r
        for r in audit_records(records[1].audit, stated_genesis(records[1].audit))
        if r["event"] == "ACCOUNT_EVENT" and r["kind"] == "split"
    ]
    assert Decimal(split["quantity_change"]) == held
    require_alike(replay_all(records, market, strategy))


def test_on_a_split_day_whole_lots_differ_and_the_order_says_why(tmp_path: Path) -> None:
    strategy, market = make_strategy(**CASES["whole shares and cents"]), make_market(13)
    records = run_sessions(tmp_path, market, strategy, random_weights(strategy, market))
    *before, split = replay_all(records, market, strategy)
    require_alike(before)
    [apart] = [symbol for symbol in split.symbols if symbol.differs]
    assert apart.symbol == "AAA"
    assert abs(apart.recorded.trade - apart.replayed.trade) == 1
    assert apart.reason.endswith("after the split of 2 for 1")
    assert unexplained([split]) == []


def test_a_delisted_symbol_is_paid_out_on_both_sides(tmp_path: Path) -> None:
    strategy, market = make_strategy(), make_market(12)
    gone = {name: np.array(getattr(market, name)) for name in ("open", "close", "volume")}
    for values in gone.values():
        values[8:, 0] = np.nan
    payout = np.full(market.close.shape, np.nan)
    payout[8, 0] = market.close[7, 0] * 0.7
    delisted = replace(
        market,
        **gone,
        payout_per_share=payout,
        tradable=market.tradable & np.isfinite(gone["close"]),
    )
    weights = random_weights(strategy, delisted)
    records = run_sessions(tmp_path, delisted, strategy, weights)
    replays = replay_all(records, delisted, strategy)
    require_alike(replays)
    held = [{s.symbol for s in r.symbols if s.recorded.quantity} for r in replays]
    assert "AAA" in held[5]
    assert not any("AAA" in symbols for symbols in held[6:])


def test_a_refused_order_diverges_and_says_why(tmp_path: Path) -> None:
    strategy = make_strategy(risk={"max_weight": 0.5, "max_order_notional_usd": 1_000})
    market = make_market(8)
    [record, *_] = run_sessions(tmp_path, market, strategy, random_weights(strategy, market))
    [replay] = replay_all([record], market, strategy)
    assert len(replay.symbols) == 3
    for symbol in replay.symbols:
        assert symbol.differs
        assert symbol.recorded.trade == 0
        assert symbol.reason.startswith("refused: notional in USD was")
    assert unexplained([replay]) == []


def test_a_session_that_forgot_a_cost_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strategy, market = make_strategy(), make_market(8)
    correct = core.step

    def free(books, target, bar, costs, **options):
        return correct(books, target, bar, costs.model_copy(update={"fee_bps": 0.0}), **options)

    monkeypatch.setattr("trading_assets.paper.simulated_broker.steps.step", free)
    [record, *_] = run_sessions(tmp_path, market, strategy, random_weights(strategy, market))
    [replay] = replay_all([record], market, strategy)
    fee = sum(abs(symbol.recorded.value_usd) for symbol in replay.symbols) / 10_000
    assert float(gap_usd(replay)) == pytest.approx(float(fee), rel=1e-3)
    assert replay.divergence_bps > 0


# One symbol bought by hand: 1,000,000 USD, half of it at the close of 100 is 5,000 shares. At the
# open of 101 they are worth 505,000, of which 1 + 2 bps are 151.50 of costs; at the close of 102
# the account has 1,000,000 - 505,000 - 151.50 + 510,000.
REPLAYED = Decimal("1004848.5")


@pytest.fixture
def bought(tmp_path: Path) -> tuple[SessionRecord, Market, Strategy]:
    strategy = make_strategy(costs={"fee_bps": 1.0, "half_spread_bps": 2.0})
    market = make_market(3)
    prices = np.array([[99.0] * 3, [100.0] * 3, [102.0] * 3])
    flat = replace(
        market,
        open=prices - 1.0,
        close=prices,
        tradable=np.ones((3, 3), dtype=bool),
        volume=np.full((3, 3), 1e6),
    )
    weights = {session_at(flat, 1): np.array([0.5, 0.0, 0.0])}
    [record] = run_rows(tmp_path, flat, strategy, weights, [2])
    return record, flat, strategy


def test_a_bar_is_replayed_as_by_hand(bought: tuple[SessionRecord, Market, Strategy]) -> None:
    record, market, strategy = bought
    replay = trade_again(record, market, strategy, None)
    assert replay.replayed_equity_usd == replay.recorded_equity_usd == REPLAYED
    [symbol] = replay.symbols
    assert (symbol.replayed.quantity, symbol.replayed.trade) == (5_000, 5_000)
    assert symbol.replayed.price_usd == 101
    assert symbol.replayed.cost_usd == Decimal("151.5")
    assert (replay.divergence_bps, replay.other_usd, symbol.reason) == (0.0, 0, "")


@pytest.mark.parametrize(
    ("planted", "change_usd", "bps"),
    [
        # 5,000 shares a cent dearer: 50 USD of 1,004,848.50.
        ("price", "-50", -0.49758744),
        # One share less: 101 USD kept, and 102 USD that are not there at the close.
        ("share", "-1", -0.00995175),
        # A fee of one dollar and a cent more.
        ("fee", "-1.01", -0.01005127),
        # A cent that no fill moved.
        ("cash", "0.01", 0.00009952),
    ],
)
def test_a_planted_difference_is_found_exactly(
    bought: tuple[SessionRecord, Market, Strategy], planted: str, change_usd: str, bps: float
) -> None:
    record, market, strategy = bought
    change = Decimal(change_usd)
    worth = Decimal(0)
    if planted == "price":
        record = plant(record, "fills", price_usd=Decimal("101.01"))
    elif planted == "share":
        worth = Decimal(-102)
        record = plant(record, "fills", quantity=Decimal(4_999))
        record = plant(
            record, "positions", quantity=Decimal(4_999), market_value_usd=Decimal(509_898)
        )
    elif planted == "fee":
        record = plant(record, "fills", cost_usd=Decimal("152.51"))
    replay = trade_again(with_account(record, change - worth, worth), market, strategy, None)
    assert gap_usd(replay) == change
    assert replay.divergence_bps == pytest.approx(bps, abs=1e-8)
    assert replay.divergence_bps == pytest.approx(float(change / REPLAYED) * 1e4, rel=1e-12)
    [symbol] = replay.symbols
    is_of_fill = planted != "cash"
    assert symbol.differs == is_of_fill
    assert symbol.difference_usd == (change if is_of_fill else 0)
    assert replay.other_usd == (0 if is_of_fill else change)
    assert unexplained([replay]) == []
    assert bool(divergences([replay], abs(bps) * 0.99))
    assert not divergences([replay], abs(bps) * 1.01)
    row = session_table([replay], 0.0).row(0, named=True)
    assert row["replayed_cost_usd"] == Decimal("151.5")
    assert row["recorded_cost_usd"] == Decimal("152.51" if planted == "fee" else "151.5")


def test_fills_in_parts_are_one_trade_at_their_mean_price(
    bought: tuple[SessionRecord, Market, Strategy],
) -> None:
    record, market, strategy = bought
    part = plant(record, "fills", quantity=Decimal(2_000), price_usd=Decimal("100.95"))
    rest = plant(
        record, "fills", execution_id="2", quantity=Decimal(3_000), cost_usd=Decimal("-100")
    )
    fills = pl.concat([part.tables["fills"], rest.tables["fills"]])
    [symbol] = trade_again(
        replace(record, tables={**record.tables, "fills": fills}), market, strategy, None
    ).symbols
    # (2,000 x 100.95 + 3,000 x 101) / 5,000, and costs of 151.50 - 100.
    assert symbol.recorded.price_usd == Decimal("100.98")
    assert symbol.recorded.trade == 5_000
    assert symbol.recorded.cost_usd == Decimal("51.5")
    # 100 USD less for the shares and 251.50 - 151.50 less of costs.
    assert symbol.difference_usd == 200


@pytest.mark.parametrize(
    ("trade", "price_usd", "cost_usd"),
    # 30 shares at 10.0000005 are 300.000015 USD; six decimals leave out 0.000015 of it.
    [(30.0, "10.000000", "1.000015"), (-30.0, "10.000001", "1.000015")],
)
def test_what_six_decimals_leave_out_of_a_price_is_a_cost_and_never_a_gain(
    trade: float, price_usd: str, cost_usd: str
) -> None:
    found = fill_terms(trade, 10.0000005, Decimal(1))
    assert found == (Decimal(30), Decimal(price_usd), Decimal(cost_usd))


def test_a_bar_that_was_corrected_since_moves_the_symbol_and_adds_up(
    bought: tuple[SessionRecord, Market, Strategy],
) -> None:
    record, market, strategy = bought
    corrected = replace(market, close=market.close - np.array([[0.0], [0.0], [0.5]]))
    replay = trade_again(record, corrected, strategy, None)
    # 5,000 shares are worth half a dollar less than the session knew.
    assert gap_usd(replay) == 2_500
    assert [(s.difference_usd, s.differs) for s in replay.symbols] == [(2_500, True)]
    assert unexplained([replay]) == []


def test_a_warning_names_what_moved_the_account_most(
    bought: tuple[SessionRecord, Market, Strategy],
) -> None:
    record, market, strategy = bought
    dearer = with_account(
        plant(record, "fills", price_usd=Decimal("101.25")), Decimal(-1_250), Decimal(0)
    )
    replay = trade_again(dearer, market, strategy, None)
    [said] = divergences([replay], 5.0)
    assert said == (
        f"{record.session} ended -12.44 bps from its replay, at 1,003,598.50 USD and not"
        " 1,004,848.50 (limit 5): AAA -1,250.00 USD, price 101.25 USD and not 101 USD; other cash"
        " +0.00 USD"
    )
