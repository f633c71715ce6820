"""Why a trade was made: sentences by hand."""

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.explanation.trade_reasons import input_title, trade_reasons
from trading_assets.backtest.explanation.watched_decisions import WatchedDecisions
from trading_assets.policy.action_attribution import ActionAttributions
from trading_assets.policy.decision_rules import declared_rules
from trading_assets.policy.input_names import ObservedInput, name_inputs
from trading_assets.schema import TABLES
from trading_assets_tests.backtest.markets import market_of
from trading_assets_tests.policy.tasks import make_strategy

MARKET = replace(market_of(np.full((6, 2), 100.0)), symbols=("A", "B"))
RULES = declared_rules(
    make_strategy(
        policy={
            "observed_features": ["momentum"],
            "uses_forecasts": False,
            "confidence_sizing": "none",
            "position": "long_short",
        },
        risk={"max_weight": 0.5, "max_gross": 0.8},
    ),
    MARKET.symbols,
)
NAMES = name_inputs(RULES)
MOMENTUM_A, KNOWN_A, MOMENTUM_B, KNOWN_B, HELD_A, HELD_B, CASH = range(7)
DAYS = [date(2020, 1, d) for d in range(1, 6)]


def watched_of(wished, held, observations, weights=None):
    wished, held = np.array(wished, float), np.array(held, float)
    return WatchedDecisions(
        rows=np.arange(len(wished)),
        sessions=MARKET.sessions[: len(wished)],
        observations=np.array(observations, np.float32),
        memories=(),
        held=held,
        wished=wished,
        weights=wished if weights is None else np.array(weights, float),
        tables=None,
    )


def found_of(contributions, raw):
    return ActionAttributions(
        NAMES.inputs, np.array(contributions, float), np.array(raw, float), np.zeros((1, 2)), 0, 0
    )


def trades_of(*rows, portfolio="mine"):
    names = ("portfolio", "session", "symbol", "quantity", "price_usd")
    table = pl.DataFrame([(portfolio, *row) for row in rows], schema=names, orient="row")
    other = table.with_columns(portfolio=pl.lit("another"))
    costs = {c.name: pl.lit(0.0) for c in TABLES["trades"].columns if c.name not in names}
    return pl.concat([table, other]).with_columns(**costs)


def reasons(watched, found, *trades, rules=RULES):
    return trade_reasons(
        "mine", watched, found, trades_of(*trades), MARKET, rules, np.zeros(len(NAMES.place))
    )


SEEN = [[0.0] * 7, [1.0, 0, -2.0, 0, 0, 0, 0], [1.0, 0, -1.0, 0, 0.3, 0, 0]]
WISHED = [[0.1, 0.0], [0.3, 0.0], [0.2, 0.0]]
HELD = [[0.0, 0.0], [0.1, 0.0], [0.3, 0.0]]
# What A's wish owes to each input at each decision.
OWED = np.zeros((3, 2, 7))
OWED[1, 0, [MOMENTUM_A, MOMENTUM_B]] = [0.15, 0.05]
OWED[2, 0, [MOMENTUM_A, MOMENTUM_B, HELD_A]] = [0.15, 0.02, -0.07]


@pytest.fixture
def told():
    watched = watched_of(WISHED, HELD, SEEN)
    trades = [(DAYS[0], "A", 10.0, 100.0), (DAYS[1], "A", 20.0, 100.0), (DAYS[2], "A", -10.0, 90.0)]
    return reasons(watched, found_of(OWED, WISHED), *trades)


def test_a_reason_names_the_inputs_that_changed_the_wish_most(told):
    assert told["reason"].to_list() == [
        "bought: first decision, from cash; against a usual day the wish is as before",
        "bought: momentum up, momentum of B down",
        "sold: held weight up, momentum of B up",
    ]
    assert told["inputs"].to_list()[1:] == [
        ["momentum", "momentum of B"],
        ["held weight", "momentum of B"],
    ]
    np.testing.assert_allclose(told["contribution_changes"][1].to_list(), [0.15, 0.05])
    np.testing.assert_allclose(told["contribution_changes"][2].to_list(), [-0.07, -0.03])


