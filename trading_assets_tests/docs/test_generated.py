"""The generated parts of README.md and data/README.md."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    # By path: the folder docs is no package.
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def write_figures(path: Path, *figures: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in figures), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "name", ["README.md", "docs/figures.md", "docs/features.md", "data/README.md"]
)
def test_the_generated_part_of_a_file_is_current(generate: ModuleType, name: str) -> None:
    current = (ROOT / name).read_text(encoding="utf-8")
    assert generate.generated()[ROOT / name] == current, "run .venv/bin/python docs/generate.py"


def test_every_stored_column_stands_in_the_dictionary(generate: ModuleType) -> None:
    from trading_assets.schema import TABLES

    written = generate.render_columns()
    for table in TABLES.values():
        for column in table.columns:
            assert f"| `{column.name}` | " in written


def test_the_newest_line_of_a_figure_counts(generate: ModuleType, tmp_path: Path) -> None:
    path = write_figures(
        tmp_path / "figures.jsonl",
        {"figure": "import.s", "value": 3.0, "unit": "s"},
        {"figure": "import.s", "value": 2.0, "unit": "s"},
    )
    assert [figure.value for figure in generate.read_figures(path)] == [2.0]


def test_a_measured_figure_shows_unit_limit_and_where_it_was_measured(
    generate: ModuleType, tmp_path: Path
) -> None:
    line = {"figure": "import.s", "value": 1.25, "unit": "s", "limit": 2.5, "cores": 2}
    path = write_figures(tmp_path / "f.jsonl", {**line, "date": "2026-11-21", "commit": "abc"})
    row = generate.render_figures(generate.read_figures(path)).splitlines()[-1]
    assert row == "| `import.s` | 1.25 s | 2.5 s | - | - | 2 | 2026-11-21 |"


def test_the_readme_shows_agents_the_best_other_portfolio_and_those_everyone_knows(
    generate: ModuleType, tmp_path: Path
) -> None:
    ratios = {"cash": None, "equal_weight": 0.1, "trend": 0.7, "momentum": 0.6, "direct": 0.2}
    own = {"ppo/ensemble": 0.9, "ensemble": 0.8}
    lines = [
        {"figure": f"verdict.{name}.sharpe_annual", "value": ratio, "unit": "1"}
        for name, ratio in {**ratios, **own}.items()
    ]
    figures = generate.read_figures(write_figures(tmp_path / "figures.jsonl", *lines))
    shown = generate.render_figures(figures, only={"import.s"}).splitlines()[2:]
    names = ["cash", "equal_weight", "trend", "ppo/ensemble", "ensemble"]
    assert [row.split("|")[1].strip() for row in shown] == names
    assert len(generate.render_verdict(figures).splitlines()) == 2 + len(ratios) + len(own)


def test_the_verdict_is_a_table_of_portfolios_with_intervals(
    generate: ModuleType, tmp_path: Path
) -> None:
    path = write_figures(
        tmp_path / "figures.jsonl",
        {"figure": "verdict.ppo/ensemble.sharpe_annual", "value": -0.5, "unit": "1"},
        {"figure": "verdict.ppo/ensemble.sharpe_annual_low", "value": -1.5, "unit": "1"},
        {"figure": "verdict.ppo/ensemble.sharpe_annual_high", "value": 0.25, "unit": "1"},
        {"figure": "verdict.ppo/ensemble.cagr", "value": 0.123, "unit": "fraction"},
        {"figure": "verdict.cash.sharpe_annual", "value": None, "unit": "1"},
    )
    assert generate.render_figures(generate.read_figures(path)).splitlines() == [
        "| Portfolio | sharpe annual | cagr |",
        "| --- | --- | --- |",
        "| ppo/ensemble | -0.50 (-1.50 to 0.25) | 12.3 % |",
        "| cash | - | - |",
    ]


def test_without_figures_the_readme_says_so(generate: ModuleType, tmp_path: Path) -> None:
    figures = generate.read_figures(tmp_path / "absent.jsonl")
    assert generate.render_figures(figures) == generate.NONE_YET


def test_a_text_without_markers_is_refused(generate: ModuleType) -> None:
    with pytest.raises(ValueError, match="figures:end"):
        generate.replace_between("<!-- figures:begin -->", "figures", "")


def test_what_stands_outside_the_markers_is_kept(generate: ModuleType) -> None:
    text = "before\n<!-- a:begin -->\nold\n<!-- a:end -->\nafter\n"
    replaced = generate.replace_between(text, "a", "new")
    assert replaced == "before\n<!-- a:begin -->\nnew\n<!-- a:end -->\nafter\n"
