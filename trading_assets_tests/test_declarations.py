"""Declarations: what is accepted, and how a mistake is reported."""

from datetime import date
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
from trading_assets.graph import market_data_graph
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
    # An ablation measures and trades nothing.
    assert (demo["policy"].pop("ablation"), paper["policy"].pop("ablation")) == (
        "forecasts",
        "none",
    )
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


def test_an_agent_with_the_name_of_all_agents_is_refused(tmp_path: Path) -> None:
    text = (PACKAGED / "us_equities" / "defs.yaml").read_text(encoding="utf-8")
    assert text.count("      ppo:") == 1
    path = declare(tmp_path, "mine", text.replace("      ppo:", "      ensemble:"))
    with pytest.raises(DeclarationError, match=r"one named ensemble, .* expected another name"):
        read_declaration(path, "development")


@pytest.mark.parametrize(
    ("network", "said"),
    [
        ("tiny", r"forecast\.network: was 'tiny'; input should be 'small', 'compact' or"),
        ("{filters: [8], SIZES}", r"forecast\.network\.filters\.1: was \[8\]; field required"),
        ("{filters: [8, 0], SIZES}", r"forecast\.network: filters were \[8, 0\]; expected two"),
        ("{filters: [8, 9], SIZES, dense: 3}", r"forecast\.network\.dense: unknown field; did you"),
    ],
)
def test_a_mistake_in_a_network_names_its_place(tmp_path: Path, network: str, said: str) -> None:
    sizes = "lstm_units: 8, attention_heads: 4, dense_units: 3"
    text = (PACKAGED / "us_equities" / "defs.yaml").read_text(encoding="utf-8")
    written = f"    network: {network.replace('SIZES', sizes)}"
    path = declare(tmp_path, "mine", text.replace("    network: small", written))
    line = text.splitlines().index("    network: small") + 1
    with pytest.raises(DeclarationError, match=rf"defs\.yaml:{line}: {said}"):
        read_declaration(path, "development")


def test_a_network_may_have_sizes_of_its_own(tmp_path: Path) -> None:
    sizes = "{filters: [8, 9], lstm_units: 8, attention_heads: 4, dense_units: 3}"
    text = (PACKAGED / "us_equities" / "defs.yaml").read_text(encoding="utf-8")
    path = declare(tmp_path, "mine", text.replace("network: small", f"network: {sizes}"))
    read = read_declaration(path, "development")
    assert isinstance(read, Strategy)
    assert read.forecast.sizes.filters == (8, 9)
    assert Strategy.model_validate(read.model_dump(mode="json")).forecast == read.forecast


def test_a_variant_with_an_unknown_field_writes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "fee_two" / "defs.yaml"
    with pytest.raises(DeclarationError, match="did you mean 'fee_bps'"):
        write_variant(PACKAGED / "us_equities" / "defs.yaml", {"costs": {"fee_bpss": 2}}, target)
    assert not target.exists()


@pytest.mark.parametrize(("field", "day"), [("first", "1989-01-01"), ("last", "2036-01-01")])
def test_folds_outside_the_calendars_are_refused(tmp_path: Path, field: str, day: str) -> None:
    document = yaml.safe_load((PACKAGED / "us_equities" / "defs.yaml").read_text(encoding="utf-8"))
    document["attributes"]["folds"][field] = day
    path = declare(tmp_path, "mine", yaml.safe_dump(document))
    said = f"folds.{field}: was {day}; expected a day from 1990-01-01 to 2035-12-31"
    with pytest.raises(DeclarationError, match=said):
        read_declaration(path, "development")


