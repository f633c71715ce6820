"""Named mutants of the code that trades: each breaks one rule, and a named test has to turn red."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from trading_assets_tests.benchmarks.figures import REPOSITORY
from trading_assets_tests.faults.mutant_list import MUTANTS, Mutant
from trading_assets_tests.faults.tally import Tally

_COPIED = ("trading_assets", "trading_assets_tests")
_SECONDS = 300
# Of pytest: a test failed; anything else above 0 says that it could not be run.
_FAILED = 1


def sweep_mutants(root: Path, mutants: Sequence[Mutant] = MUTANTS, at_once: int = 2) -> Tally:
    """Run each mutant's tests against a copy of the code with the mutant in it.

    Parameters
    ----------
    root : Path
        Folder for the copies.
    mutants : sequence of Mutant
        What to break.
    at_once : int
        How many run at the same time.
    """
    tally = Tally()
    names = sorted({test for mutant in mutants for test in mutant.tests})
    sound = _copy(root / "sound")
    tally.add("no mutant", [] if _run(sound, names) == 0 else ["its tests are red without it"])
    tally.tried -= 1
    with ThreadPoolExecutor(at_once) as pool:
        problems = pool.map(lambda mutant: _problems(root, mutant), mutants)
        for mutant, found in zip(mutants, problems, strict=True):
            word = "survived" if found else "caught"
            print(f"{mutant.name:<58} {mutant.tests[0].rpartition('::')[2]:<70} {word}", flush=True)
            tally.add(mutant.name, found)
    return tally


def apply(folder: Path, mutant: Mutant) -> None:
    """Put a mutant into a copy of the code.

    Raises
    ------
    ValueError
        If the code that it changes is not there exactly once.
    """
    file = folder / mutant.file
    text = file.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        msg = (
            f"{mutant.name}: {mutant.file} has its code {text.count(mutant.old)} times; expected 1"
        )
        raise ValueError(msg)
    file.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")


def _problems(root: Path, mutant: Mutant) -> list[str]:
    folder = _copy(root / mutant.name.replace(" ", "_"))
    apply(folder, mutant)
    ended = _run(folder, mutant.tests)
    shutil.rmtree(folder)
    if ended == _FAILED:
        return []
    return [f"{', '.join(mutant.tests)} ended with {ended}; expected a failed test"]


def _copy(folder: Path) -> Path:
    for name in _COPIED:
        shutil.copytree(REPOSITORY / name, folder / name)
    shutil.copy2(REPOSITORY / "pyproject.toml", folder)
    return folder


def _run(folder: Path, tests: Sequence[str]) -> int:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    # The copy comes before an installed package of the same name.
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    ended = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if ended.returncode not in (0, _FAILED):
        print(ended.stdout[-2000:], ended.stderr[-2000:], file=sys.stderr)
    return ended.returncode
