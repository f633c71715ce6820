"""What is imported when the code location is loaded, and which rooms know Dagster."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import trading_assets

PACKAGE = Path(trading_assets.__file__).parent
# Every run and every command of Dagster's loads the code location anew.
HEAVY = (
    "torch",
    "stable_baselines3",
    "mlflow",
    "great_expectations",
    "alpaca",
    "pandas",
    "exchange_calendars",
    "dagster_postgres",
    "matplotlib",
    "gymnasium",
    "duckdb",
    "scipy",
)
ROOMS_OF_DAGSTER = ("pipeline", "definitions.py")
LOAD = """
import sys, warnings
warnings.simplefilter("ignore")
from trading_assets.definitions import defs
assert len(list(defs().get_repository_def().asset_graph.get_all_asset_keys())) > 20
"""


def imported_by(program: str, names: tuple[str, ...], folder: Path) -> list[str]:
    """Run a program in a process of its own and return which modules it has imported."""
    program += f"\nprint(*[name for name in {names!r} if name in sys.modules])"
    environment = {
        **{name: value for name, value in os.environ.items() if "TRADING_ASSETS" not in name},
        "TRADING_ASSETS_DATA": str(folder),
        "TRADING_ASSETS_DEFS": str(folder),
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def imports_of(path: Path) -> set[str]:
    """Return the modules that a file imports anywhere, also within its functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def domain_files() -> list[str]:
    files = (path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
    return sorted(str(path) for path in files if path.parts[0] not in ROOMS_OF_DAGSTER)


def test_loading_the_code_location_imports_nothing_heavy(tmp_path: Path) -> None:
    assert imported_by(LOAD, HEAVY, tmp_path) == []


def test_the_command_line_starts_without_dagster(tmp_path: Path) -> None:
    program = "import sys, trading_assets.cli"
    assert imported_by(program, ("dagster", "polars", *HEAVY), tmp_path) == []


def test_a_report_is_made_without_what_trains(tmp_path: Path) -> None:
    program = "import sys, trading_assets.backtest.report"
    trainers = ("torch", "stable_baselines3", "sklearn", "onnx", "onnxruntime")
    assert imported_by(program, trainers, tmp_path) == []


def test_the_walk_finds_the_domain() -> None:
    assert {"plan.py", "bars/ingest.py", "paper/session.py"} <= set(domain_files())


@pytest.mark.parametrize("file", domain_files())
def test_domain_code_knows_nothing_of_dagster(file: str) -> None:
    found = imports_of(PACKAGE / file)
    assert not {name for name in found if name.split(".")[0].startswith("dagster")}
    if file not in ("commands.py", "paper_commands.py"):
        assert not {name for name in found if name.startswith("trading_assets.pipeline")}


@pytest.mark.parametrize("path", sorted((PACKAGE / "pipeline").glob("*.py")), ids=lambda p: p.name)
def test_pipeline_modules_import_nothing_heavy_at_module_level(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found.add(node.module.split(".")[0])
    assert not found & set(HEAVY)
