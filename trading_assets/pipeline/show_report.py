"""The command `trading-assets report`: opens a stored report, or holds two strategies together."""

import webbrowser
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from trading_assets.backtest.folds import get_fold
from trading_assets.errors import UserError
from trading_assets.lake.store import Lake
from trading_assets.pipeline.settings import Settings, open_lake, read_settings
from trading_assets.pipeline.traded_folds import read_tables
from trading_assets.pipeline.verdict import COLUMNS, REPORT


def open_report(strategy: str, console: Console | None = None) -> Path:
    """Open the newest report of a strategy in the browser, and print where it is.

    Raises
    ------
    UserError
        If none is stored.
    """
    console = console or Console()
    settings = read_settings()
    path = _page(open_lake(settings), settings, strategy)
    console.print(f"report: {path}", markup=False, soft_wrap=True)
    if not webbrowser.open(path.as_uri()):
        console.print("no browser was found to open it in", soft_wrap=True)
    return path


def compare_reports(strategy: str, other: str, console: Console | None = None) -> None:
    """Print how two strategies compare over the sessions that both were tested on.

    Folds that one of them lacks are named, and that no trials are counted is said.

    Raises
    ------
    UserError
        If one has no stored report.
    DataError
        If they have no session in common.
    """
    from trading_assets.backtest.strategy_comparison import (
        TRIALS,
        StrategyRecord,
        compare_strategies,
    )

    console = console or Console()
    settings = read_settings()
    lake = open_lake(settings)
    declarations = settings.declarations()
    tested: list[StrategyRecord] = []
    for name in (strategy, other):
        page = _page(lake, settings, name)
        declared = declarations.strategy(name)
        folds = [
            _fold_record(lake, name, declared, key) for key in lake.records(f"{name}/backtest")
        ]
        tested.append(StrategyRecord(name, declared, folds))
        console.print(f"report: {page}", markup=False, soft_wrap=True)
    found = compare_strategies(*tested)
    table = Table("over common sessions", *(heading for heading, _, _ in COLUMNS))
    for name, figures in zip(found.names, found.figures, strict=True):
        table.add_row(name, *(shape.format(figures[figure]) for _, figure, shape in COLUMNS))
    console.print(table)
    for sentence in (found.sentence, *found.left_out, TRIALS):
        console.print(sentence, markup=False, soft_wrap=True)


def _fold_record(lake: Lake, strategy: str, declared: Any, key: str) -> Any:
    from trading_assets.backtest.track_record import FoldRecord

    return FoldRecord(get_fold(key, declared.folds), read_tables(lake, f"{strategy}/backtest", key))


def _page(lake: Lake, settings: Settings, strategy: str) -> Path:
    settings.declarations().strategy(strategy)
    record = lake.record(f"{strategy}/{REPORT}")
    if record is None:
        msg = f"no report of {strategy} is stored; expected one: trading-assets run {strategy}"
        raise UserError(msg)
    return (lake.root / record.file("report.html").path).absolute()
