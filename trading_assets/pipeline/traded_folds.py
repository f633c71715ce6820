"""What a backtested fold left in the lake, read again for reports."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trading_assets.lake.store import InputRef, Lake
from trading_assets.pipeline.task import Task
from trading_assets.survey import Survey

MEMBERS_FILE = "member_weights.json"
ABSENCES_FILE = "absences.json"
BACKTEST_TABLES = ("weights", "trades", "equity", "holdings")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Folds that count for nothing.

    Attributes
    ----------
    reasons : mapping of str to str
        Why, by fold.
    refused : list of InputRef
        What was refused: as the reasons name it, another refusal changes what is said.
    """

    reasons: Mapping[str, str]
    refused: list[InputRef]


def find_left_out(task: Task, asset: str) -> LeftOut:
    """Return which folds count for nothing: refused ones, and those that need what was refused.

    Parameters
    ----------
    task : Task
        What reads all of them.
    asset : str
        Asset key of the backtest.
    """
    survey = Survey(task.declared.graphs, task.lake.records, task.now)
    graph, node = task.declared.upstream(asset)
    stored = task.lake.records(asset)
    reasons: dict[str, str] = {}
    refused: set[tuple[str, str]] = set()
    for fold in task.inputs("")[asset]:
        state = survey.state(graph, node, fold)
        if state.blocked_by is not None:
            lacking = "cannot be brought up to date" if fold in stored else "cannot be made"
            reasons[fold] = f"its backtest {lacking}: {state.reason}"
            refused.add(state.blocked_by)
        elif fold in stored and stored[fold].verdict == "failed":
            reasons[fold] = f"its backtest was refused: {'; '.join(stored[fold].reasons)}"
            refused.add((asset, fold))
    return LeftOut(
        reasons,
        [
            InputRef(own, key, task.lake.records(own)[key].content_digest)
            for own, key in sorted(refused)
        ],
    )


def read_tables(lake: Lake, asset: str, fold: str) -> Any:
    """Read the tables of a backtested fold as `BacktestTables`."""
    from trading_assets.backtest.engine import BacktestTables

    return BacktestTables(**{name: lake.read(asset, [fold], name) for name in BACKTEST_TABLES})


def read_member_weights(lake: Lake, asset: str, fold: str) -> dict[str, dict[str, float]]:
    """Read each member's weight in a fold's ensemble; empty where all weigh the same.

    Parameters
    ----------
    lake : Lake
        Holds the backtests.
    asset : str
        Asset key of the backtest.
    fold : str
        Partition key.
    """
    files = lake.read_blobs(asset, fold)
    stored = json.loads(files[MEMBERS_FILE]) if MEMBERS_FILE in files else {}
    return {name: {"weight in the ensemble": weight} for name, weight in stored.items()}


def read_absences(lake: Lake, asset: str, fold: str) -> dict[str, str]:
    """Read why portfolios of a fold were not traded, by name; empty where all of them were.

    Parameters
    ----------
    lake : Lake
        Holds the backtests.
    asset : str
        Asset key of the backtest.
    fold : str
        Partition key.
    """
    files = lake.read_blobs(asset, fold)
    return json.loads(files[ABSENCES_FILE]) if ABSENCES_FILE in files else {}
