"""What `trading-assets features` says, and what it draws."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from matplotlib.figure import Figure

from trading_assets.cli import main
from trading_assets.errors import UserError
from trading_assets.feature_specs import LEAST_SCALE_BARS, FeaturesSpec
from trading_assets.features.catalogue import (
    FAMILIES,
    FEATURES,
    GROUPS,
    STANDARD,
    feature_names,
    feature_of,
)
from trading_assets.features.explain import OUTPUT_NAMES, PARAMETER_NAMES, explain_feature
from trading_assets.features.expressions import AFFINE, walk
from trading_assets.features.feature_list import list_features
from trading_assets.features.feature_plot import FeatureLine, draw_feature, read_feature_line
from trading_assets.features.own import OwnFeature
from trading_assets.features.pandas_ta_table import OUTPUTS
from trading_assets.features.windows import LOOKBACK_BARS, LOOKBACK_MONTHS
from trading_assets.lake.records import PartitionWrite
from trading_assets.lake.store import InputRef, Lake
from trading_assets_tests.features.synthetic_bars import make_actions, make_bars
from trading_assets_tests.lake.samples import made_by, open_lake

PAGE = Path(__file__).parents[2] / "docs" / "features.md"
SPLIT_DAY = date(2004, 2, 16)
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
PNG = b"\x89PNG\r\n"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)


def step_lines(name: str) -> list[str]:
    return explain_feature(name).partition("Steps")[2].splitlines()[1:]


def facts_of(name: str, spec: FeaturesSpec | None = None) -> dict[str, str]:
    text = explain_feature(name, spec).split("\n\n")[1]
    return {line[:11].strip(): line[11:] for line in text.splitlines()}


def bounds_of(name: str) -> str:
    return ", ".join(f"{p.name} {p.least}..{p.most}" for p in FAMILIES[name].parameters)


@pytest.mark.parametrize(
    "words", [["list"], ["list", "--group", "pandas_ta"], ["explain", "rsi_9"]]
)
def test_the_list_and_the_explanation_import_no_array_library(words: list[str]) -> None:
    program = (
        "import sys; from trading_assets.cli import main\n"
        f"assert main({['features', *words]}) == 0\n"
        "print('IMPORTED', *{'numpy', 'polars', 'dagster', 'pandas', 'numba'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "IMPORTED"


def test_what_is_refused_does_not_wait_for_the_compiler_or_the_library_of_pictures(
    tmp_path: Path,
) -> None:
    program = (
        "import sys; from trading_assets.cli import main\n"
        "assert main(['features', 'plot', 'rsi_14']) == 2\n"
        "print('IMPORTED', *{'numba', 'matplotlib', 'dagster', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TRADING_ASSETS_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert "no strategy has features in the lake" in done.stderr
    assert done.stdout.splitlines() == ["IMPORTED"]


def test_the_list_names_every_feature_family_and_group_once() -> None:
    sections = {section.title: section for section in list_features()}
    listed = [row[0] for group in GROUPS for row in sections[group].rows]
    assert sorted(listed) == sorted([*FEATURES, *OUTPUTS, "series_<name>"])
    assert [row[0] for row in sections["families"].rows] == list(FAMILIES)
    assert [row[0] for row in sections["groups"].rows] == list(GROUPS)
    assert {len(row) - len(s.header) for s in sections.values() for row in s.rows} == {0}


def test_the_groups_count_what_all_stands_for() -> None:
    rows = list_features()[-1].rows
    assert sum(int(row[2]) for row in rows) == len(STANDARD)
    assert sum(int(row[1]) for row in rows) == len(FEATURES) + len(OUTPUTS)


def test_a_group_is_listed_with_its_families_only() -> None:
    group, families = list_features("oscillators")
    assert "rsi_14" in [row[0] for row in group.rows]
    assert {row[1] for row in families.rows} == {"oscillators"}
    row = next(row for row in families.rows if row[0] == "stochastic_k")
    assert row[2] == bounds_of("stochastic_k")
    assert len(row[2].split(", ")) == 2


def test_a_row_says_lookback_warm_up_and_whether_it_is_scaled() -> None:
    rows = {row[0]: row for section in list_features() for row in section.rows}
    assert rows["momentum_12_1"][2:6] == ("253", "315", "yes", "yes")
    assert rows["weekday_sin"][2:6] == ("1", "1", "no", "yes")
    assert rows["book_imbalance"][2:6] == ("1", "63", "yes", "no")


def test_what_is_piped_is_plain_lines_that_no_width_breaks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert main(["features", "list", "--group", "trend"]) == 0
    lines = capsys.readouterr().out.splitlines()
    line = next(line for line in lines if line.startswith("macd_signal "))
    assert line.endswith(feature_of("macd_signal").formula)
    assert "\x1b" not in "".join(lines)


def test_in_a_terminal_no_line_is_wider_than_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("FORCE_COLOR", "1"), ("COLUMNS", "100"), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)
    assert main(["features", "list", "--group", "trend"]) == 0
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert max(map(len, shown.splitlines())) <= 100
    assert "macd_signal" in shown


@pytest.mark.parametrize("width", [40, 80])
def test_in_a_narrow_terminal_a_formula_has_lines_of_its_own(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("FORCE_COLOR", "1"), ("COLUMNS", str(width)), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)
    assert main(["features", "list"]) == 0
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert max(map(len, shown.splitlines())) <= width
    for name in ("macd_line", "log_return_21", "ta_kama"):
        entry = re.search(rf"^{name}\b.*\n((?:    .*\n)+)", shown, re.M)
        assert entry
        assert feature_of(name).formula in " ".join(entry[1].split())
    assert "" not in [line.strip() for line in shown.partition("families")[2].splitlines()[1:9]]


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


def store(lake: Lake, owner: str, names: tuple[str, ...] = ("log_return_1",)) -> pl.DataFrame:
    """Commit two months of bars with a split, and features that count their rows."""
    bars = make_bars(count=40)
    actions = make_actions([("AAA", SPLIT_DAY, "split", 2.0, 0.0)])
    features = bars.select("symbol", "session", "event_time", "knowledge_time").with_columns(
        *(pl.int_range(pl.len()).over("symbol").cast(pl.Float32).alias(name) for name in names)
    )
    refs = [InputRef(f"data/{name}", "", "d") for name in ("corporate_actions", "validated_bars")]
    writes = [PartitionWrite("data/corporate_actions", "bars", None, {"rows": actions})]
    for month in (date(2004, 1, 1), date(2004, 2, 1)):
        is_of_it = pl.col("session").dt.truncate("1mo") == month
        key = month.isoformat()
        own = PartitionWrite(
            f"{owner}/features", "features", key, {"rows": features.filter(is_of_it)}, inputs=refs
        )
        rows = {"rows": bars.filter(is_of_it)}
        writes += [own, PartitionWrite("data/validated_bars", "bars", key, rows)]
    lake.commit(writes, made_by(config={"features": {"names": list(names), "scale_bars": 21}}))
    return bars.filter(pl.col("session") < date(2004, 3, 1))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path)


def test_the_line_holds_what_is_stored_beside_the_close_free_of_splits(lake: Lake) -> None:
    bars = store(lake, "mine").filter(pl.col("symbol") == "BBB")
    line = read_feature_line(lake, "log_return_1", symbol="BBB")
    assert (line.strategy, line.symbol, line.scale_bars) == ("mine", "BBB", 21)
    assert line.values.tolist() == list(range(len(bars)))
    assert line.close.tolist() == bars["close"].to_list()
    assert line.sessions.tolist() == bars["session"].to_list()
    split = read_feature_line(lake, "log_return_1")
    raw = store(lake, "mine").filter(pl.col("symbol") == "AAA")["close"].to_numpy()
    day = int(np.searchsorted(split.sessions, np.datetime64(SPLIT_DAY)))
    ratios = split.close / raw
    assert split.symbol == "AAA"
    assert ratios[:day] == pytest.approx(1.0)
    assert ratios[day:] == pytest.approx(2.0)


def test_without_bars_there_is_a_line_without_close(lake: Lake) -> None:
    bars = make_bars(count=5).select("symbol", "session")
    rows = bars.with_columns(pl.lit(1.0).alias("signal"))
    write = PartitionWrite("mine/features", "features", "2004-01-01", {"rows": rows})
    lake.commit([write], made_by())
    line = read_feature_line(lake, "signal")
    assert line.values.tolist() == [1.0] * 5
    assert str(line.close.tolist()) == str([float("nan")] * 5)


def test_what_is_not_in_the_lake_is_refused_with_a_remedy(lake: Lake) -> None:
    with pytest.raises(UserError, match=r"run STRATEGY --only features"):
        read_feature_line(lake, "log_return_1")
    store(lake, "mine")
    with pytest.raises(UserError, match=r"rsi_14 is not stored for mine; .* add it to features"):
        read_feature_line(lake, "rsi_14")
    with pytest.raises(
        UserError, match="symbol 'CCC' has no features of mine; expected one of AAA"
    ):
        read_feature_line(lake, "log_return_1", symbol="CCC")
    with pytest.raises(
        UserError, match=r"strategy 'yours' has no features .* expected one of mine"
    ):
        read_feature_line(lake, "log_return_1", strategy="yours")
    with pytest.raises(UserError, match="did you mean log_return_1"):
        read_feature_line(lake, "log_retrun_1")
    store(lake, "other")
    with pytest.raises(UserError, match="expected one of mine, other: name it with --strategy"):
        read_feature_line(lake, "log_return_1")


def test_months_that_were_refused_are_not_drawn(lake: Lake) -> None:
    rows = make_bars(count=5).with_columns(pl.lit(1.0).alias("signal"))
    tables = {"rows": rows}
    write = PartitionWrite("mine/features", "features", "2004-01-01", tables, verdict="failed")
    lake.commit([write], made_by())
    with pytest.raises(UserError, match="every stored month of mine/features was refused"):
        read_feature_line(lake, "signal")


def line_of(name: str) -> FeatureLine:
    days = np.arange(np.datetime64("2004-01-01"), np.datetime64("2004-03-01"))
    moves = np.sin(np.arange(len(days)))
    return FeatureLine(feature_of(name), "mine", "AAA", 252, days, 50.0 + moves, moves)


def figure_of(line: FeatureLine, monkeypatch: pytest.MonkeyPatch) -> Figure:
    """Return what is drawn of a line."""
    drawn: list[Figure] = []
    save = Figure.savefig

    def record(figure: Figure, *args: Any, **options: Any) -> None:
        drawn.append(figure)
        save(figure, *args, **options)

    monkeypatch.setattr(Figure, "savefig", record)
    draw_feature(line)
    return drawn[0]


def price_labels(close: list[float], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the labels of prices within the axis of a picture."""
    line = replace(line_of("rsi_14"), close=np.resize(np.array(close), 60))
    top = figure_of(line, monkeypatch).axes[0]
    low, high = top.get_ylim()
    labels = zip(top.get_yticks(), top.get_yticklabels(), strict=True)
    return [label.get_text() for place, label in labels if low <= place <= high]