def test_folds_whose_train_window_lineage_cannot_show_are_refused(tmp_path: Path) -> None:
    document = yaml.safe_load((PACKAGED / "us_equities" / "defs.yaml").read_text(encoding="utf-8"))
    document["attributes"]["folds"]["train_months"] = 30
    path = declare(tmp_path, "mine", yaml.safe_dump(document))
    with pytest.raises(DeclarationError, match="train_months was 30; expected a multiple of 12"):
        read_declaration(path, "development")


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ("{symbol: ../x}", "universe.1.symbol: was '../x'; string should match"),
        ("{symbol: A, last_sesion: 2008-01-31}", "unknown field; did you mean 'last_session'?"),
        ("{symbol: A, delisting_reason: merger}", "universe.1: A was delisted, but last_session"),
    ],
)
def test_a_mistake_in_a_listed_member_names_its_line(
    tmp_path: Path, member: str, said: str
) -> None:
    listed = MARKET.replace("[MSFT, IBM]", f"\n    - symbol: IBM\n    - {member}")
    path = declare(tmp_path, "mine", listed)
    with pytest.raises(DeclarationError) as caught:
        read_declaration(path, "development")
    assert str(caught.value).startswith(f"{path}:7: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


MEMBERS = """\
symbol,first_session,last_session,delisting_reason,delisting_return
IBM,,,,
LEH,2005-01-03,2008-09-15,bankruptcy,
AAA,2005-01-03,2006-05-31,merger,0.02
AAA,2007-01-03,,,
"""


def declare_members(root: Path, text: str | bytes, name: str = "members.csv") -> Path:
    path = declare(root, "mine", MARKET.replace("[MSFT, IBM]", name))
    content = text.encode() if isinstance(text, str) else text
    file = path.parent / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return path


def test_a_universe_can_stand_in_a_file(tmp_path: Path) -> None:
    spec = read_declaration(declare_members(tmp_path, MEMBERS), "development")
    assert isinstance(spec, MarketDataSpec)
    assert spec.universe == ("AAA", "IBM", "LEH")
    stints = [(m.symbol, m.last_session, m.delisting_return) for m in spec.members]
    assert stints == [
        ("AAA", date(2006, 5, 31), 0.02),
        ("AAA", None, None),
        ("IBM", None, None),
        ("LEH", date(2008, 9, 15), None),
    ]


def test_a_file_of_members_says_what_a_list_of_members_says(tmp_path: Path) -> None:
    inline = MARKET.replace(
        "[MSFT, IBM]", "[{symbol: IBM}, {symbol: LEH, last_session: 2008-09-15}]"
    )
    told = read_declaration(declare(tmp_path / "one", "mine", inline), "development")
    text = "last_session,symbol\n2008-09-15,LEH\n,IBM\n"
    read = read_declaration(declare_members(tmp_path / "two", text), "development")
    assert read.model_dump() == told.model_dump()


@pytest.mark.parametrize(
    "text",
    [
        "symbol\nIBM\n",
        b"\xef\xbb\xbfsymbol\r\nIBM\r\n",
        'symbol\n"IBM"\n\n',
        " symbol , last_session \n IBM , \n",
    ],
)
def test_only_the_symbol_is_required_however_the_file_is_written(
    tmp_path: Path, text: str | bytes
) -> None:
    spec = read_declaration(declare_members(tmp_path, text), "development")
    assert isinstance(spec, MarketDataSpec)
    assert spec.universe == ("IBM",)


def test_a_file_may_stand_in_a_folder_below(tmp_path: Path) -> None:
    path = declare_members(tmp_path, "symbol\nIBM\n", "lists/members.csv")
    assert read_declaration(path, "development")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "the file is empty"),
        ("symbol\n", 1, "the file has no rows"),
        ("sybmol\nIBM\n", 1, "column 'sybmol' is unknown; did you mean 'symbol'?"),
        ("symbol,sector\nIBM,tech\n", 1, "column 'sector' is unknown; expected symbol, first"),
        ("symbol,symbol\nIBM,IBM\n", 1, "column 'symbol' is there twice"),
        ("first_session\n2005-01-03\n", 1, "column 'symbol' is missing"),
        ("symbol,last_session\nIBM\n", 2, "has 1 cells; expected 2"),
        ("symbol\nIBM\n../x\n", 3, "symbol: was '../x'; string should match"),
        ("symbol,last_session\nIBM,2008-01-31\n,2008-01-31\n", 3, "symbol: is empty"),
        ("symbol,last_session\n\nIBM,soon\n", 3, "last_session: was 'soon'; expected a day"),
        ("symbol,first_session,last_session\nA,2008-01-31,2008-01-30\n", 2, "is before first"),
        ("symbol,delisting_reason\nA,merger\n", 2, "last_session is absent"),
        (
            "symbol,delisting_return,last_session\nA,-2,2008-01-31\n",
            2,
            "delisting_return: was '-2'",
        ),
        ("symbol\nIBM\nMSFT\nIBM\n", 4, "first_session: IBM is a member from the start"),
        ('symbol\n"IBM\n', 2, "not CSV"),
        (b"symbol\nIB\xffM\n", 0, "expected a CSV file in UTF-8"),
    ],
)
def test_a_mistake_in_a_members_file_names_file_line_and_column(
    tmp_path: Path, text: str | bytes, line: int, said: str
) -> None:
    path = declare_members(tmp_path, text)
    with pytest.raises(DeclarationError) as caught:
        read_declaration(path, "development")
    message = str(caught.value)
    assert message.startswith(f"{path.parent / 'members.csv'}{f':{line}: ' if line else ' '}")
    assert said in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../members.csv", "not in the declaration's folder"),
        ("lists/../../members.csv", "not in the declaration's folder"),
        ("/etc/members.csv", "not in the declaration's folder"),
        ("'..\\members.csv'", "not in the declaration's folder"),
        ("'C:\\members.csv'", "not in the declaration's folder"),
        ("linked.csv", "not in the declaration's folder"),
        ("MSFT", "expected a list of symbols, a list of members, or the name of a CSV file"),
        ("members.txt", "expected a list of symbols, a list of members, or the name of a CSV file"),
    ],
)
def test_a_members_file_outside_the_declarations_folder_is_refused(
    tmp_path: Path, name: str, said: str
) -> None:
    (tmp_path / "members.csv").write_text("symbol\nIBM\n", encoding="utf-8")
    path = declare(tmp_path, "mine", MARKET.replace("[MSFT, IBM]", name))
    (path.parent / "linked.csv").symlink_to(tmp_path / "members.csv")
    with pytest.raises(DeclarationError) as caught:
        read_declaration(path, "development")
    assert str(caught.value).startswith(f"{path}:5: universe: was ")
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["absent.csv", "folder.csv"])
def test_a_members_file_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    path = declare(tmp_path, "mine", MARKET.replace("[MSFT, IBM]", name))
    (path.parent / "folder.csv").mkdir()
    with pytest.raises(DeclarationError, match="expected a CSV file"):
        read_declaration(path, "development")


