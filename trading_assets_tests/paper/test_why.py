import json
from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from trading_assets.errors import DataError
from trading_assets.paper.audit import audit_records
from trading_assets.paper.decision_records import kept_decision
from trading_assets.paper.journal import Journal
from trading_assets.paper.session import run_session
from trading_assets.paper.why import data_digest, explain_order, largest_orders
from trading_assets.schema import TABLES
from trading_assets_tests.paper.fixtures import (
    CALENDAR,
    SYMBOLS,
    decide_with,
    make_inputs,
    make_market,
    make_strategy,
    session_at,
)

FACTS = {
    "model_digest": "m" * 64,
    "config_digest": "c" * 64,
    "code_version": "0123456789abcdef",
    "features_digest": "f" * 64,
}
REFS = [
    ("data/validated_bars", "2020-01-01", "a" * 64),
    ("data/validated_bars", "2019-12-01", "b" * 64),
    ("s/features", "2020-01-01", "d" * 64),
]
NOW_STORED = [("data/validated_bars", "2020-01-01", "e" * 64)]


def forecast_of(symbol, session, **values):
    row = dict.fromkeys(TABLES["forecasts"].names)
    row |= {"symbol": symbol, "session": session, "window": "test", "model": "forecaster"}
    row |= {"expected_return": 0.0125, "interval_low": -0.02, "interval_high": 0.04}
    row |= {"p_down": 0.2, "p_flat": 0.3, "p_up": 0.5, **values}
    return row


def with_forecasts(session, *rows):
    schema = TABLES["forecasts"].empty().schema
    table = pl.DataFrame(rows, schema=schema)
    decide = decide_with(lambda _: np.array([0.3, 0.3, 0.2]))

    def decide_now(held, day, before=None):
        limits = ("max_weight", "", "")
        return replace(decide(held, day), forecasts=table, binding_limits=limits)

    return decide_now


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    market = make_market(8)
    day = session_at(market, 6)
    rows = (
        forecast_of("AAA", day),
        forecast_of("BBB", day, p_up=None, expected_return=float("nan")),
        forecast_of("CCC", session_at(market, 5)),
    )
    folder = tmp_path_factory.mktemp("why")
    strategy = make_strategy(
        risk={
            "max_weight": 0.5,
            "max_order_notional_usd": 2e6,
            "orders": {"restricted_symbols": ["CCC"]},
        }
    )
    inputs = make_inputs(
        folder,
        market,
        session_at(market, 7),
        strategy=strategy,
        decide=with_forecasts(day, *rows),
        facts={**FACTS, "data_digest": data_digest(REFS)},
    )
    return run_session(inputs)


def of(card, name):
    return dict(card.lines())[name]


def test_a_card_says_what_the_order_was_decided_on(record):
    card = explain_order(record, "AAA", [REFS])
    assert of(card, "forecast") == (
        "return +1.2500%; interval -2.00% to +4.00%; down 20.0%, flat 30.0%, up 50.0%"
    )
    assert of(card, "weight") == "30.00% wanted, 30.00% within limits, bound by max_weight"
    assert of(card, "model digest") == FACTS["model_digest"]
    assert of(card, "config digest") == FACTS["config_digest"]
    assert of(card, "order").startswith("buy ")
    assert "filled" in of(card, "order")
    shortfall = record.tables["order_costs"].filter(pl.col("symbol") == "AAA")["shortfall_usd"][0]
    assert of(card, "cost").startswith(f"{shortfall:.2f} USD")


def test_a_card_goes_back_to_the_bar_and_its_stored_files(record):
    card = explain_order(record, "AAA", [NOW_STORED, REFS])
    bar = CALENDAR.close_time(date(2020, 1, 10))
    assert card.decision["bar_ts"] == bar.isoformat()
    assert card.bars == (REFS[0],)
    assert card.is_data_of_decision
    assert "as read by the decision" in of(card, "bars")


def test_data_that_are_not_those_of_the_decision_are_told_from_them(record):
    card = explain_order(record, "AAA", [NOW_STORED])
    assert not card.is_data_of_decision
    assert card.bars == tuple(NOW_STORED)
    assert "as stored now" in of(card, "bars")


def test_the_chain_of_an_order_is_its_records_of_the_log_in_order(record):
    card = explain_order(record, "AAA", [REFS])
    by_seq = {found["seq"]: found for found in audit_records(record.audit)}
    events = [link.event for link in card.chain]
    for event in ("START", "RECONCILE", "DECISION", "INTENT", "DECIDED", "ACCEPTED", "FILL"):
        assert event in events
    assert events.count("DECISION") == events.count("INTENT") == 1
    assert [int(link.seq) for link in card.chain] == sorted(int(link.seq) for link in card.chain)
    for link in card.chain:
        assert by_seq[link.seq]["hash"] == link.hash
        assert by_seq[link.seq].get("symbol") in (None, "", "AAA")
    everything = [found for found in by_seq.values() if "-AAA-" in found.get("client_order_id", "")]
    assert {found["seq"] for found in everything} <= {link.seq for link in card.chain}


def test_a_refused_order_names_the_rule_what_it_allows_and_what_was_found(record):
    card = explain_order(record, "CCC", [REFS])
    [block] = [link for link in card.chain if link.event == "RISK_BLOCK"]
    assert block.told["rule"] == "restricted_symbols"
    assert "CCC" in of(card, "refused")
    assert of(card, "forecast") == "none was used"


def test_numbers_a_forecast_lacks_are_left_out(record):
    decision = explain_order(record, "BBB").decision
    assert "p_up" not in json.loads(decision["forecast"])
    assert decision["signal"] == decision["confidence"] == ""


def test_the_markdown_has_every_line_and_every_record(record):
    card = explain_order(record, "AAA", [REFS])
    text = card.to_markdown()
    assert all(f"| {name} | " in text for name, _ in card.lines())
    assert all(f"`{link.hash[:12]}`" in text for link in card.chain)


def test_the_largest_orders_come_first(record):
    found = largest_orders(record, 2)
    assert len(found) == 2
    assert set(found) <= {"AAA", "BBB"}
    assert set(largest_orders(record, 9)) == set(SYMBOLS)


def test_a_symbol_nothing_was_decided_on_is_refused(record):
    with pytest.raises(DataError, match="symbol was 'ZZZ'; expected one decided on 2020-01-13"):
        explain_order(record, "ZZZ")


def test_the_digest_of_data_knows_no_order_and_every_change():
    assert data_digest(REFS) == data_digest(reversed(REFS))
    assert data_digest(REFS) != data_digest(REFS[:2])
    assert data_digest(REFS) != data_digest([*REFS[:2], ("s/features", "2020-01-01", "0" * 64)])


def test_a_decision_read_back_from_its_records_is_the_one_that_was_made(tmp_path):
    market = make_market(8)
    day = session_at(market, 6)
    inputs = make_inputs(
        tmp_path,
        market,
        session_at(market, 7),
        decide=with_forecasts(day, forecast_of("AAA", day)),
        facts=FACTS,
    )
    run_session(inputs)
    with inputs.open_log() as log:
        kept = kept_decision(Journal(log))
    assert kept is not None
    [target] = [target for target in kept.targets if target.symbol == "AAA"]
    assert set(target.facts) == {"bar_ts", "signal", "confidence", "forecast"}
    assert float(target.facts["confidence"]) == pytest.approx(0.3, abs=1e-6)
