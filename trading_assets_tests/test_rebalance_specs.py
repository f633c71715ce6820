from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from trading_assets.declarations import PACKAGED, load_declarations
from trading_assets.graph import full_graph
from trading_assets.rebalance_specs import NoTradeBandSpec
from trading_assets.strategy import Strategy
from trading_assets_tests.policy.tasks import make_strategy

NAME = "us_equities"
BAND: dict[str, Any] = {"kind": "no_trade_band", "band": 0.02, "trade_to": "edge"}


def digests_by_asset(rebalance: Any) -> dict[str, str]:
    declared = load_declarations([PACKAGED], "development")
    values = declared.strategies[NAME].model_dump()
    if rebalance is not None:
        values["rebalance"] = rebalance
    changed = Strategy.model_validate(values)
    declared = replace(declared, strategies={**declared.strategies, NAME: changed})
    return {
        node.key.removeprefix(f"{NAME}/"): node.declaration_digest
        for graph in full_graph(declared, NAME)
        for node in graph.nodes
        if graph.owner == NAME
    }


def test_a_strategy_that_trades_every_bar_is_declared_as_before_there_were_rules() -> None:
    assert make_strategy().rebalance.kind == "every_bar"
    for rule in ("every_bar", {"kind": "every_bar"}):
        declared = make_strategy(rebalance=rule)
        assert "rebalance" not in declared.model_dump()
        assert "rebalance" not in declared.model_dump(mode="json", include={"rebalance"})
    before = digests_by_asset(None)
    assert digests_by_asset("every_bar") == before


def test_another_rule_makes_stale_what_was_trained_or_traded_and_no_forecast() -> None:
    before, weekly, band = (digests_by_asset(rule) for rule in (None, "weekly", BAND))
    kept = {asset for asset in before if before[asset] == weekly[asset]}
    assert kept == {"features", "forecaster", "forecasts"}
    assert all(weekly[asset] != band[asset] for asset in before if asset not in kept)


def test_a_rule_is_declared_by_name_or_with_its_numbers_and_survives_a_dump() -> None:
    assert make_strategy(rebalance="weekly").rebalance.kind == "weekly"
    declared = make_strategy(rebalance=BAND)
    assert declared.rebalance == NoTradeBandSpec.model_validate(BAND)
    assert Strategy.model_validate(declared.model_dump(mode="json")) == declared


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rebalance": "monthly"}, "'weekly', 'no_trade_band'"),
        ({"rebalance": "no_trade_band"}, "Field required"),
        ({"rebalance": {**BAND, "band": 0}}, "greater than 0"),
        ({"rebalance": {**BAND, "trade_to": "middle"}}, "'edge' or 'target'"),
        ({"rebalance": {"kind": "weekly", "band": 0.1}}, "Extra inputs are not permitted"),
        (
            {"rebalance": "weekly", "costs": {"latency_bars": 2}},
            "rebalance was weekly with costs.latency_bars 2; expected latency_bars 1",
        ),
        (
            {"rebalance": BAND, "policy": {"agents": {"steep": {"algorithm": "direct"}}}},
            "rebalance was no_trade_band with agent steep of algorithm direct; expected every_bar",
        ),
    ],
)
def test_a_rule_that_cannot_be_kept_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        make_strategy(**changes)
