"""`trading-assets report` opens a stored report or compares two strategies."""

from pathlib import Path

from trading_assets_tests.end_to_end.conftest import FinishedProject
from trading_assets_tests.end_to_end.projects import Project

# A browser that writes down what it was asked to open.
BROWSER = "sh -c 'echo %s > opened.txt'"


def test_the_report_is_opened_in_the_browser(own_project: Project) -> None:
    found = own_project.trading_assets("report", "tiny", BROWSER=BROWSER)
    assert found.returncode == 0, found.stderr
    opened = (own_project.folder / "opened.txt").read_text().strip()
    path = Path(opened.removeprefix("file://"))
    assert path.read_text(encoding="utf-8").lower().startswith("<!doctype html>")
    assert f"report: {path}" in found.stdout


def test_two_strategies_are_compared_over_their_common_sessions(
    tiny_project: FinishedProject,
) -> None:
    found = tiny_project.project.trading_assets("report", "tiny", "--compare", "tiny")
    assert found.returncode == 0, found.stderr
    assert "tiny (ppo/ensemble) and tiny (ppo/ensemble) cannot be told apart: " in found.stdout
    assert "common sessions, correlation 1.00" in found.stdout
    assert "Sharpe" in found.stdout
    assert "The comparison counts no trials: " in found.stdout
    assert "left out" not in found.stdout


def test_a_strategy_without_a_report_is_refused(tiny_project: FinishedProject) -> None:
    found = tiny_project.project.trading_assets("report", "us_equities")
    assert found.returncode == 2
    assert "no report of us_equities is stored; expected one: trading-assets run" in found.stderr


def test_an_unknown_strategy_is_refused_by_name(tiny_project: FinishedProject) -> None:
    found = tiny_project.project.trading_assets("report", "tinny")
    assert found.returncode == 2
    assert "tinny" in found.stderr
