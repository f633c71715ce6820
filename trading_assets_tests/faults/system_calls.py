"""Faults at the n-th system call of one commit, put there by strace: kills and refusals."""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory

from trading_assets.lake.records import PartitionWrite
from trading_assets_tests.faults.audit import Digests, damage, difference, digests, litter
from trading_assets_tests.faults.real_bars import bars_write
from trading_assets_tests.faults.tally import Tally
from trading_assets_tests.lake.processes import REFUSED, commit_when_told, start, wait_for
from trading_assets_tests.lake.samples import made_by, open_lake

KEY = "2000-06-01"
# What a commit changes the disk with: Python writes and flushes files, SQLite its log and index.
CALLS = ("write", "pwrite64", "fsync", "fdatasync", "rename", "mkdir", "unlink", "ftruncate")
# Another thread flushes the files and counts for itself: it is swept with the main one, which is
# then swept alone. Everything else is called by the main thread only.
_CALLS_OF_FLUSHERS = ("fsync",)
_MOST_CALLS = 400
_SECONDS = 60


@dataclass(frozen=True)
class Injection:
    """What happens at which occurrence of a system call, counted in each thread on its own."""

    call: str
    effect: str
    occurrence: str
    in_all_threads: bool

    def __str__(self) -> str:
        where = "any thread" if self.in_all_threads else "the main thread"
        return f"{self.effect} at {self.call} {self.occurrence} of {where}"

    def command(self, process: int, log: Path) -> list[str]:
        """Return what attaches to a process and injects."""
        rule = f"inject={self.call}:{self.effect}:when={self.occurrence}"
        command = ["strace", "-e", f"trace={self.call}", "-e", rule, "-o", str(log)]
        return [*command, *(["-f"] if self.in_all_threads else []), "-p", str(process)]


def why_not() -> str | None:
    """Return why no fault can be put at a system call here, or None."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(
        ["strace", "-e", "inject=getppid:retval=1", "-o", os.devnull, "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    return None if tried.returncode == 0 else f"strace cannot trace: {tried.stderr.strip()}"


def sweep_kills(root: Path, calls: Sequence[str] = CALLS, step: int = 1) -> Tally:
    """Kill a commit at every `step`-th system call, first of a new lake, then of a stored month."""
    return _sweep(root, dict.fromkeys(calls, "signal=SIGKILL"), step, lasts=False)


def sweep_refusals(root: Path, effects: Mapping[str, str], step: int = 1) -> Tally:
    """Refuse every `step`-th system call of a commit, once and from then on.

    Parameters
    ----------
    root : Path
        Empty folder.
    effects : mapping of str to str
        Error code by system call: `{"fsync": "EIO"}`.
    step : int
        1 tries every occurrence.
    """
    tally = Tally()
    for lasts in (False, True):
        under = root / ("from-then-on" if lasts else "once")
        rules = {call: f"error={code}" for call, code in effects.items()}
        tally.merge(_sweep(under, rules, step, lasts=lasts))
    return tally


def _sweep(root: Path, effects: Mapping[str, str], step: int, *, lasts: bool) -> Tally:
    tally = Tally()
    for is_first in (True, False):
        scene = _Scene.prepare(root / ("first" if is_first else "again"), is_first=is_first)
        for call, effect in effects.items():
            for in_all_threads in (True, False) if call in _CALLS_OF_FLUSHERS else (False,):
                for number in range(1, _MOST_CALLS, step):
                    occurrence = f"{number}+" if lasts else str(number)
                    injection = Injection(call, effect, occurrence, in_all_threads)
                    problems = scene.play(injection)
                    if problems is None:
                        break
                    tally.add(f"{injection} of a commit in {scene.root.name}", problems)
    return tally


@dataclass(frozen=True)
class _Scene:
    """A lake before a commit, the commit, and the content without and with it."""

    root: Path
    write: PartitionWrite
    before: Digests
    after: Digests

    @classmethod
    def prepare(cls, root: Path, *, is_first: bool) -> "_Scene":
        template = root / "template"
        template.mkdir(parents=True)
        write = bars_write(KEY)
        before: Digests = {}
        if not is_first:
            lake = open_lake(template)
            incomplete = replace(write, tables={**write.tables, "rows": write.tables["rows"][:9]})
            lake.commit([bars_write("2000-05-01"), incomplete], made_by())
            before = digests(lake)
            lake.close()
        shutil.copytree(template, root / "control")
        lake = open_lake(root / "control")
        lake.commit([write], made_by())
        after = digests(lake)
        lake.close()
        return cls(root, write, before, after)

    def play(self, injection: Injection) -> list[str] | None:
        """Commit with a fault; return what is wrong afterwards, None if the fault was never met."""
        faulty, log = self.root / "faulty", self.root / "strace.log"
        shutil.rmtree(faulty, ignore_errors=True)
        shutil.copytree(self.root / "template", faulty)
        ended = _commit_under(injection, faulty, self.write, log)
        if ended != -signal.SIGKILL and "(INJECTED)" not in log.read_text(encoding="utf-8"):
            return None if ended == 0 else [f"the commit ended with {ended} and without the fault"]
        lake = open_lake(faulty)
        problems = list(damage(lake, [self.before, self.after]))
        if ended == 0:
            problems.extend(difference(lake, self.after))
        elif ended not in (REFUSED, -signal.SIGKILL):
            problems.append(f"the commit ended with {ended}, not with one sentence")
        lake.commit([self.write], made_by())
        problems += [*difference(lake, self.after), *litter(lake)]
        lake.close()
        return problems


def _commit_under(injection: Injection, root: Path, write: PartitionWrite, log: Path) -> int | None:
    """Commit in another process with strace attached to it; return how that process ended."""
    with TemporaryDirectory() as folder:
        gate = Path(folder)
        process = start(commit_when_told, root, write, gate)
        wait_for(gate / "ready")
        assert process.pid is not None
        command = injection.command(process.pid, log)
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
            assert tracer.stderr is not None
            first_line = tracer.stderr.readline()
            if "attached" not in first_line:
                process.kill()
                msg = f"strace did not attach: {first_line}{tracer.stderr.read()}"
                raise RuntimeError(msg)
            (gate / "go").touch()
            return _wait(process)


def _wait(process: BaseProcess) -> int | None:
    process.join(_SECONDS)
    if process.exitcode is None:
        process.kill()
        process.join()
        return None
    return process.exitcode