def test_a_trade_is_told_by_the_decision_that_it_fills(told):
    assert told["session"].to_list() == DAYS[:3]
    assert told["decided"].to_list() == [date(2019, 12, 31), *DAYS[:2]]
    assert told["traded_usd"].to_list() == [1000.0, 2000.0, -900.0]
    np.testing.assert_allclose(told["wish_change"].to_list(), [0.1, 0.2, -0.1])


def test_orders_that_take_longer_were_decided_longer_before():
    watched = watched_of(WISHED, HELD, SEEN)
    slow = replace(RULES, latency_bars=2)
    found = replace(found_of(OWED, WISHED), inputs=name_inputs(RULES).inputs)
    told = trade_reasons(
        "mine",
        watched,
        None,
        trades_of((DAYS[2], "A", 20.0, 100.0)),
        MARKET,
        slow,
        np.zeros(7),
    )
    assert told["decided"].to_list() == [DAYS[0]]
    assert found.inputs == NAMES.inputs


def test_limits_that_changed_the_wish_are_told():
    wished = [[0.0, 0.0], [0.55, 0.55]]
    watched = watched_of(wished, np.zeros((2, 2)), SEEN[:2], weights=[[0, 0], [0.4, 0.4]])
    told = reasons(watched, found_of(OWED[:2], wished), (DAYS[1], "A", 40.0, 100.0))
    assert told["binding_limits"][0] == "max_weight+max_gross"
    assert told["reason"][0].endswith("; limits max_weight, max_gross bound")


def test_a_trade_that_undoes_what_prices_did_says_so():
    wished = [[0.3, 0.0], [0.3, 0.0]]
    # A rise has carried the weight from 0.30 to 0.36.
    watched = watched_of(wished, [[0.0, 0.0], [0.36, 0.0]], SEEN[:2])
    told = reasons(watched, found_of(OWED[:2] * 0, wished), (DAYS[1], "A", -6.0, 100.0))
    assert told["reason"][0] == (
        "sold: prices moved the position off its target; the wish is as before"
    )
    assert told["drift"][0] == pytest.approx(-0.06)


def test_sizing_by_confidence_is_an_input_of_its_own():
    raw, wished = [[0.4, 0.0], [0.4, 0.0]], [[0.4, 0.0], [0.1, 0.0]]
    watched = watched_of(wished, [[0.0, 0.0], [0.4, 0.0]], SEEN[:2])
    told = reasons(watched, found_of(OWED[:2] * 0, raw), (DAYS[1], "A", -30.0, 100.0))
    assert told["reason"][0] == "sold: forecast confidence down"
    np.testing.assert_allclose(told["contribution_changes"][0].to_list(), [-0.3])


def test_without_attributions_limits_and_prices_are_told():
    watched = watched_of(WISHED, HELD, SEEN)
    told = reasons(watched, None, (DAYS[1], "A", 20.0, 100.0))
    assert told["inputs"][0].to_list() == []
    assert told["reason"][0] == "bought: the wish is as before"


def test_a_charge_without_a_share_and_other_portfolios_are_no_trades():
    watched = watched_of(WISHED, HELD, SEEN)
    told = reasons(watched, None, (DAYS[1], "A", 0.0, 100.0), (DAYS[1], "B", 1.0, 100.0))
    assert told.select("portfolio", "symbol").rows() == [("mine", "B")]


def test_inputs_of_other_symbols_are_called_by_them():
    assert input_title(ObservedInput("feature", "momentum", "B"), "A") == "momentum of B"
    assert input_title(ObservedInput("feature", "momentum", "A"), "A") == "momentum"
    assert input_title(ObservedInput("account", "cash_share"), "A") == "cash share"
