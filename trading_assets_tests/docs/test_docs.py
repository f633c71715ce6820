"""What the documents say, held against the code."""

import argparse
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import yaml

from trading_assets.asset_nodes import AssetGraph
from trading_assets.backtest.figures import Comparison, PortfolioFigures
from trading_assets.backtest.forecast_effect import SeedMeans
from trading_assets.backtest.seed_advantage import Improvement
from trading_assets.backtest.trading_figures import TradingFigures
from trading_assets.bars.validation.expectations import MONTHLY
from trading_assets.bars.validation.row_rules import row_rules
from trading_assets.command_line import build_parser
from trading_assets.declarations import COMPONENTS, PACKAGED, Declarations, load_declarations
from trading_assets.graph import market_data_graph, strategy_graph
from trading_assets.periods import Axis
from trading_assets.pipeline import settings
from trading_assets.pipeline.declared import Declared, declared_market_data, declared_strategy
from trading_assets.policy import ladder

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "data" / "README.md"])
NAMES = [path.relative_to(ROOT).as_posix() for path in DOCUMENTS]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MOST_README_LINES = 250
# Assets that each agent has one of.
BY_AGENT = ("policy", "forecast_ablation", "oracle_ladder")
LONGEST_LINE = 112
# A commit may be dated by a later clock; partitions of replays do not depend on it.
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    return [body for kind, body in FENCE.findall(read(name)) if kind == language]


