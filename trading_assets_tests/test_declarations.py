"""Declarations: what is accepted, and how a mistake is reported."""

from pathlib import Path

import pytest
import yaml

from trading_assets.declarations import (
    PACKAGED,
    load_declarations,
    parse_assignments,
    read_declaration,
    write_variant,
)
from trading_assets.errors import DeclarationError
from trading_assets.market_data import MarketDataSpec
from trading_assets.strategy import Strategy

MARKET = """\
type: trading_assets.pipeline.component.MarketData
attributes:
  source:
    kind: sample
  universe: [MSFT, IBM]
  start: 2005-01-03
  end: 2008-03-31
"""


def declare(root: Path, name: str, text: str) -> Path:
    path = root / name / "defs.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_declarations_are_valid_in_both_profiles() -> None:
    for profile in ("development", "production"):
        found = load_declarations([PACKAGED], profile)
        assert set(found.strategies) == {"us_equities", "known_optimum", "us_equities_paper"}
        assert set(found.market_data) == {"us_daily", "w1_daily", "us_daily_alpaca"}


def test_the_demo_is_the_strategy_that_the_readme_promises() -> None:
    strategy = load_declarations([PACKAGED], "development").strategies["us_equities"]
    assert strategy.folds.first.year == 2009
    assert strategy.folds.last is not None
    assert strategy.folds.last.year == 2012
    assert strategy.policy.agents["ppo"].seeds == 3
    assert strategy.policy.fallback == "equal_weight"


def test_the_paper_strategy_is_the_demo_on_another_source() -> None:
    found = load_declarations([PACKAGED], "development").strategies
    same = {"costs", "features", "forecast", "policy", "risk", "backtest", "governance"}
    demo, paper = (found[n].model_dump(include=same) for n in ("us_equities", "us_equities_paper"))
    assert demo == paper


def test_a_universe_is_sorted(tmp_path: Path) -> None:
    spec = read_declaration(declare(tmp_path, "mine", MARKET), "development")
    assert isinstance(spec, MarketDataSpec)
    assert spec.universe == ("IBM", "MSFT")


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("kind: sample", "kind: sampel", 4, "source"),
        ("universe: [MSFT, IBM]", "universe: []", 5, "at least 1"),
        ("universe: [MSFT, IBM]", "universe: [MSFT, MSFT]", 5, "more than once"),
        ("universe: [MSFT, IBM]", "universe: ['../x']", 5, "pattern"),
        ("end: 2008-03-31", "end: 2001-03-31", 2, "before start"),
        ("end: 2008-03-31", "ned: 2008-03-31", 7, "did you mean 'end'"),
        ("start: 2005-01-03", "start: soon", 6, "start"),
        ("kind: sample", "kind: sample\n    fed: iex", 5, "source.sample.fed: unknown field"),
    ],
)
def test_a_mistake_names_file_line_field_and_what_was_expected(
    tmp_path: Path, old: str, new: str, line: int, said: str
) -> None:
    path = declare(tmp_path, "mine", MARKET.replace(old, new))
    with pytest.raises(DeclarationError) as caught:
        read_declaration(path, "development")
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: ")
    assert said in message
    assert "\n" not in message
    assert "Traceback" not in message


def test_text_that_is_no_yaml_names_the_line(tmp_path: Path) -> None:
    path = declare(tmp_path, "mine", "type: [\nattributes: }")
    with pytest.raises(DeclarationError, match=r"defs\.yaml:2: not YAML"):
        read_declaration(path, "development")


def test_an_unknown_component_type_names_those_that_exist(tmp_path: Path) -> None:
    path = declare(tmp_path, "mine", MARKET.replace("MarketData", "Market"))
    with pytest.raises(DeclarationError, match=r"component\.MarketData or .*TradingPipeline"):
        read_declaration(path, "development")