def test_a_picture_states_name_formula_and_scaling(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = figure_of(line_of("rsi_14"), monkeypatch)
    texts = [text.get_text() for text in figure.texts]
    assert texts == ["rsi_14 of AAA, strategy mine", feature_of("rsi_14").formula]
    top, bottom = figure.axes
    assert top.get_shared_x_axes().joined(top, bottom)
    assert bottom.get_ylabel() == "Scaled, 252 bars"
    assert bottom.get_ylim() == pytest.approx((-5.3, 5.3))
    unscaled = figure_of(line_of("weekday_sin"), monkeypatch).axes[1]
    assert unscaled.get_ylabel() == "Not scaled: 1"
    assert unscaled.get_ylim()[1] < 1.2


def test_prices_are_labelled_however_far_apart_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(price_labels([110.0, 180.0], monkeypatch)) >= 3
    assert len(price_labels([56.0, 230.0], monkeypatch)) >= 3
    far = ["5", "10", "20", "50", "100", "200", "500", "1000", "2000", "5000"]
    assert price_labels([3.0, 4000.0], monkeypatch) == far


def test_a_feature_without_prices_is_drawn() -> None:
    line = line_of("rsi_14")
    unknown = draw_feature(replace(line, close=np.full(len(line.close), np.nan)))
    assert unknown.startswith(PNG)
    assert unknown != draw_feature(line)


def test_the_same_line_is_the_same_picture_and_another_is_not() -> None:
    first = draw_feature(line_of("rsi_14"))
    assert first == draw_feature(line_of("rsi_14"))
    assert first.startswith(PNG)
    assert [int.from_bytes(first[at : at + 4]) for at in (16, 20)] == [1200, 760]
    assert draw_feature(line_of("rsi_7")) != first


def test_the_command_writes_the_picture_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRADING_ASSETS_DATA", str(tmp_path / "data"))
    assert main(["features", "plot", "log_return_1"]) == 2
    store(open_lake(tmp_path / "data"), "mine")
    capsys.readouterr()
    assert main(["features", "plot", "log_return_1"]) == 0
    assert str(tmp_path / "log_return_1.png") in capsys.readouterr().out
    assert (tmp_path / "log_return_1.png").read_bytes().startswith(PNG)
    assert main(["features", "plot", "log_return_1", "--out", "b.png", "--symbol", "BBB"]) == 0
    assert (tmp_path / "b.png").read_bytes() != (tmp_path / "log_return_1.png").read_bytes()
    assert main(["features", "plot", "log_return_1", "--out", "no/b.png"]) == 2
    assert "No such file or directory); expected a file" in capsys.readouterr().err


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
