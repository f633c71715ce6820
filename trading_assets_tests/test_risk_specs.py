from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from trading_assets.declarations import PACKAGED, load_declarations
from trading_assets.graph import full_graph
from trading_assets.risk_specs import BreakersSpec, OrderLimitsSpec, RiskSpec

NAME = "us_equities"


def values_by_asset(risk: dict[str, Any]) -> dict[str, Any]:
    declared = load_declarations([PACKAGED], "development")
    own = declared.strategies[NAME]
    changed = own.model_copy(update={"risk": RiskSpec.model_validate(risk)})
    declared = replace(declared, strategies={**declared.strategies, NAME: changed})
    return {
        node.key: node.depends_on
        for graph in full_graph(declared, NAME)
        for node in graph.nodes
        if graph.owner == NAME
    }


def test_limits_of_orders_leave_whatever_was_trained_traded_or_reported_fresh() -> None:
    before = values_by_asset({})
    orders, breakers = {"max_open_orders": 3}, {"max_daily_loss_pct": 2}
    after = values_by_asset({"orders": orders, "breakers": breakers})
    changed = {asset for asset in before if before[asset] != after[asset]}
    of_sessions = (
        "drift_report",
        "challenger",
        "champion",
        "paper_session",
        "shadow_session",
        "session_replay",
    )
    assert changed == {f"{NAME}/{asset}" for asset in of_sessions}


def test_a_limit_of_weights_makes_what_was_trained_with_another_stale() -> None:
    before, after = values_by_asset({}), values_by_asset({"max_weight": 0.2})
    assert before[f"{NAME}/backtest"] != after[f"{NAME}/backtest"]
    assert before[f"{NAME}/walk_forward_report"] != after[f"{NAME}/walk_forward_report"]


def test_nothing_is_limited_that_is_not_declared_but_messages() -> None:
    given = {**OrderLimitsSpec().model_dump(), **BreakersSpec().model_dump()}
    assert {name: value for name, value in given.items() if value not in (None, ())} == {
        "max_messages_per_minute": 180,
        "cancel_reserve_messages": 20,
        "min_rated_count": 20,
    }


@pytest.mark.parametrize(
    ("orders", "sentence"),
    [
        (
            {"max_position_notional_usd": 11, "max_gross_notional_usd": 10},
            "max_position_notional_usd was 11; expected at most max_gross_notional_usd 10",
        ),
        (
            {"max_net_notional_usd": 11, "max_gross_notional_usd": 10},
            "max_net_notional_usd was 11; expected at most max_gross_notional_usd 10",
        ),
        (
            {"max_messages_per_minute": 20, "cancel_reserve_messages": 20},
            "cancel_reserve_messages was 20; expected fewer than max_messages_per_minute 20",
        ),
        ({"max_messages_per_minute": 200}, "less than or equal to 199"),
        ({"restricted_symbols": ["A", "A"]}, "restricted_symbols were A, A; expected each once"),
        ({"restricted_symbols": ["a b"]}, "restricted_symbols"),
        ({"price_collar_pct": 0}, "greater than 0"),
        ({"price_collar_pct": float("nan")}, "finite number"),
        ({"max_open_orders": 0}, "greater than or equal to 1"),
        ({"max_sector_notional_usd": 5}, "orders.max_sector_notional_usd was 5 without sectors"),
    ],
)
def test_limits_that_cannot_be_meant_are_refused(orders: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        RiskSpec.model_validate({"orders": orders})


def test_a_sector_limit_goes_with_sectors() -> None:
    orders = {"max_sector_notional_usd": 5}
    declared = RiskSpec.model_validate({"sectors": {"A": "tech"}, "orders": orders})
    assert declared.orders.max_sector_notional_usd == 5
