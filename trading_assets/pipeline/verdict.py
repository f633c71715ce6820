"""What the driver prints at the end: where to look, and the verdict as a short table."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from trading_assets.lake.store import Lake

REPORT = "walk_forward_report"
# Heading, figure and how it is printed.
COLUMNS = (
    ("return a year", "cagr", "{:.1%}"),
    ("volatility", "volatility_annual", "{:.1%}"),
    ("Sharpe", "sharpe_annual", "{:.2f}"),
    ("drawdown", "max_drawdown", "{:.1%}"),
    ("turnover a year", "turnover_annual", "{:.1f}"),
)


def print_verdict(console: Console, strategy: str, lake: Lake, data: Path) -> None:
    """Print the report's verdict and figures, the newest session, and where the UI is."""
    asset = f"{strategy}/{REPORT}"
    record = lake.record(asset)
    if record is not None:
        figures = json.loads(lake.read_blobs(asset, allow_failed=True)["figures.json"])
        console.print(_table(figures["portfolios"]))
        # Sorted by name as JSON is; what is deployed comes first.
        verdicts = figures["verdicts"]
        for name in sorted(verdicts, key=lambda name: name != "ensemble"):
            verdict = verdicts[name]
            console.print(verdict["sentence"], markup=False, soft_wrap=True)
        for added in figures.get("forecasts_add", {}).values():
            console.print(added["sentence"], markup=False, soft_wrap=True)
        report = record.file("report.html")
        assert report is not None
        console.print(f"report: {data / report.path}", markup=False, soft_wrap=True)
    sessions = lake.records(f"{strategy}/paper_session")
    if sessions:
        console.print(f"newest paper session: {max(sessions)}")
    lake.rebuild_catalog()
    console.print("UI: make dev, then open http://127.0.0.1:3000 in a browser")


def _table(portfolios: dict[str, dict[str, Any]]) -> Table:
    table = Table("portfolio", *(heading for heading, _, _ in COLUMNS))
    for name, own in portfolios.items():
        cells = (
            "-" if own[figure] is None else shape.format(own[figure])
            for _, figure, shape in COLUMNS
        )
        table.add_row(name, *cells)
    return table