def digest_with(root: Path, text: str) -> str:
    spec = read_declaration(declare_members(root, text), "development")
    assert isinstance(spec, MarketDataSpec)
    return market_data_graph("mine", spec).node("mine/raw_bars").declaration_digest


def test_a_changed_members_file_is_another_declaration(tmp_path: Path) -> None:
    earlier = MEMBERS.replace("2008-09-15", "2008-09-12")
    assert digest_with(tmp_path / "one", MEMBERS) != digest_with(tmp_path / "two", earlier)


def test_the_order_of_rows_in_a_members_file_says_nothing(tmp_path: Path) -> None:
    header, *rows = MEMBERS.splitlines()
    turned = "\n".join([header, *reversed(rows)])
    assert digest_with(tmp_path / "one", MEMBERS) == digest_with(tmp_path / "two", turned)


def test_a_profile_can_name_another_members_file(tmp_path: Path) -> None:
    path = declare_members(tmp_path, MEMBERS)
    path.write_text(
        path.read_text(encoding="utf-8")
        + "  profiles:\n    production:\n      universe: large.csv\n",
        encoding="utf-8",
    )
    (path.parent / "large.csv").write_text("symbol\nMSFT\n", encoding="utf-8")
    read = {p: read_declaration(path, p) for p in ("development", "production")}
    universes = [spec.universe for spec in read.values() if isinstance(spec, MarketDataSpec)]
    assert universes == [("AAA", "IBM", "LEH"), ("MSFT",)]


def test_a_variant_of_a_data_set_carries_its_members(tmp_path: Path) -> None:
    base = declare_members(tmp_path, MEMBERS)
    target = tmp_path / "variants" / "shorter" / "defs.yaml"
    write_variant(base, {"end": "2007-12-31"}, target)
    varied, told = (read_declaration(path, "development") for path in (target, base))
    assert isinstance(varied, MarketDataSpec)
    assert isinstance(told, MarketDataSpec)
    assert varied.members == told.members
