"""What `trading-assets features explain` says."""

import re
from pathlib import Path

import pytest
import yaml

from trading_assets.cli import main
from trading_assets.errors import UserError
from trading_assets.feature_specs import LEAST_SCALE_BARS, FeaturesSpec
from trading_assets.features.catalogue import (
    FAMILIES,
    FEATURES,
    feature_names,
    feature_of,
)
from trading_assets.features.explain import OUTPUT_NAMES, PARAMETER_NAMES, explain_feature
from trading_assets.features.expressions import AFFINE, walk
from trading_assets.features.own import OwnFeature
from trading_assets.features.pandas_ta_table import OUTPUTS
from trading_assets.features.windows import LOOKBACK_BARS, LOOKBACK_MONTHS

PAGE = Path(__file__).parents[2] / "docs" / "features.md"
OWN = """
from trading_assets.features.own import feature

@feature(lookback_bars=3, unit="fraction", formula="(close - open) / open")
def body(bars):
    return (bars.close - bars.open) / bars.open
"""
STRATEGY = """
type: trading_assets.pipeline.component.TradingPipeline
attributes:
  market_data: us_daily
  features: {names: [body], module: explained_features, scale_bars: 20}
  policy: {agents: {ppo: {}}, observed_features: [body], uses_forecasts: false}
  folds: {period: year, first: 2008-01-01, train_months: 24, validation_months: 6}
"""
OWN_EXPLAINED = """body

group      own
formula    (close - open) / open
unit       fraction
lookback   3 bars, the row's own included
warm-up    22 bars until it is known
scaling    against its median and MAD of the last 20 bars; scale_bars up to 517
known      with the bar
computed   by a function of the module explained_features
in all     no, declare it by name

In YAML
  features: {names: [body]}"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)


def step_lines(name: str) -> list[str]:
    return explain_feature(name).partition("Steps")[2].splitlines()[1:]


def facts_of(name: str, spec: FeaturesSpec | None = None) -> dict[str, str]:
    text = explain_feature(name, spec).split("\n\n")[1]
    return {line[:11].strip(): line[11:] for line in text.splitlines()}


def bounds_of(name: str) -> str:
    return ", ".join(f"{p.name} {p.least}..{p.most}" for p in FAMILIES[name].parameters)


def test_every_feature_can_be_explained() -> None:
    for name in [*FEATURES, *OUTPUTS, "series_gdp", "macd_line_8_21"]:
        text = explain_feature(name)
        assert feature_of(name).formula in text
        assert text.isascii()


@pytest.mark.parametrize(
    "name", ["rsi_9", "macd_line_8_21", "high_252_distance", "momentum_12_1", "series_gdp"]
)
def test_each_way_of_declaring_a_feature_declares_it(name: str) -> None:
    lines = explain_feature(name).partition("In YAML")[2].partition("\n\n")[0].splitlines()[1:]
    specs = [FeaturesSpec.model_validate(yaml.safe_load(line)["features"]) for line in lines]
    assert len(specs) == (2 if name not in ("momentum_12_1", "series_gdp") else 1)
    assert [feature_names(spec) for spec in specs] == [(name,)] * len(specs)


def test_an_explanation_states_group_source_lookback_inputs_and_family() -> None:
    facts = facts_of("plus_di_10")
    assert facts["group"] == "trend"
    assert facts["inputs"] == "close, high, low"
    assert facts["family"] == f"plus_di with {bounds_of('plus_di')}"
    assert facts["lookback"].startswith(f"{feature_of('plus_di_10').lookback_bars} bars")
    assert facts["in all"] == "no, declare it by name"
    assert facts_of("high_low_range")["in all"].endswith("or with its group volatility")
    assert facts_of("ta_rsi")["in all"].endswith("or with its group pandas_ta")
    assert facts_of("series_gdp")["in all"] == "no, declare it by name"
    assert facts_of("rsi_14")["in all"] == "yes"
    assert facts_of("edge_spread_21")["source"] == "Ardia, Guidotti, Kroencke 2024"
    assert "source" not in facts_of("obv_change_10")
    assert facts_of("quoted_spread_bps")["needs"] == "declared series ask, bid; null without"
    assert facts_of("ta_rsi")["inputs"] == "close"


def test_the_warm_up_is_that_of_the_strategy() -> None:
    assert facts_of("log_return_1")["warm-up"].startswith("64 bars")
    short = FeaturesSpec(scale_bars=21)
    assert facts_of("log_return_1", short)["warm-up"].startswith("22 bars")
    assert "of the last 21 bars" in facts_of("log_return_1", short)["scaling"]
    left = LOOKBACK_BARS - feature_of("momentum_12_1").lookback_bars + 1
    long = FeaturesSpec(scale_bars=left + 1)
    said = facts_of("momentum_12_1", long)["scaling"]
    assert said == f"needs scale_bars of {left} at most, not {left + 1}"
    with pytest.raises(UserError, match=f"expected at most {left}"):
        feature_names(FeaturesSpec(names=("momentum_12_1",), scale_bars=left + 1))


def test_a_feature_that_nothing_is_left_to_scale_is_said_to_be_undeclarable() -> None:
    assert feature_of("adx_28").lookback_bars > LOOKBACK_BARS - LEAST_SCALE_BARS
    assert facts_of("adx_28")["scaling"].startswith("cannot be declared: it leaves too few")
    with pytest.raises(UserError, match="feature adx_28 needs"):
        feature_names(FeaturesSpec(names=("adx_28",)))


def test_a_family_states_which_of_its_numbers_have_to_rise() -> None:
    bounds = bounds_of("ultimate_oscillator")
    assert facts_of("ultimate_oscillator")["family"].endswith(f"{bounds}; short < middle < long")
    assert facts_of("macd_signal")["family"].endswith("; fast < slow")


def test_a_feature_of_the_users_own_is_explained_with_its_module(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "explained_features.py").write_text(OWN, encoding="utf-8")
    folder = tmp_path / "defs" / "mine"
    folder.mkdir(parents=True)
    (folder / "defs.yaml").write_text(STRATEGY, encoding="utf-8")
    monkeypatch.setenv("TRADING_ASSETS_DEFS", str(tmp_path / "defs"))
    assert main(["features", "explain", "body", "--strategy", "mine"]) == 0
    assert capsys.readouterr().out.rstrip().splitlines() == OWN_EXPLAINED.splitlines()
    assert main(["features", "explain", "body"]) == 2
    assert "feature was 'body'; expected" in capsys.readouterr().err


def test_the_steps_are_a_tree_with_the_lookback_of_each() -> None:
    assert [line.split() for line in step_lines("momentum_12_1")] == [
        ["1", "lag", "(bars", "21)", "253", "bars"],
        ["2", "rolling_sum", "(bars", "231)", "232", "bars"],
        ["3", "log_return", "2", "bars"],
    ]
    indents = [len(line[5:]) - len(line[5:].lstrip()) for line in step_lines("momentum_12_1")]
    assert indents == [0, 2, 4]


def test_a_step_that_occurs_again_refers_to_its_first_line() -> None:
    lines = step_lines("rsi_14")
    again = [line for line in lines if "as in line" in line]
    assert again
    for line in again:
        step, _, place = line[5:].strip().partition(": as in line ")
        assert lines[int(place) - 1][5:].strip().startswith(step)


@pytest.mark.parametrize("name", [*FEATURES, "fractional_difference_40"])
def test_every_constant_and_output_of_a_step_has_a_name(name: str) -> None:
    feature = feature_of(name)
    assert feature.expression is not None
    for column in walk(feature.expression):
        if column.operation is not None and column.operation != AFFINE:
            assert (column.operation.name in PARAMETER_NAMES) == bool(column.parameters)
            names = OUTPUT_NAMES.get(column.operation.name, ("",))
            assert len(names) == column.operation.n_outputs


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in FEATURES])
def test_a_family_alone_is_answered_with_a_member_that_can_be_declared(name: str) -> None:
    with pytest.raises(UserError, match="expected one feature: add its numbers") as refused:
        explain_feature(name)
    member = str(refused.value).rpartition("such as ")[2]
    assert member.startswith(f"{name}_")
    assert feature_names(FeaturesSpec(names=(member,)))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["explain", "rsi_1000"], "bars was 1000; expected 2 to"),
        (["explain", "log_retrun_1"], "did you mean log_return_1?"),
        (["explain", "trend"], "'trend' is a group; expected one feature: choose from"),
        (["explain", "rsi"], "'rsi' is a family with bars 2.."),
        (["explain", "rsi_14", "--strategy", "nobody"], "strategy 'nobody' is not declared"),
        (["list", "--group", "trends"], "group was 'trends'; expected one of the catalogue"),
    ],
)
def test_a_mistaken_word_is_one_sentence(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["features", *words]) == 2
    answer = capsys.readouterr()
    assert answer.out == ""
    assert answer.err.startswith("trading-assets: ")
    assert said in answer.err
    assert len(answer.err.splitlines()) == 1


def test_the_declaration_on_the_page_is_valid() -> None:
    examples = blocks("yaml")
    assert examples
    for example in examples:
        spec = FeaturesSpec.model_validate(yaml.safe_load(example)["features"])
        assert {"rsi_9", "macd_line_8_21", "series_gdp"} <= set(feature_names(spec))


def test_the_function_on_the_page_is_a_feature() -> None:
    names: dict[str, object] = {}
    for example in blocks("python"):
        exec(example, names)
    assert any(isinstance(value, OwnFeature) for value in names.values())


def test_the_page_names_how_far_back_a_month_looks() -> None:
    assert f"of the {LOOKBACK_MONTHS} months before it" in PAGE.read_text("utf-8")
