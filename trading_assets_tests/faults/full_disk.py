"""Commits to a disk without space: a small file system of its own, and a limit on file sizes."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from polars.testing import assert_frame_equal

from trading_assets.errors import DataError, UserError
from trading_assets.lake.store import Lake
from trading_assets_tests.faults.audit import damage, digests, litter
from trading_assets_tests.faults.tally import Tally
from trading_assets_tests.lake.processes import REFUSED, commit_with_file_limit, run
from trading_assets_tests.lake.samples import BARS, MONTHS, commit, open_lake, rows_of

KEY, OTHER = MONTHS[:2]
_ISOLATED = ("unshare", "-m")
_AS_USER = ("unshare", "-r", "-m")


def sweep_file_limits(root: Path, step: int) -> Tally:
    """Commit while no file may grow beyond a limit, for limits from nothing to all that it takes.

    Parameters
    ----------
    root : Path
        Empty folder.
    step : int
        Bytes by which the limit grows.
    """
    tally = Tally()
    for limit in range(0, 1 << 20, step):
        lake = open_lake(root / str(limit))
        commit(lake, KEY)
        before = digests(lake)
        ended = run(commit_with_file_limit, lake.root, KEY, 2_000, limit)
        if ended == 0:
            lake.close()
            break
        problems = [] if ended == REFUSED else [f"the commit ended with {ended}"]
        problems.extend(damage(lake, [before]))
        commit(lake, KEY, scale=2.0)
        if not lake.read(BARS, [KEY]).equals(rows_of(KEY, 2.0)):
            problems.append("the same commit did not succeed with space")
        problems.extend(litter(lake))
        tally.add(f"no file beyond {limit} bytes", problems)
        lake.close()
    return tally


def sweep_small_disk(folder: Path) -> Tally | None:
    """Run `fill_up` in a process that sees 1 MB of disk; None if this machine allows no such."""
    command = mount_command(folder)
    if command is None:
        return None
    module = [*command, "-m", "trading_assets_tests.faults.full_disk", str(folder)]
    done = subprocess.run(module, capture_output=True, text=True, check=False)
    problems = done.stdout.splitlines() or done.stderr.splitlines()
    tally = Tally()
    tally.add("a disk of 1 MB", problems if done.returncode else [])
    return tally


def mount_command(folder: Path) -> list[str] | None:
    """Return how to run Python with 1 MB of disk at a folder, or None if that is not allowed."""
    for isolated in (_ISOLATED, _AS_USER):
        mount = f"mount -t tmpfs -o size=1m none '{folder}'"
        try:
            tried = subprocess.run([*isolated, "sh", "-c", mount], capture_output=True, check=False)
        except FileNotFoundError:
            return None
        if tried.returncode == 0:
            return [*isolated, "sh", "-c", f'{mount} && exec "$@"', "sh", sys.executable]
    return None


def fill_up(folder: Path) -> Iterator[str]:
    """Fill a small file system, commit and read on it, make room, and yield what went wrong."""
    root, filler = folder / "data", folder / "filler"
    lake = open_lake(root)
    commit(lake, KEY)
    lake.rebuild_catalog()
    for is_open in (True, False):
        if not is_open:
            lake.close()  # the last to close removes the manifest's log, which a full disk refuses
        _take_all_space(filler)
        reader = open_lake(root)
        yield from _refused(reader)
        yield from _readable(reader)
        filler.unlink()
        commit(reader, OTHER)
        if list(reader.records(BARS)) != [KEY, OTHER] or not reader.read(BARS, [OTHER]).height:
            yield "the same commit did not succeed with space"
        commit(reader, OTHER, scale=9.0)
        reader.close()
    lake = open_lake(root)
    yield from litter(lake)


def _take_all_space(filler: Path) -> None:
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def _refused(lake: Lake) -> Iterator[str]:
    try:
        commit(lake, OTHER)
    except DataError as error:
        if "check free space" not in str(error) or "\n" in str(error):
            yield f"a full disk is refused with {error}"
    else:
        yield "a commit to a full disk is not refused"


def _readable(lake: Lake) -> Iterator[str]:
    try:
        assert_frame_equal(lake.read(BARS, [KEY]), rows_of(KEY))
    except (AssertionError, UserError) as error:
        yield f"a stored partition is not readable on a full disk: {error}"


if __name__ == "__main__":
    found = list(fill_up(Path(sys.argv[1])))
    print(*found, sep="\n")
    sys.exit(1 if found else 0)
