"""All targets, and how all of them are run: a sample with the tests, the whole by `make faults`."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from trading_assets_tests.fuzz import (
    alpaca_answers,
    bar_rows,
    bar_stamps,
    commands,
    configs,
    csv_bars,
    csv_settings,
    csv_tables,
    lake_keys,
    members,
    page_paths,
    run_requests,
    sql_text,
    streamed,
    symbols,
)
from trading_assets_tests.fuzz.harness import Outcome, Target, run_target

TARGETS: tuple[Target, ...] = (
    # Those that take long first, so that two processes end at about the same time.
    lake_keys.TARGET,
    sql_text.TARGET,
    *configs.TARGETS,
    *csv_bars.TARGETS,
    csv_settings.TARGET,
    *bar_rows.TARGETS,
    symbols.TARGET,
    *csv_tables.TARGETS,
    *members.TARGETS,
    commands.TARGET,
    page_paths.TARGET,
    *alpaca_answers.TARGETS,
    bar_stamps.TARGET,
    streamed.TARGET,
    run_requests.TARGET,
)
_BY_NAME = {target.name: target for target in TARGETS}


def run_all(root: Path, number: int, names: Sequence[str] = tuple(_BY_NAME)) -> list[Outcome]:
    """Run targets whole, two at a time in processes of their own, and return what each saw."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        folders = [root / name / "folder" for name in names]
        return list(pool.map(_run, names, folders, [number] * len(names)))


def _run(name: str, folder: Path, number: int) -> Outcome:
    target = _BY_NAME[name]
    outcome = run_target(target, target.full, folder, number)
    print(outcome.describe(), flush=True)
    return outcome