def test_a_strategy_on_an_undeclared_data_set_is_refused(tmp_path: Path) -> None:
    declare(tmp_path, "mine", MARKET)
    text = (PACKAGED / "us_equities" / "defs.yaml").read_text(encoding="utf-8")
    declare(tmp_path, "strategy", text.replace("market_data: us_daily", "market_data: mien"))
    with pytest.raises(DeclarationError, match="did you mean 'mine'"):
        load_declarations([tmp_path], "development")


def test_two_declarations_of_one_name_are_refused(tmp_path: Path) -> None:
    declare(tmp_path / "a", "mine", MARKET)
    declare(tmp_path / "b", "mine", MARKET)
    with pytest.raises(DeclarationError, match="already declared"):
        load_declarations([tmp_path / "a", tmp_path / "b"], "development")


def test_a_profile_lays_its_values_over_the_declared_ones(tmp_path: Path) -> None:
    overlay = "  profiles:\n    production:\n      validation: {max_missing_share: 0.01}\n"
    path = declare(tmp_path, "mine", MARKET + overlay)
    shares = []
    for profile in ("development", "production"):
        spec = read_declaration(path, profile)
        assert isinstance(spec, MarketDataSpec)
        shares.append(spec.validation.max_missing_share)
    assert shares == [0.05, 0.01]


def test_a_mistake_in_a_profile_says_which_profile(tmp_path: Path) -> None:
    overlay = "  profiles:\n    production:\n      validation: {max_missing_share: 7}\n"
    path = declare(tmp_path, "mine", MARKET + overlay)
    with pytest.raises(
        DeclarationError, match=r"profile production: validation\.max_missing_share"
    ):
        read_declaration(path, "production")


def test_assignments_become_one_nested_mapping() -> None:
    nested = parse_assignments(
        ["costs.fee_bps=2", "policy.agents.ppo.seeds=5", "costs.tick_usd=0.01"]
    )
    assert nested == {
        "costs": {"fee_bps": 2, "tick_usd": 0.01},
        "policy": {"agents": {"ppo": {"seeds": 5}}},
    }


def test_an_assignment_without_a_value_is_refused() -> None:
    with pytest.raises(DeclarationError, match="expected field=value"):
        parse_assignments(["costs.fee_bps"])


def test_a_variant_is_a_declaration_of_its_own(tmp_path: Path) -> None:
    target = tmp_path / "fee_two" / "defs.yaml"
    write_variant(PACKAGED / "us_equities" / "defs.yaml", {"costs": {"fee_bps": 2}}, target)
    varied = read_declaration(target, "development")
    base = read_declaration(PACKAGED / "us_equities" / "defs.yaml", "development")
    assert isinstance(varied, Strategy)
    assert isinstance(base, Strategy)
    assert varied.costs.fee_bps == 2
    assert varied.costs.half_spread_bps == base.costs.half_spread_bps
    assert varied.policy == base.policy


def test_an_unknown_field_of_an_agent_names_the_one_that_was_meant(tmp_path: Path) -> None:
    text = (PACKAGED / "us_equities" / "defs.yaml").read_text(encoding="utf-8")
    path = declare(tmp_path, "mine", text.replace("seeds: 3", "sedes: 3"))
    with pytest.raises(
        DeclarationError, match=r"agents\.ppo\.sedes: unknown field; did you mean 'seeds'"
    ):
        read_declaration(path, "development")


def test_a_variant_with_an_unknown_field_writes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "fee_two" / "defs.yaml"
    with pytest.raises(DeclarationError, match="did you mean 'fee_bps'"):
        write_variant(PACKAGED / "us_equities" / "defs.yaml", {"costs": {"fee_bpss": 2}}, target)
    assert not target.exists()


def test_folds_whose_train_window_lineage_cannot_show_are_refused(tmp_path: Path) -> None:
    document = yaml.safe_load((PACKAGED / "us_equities" / "defs.yaml").read_text(encoding="utf-8"))
    document["attributes"]["folds"]["train_months"] = 30
    path = declare(tmp_path, "mine", yaml.safe_dump(document))
    with pytest.raises(DeclarationError, match="train_months was 30; expected a multiple of 12"):
        read_declaration(path, "development")
