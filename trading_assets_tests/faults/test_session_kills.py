"""Sessions that are killed by SIGKILL, and their broker, leave books that agree."""

import os
import signal
from pathlib import Path

import pytest

from trading_assets_tests.faults.killable_session import KillPlan
from trading_assets_tests.faults.session_kills import Killed, kill_ledger, sweep_session_kills


# Its parent of all children has hung once beside other workers, so it runs alone.
@pytest.mark.slow
def test_killed_sessions_and_brokers_lose_nothing(tmp_path: Path) -> None:
    killed = sweep_session_kills(tmp_path, range(2), n_sessions=2, step=0, processes=1)
    assert not killed.tally.harmed, killed.tally.describe()
    assert killed.kills >= 6
    assert killed.broker > 0


def test_a_kill_plan_ends_its_process_by_sigkill_at_its_moment() -> None:
    pid = os.fork()
    if not pid:
        plan = KillPlan(2)
        plan.maybe("first")
        plan.maybe("second")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_the_ledger_counts_processes() -> None:
    assert "| sessions killed | 1,200 |" in kill_ledger(Killed(sessions=1200, broker=3))


@pytest.mark.slow
def test_a_session_killed_at_any_moment_goes_on(tmp_path: Path) -> None:
    killed = sweep_session_kills(tmp_path, range(0), step=1)
    assert not killed.tally.harmed, killed.tally.describe()
    assert killed.sessions > 200
