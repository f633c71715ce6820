"""The built wheel in an environment of its own, beside a folder of private declarations.

The environment holds the wheel alone and sees the dependencies that are installed here, so that the
test needs no network; what it does not see is this repository.
"""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from trading_assets_tests.end_to_end.projects import (
    REPOSITORY,
    TINY,
    Project,
    environment,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="the extra `dev` installs the build backend")
    folder = tmp_path_factory.mktemp("wheel")
    _call(
        [
            *(sys.executable, "-m", "pip", "wheel", str(REPOSITORY), "--quiet"),
            *("--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)),
        ],
        folder,
    )
    (built,) = folder.glob("trading_assets-*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of an environment that holds the wheel and no repository."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    interpreter = folder / "bin" / "python"
    installed = [*("--quiet", "--no-deps", "--no-index", str(wheel))]
    pip = [sys.executable, "-m", "pip", "--python", str(interpreter)]
    _call([*pip, "install", *installed], folder)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    # Files named *.pth in a folder named by one are not read: the editable install stays unseen.
    dependencies = sysconfig.get_paths()["purelib"]
    (site_packages / "dependencies.pth").write_text(f"{dependencies}\n", encoding="utf-8")
    return interpreter


def _call(command: Sequence[str], folder: Path, **variables: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_more_than_modules(wheel: Path) -> None:
    package = REPOSITORY / "trading_assets"
    files = {
        each
        for each in package.rglob("*.*")
        if each.suffix != ".py" and "__pycache__" not in each.parts
    }
    expected = {each.relative_to(REPOSITORY).as_posix() for each in files}
    assert "trading_assets/py.typed" in expected
    assert expected <= set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_holds_no_tests_and_no_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    folders = {name.split("/", 1)[0] for name in names}
    assert {folder for folder in folders if not folder.endswith(".dist-info")} == {"trading_assets"}
    # Machine code is made where it runs.
    assert not [name for name in names if "__pycache__" in name]


def test_a_private_strategy_on_packaged_bars_is_listed_and_materialized(
    python: Path, tmp_path: Path
) -> None:
    project = Project.create(tmp_path / "mine")
    declared = project.declare("mine", "TradingPipeline", {**TINY, "market_data": "us_daily"})
    where = _unseeing(
        [str(python), "-c", "import trading_assets as t; print(t.__file__)"], tmp_path
    )
    assert python.parents[1] in Path(where.strip()).parents

    listed = _unseeing([str(python.parent / "trading-assets"), "list"], project.folder)
    assert f"mine  ({declared})" in listed

    materialize = [*(str(python), "-m", "dagster", "asset", "materialize")]
    materialize += ["-m", "trading_assets.definitions", "--select"]
    bars, window = 'key:"us_daily/*"', "2000-03-01...2013-03-01"
    _unseeing([*materialize, bars, "--partition-range", window], project.folder)
    features = 'key:"mine/features"'
    _unseeing([*materialize, features, "--partition", "2012-09-01"], project.folder)
    with project.lake() as lake:
        record = lake.record("mine/features", "2012-09-01")
    assert record is not None
    assert record.verdict == "passed"
    assert record.rows > 0


def test_a_private_strategy_runs_from_bars_to_report(python: Path, tmp_path: Path) -> None:
    project = Project.tiny(tmp_path / "tiny")
    printed = _unseeing([str(python.parent / "trading-assets"), "run", "tiny"], project.folder)
    assert "report: " in printed


def _unseeing(command: Sequence[str], folder: Path) -> str:
    """Call a command that must find the package in its own environment only."""
    return _call(command, folder, PYTHONPATH="")