def commands(program: str) -> list[tuple[str, list[str]]]:
    """Return every call of a program in the shell blocks of all documents, with its document."""
    found: list[tuple[str, list[str]]] = []
    for name in NAMES:
        for block in blocks(name, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words and words[0] == program:
                    found.append((name, words[1:]))
    return found


@pytest.fixture(scope="module")
def declarations() -> Declarations:
    return load_declarations([PACKAGED], "development")


@pytest.fixture(scope="module")
def graphs(declarations: Declarations) -> list[AssetGraph]:
    market_data, strategies = declarations.market_data, declarations.strategies
    return [
        *(market_data_graph(name, spec) for name, spec in market_data.items()),
        *(
            strategy_graph(name, spec, market_data[spec.market_data])
            for name, spec in strategies.items()
        ),
    ]


def test_the_readme_is_short_enough() -> None:
    assert len(read("README.md").splitlines()) <= MOST_README_LINES


@pytest.mark.parametrize("name", NAMES)
def test_a_document_is_ascii_and_wrapped(name: str) -> None:
    text = read(name)
    assert text.isascii()
    prose = FENCE.sub("", text)
    long = [line for line in prose.splitlines() if len(line) > LONGEST_LINE and line[0] != "|"]
    assert long == []


@pytest.mark.parametrize("name", NAMES)
def test_every_relative_link_resolves(name: str) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", FENCE.sub("", read(name)))
    folder = (ROOT / name).parent
    missing = [t for t in targets if "://" not in t and not (folder / t).exists()]
    assert missing == []


def test_every_make_target_exists_and_is_documented() -> None:
    declared = set(re.findall(r"^([a-z][a-z-]*):", read("Makefile"), re.MULTILINE))
    named = {word for _, words in commands("make") for word in words if "=" not in word}
    assert named <= declared
    assert declared <= named


def test_every_call_of_the_command_line_is_understood() -> None:
    calls = commands("trading-assets")
    assert calls
    for name, words in calls:
        try:
            build_parser().parse_args(words)
        except SystemExit:
            pytest.fail(f"{name}: trading-assets {' '.join(words)}")


def test_every_command_stands_in_the_readme() -> None:
    actions = build_parser()._actions
    subcommands = next(a for a in actions if isinstance(a, argparse._SubParsersAction))
    named = {words[0] for name, words in commands("trading-assets") if name == "README.md"}
    assert named == set(subcommands.choices)


def test_every_asset_and_partition_of_a_command_exists(graphs: list[AssetGraph]) -> None:
    calls = commands("dagster")
    selected = [words for _, words in calls if words[:2] == ["asset", "materialize"]]
    assert selected
    for words in selected:
        options = dict(zip(words[2::2], words[3::2], strict=True))
        pattern = re.search(r'key:"([^"]+)"', options["--select"])
        group = re.search(r"group:(\w+)", options["--select"])
        assert pattern is not None
        wanted = pattern[1].replace("*", "")
        nodes = [
            (graph, node)
            for graph in graphs
            for node in graph.nodes
            if (node.key == wanted or (pattern[1].endswith("*") and node.key.startswith(wanted)))
            and (group is None or node.stage == group[1])
        ]
        assert nodes, options["--select"]
        for graph, node in nodes:
            keys = options.get("--partition", options.get("--partition-range", "")).split("...")
            assert set(keys) <= set(graph.periods.keys(node.axis, NOW)), options


def test_every_only_names_an_asset(graphs: list[AssetGraph]) -> None:
    for _, words in commands("trading-assets"):
        known = {
            name
            for graph in graphs
            if len(words) > 1 and graph.owner == words[1]
            for node in graph.nodes
            for name in (node.key, node.key.split("/", 1)[1])
        }
        only = {words[at + 1] for at, word in enumerate(words) if word == "--only"}
        assert only <= known


def test_every_example_declaration_is_valid() -> None:
    examples = [yaml.safe_load(block) for block in blocks("README.md", "yaml")]
    assert {example["type"] for example in examples} == set(COMPONENTS)
    for example in examples:
        COMPONENTS[example["type"]].model_validate(example["attributes"])


def declared_checks(declarations: Declarations) -> dict[tuple[str, str], bool]:
    """Return every check of every declaration: (asset, name) to whether it blocks."""
    # Dagster is imported here only: the other tests of this file do without.
    from trading_assets.pipeline.component import market_data_definitions, strategy_definitions

    found: dict[tuple[str, str], bool] = {}
    owners: list[tuple[Declared, bool]] = [
        *((declared_market_data(n, declarations), False) for n in declarations.market_data),
        *((declared_strategy(n, declarations), True) for n in declarations.strategies),
    ]
    for declared, is_strategy in owners:
        build = strategy_definitions if is_strategy else market_data_definitions
        for asset in build(declared.name).assets or ():
            for spec in asset.check_specs:  # type: ignore[union-attr]
                path = [*spec.asset_key.path[1:]]
                if path[0] in BY_AGENT:
                    path[1] = "<agent>"
                found["/".join(path), spec.name] = spec.blocking
    return found


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_the_page_of_checks_names_every_check_and_no_other(
    declarations: Declarations, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in (settings.DEFS, settings.ONLY, settings.PROFILE):
        monkeypatch.delenv(variable, raising=False)
    rows = re.findall(
        r"^\| `([a-z_/<>]+)` \| `([a-z_]+)` \| (yes|no) \|", read("docs/checks.md"), re.MULTILINE
    )
    documented = {(asset, check): blocks == "yes" for asset, check, blocks in rows}
    assert len(rows) == len(documented)
    assert documented == declared_checks(declarations)


def test_the_page_of_checks_names_every_row_rule_and_no_other(declarations: Declarations) -> None:
    text = read("docs/checks.md").partition("## Row rules")[2].partition("\n## ")[0]
    named = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert named == [rule.name for rule in row_rules(declarations.market_data["us_daily"], NOW)]


def test_the_page_of_checks_states_the_bars_of_the_ladder() -> None:
    text = read("docs/checks.md")
    full, declared = ladder.MIN_SHARE_FULL, ladder.MIN_SHARE_DECLARED
    assert f"below {full:.2f} at full or {declared:.2f} at declared signal" in text
    assert f"position above {ladder.MAX_MEAN_ABSOLUTE_POSITION:g} where" in text


def test_the_page_of_checks_names_the_expectations_judged_month_by_month() -> None:
    text = read("docs/checks.md").partition("month by month: ")[2].partition(".")[0]
    assert set(re.findall(r"`(\w+)`", text)) == MONTHLY


def test_the_page_of_figures_names_every_figure_of_the_report() -> None:
    text = read("docs/metrics.md")
    models = (PortfolioFigures, Comparison, SeedMeans, TradingFigures, Improvement)
    names = {field.name for model in models for field in fields(model)}
    assert {name for name in names if f"`{name}`" not in text} == set()


def test_the_architecture_names_every_asset(graphs: list[AssetGraph]) -> None:
    text = read("docs/architecture.md")
    assets = {node.key.split("/", 1)[1] for graph in graphs for node in graph.nodes}
    by_agent = rf"^({'|'.join(BY_AGENT)})/.*"
    generic = {re.sub(by_agent, r"\1/<agent>", asset) for asset in assets}
    assert {asset for asset in generic if f"| `{asset}` |" not in text} == set()


def windows_of(text: str) -> Iterator[tuple[str, tuple[str, ...], tuple[int, int]]]:
    section = text.partition("## Partition mappings")[2].partition("\n## ")[0]
    for reader, reads, window in re.findall(
        r"^\| `([^`]+)` \(\w+\) \| (.+?) \| (.+?) \|$", section, re.MULTILINE
    ):
        for part, span in zip(reads.split(";"), window.partition(":")[0].split(";"), strict=True):
            offsets = re.search(r"\((-?\d+), (-?\d+)\)", span)
            ends = (int(offsets[1]), int(offsets[2])) if offsets else (0, 0)
            yield reader, tuple(re.findall(r"`([^`]+)`", part)), ends


def test_the_mapping_table_is_that_of_the_demo(graphs: list[AssetGraph]) -> None:
    documented = {
        (reader.replace("<agent>", "ppo"), upstream.replace("*", "ppo")): ends
        for reader, assets, ends in windows_of(read("docs/architecture.md"))
        for upstream in assets
    }
    declared = {
        (node.key.split("/", 1)[1], edge.asset.split("/", 1)[1]): (
            edge.start_offset,
            edge.end_offset,
        )
        for graph in graphs
        if graph.owner in ("us_daily", "us_equities")
        for node in graph.nodes
        for edge in node.reads
        if node.axis is not Axis.NONE and not edge.asset.endswith("corporate_actions")
    }
    assert documented == declared


def test_every_variable_of_the_environment_is_explained() -> None:
    read_here = {
        settings.DATA,
        settings.DEFS,
        settings.PROFILE,
        settings.ONLY,
        settings.MANIFEST_URL,
        settings.TRACKING_URI,
        *settings.CREDENTIALS,
    }
    example = set(re.findall(r"^#?([A-Z][A-Z_]+)=", read(".env.example"), re.MULTILINE))
    assert read_here <= example
    text = read("README.md")
    assert {name for name in example | {"DAGSTER_HOME"} if f"`{name}`" not in text} == set()


def test_the_demo_is_described_as_it_is_declared(declarations: Declarations) -> None:
    text = read("README.md")
    strategy = declarations.strategies["us_equities"]
    agent = strategy.policy.agents["ppo"]
    graph = market_data_graph("us_daily", declarations.market_data["us_daily"])
    months = len(graph.periods.keys(Axis.MONTH, NOW))
    for said in (
        f"{agent.seeds} seeds x {agent.total_steps:,} steps",
        f"{strategy.forecast.epochs} epochs",
        f"{strategy.forecast.cross_fit_parts} parts",
        f"the {strategy.folds.train_months} months before",
        f"the last {strategy.folds.validation_months} validate",
        f"test years {strategy.folds.first.year} to {(strategy.folds.last or date.max).year}",
        f"{strategy.costs.fee_bps:g} bps fee, {strategy.costs.half_spread_bps:g} bps half spread",
        f"coefficient {strategy.costs.impact_coefficient:g}",
        f"{strategy.risk.max_weight:.0%}".replace("%", " %"),
        f"| {months} |",
        f"({strategy.backtest.bootstrap_samples:,} samples)",
    ):
        assert said in text, said
