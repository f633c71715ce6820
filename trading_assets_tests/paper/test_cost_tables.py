from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from trading_assets.paper.cost_tables import COSTS, with_costs
from trading_assets.paper.opening import open_session
from trading_assets.paper.record import SessionRecord, empty_tables
from trading_assets_tests.paper.fixtures import make_inputs, make_market, make_strategy, session_at
from trading_assets_tests.paper.four_ways import random_weights, run_sessions

PARTS = ("delay_usd", "spread_usd", "impact_usd", "timing_usd", "opportunity_usd", "fees_usd")


@pytest.fixture(scope="module")
def traded(tmp_path_factory):
    strategy, market = make_strategy(), make_market(20)
    folder = tmp_path_factory.mktemp("sessions")
    return (
        strategy,
        market,
        run_sessions(folder, market, strategy, random_weights(strategy, market)),
    )


def test_the_parts_of_every_order_sum_to_its_shortfall(traded):
    rows = [
        row for record in traded[2] for row in record.tables["order_costs"].iter_rows(named=True)
    ]
    assert len(rows) > 40
    assert any(row["timing_usd"] for row in rows)
    for row in rows:
        assert sum((row[part] for part in PARTS), Decimal()) == row["shortfall_usd"]
        assert row["decided_usd"] == pytest.approx(
            row["quantity"] * row["decision_price_usd"], abs=Decimal("0.01")
        )


def test_every_order_of_a_settled_session_has_its_costs_or_is_named(traded):
    for record in traded[2]:
        orders = {*record.tables["orders"]["client_order_id"]}
        costed = {*record.tables["order_costs"]["client_order_id"]}
        assert costed | {*record.summary[COSTS]["unpriced"]} == orders


def test_the_summary_sums_the_table(traded):
    for record in traded[2]:
        table, said = record.tables["order_costs"], record.summary[COSTS]
        for name in (*PARTS, "shortfall_usd", "decided_usd"):
            assert Decimal(said[name]) == sum(table[name].to_list(), Decimal())
        decided = float(table["decided_usd"].sum())
        in_bps = float(table["shortfall_usd"].sum()) / decided * 1e4
        assert said["shortfall_bps"] == pytest.approx(in_bps)


def test_a_price_paid_is_the_mean_of_the_fills(traded):
    for record in traded[2]:
        fills = record.tables["fills"]
        paid = dict(record.tables["order_costs"]["client_order_id", "fill_price_usd"].iter_rows())
        for key, price in paid.items():
            own = fills.filter(fills["client_order_id"] == key)
            if own.is_empty():
                assert price is None
            else:
                mean = float((own["quantity"] * own["price_usd"]).sum()) / float(
                    own["quantity"].sum()
                )
                assert float(price) == pytest.approx(mean, abs=1e-6)


def test_a_session_that_waits_has_no_costs(tmp_path):
    market = make_market(6)
    inputs = make_inputs(tmp_path, market, session_at(market, 5))
    waiting = open_session(inputs)
    assert waiting.status == "awaiting_fill"
    assert waiting.tables["order_costs"].is_empty()
    assert COSTS not in waiting.summary


def test_costs_that_cannot_be_computed_keep_no_session_from_being_settled(traded):
    strategy, market, records = traded
    closed = replace(market, open=np.full_like(market.open, np.nan))
    found = with_costs(
        replace(records[3], tables={**records[3].tables, **_no_costs()}), closed, strategy.costs
    )
    assert found.tables["order_costs"].is_empty()
    assert "has no open at" in found.summary[COSTS]["missing"]


def test_a_record_of_an_earlier_release_is_read_without_costs(traded):
    record = traded[2][3]
    tables = {name: table for name, table in record.tables.items() if name != "order_costs"}
    read = SessionRecord.from_files(tables, record.to_files())
    assert read.tables["order_costs"].is_empty()
    assert read.tables["orders"].equals(record.tables["orders"])


def _no_costs():
    return {"order_costs": empty_tables()["order_costs"]}
