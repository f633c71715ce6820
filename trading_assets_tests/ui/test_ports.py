"""What the project starts listens on loopback only."""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from trading_assets_tests.end_to_end.projects import COMMANDS, REPOSITORY, Project, environment
from trading_assets_tests.ui.servers import free_port, started, wait_until_loaded

LOOPBACK = ("127.0.0.1", "::1")
PATIENCE_S = 60


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project.tiny(tmp_path / "project")
    workspace = (REPOSITORY / "workspace.yaml").read_text(encoding="utf-8")
    (made.folder / "workspace.yaml").write_text(workspace, encoding="utf-8")
    return made


def listening(process: psutil.Process) -> set[tuple[str, int]]:
    """Return address and port of every TCP socket that a process tree listens on."""
    found: set[tuple[str, int]] = set()
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            sockets = each.net_connections(kind="tcp")
            at = (s.laddr for s in sockets if s.status == psutil.CONN_LISTEN)
            found |= {(address.ip, address.port) for address in at}
    return found


def wait_until_listening(pid: int, port: int) -> set[tuple[str, int]]:
    process, deadline = psutil.Process(pid), time.monotonic() + PATIENCE_S
    found: set[tuple[str, int]] = set()
    while time.monotonic() < deadline:
        found = listening(process)
        if port in {number for _, number in found}:
            return found
        time.sleep(0.2)
    pytest.fail(f"nothing listens on port {port} after {PATIENCE_S} s, only {found}")


def outside(found: set[tuple[str, int]]) -> list[tuple[str, int]]:
    return sorted(each for each in found if each[0] not in LOOPBACK)


@pytest.fixture
def exposed(project: Project, tmp_path: Path) -> Iterator[int]:
    command = [COMMANDS / "python", "-m", "http.server", str(port := free_port())]
    with started(command, project.folder, environment(), tmp_path / "exposed.log") as process:
        assert wait_until_listening(process.pid, port)
        yield process.pid


def test_a_server_of_all_addresses_is_seen(exposed: int) -> None:
    assert outside(listening(psutil.Process(exposed)))


def test_pages_listen_on_loopback_only(project: Project, tmp_path: Path) -> None:
    port = free_port()
    command = [COMMANDS / "trading-assets", "pages", "--port", str(port)]
    with started(command, project.folder, environment(), tmp_path / "pages.log") as process:
        assert outside(wait_until_listening(process.pid, port)) == []


@pytest.mark.ui
def test_what_make_dev_starts_listens_on_loopback_only(project: Project, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "dev.log"
    command = [COMMANDS / "dagster", "dev", "--workspace", "workspace.yaml", "--port", str(port)]
    told = environment(TRADING_ASSETS_ONLY="tiny,tiny_bars")
    with started(command, project.folder, told, log) as process:
        wait_until_loaded(f"http://127.0.0.1:{port}", process, log)
        found = listening(psutil.Process(process.pid))
        # Webserver, daemon and code server run by now.
        assert len(psutil.Process(process.pid).children(recursive=True)) >= 3
    assert (port in {number for _, number in found}, outside(found)) == (True, [])


def test_make_dev_starts_what_is_watched_here() -> None:
    recipe = (REPOSITORY / "Makefile").read_text(encoding="utf-8").partition("\ndev:")[2]
    recipe = recipe.partition("\n\n")[0]
    assert "$(BIN)/dagster dev --workspace workspace.yaml\n" in f"{recipe}\n"
    assert "$(BIN)/trading-assets pages &" in recipe
