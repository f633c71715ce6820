"""Children of a process that has imported everything: forked in milliseconds, killed by SIGKILL."""

import ctypes
import http.client
import json
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from trading_assets.paper.simulated_broker.server import HOST, serve
from trading_assets_tests.faults.killable_session import FIRST_ROW, KillableAccount
from trading_assets_tests.paper.fixtures import make_strategy
from trading_assets_tests.paper.http_broker import make_spec

# A child that ended by itself, and not as it should.
BROKEN = 4
SECONDS = 30.0
_PR_SET_PDEATHSIG = 1


@dataclass
class BrokerProcess:
    """The broker in a process of its own, killed and started again on the same port.

    Attributes
    ----------
    path : Path
        Folder of its book.
    seed : int
        Of the market and of what goes wrong.
    """

    path: Path
    account: KillableAccount
    port: int
    pid: int = 0

    @classmethod
    def start(cls, path: Path, seed: int) -> "BrokerProcess":
        """Return one that serves a new account."""
        path.mkdir(parents=True, exist_ok=True)
        with socket.socket() as free:
            free.bind((HOST, 0))
            port = free.getsockname()[1]
        broker = cls(path, KillableAccount(path, seed, f"http://{HOST}:{port}"), port)
        broker.serve(broker.account.moment(FIRST_ROW, is_known=False))
        return broker

    def serve(self, now: datetime) -> None:
        """Start the process; its clock stands at `now`."""
        spec = make_spec(
            self.path,
            now,
            self.account.market,
            make_strategy(),
            port=self.port,
            seed=self.account.seed,
            max_pieces=3,
            partial_share=0.2,
            reject_share=0.1,
            requests_per_minute=1_000_000,
        )
        self.pid = fork(lambda: serve(spec))
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            try:
                socket.create_connection((HOST, self.port), timeout=1).close()
            except OSError:
                time.sleep(0.005)
            else:
                return
        raise TimeoutError(f"no broker listens on port {self.port}")

    def set_clock(self, now: datetime) -> None:
        """Move the broker's clock."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=SECONDS)
        body = json.dumps({"now": now.isoformat()})
        connection.request("POST", "/control/clock", body, {"content-type": "application/json"})
        status = connection.getresponse().status
        connection.close()
        if status != 200:
            raise RuntimeError(f"the broker's clock answered {status}")

    def kill(self) -> None:
        """End the process by SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def fork(do: Callable[[], None]) -> int:
    """Do something in a child, which ends with its parent, and return its process id."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
        do()
    finally:
        # Whatever it was, this process must not go on as its parent.
        if sys.exc_info()[0] is not None:
            traceback.print_exc()
        os._exit(BROKEN)


def kill(pid: int) -> None:
    """End a child by SIGKILL; it is still to be waited for."""
    os.kill(pid, signal.SIGKILL)


def wait(pid: int) -> int:
    """Return how a child ended: its exit code, or the negative number of a signal."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return BROKEN
