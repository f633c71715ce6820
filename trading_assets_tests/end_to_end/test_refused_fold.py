"""A fold of which something was refused: the others are traded and reported all the same."""

from collections.abc import Mapping, Sequence
from datetime import date
from io import StringIO

import pytest
from rich.console import Console

from trading_assets.declarations import load_declarations
from trading_assets.graph import full_graph
from trading_assets.lake.store import PartitionWrite, Provenance
from trading_assets.pipeline import driver, runs
from trading_assets.pipeline.runs import RunError, RunOutcome
from trading_assets.plan import RunStep, Target
from trading_assets_tests.end_to_end.projects import FOLD, Project
from trading_assets_tests.pipeline.conftest import use_folder

EARLIER_FOLD = "2007-10-01"
FORECASTER, REPORT = "tiny/forecaster", "tiny/walk_forward_report"
WHY = "its loss is not finite"
NEEDS = f"it needs {FORECASTER} {EARLIER_FOLD}, which was refused"


def begin_a_fold_earlier(project: Project) -> None:
    path = project.folder / "defs" / "tiny" / "defs.yaml"
    text = path.read_text(encoding="utf-8")
    assert f"first: '{FOLD}'" in text
    changed = text.replace(f"first: '{FOLD}'", f"first: '{EARLIER_FOLD}'")
    path.write_text(changed, encoding="utf-8")


def store(project: Project, asset: str, partition: str, verdict: str) -> None:
    declarations = load_declarations([project.folder / "defs"], "development")
    node = full_graph(declarations, "tiny")[1].node(asset)
    write = PartitionWrite(
        asset,
        node.stage,
        partition,
        blobs={"n.json": b"{}"},
        verdict=verdict,
        reasons=(WHY, "it is of no use"),
    )
    made_by = Provenance("a run before", node.code_version, node.declaration_digest, {}, {})
    with project.lake() as lake:
        lake.commit([write], made_by)


def test_a_run_does_without_a_refused_fold_says_so_and_writes_the_report_of_the_others(
    own_project: Project,
) -> None:
    begin_a_fold_earlier(own_project)
    store(own_project, FORECASTER, EARLIER_FOLD, "failed")
    found = own_project.trading_assets("run", "tiny")
    assert found.returncode == 1, found.stdout + found.stderr
    said = found.stdout.splitlines()
    assert f"refused {FORECASTER} {EARLIER_FOLD}: {WHY}; and 1 more" in said
    for name in ("forecasts", "policy/ppo", "references", "backtest", "explanation", "stress"):
        assert f"blocked tiny/{name} {EARLIER_FOLD}: {NEEDS}" in said
    with own_project.lake() as lake:
        record = lake.record(REPORT)
        traded = lake.records("tiny/backtest")
    assert record is not None
    assert record.reasons == (
        f"every portfolio lacks fold {EARLIER_FOLD}: its backtest cannot be made: {NEEDS}",
    )
    assert list(traded) == [FOLD]
    assert any(line.startswith(f"refused {REPORT}: every portfolio lacks") for line in said)
    again = own_project.trading_assets("run", "tiny")
    assert again.returncode == 1
    assert "nothing to do" in again.stdout
    assert f"blocked tiny/backtest {EARLIER_FOLD}: {NEEDS}" in again.stdout.splitlines()
    planned = own_project.trading_assets("plan", "tiny", COLUMNS="300").stdout
    assert f"{WHY}; and 1 more" in planned
    assert NEEDS in planned


class FailingRuns:
    """Stands for the launch of runs: every run fails, after it has stored what is told, or not."""

    def __init__(self, project: Project, stored: Mapping[str, str]) -> None:
        self.project = project
        self.stored = stored
        self.launched: list[RunStep] = []

    def __call__(self, steps: Sequence[RunStep], *_: object) -> list[RunOutcome]:
        self.launched.extend(steps)
        for asset, verdict in self.stored.items():
            store(self.project, asset, EARLIER_FOLD, verdict)
        return [RunOutcome(step, "f" * 32, RunError("it broke")) for step in steps]


def run_a_fold_earlier(
    project: Project, patch: pytest.MonkeyPatch, stored: Mapping[str, str]
) -> tuple[FailingRuns, str]:
    begin_a_fold_earlier(project)
    use_folder(patch, project.folder)
    failing = FailingRuns(project, stored)
    patch.setattr(runs, "launch", failing)
    patch.chdir(project.folder)
    only = frozenset({FORECASTER, "tiny/forecasts"})
    target = Target(date(2007, 10, 1), date(2007, 12, 31), only)
    printed = StringIO()
    assert not driver.run_strategy("tiny", target, Console(file=printed, width=200))
    return failing, printed.getvalue()


def test_a_run_that_broke_is_not_launched_again_and_ends_the_work(
    own_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing, printed = run_a_fold_earlier(own_project, monkeypatch, {})
    assert [step.partitions for step in failing.launched] == [(EARLIER_FOLD,)]
    assert "it broke" in printed
    assert "runs in" not in printed


def test_a_run_that_failed_because_something_was_refused_lets_the_rest_go_on(
    own_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing, printed = run_a_fold_earlier(own_project, monkeypatch, {FORECASTER: "failed"})
    assert len(failing.launched) == 1
    assert f"blocked tiny/forecasts {EARLIER_FOLD}: {NEEDS}" in printed
    assert "1 runs in" in printed


def test_a_run_that_broke_after_it_had_stored_everything_is_no_success(
    own_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = {FORECASTER: "passed", "tiny/forecasts": "passed"}
    failing, printed = run_a_fold_earlier(own_project, monkeypatch, stored)
    assert len(failing.launched) == 1
    assert "it broke" in printed
    assert "blocked" not in printed
