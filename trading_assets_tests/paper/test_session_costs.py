from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from trading_assets.errors import DataError
from trading_assets.paper.session_costs import session_costs
from trading_assets_tests.paper.fixtures import make_market, make_strategy, session_at
from trading_assets_tests.paper.four_ways import random_weights, run_sessions


@pytest.fixture(scope="module")
def traded(tmp_path_factory):
    strategy, market = make_strategy(), make_market(20)
    folder = tmp_path_factory.mktemp("sessions")
    records = run_sessions(folder, market, strategy, random_weights(strategy, market))
    return strategy, market, records


def test_a_sessions_costs_are_those_the_market_core_charged(traded):
    strategy, market, records = traded
    n_split = n_dividend = 0
    for record in records:
        found = session_costs(record, market, strategy.costs)
        row = int(np.searchsorted(market.sessions, np.datetime64(record.session, "D")))
        n_split += market.split_ratio[row, 0] != 1.0
        n_dividend += market.cash_per_share[row, 1] > 0.0
        fills = record.tables["fills"]
        charged = float(fills["cost_usd"].sum())
        total = found.total
        own = float(total.fees_usd + total.spread_usd + total.impact_usd)
        assert own == pytest.approx(charged, abs=1e-4)
        notional = float((fills["quantity"] * fills["price_usd"]).sum())
        assert float(total.fees_usd) == pytest.approx(notional * 1e-4, abs=1e-5)
        assert float(total.spread_usd) == pytest.approx(notional * 2e-4, abs=1e-5)
        assert total.delay_usd == 0
        assert {*found.by_order} | {*found.unpriced} == {
            *record.tables["orders"]["client_order_id"]
        }
        assert sum(map(Fraction, total.parts_usd.values())) == Fraction(total.total_usd)
    assert n_split == n_dividend == 1


def test_timing_is_the_night_by_the_markets_own_prices(traded):
    strategy, market, records = traded
    for record in records[:6]:
        row = int(np.searchsorted(market.sessions, np.datetime64(record.session, "D")))
        expected = 0.0
        for fill in record.tables["fills"].iter_rows(named=True):
            column = market.symbols.index(fill["symbol"])
            sign = 1.0 if fill["side"] == "buy" else -1.0
            night = market.open[row, column] - market.close[row - 1, column]
            expected += sign * float(fill["quantity"]) * night
        found = session_costs(record, market, strategy.costs).total.timing_usd
        assert float(found) == pytest.approx(expected, abs=1e-4)


def test_a_split_leaves_no_opportunity_cost(traded):
    strategy, market, records = traded
    record = next(each for each in records if each.session == session_at(market, 12))
    fills = record.tables["fills"].filter(pl.col("symbol") == "AAA")
    assert len(fills) == 1
    found = session_costs(record, market, strategy.costs).by_order[fills["client_order_id"][0]]
    assert abs(found.opportunity_usd) < Decimal("0.0001")
    assert abs(found.timing_usd) < found.decided_usd / 10


def test_a_halted_symbol_has_only_an_opportunity_cost(traded):
    strategy, market, records = traded
    record = next(each for each in records if each.session == session_at(market, 10))
    orders = record.tables["orders"].filter(pl.col("symbol") == "BBB")
    assert orders["status"].to_list() == ["expired"]
    found = session_costs(record, market, strategy.costs).by_order[orders["client_order_id"][0]]
    assert found.decided_usd > 0
    # Its last close is that of the decision, so nothing is known to have been missed.
    assert {*found.parts_usd.values()} == {Decimal(0)}


def test_a_broker_elsewhere_has_its_slippage_in_the_price(traded):
    strategy, market, records = traded
    record = replace(records[3], summary={**records[3].summary, "receiver": "alpaca"})
    found = session_costs(record, market, strategy.costs).total
    assert found.fees_usd == record.tables["fills"]["cost_usd"].sum()


def test_a_worse_price_than_the_open_is_impact(traded):
    strategy, market, records = traded
    fills = records[3].tables["fills"]
    worse = pl.when(pl.col("side") == "buy").then(Decimal("0.25")).otherwise(Decimal("-0.25"))
    moved = fills.with_columns(price_usd=(pl.col("price_usd") + worse).cast(pl.Decimal(38, 6)))
    elsewhere = {**records[3].summary, "receiver": "alpaca"}
    record = replace(records[3], summary=elsewhere)
    before = session_costs(record, market, strategy.costs).total
    record = replace(record, tables={**record.tables, "fills": moved})
    after = session_costs(record, market, strategy.costs).total
    shares = fills["quantity"].sum()
    assert abs(after.impact_usd - before.impact_usd - shares / 4) < Decimal("0.00001")
    assert after.timing_usd == before.timing_usd
    assert after.spread_usd == before.spread_usd


def test_a_refused_order_costs_the_days_move(tmp_path: Path):
    market = make_market(6)
    small = {"max_weight": 0.5, "max_order_notional_usd": 1_000}
    strategy = make_strategy(risk=small)
    [record, *_] = run_sessions(tmp_path, market, strategy, random_weights(strategy, market))
    orders = record.tables["orders"]
    assert {*orders["status"]} == {"refused"}
    expected = 0.0
    for order in orders.iter_rows(named=True):
        column = market.symbols.index(order["symbol"])
        rise = market.close[2, column] - market.close[1, column]
        expected += float(order["quantity"]) * rise
    found = session_costs(record, market, strategy.costs).total
    assert float(found.opportunity_usd) == pytest.approx(expected, abs=1e-4)
    assert found.total_usd == found.opportunity_usd != 0


def test_the_summary_says_each_part_in_usd_and_bps(traded):
    strategy, market, records = traded
    found = session_costs(records[3], market, strategy.costs)
    said = found.summary()
    assert said["shortfall_usd"] == str(found.total.total_usd)
    in_bps = float(found.total.spread_usd) / float(found.total.decided_usd) * 1e4
    assert said["spread_bps"] == pytest.approx(in_bps)
    assert len(said) == 15


def test_an_order_without_a_price_is_named(traded):
    strategy, market, records = traded
    record = records[3]
    blank = record.tables["decisions"].with_columns(
        reference_price_usd=pl.when(pl.col("symbol") == "AAA")
        .then(float("nan"))
        .otherwise(pl.col("reference_price_usd"))
    )
    found = session_costs(
        replace(record, tables={**record.tables, "decisions": blank}), market, strategy.costs
    )
    [named] = found.unpriced
    assert "-AAA-" in named
    assert named not in found.by_order


def test_a_session_that_is_not_settled_is_refused(traded):
    strategy, market, records = traded
    with pytest.raises(DataError, match="was awaiting_fill; expected a settled one"):
        session_costs(replace(records[3], status="awaiting_fill"), market, strategy.costs)


def test_a_market_that_does_not_fit_is_refused(traded):
    strategy, market, records = traded
    with pytest.raises(DataError, match="expected a symbol of the market"):
        session_costs(records[3], replace(market, symbols=("XXX", "YYY", "ZZZ")), strategy.costs)
    closed = replace(market, open=np.full_like(market.open, np.nan))
    with pytest.raises(DataError, match="has no open at"):
        session_costs(records[3], closed, strategy.costs)
