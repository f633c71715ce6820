"""Processes that serve pages on loopback while a test looks at them."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

START_SECONDS = 180
STOP_SECONDS = 30
LOCATIONS = "{workspaceOrError{... on Workspace{locationEntries{locationOrLoadError{__typename}}}}}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(
    command: Sequence[str | Path], folder: Path, environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command until the block ends; then all of its processes are stopped."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(command),
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_heed_signals,
        )
        try:
            yield process
        finally:
            _stop(process)


def wait_until_loaded(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the UI has loaded its code location, or fail with what the process printed."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError):
            if "RepositoryLocation" in _ask(url, LOCATIONS):
                return
        time.sleep(0.5)
    pytest.fail(f"the UI did not come up:\n{log.read_text(errors='replace')[-4000:]}")


def _heed_signals() -> None:
    # A shell that starts the tests in the background lets its children ignore these.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _ask(url: str, query: str) -> str:
    body = json.dumps({"query": query}).encode()
    request = Request(f"{url}/graphql", body, {"content-type": "application/json"})
    with urlopen(request, timeout=30) as answer:
        return answer.read().decode()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
