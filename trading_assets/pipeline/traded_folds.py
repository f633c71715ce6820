"""What a backtested fold left in the lake, read again for reports."""

import json
from typing import Any

from trading_assets.lake.store import Lake
from trading_assets.pipeline.task import Task
from trading_assets.survey import State, Survey

MEMBERS_FILE = "member_weights.json"
ABSENCES_FILE = "absences.json"
BACKTEST_TABLES = ("weights", "trades", "equity", "holdings")


def why_left_out(task: Task, asset: str) -> dict[str, str]:
    """Return why backtested folds count for nothing, or could not be backtested, by fold.

    Parameters
    ----------
    task : Task
        What reads all of them.
    asset : str
        Asset key of the backtest.

    Returns
    -------
    dict
        Folds whose backtest was refused, and those that need something that was.
    """
    survey = Survey(task.declared.graphs, task.lake.records, task.now)
    graph, node = task.declared.upstream(asset)
    stored = task.lake.records(asset)
    found: dict[str, str] = {}
    for fold in task.inputs("")[asset]:
        state = survey.state(graph, node, fold)
        if fold in stored and stored[fold].verdict == "failed":
            found[fold] = f"its backtest was refused: {'; '.join(stored[fold].reasons)}"
        elif state.state is State.BLOCKED and fold in stored:
            found[fold] = f"its backtest cannot be brought up to date: {state.reason}"
        elif state.state is State.BLOCKED:
            found[fold] = f"it cannot be backtested: {state.reason}"
    return found


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
