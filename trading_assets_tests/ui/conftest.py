"""The real UI on the demo's instance, and a headless Chromium in front of it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

REPOSITORY = Path(__file__).parents[2]
START_SECONDS = 180
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# What a person would set once: groups open, nodes with checks and partitions, no first-visit dialog.
LOCAL_STORAGE = """
localStorage.setItem('communityNux', '1');
localStorage.setItem('asset-graph-direction', '"vertical"');
localStorage.setItem('asset-node-facets', '["checks","partitions"]');
localStorage.setItem('large-screen-nav-open', 'false');
"""


@pytest.fixture(scope="session")
def chromium() -> str:
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("no chromium on this machine; install Debian's package of that name")
    return found


@pytest.fixture(scope="session")
def ui() -> Iterator[str]:
    """Start `dagster dev` as `make dev` does and give its address."""
    if not (REPOSITORY / "data" / "manifest.sqlite").exists():
        pytest.skip("the demo has not run here; run `make demo` first")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if k != "DAGSTER_HOME"}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [
                str(Path(sys.executable).parent / "dagster"),
                "dev",
                "--workspace",
                "workspace.yaml",
                "--port",
                str(port),
            ],
            cwd=REPOSITORY,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_until_up(address, process, log)
            yield address
        finally:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
def page(chromium: str, ui: str, tmp_path: Path) -> Iterator[object]:
    """Give a page of a new browser profile; on a failure its picture is kept in the tmp folder."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path / "profile",
            executable_path=chromium,
            headless=True,
            args=FLAGS,
            viewport={"width": 1500, "height": 1000},
            base_url=ui,
        )
        context.set_default_timeout(90_000)
        opened = context.pages[0]
        opened.add_init_script(LOCAL_STORAGE)
        try:
            yield opened
        finally:
            opened.screenshot(path=tmp_path / "last.png")
            context.close()


def _wait_until_up(address: str, process: subprocess.Popen[bytes], log) -> None:
    deadline = monotonic() + START_SECONDS
    while monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/server_info", timeout=5):
                return
        except OSError:
            sleep(0.5)
    log.seek(0)
    pytest.fail(f"the UI did not start: {log.read()[-3000:].decode(errors='replace')}")
