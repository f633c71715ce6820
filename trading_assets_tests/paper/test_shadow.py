from dataclasses import replace
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from trading_assets.paper.record import empty_tables
from trading_assets.paper.session import run_session
from trading_assets.paper.shadow import NoBroker, decide_in_shadow, remembered_before
from trading_assets_tests.paper.fixtures import (
    cut,
    decide_with,
    hold,
    make_inputs,
    make_market,
    make_strategy,
    session_at,
)

MARKET = make_market(12)
DAY = session_at(MARKET, 7)


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    folder = tmp_path_factory.mktemp("paper")
    first = run_session(make_inputs(folder, MARKET, session_at(MARKET, 6)))
    return run_session(make_inputs(folder, MARKET, DAY, first))


def shadow_inputs(folder, market=MARKET, **given):
    """A session whose broker and folder must not be asked for anything."""
    inputs = make_inputs(folder, market, DAY, **given)
    return replace(inputs, gateway=NoBroker(), folder=NoBroker(), name="tested-shadow")


def test_a_challenger_decides_and_plans_without_asking_any_broker(record, tmp_path):
    found = decide_in_shadow(shadow_inputs(tmp_path, decide=hold(0.1, 0.4, 0.2)), record)
    assert dict(found.decisions["symbol", "weight"].iter_rows()) == {
        "AAA": 0.1,
        "BBB": 0.4,
        "CCC": 0.2,
    }
    assert {*found.orders["status"]} == {"would_send"}
    assert found.summary["would_send"] == len(found.orders) == 3


def test_a_broker_that_is_asked_says_so():
    with pytest.raises(AssertionError, match="asked a broker for send"):
        NoBroker().send  # noqa: B018


def test_its_orders_start_from_the_account_of_the_paper_session(record, tmp_path):
    # The same target leaves nothing to trade but what prices have moved.
    same = decide_in_shadow(shadow_inputs(tmp_path), record)
    paper = record.tables["orders"].sort("symbol")
    planned = same.orders.sort("symbol")
    for name in ("symbol", "side", "quantity"):
        assert planned[name].to_list() == paper[name].to_list()
    assert same.summary["distance"] == 0.0
    assert not {*planned["client_order_id"]} & {*paper["client_order_id"]}


def test_the_distance_is_what_would_have_to_be_traded_between_the_books(record, tmp_path):
    found = decide_in_shadow(shadow_inputs(tmp_path, decide=hold(0.1, 0.4, 0.2)), record)
    assert found.summary["distance"] == pytest.approx(0.2 + 0.1)
    assert found.summary["largest_distance"] == pytest.approx(0.2)
    assert found.decisions["champion_weight"].to_list() == [0.3, 0.3, 0.2]
    assert found.summary["champion"] == "rule"


def test_a_session_that_decided_nothing_has_no_distance(record, tmp_path):
    missed = replace(record, tables=empty_tables(), status="missed", closing=None)
    found = decide_in_shadow(shadow_inputs(tmp_path), missed)
    assert found.summary["distance"] is None
    assert found.summary["champion"] == "nobody"
    assert found.decisions["champion_weight"].null_count() == 3
    assert found.summary["would_send"] == 3


def test_its_orders_pass_the_same_checks_before_trading(record, tmp_path):
    strategy = make_strategy(risk={"max_weight": 0.5, "max_order_notional_usd": 150_000})
    wanted = decide_with(lambda _: np.array([0.3, 0.0, 0.2]))
    found = decide_in_shadow(shadow_inputs(tmp_path, strategy=strategy, decide=wanted), record)
    refused = found.orders.filter(pl.col("status") == "refused")
    assert refused["symbol"].to_list() == ["BBB"]
    assert refused["rule"].to_list() == ["max_order_notional_usd"]
    assert found.summary["refused"] == 1


def test_the_sessions_own_bar_decides_nothing(record, tmp_path):
    wanted = hold(0.1, 0.4, 0.2)
    known = decide_in_shadow(shadow_inputs(tmp_path, decide=wanted), record)
    before = shadow_inputs(tmp_path, decide=wanted)
    before = replace(before, market=cut(MARKET, 6))
    assert decide_in_shadow(before, record).orders.equals(known.orders)


def test_renamed_companies_are_held_against_the_champion_under_their_new_name(record, tmp_path):
    renamed = replace(MARKET, symbols=("NEW", "BBB", "CCC"))
    wanted = decide_with(lambda _: np.array([0.1, 0.3, 0.2]), ("NEW", "BBB", "CCC"))
    inputs = replace(shadow_inputs(tmp_path, decide=wanted), market=renamed)
    found = decide_in_shadow(inputs, record, {"AAA": "NEW"})
    assert found.summary["distance"] == pytest.approx(0.2)
    [order] = found.orders.filter(pl.col("symbol") == "NEW").iter_rows(named=True)
    assert order["side"] == "sell"
    assert order["quantity"] > Decimal(0)


def test_a_challenger_remembers_its_own_and_the_accounts_trackers():
    paper = {"memory": {"trackers": ["t"], "settled": {"t": [1.0]}, "bundle": "champion"}}
    own = {"memory": {"trackers": [], "bundle": "mine", "forecast_state": {"a": 1}}}
    found = remembered_before(paper, own)
    assert found == {
        "memory": {
            "trackers": ["t"],
            "settled": {"t": [1.0]},
            "bundle": "mine",
            "forecast_state": {"a": 1},
        }
    }
    assert remembered_before(paper, None) == {
        "memory": {"trackers": ["t"], "settled": {"t": [1.0]}}
    }
    assert remembered_before(None, own)["memory"]["settled"] == {}
    assert remembered_before(None, None) is None
