"""One tiny strategy, run once for all tests of this folder."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from trading_assets_tests.end_to_end.projects import Project
from trading_assets_tests.faults.canaries import CANARIES


@dataclass(frozen=True)
class FinishedProject:
    """A project after its first `trading-assets run`, with what that run printed."""

    project: Project
    first_run: subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def tiny_project(tmp_path_factory: pytest.TempPathFactory) -> FinishedProject:
    """Only to be read: a test that changes something takes `own_project`."""
    project = Project.tiny(tmp_path_factory.mktemp("tiny"))
    return FinishedProject(project, project.trading_assets("run", "tiny", **CANARIES))


@pytest.fixture
def own_project(tiny_project: FinishedProject, tmp_path: Path) -> Project:
    """A copy of the finished project for one test."""
    assert tiny_project.first_run.returncode == 0, tiny_project.first_run.stdout
    shutil.copytree(tiny_project.project.folder, tmp_path / "own")
    return Project(tmp_path / "own")
