"""What the command line prints of a report."""

import json
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

from rich.console import Console

from trading_assets.lake.store import Lake, PartitionWrite, Provenance
from trading_assets.pipeline.verdict import print_verdict

REPORT = "mine/walk_forward_report"
FIGURES = {
    "cagr": 0.123,
    "volatility_annual": 0.2,
    "sharpe_annual": None,
    "max_drawdown": -0.25,
    "turnover_annual": 3.0,
}


def store(lake: Lake, verdicts: dict[str, str]) -> None:
    told = {
        "portfolios": {"ppo/ensemble": FIGURES},
        "verdicts": {name: {"sentence": sentence} for name, sentence in verdicts.items()},
    }
    # As the report writes it: sorted by name.
    blobs = {
        "figures.json": json.dumps(told, sort_keys=True).encode(),
        "report.html": b"<!doctype html>",
    }
    write = PartitionWrite(REPORT, "backtest", "", blobs=blobs)
    lake.commit([write], Provenance("a run", "code", "declaration", {}, {}))


def printed(folder: Path, verdicts: dict[str, str]) -> str:
    lake = Lake(folder, lambda: datetime.now(UTC))
    store(lake, verdicts)
    text = StringIO()
    print_verdict(Console(file=text, width=200), "mine", lake, folder)
    lake.close()
    return text.getvalue()


def test_the_verdict_on_all_agents_comes_before_those_on_each(tmp_path: Path) -> None:
    said = printed(
        tmp_path, {"a2c": "a2c loses.", "ensemble": "all [together] lose.", "ppo": "no."}
    )
    places = [said.index(text) for text in ("all [together] lose.", "a2c loses.", "no.")]
    assert places == sorted(places)


def test_a_figure_that_could_not_be_computed_is_a_dash(tmp_path: Path) -> None:
    said = printed(tmp_path, {"ppo": "no."})
    (row,) = [line for line in said.splitlines() if "ppo/ensemble" in line]
    assert [cell.strip() for cell in row.strip("│ ").split("│")] == [
        "ppo/ensemble",
        "12.3%",
        "20.0%",
        "-",
        "-25.0%",
        "3.0",
    ]
