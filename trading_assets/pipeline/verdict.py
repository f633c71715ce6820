"""What the driver prints at the end: where to look, and the verdict as a short table."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from trading_assets.lake.store import Lake

HEADLINE = ("cagr", "volatility_annual", "sharpe_annual", "max_drawdown", "turnover_annual")


def print_verdict(console: Console, strategy: str, lake: Lake, data: Path) -> None:
    """Print the report's verdict and figures, the newest session, and where the UI is."""
    asset = f"{strategy}/walk_forward_report"
    record = lake.record(asset)
    if record is not None:
        figures = json.loads(lake.read_blobs(asset)["figures.json"])
        console.print(_table(figures))
        console.print(figures["verdict"], markup=False)
        report = record.file("report.html")
        assert report is not None
        console.print(f"report: {data / report.path}", markup=False, soft_wrap=True)
    sessions = lake.records(f"{strategy}/paper_session")
    if sessions:
        console.print(f"newest paper session: {max(sessions)}")
    lake.rebuild_catalog()
    console.print("UI: make dev, then open http://127.0.0.1:3000 in a browser")


def _table(figures: dict[str, object]) -> Table:
    table = Table("portfolio", *HEADLINE)
    portfolios = figures["portfolios"]
    assert isinstance(portfolios, dict)
    for name, own in portfolios.items():
        table.add_row(name, *[f"{own[key]:.3f}" for key in HEADLINE])
    return table
