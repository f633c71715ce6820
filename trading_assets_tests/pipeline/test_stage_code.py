"""Whatever shapes what a stage stores is among the files whose change makes it stale."""

import ast

from trading_assets.stage_code import PACKAGE, STAGE_CODE

# Modules of the pipeline that shape nothing that is stored, and why.
SHAPES_NOTHING = {
    "checks": "says what the UI shows of a check",
    "declared": "declares assets to Dagster",
    "instance": "opens Dagster's instance",
    "made_with": "what it notes is kept with each training and read from there",
    "progress": "shows a training while it lasts",
    "resources": "opens the lake and MLflow",
    "task": "finds inputs and commits what assets of every stage made",
}


def imported(module: str) -> set[str]:
    """Return the modules of the pipeline that one imports, inside functions too."""
    tree = ast.parse((PACKAGE / "pipeline" / f"{module}.py").read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            room, _, name = node.module.removeprefix("trading_assets.").partition(".")
            if room == "pipeline":
                found |= {name} if name else {alias.name for alias in node.names}
    return found


def reached(module: str) -> set[str]:
    found, waiting = set[str](), [module]
    while waiting:
        own = waiting.pop()
        if own not in found:
            found.add(own)
            waiting += [] if own in SHAPES_NOTHING else imported(own)
    return found


def test_every_module_of_the_pipeline_that_shapes_a_backtest_or_report_makes_it_stale() -> None:
    found = reached("walk_forward_report") | reached("backtest")
    listed = {part for part in STAGE_CODE["backtest"] if part.startswith("pipeline/")}
    assert set(SHAPES_NOTHING) <= found
    assert {f"pipeline/{name}.py" for name in found - set(SHAPES_NOTHING)} == listed


def test_every_listed_file_exists() -> None:
    missing = [
        part for code in STAGE_CODE.values() for part in code if not (PACKAGE / part).exists()
    ]
    assert missing == []
