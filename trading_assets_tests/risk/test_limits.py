from dataclasses import asdict
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from trading_assets.declarations import load_declarations
from trading_assets.errors import DataError, DeclarationError
from trading_assets.policy_specs import PolicySpec
from trading_assets.risk.limits import WeightLimits, declared_limits, require_feasible
from trading_assets.risk_specs import RiskSpec
from trading_assets.strategy import Strategy

POLICY = PolicySpec.model_validate({"agents": {"ppo": {}}, "position": "long_short"})
SECTORS = {"IBM": "technology", "MSFT": "technology", "XOM": "energy"}
MARKET = """\
type: trading_assets.pipeline.component.MarketData
attributes:
  source:
    kind: sample
  universe: [MSFT, IBM]
  start: 2005-01-03
  end: 2008-03-31
"""
STRATEGY = """\
type: trading_assets.pipeline.component.TradingPipeline
attributes:
  market_data: prices
  policy:
    agents: {{ppo: {{}}}}
  folds:
    first: 2007-01-01
  risk:
    {risk}
"""


def strategy_of(position: str, **risk: object) -> Strategy:
    return Strategy.model_validate(
        {
            "market_data": "any",
            "policy": {"agents": {"ppo": {}}, "position": position},
            "folds": {"first": date(2021, 1, 1)},
            "risk": risk,
        }
    )


def test_limits_that_are_not_declared_are_none() -> None:
    limits = declared_limits(RiskSpec(), POLICY, ("IBM", "MSFT"))
    assert limits == WeightLimits(0.35, 0.98, is_long_only=False)
    assert limits.is_closed_form


def test_declared_limits_carry_the_sector_of_each_symbol() -> None:
    risk = RiskSpec(max_sector_gross=0.4, sectors=SECTORS)
    limits = declared_limits(risk, POLICY, ("XOM", "IBM", "GLD", "MSFT", "SLV"))
    # Symbols without a sector are sectors of their own.
    assert limits.sectors == (0, 1, 2, 1, 3)
    assert not limits.is_closed_form


def test_a_symbol_does_not_fall_into_a_sector_of_its_name() -> None:
    risk = RiskSpec(max_sector_gross=0.4, sectors={"IBM": "GLD"})
    assert declared_limits(risk, POLICY, ("IBM", "GLD")).sectors == (0, 1)


def test_sectors_without_a_limit_change_nothing() -> None:
    risk = RiskSpec(sectors=SECTORS)
    assert declared_limits(risk, POLICY, ("IBM",)) == declared_limits(RiskSpec(), POLICY, ("IBM",))


@pytest.mark.parametrize(
    ("risk", "said"),
    [
        ({"min_net": 0.3, "max_net": 0.2}, "min_net 0.3 is above max_net 0.2"),
        ({"min_net": 0.99}, "min_net was 0.99; expected one from -0.98 to 0.98"),
        ({"max_net": -1.5}, "max_net was -1.5; expected one from -0.98"),
        ({"max_sector_gross": 0.3}, "without sectors"),
        ({"max_sector_gross": 0.0, "sectors": SECTORS}, "greater than 0"),
        ({"max_turnover": 0.0}, "greater than 0"),
        ({"sectors": {"ibm": "technology"}}, "pattern"),
        ({"sectors": {"IBM": ""}}, "at least 1"),
    ],
)
def test_limits_that_leave_no_room_are_refused(risk: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        RiskSpec.model_validate(risk)


@pytest.mark.parametrize("most", [0.0, -0.2])
def test_a_long_only_book_needs_room_for_long_positions(most: float) -> None:
    strategy_of("long_short", max_net=most)
    with pytest.raises(ValidationError, match="long_only; expected it above 0"):
        strategy_of("long_only", max_net=most)


@pytest.mark.parametrize(
    ("limits", "n_symbols", "said"),
    [
        (WeightLimits(0.1, 1.0, is_long_only=True, min_net=0.5), 4, "min_net was 0.5; 4 symbols"),
        (WeightLimits(0.1, 1.0, is_long_only=False, max_net=-0.5), 4, "max_net was -0.5; 4"),
        (WeightLimits(0.5, 1.0, is_long_only=True, max_net=-0.1), 4, "from 0 to 1"),
        (
            WeightLimits(
                0.5, 1.0, is_long_only=True, min_net=0.5, max_sector_gross=0.2, sectors=(0, 0, 1)
            ),
            3,
            "from 0 to 0.4",
        ),
        (WeightLimits(0.5, 1.0, is_long_only=True, min_net=0.3, max_net=0.2), 4, "is above"),
        (WeightLimits(0.5, 0.3, is_long_only=True, min_net=0.4), 4, "min_net was 0.4"),
    ],
)
def test_limits_that_no_weights_of_a_universe_keep_are_refused(
    limits: WeightLimits, n_symbols: int, said: str
) -> None:
    with pytest.raises(DeclarationError, match=said):
        require_feasible(limits, n_symbols)


def test_limits_that_all_symbols_together_just_keep_are_accepted() -> None:
    require_feasible(WeightLimits(0.125, 1.0, is_long_only=True, min_net=0.5), 4)
    require_feasible(WeightLimits(0.125, 0.5, is_long_only=False, min_net=-0.5, max_net=-0.5), 4)


@pytest.mark.parametrize(
    ("risk", "said"),
    [
        ("{max_weight: 0.1, min_net: 0.5}", "min_net was 0.5; 2 symbols reach"),
        ("{sectors: {XOM: energy}}", "sectors names XOM, not in the universe"),
    ],
)
def test_a_strategy_is_held_against_its_universe(tmp_path: Path, risk: str, said: str) -> None:
    def declare(risk: str) -> None:
        for name, text in (("prices", MARKET), ("mine", STRATEGY.format(risk=risk))):
            path = tmp_path / name / "defs.yaml"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")

    declare("{max_weight: 0.25, min_net: 0.5, max_sector_gross: 0.5, sectors: {IBM: technology}}")
    assert "mine" in load_declarations([tmp_path], "development").strategies
    declare(risk)
    with pytest.raises(DeclarationError, match=f"defs.yaml:8: risk: {said}"):
        load_declarations([tmp_path], "development")


def test_limits_survive_their_card() -> None:
    limits = WeightLimits(0.5, 1.0, False, -0.1, 0.1, 0.3, 0.2, (0, 0, 1))
    assert WeightLimits.from_card({**asdict(limits), "sectors": [0, 0, 1]}) == limits


@pytest.mark.parametrize("field", ["max_turnover", "max_gross"])
def test_a_card_without_a_limit_is_of_another_time(field: str) -> None:
    card = asdict(WeightLimits(0.5, 1.0, is_long_only=False))
    del card[field]
    with pytest.raises(
        DataError, match=f"differ from those known in {field}; expected .* train again"
    ):
        WeightLimits.from_card(card)
